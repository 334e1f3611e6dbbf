// What bounds every other kernel: how many multiplications a second the GPU can do. See rate.py.
//
// Each thread runs CHAINS independent chains x <- x y in registers; memory is touched once at either end.
#include "curve.cuh"

namespace {

struct Multiply {
  template <class F>
  INLINE static F step(const F& x, const F& y) {
    return mul(x, y);
  }
};

struct Square {
  template <class F>
  INLINE static F step(const F& x, const F&) {
    return square(x);
  }
};

template <class F, class Operation, int CHAINS>
INLINE void run_chains(void* values, const void* factors, uint32_t rounds) {
  const size_t threads = (size_t)gridDim.x * blockDim.x;
  const size_t first = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
  F x[CHAINS];
  const F y = load<F>(factors, first);
#pragma unroll
  for (int c = 0; c < CHAINS; c++) x[c] = load<F>(values, first + c * threads);
#pragma unroll 1
  for (uint32_t round = 0; round < rounds; round++) {
#pragma unroll
    for (int c = 0; c < CHAINS; c++) x[c] = Operation::step(x[c], y);
  }
#pragma unroll
  for (int c = 0; c < CHAINS; c++) store(values, first + c * threads, x[c]);
}

}  // namespace

// values: CHAINS elements a thread, chain by chain; factors: one a thread.
#define RATE_KERNEL(name, F, Operation, CHAINS)                                          \
  extern "C" __global__ void name(void* values, const void* factors, uint32_t rounds) { \
    run_chains<F, Operation, CHAINS>(values, factors, rounds);                           \
  }

RATE_KERNEL(fq_multiply_1, Fq, Multiply, 1)
RATE_KERNEL(fq_multiply_2, Fq, Multiply, 2)
RATE_KERNEL(fr_multiply_1, Fr, Multiply, 1)
RATE_KERNEL(fr_multiply_2, Fr, Multiply, 2)
RATE_KERNEL(fq_square_1, Fq, Square, 1)
RATE_KERNEL(fq2_multiply_1, Fq2, Multiply, 1)
RATE_KERNEL(fq2_square_1, Fq2, Square, 1)

// 32 wide multiply-adds a round and thread, in eight independent chains: the rate of the instruction itself.
extern "C" __global__ void wide_multiply_add(uint64_t* values, const uint32_t* factors, uint32_t rounds) {
  const size_t threads = (size_t)gridDim.x * blockDim.x;
  const size_t first = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
  uint64_t sum[8];
  uint32_t y = factors[first];
  for (int c = 0; c < 8; c++) sum[c] = values[first + c * threads];
#pragma unroll 1
  for (uint32_t round = 0; round < rounds; round++) {
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
      for (int c = 0; c < 8; c++) sum[c] += (uint64_t)(uint32_t)(sum[c] >> 32) * y;
  }
  for (int c = 0; c < 8; c++) values[first + c * threads] = sum[c];
}
