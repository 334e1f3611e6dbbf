// Kernels without branches, one element each, whose PTX test_nvrtc_arithmetic.py carries out instruction by instruction.
#include "fq2.cuh"

#define UNARY(name, F, function) \
  extern "C" __global__ void name(void* out, const void* a) { store(out, 0, function(load<F>(a, 0))); }
#define BINARY(name, F, function)                                               \
  extern "C" __global__ void name(void* out, const void* a, const void* b) {   \
    store(out, 0, function(load<F>(a, 0), load<F>(b, 0)));                      \
  }
#define QUATERNARY(name, F, function)                                                           \
  extern "C" __global__ void name(void* out, const void* a, const void* b) {                   \
    store(out, 0, function(load<F>(a, 0), load<F>(b, 0), load<F>(b, 1), load<F>(a, 1)));        \
  }
#define FIELD(prefix, F)                  \
  BINARY(prefix##_add, F, add)            \
  BINARY(prefix##_sub, F, sub)            \
  BINARY(prefix##_mul, F, mul)            \
  UNARY(prefix##_neg, F, neg)             \
  UNARY(prefix##_doubled, F, doubled)     \
  UNARY(prefix##_square, F, square)       \
  QUATERNARY(prefix##_mul_add, F, mul_add) \
  QUATERNARY(prefix##_mul_sub, F, mul_sub)

FIELD(fr, Fr)
FIELD(fq, Fq)
FIELD(fq2, Fq2)
UNARY(fr_to_montgomery, Fr, to_montgomery)
UNARY(fr_from_montgomery, Fr, from_montgomery)
UNARY(fq_to_montgomery, Fq, to_montgomery)
UNARY(fq_from_montgomery, Fq, from_montgomery)
