// Field and curve operations on arrays, one element a thread: what tests check and what the multiply rate is read from.
#include "curve.cuh"

namespace {

INLINE size_t thread_index() { return (size_t)blockIdx.x * blockDim.x + threadIdx.x; }

enum FieldOperation {
  OP_ADD, OP_SUB, OP_MUL, OP_NEG, OP_DOUBLED, OP_SQUARE, OP_INVERSE, OP_TO_MONTGOMERY, OP_FROM_MONTGOMERY, OP_MUL_ADD,
  OP_MUL_SUB, OP_IS_ZERO, OP_EQUAL, OP_ONE,
};

template <class F>
INLINE F flag(bool value) {
  return value ? F::one() : F::zero();
}

template <class F>
INLINE void field_operation(uint32_t operation, void* out, const void* a, const void* b, uint32_t count) {
  const size_t i = thread_index();
  if (i >= count) return;
  const F x = load<F>(a, i), y = load<F>(b, i);
  F r = F::zero();
  switch (operation) {
    case OP_ADD: r = add(x, y); break;
    case OP_SUB: r = sub(x, y); break;
    case OP_MUL: r = mul(x, y); break;
    case OP_NEG: r = neg(x); break;
    case OP_DOUBLED: r = doubled(x); break;
    case OP_SQUARE: r = square(x); break;
    case OP_INVERSE: r = inverse(x); break;
    case OP_TO_MONTGOMERY: r = to_montgomery(x); break;
    case OP_FROM_MONTGOMERY: r = from_montgomery(x); break;
    case OP_MUL_ADD: r = mul_add(x, y, y, y); break;
    case OP_MUL_SUB: r = mul_sub(x, y, x, x); break;
    case OP_IS_ZERO: r = flag<F>(is_zero(x)); break;
    case OP_EQUAL: r = flag<F>(equal(x, y)); break;
    case OP_ONE: r = F::one(); break;
  }
  store(out, i, r);
}

}  // namespace

// out[i] = operation(a[i], b[i]); MUL_ADD is a b + b b, MUL_SUB is a b - a a; predicates give one or zero.
extern "C" __global__ void fr_operation(uint32_t operation, void* out, const void* a, const void* b, uint32_t count) {
  field_operation<Fr>(operation, out, a, b, count);
}
extern "C" __global__ void fq_operation(uint32_t operation, void* out, const void* a, const void* b, uint32_t count) {
  field_operation<Fq>(operation, out, a, b, count);
}
extern "C" __global__ void fq2_operation(uint32_t operation, void* out, const void* a, const void* b, uint32_t count) {
  field_operation<Fq2>(operation, out, a, b, count);
}
