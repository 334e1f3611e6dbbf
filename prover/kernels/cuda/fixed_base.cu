// Many multiples of one point, from a table of its multiples: one addition a window and no doubling (Brickell, Gordon,
// McCurley, Wilson, "Fast exponentiation with precomputation", 1992). What a setup computes its points with.
//
// One lane a scalar: 32 mixed additions, 320 multiplications, and an inversion of about as many. The table of G1 has
// 510 KiB and stays in the L2 cache.
#include "curve.cuh"

constexpr uint32_t WINDOW_BITS = 8;
constexpr uint32_t DIGITS = (1u << WINDOW_BITS) - 1;
constexpr uint32_t WINDOWS = 256 / WINDOW_BITS;
constexpr uint32_t PER_LIMB = 32 / WINDOW_BITS;

// table: affine points, row w * DIGITS + d - 1 is d 2^(WINDOW_BITS w) times the base; scalars: (n, 8), plain and below
// r; points: (n) affine.
template <class F>
INLINE void multiply_base(const void* table, const uint32_t* scalars, void* points, uint32_t count) {
  const uint32_t index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= count) return;
  Xyzz<F> sum = Xyzz<F>::infinity();
#pragma unroll 1
  for (uint32_t window = 0; window < WINDOWS; window++) {
    const uint32_t limb = scalars[(size_t)LIMBS * index + window / PER_LIMB];
    const uint32_t digit = (limb >> (WINDOW_BITS * (window % PER_LIMB))) & DIGITS;
    if (digit) sum = add_mixed(sum, load<Affine<F>>(table, window * DIGITS + digit - 1));
  }
  store(points, index, to_affine(sum));
}

extern "C" __global__ void fixed_base_g1(const void* table, const uint32_t* scalars, void* points, uint32_t count) {
  multiply_base<Fq>(table, scalars, points, count);
}

extern "C" __global__ void fixed_base_g2(const void* table, const uint32_t* scalars, void* points, uint32_t count) {
  multiply_base<Fq2>(table, scalars, points, count);
}
