// Sums of products in Fr with one reduction for a whole sum, and rows of sparse matrices times vectors.
//
// A sum of k products takes 64 k + 72 wide multiply-adds where k multiplications take 136 k.
#pragma once
#include "field.cuh"

// A sum of products of two canonical elements each, as an integer below 2^256 p.
struct ProductSum {
  uint32_t t[2 * LIMBS];

  INLINE ProductSum() {
#pragma unroll
    for (int i = 0; i < 2 * LIMBS; i++) t[i] = 0;
  }

  INLINE void add_product(const Fr& a, const Fr& b) {
    uint32_t product[2 * LIMBS];
    wide_product(product, a.limb, b.limb);
    add_limbs<2 * LIMBS>(t, t, product);
    // A product is below 0.19 * 2^256 p, so its upper half added to one below p is below 2p.
    subtract_modulus<FrParameters>(t + LIMBS, t + LIMBS);
  }

  // The sum divided by R = 2^256, canonical.
  INLINE Fr divided() const {
    Fr r;
    reduce<FrParameters>(r.limb, t);
    subtract_modulus<FrParameters>(r.limb, r.limb);
    return r;
  }
};

// A matrix in compressed sparse row form: row i has the entries row_ptr[i] .. row_ptr[i+1] - 1.
struct SparseRows {
  const uint32_t* row_ptr;
  const uint32_t* column;
  const uint32_t* value;

  INLINE uint32_t length(uint32_t row) const { return row_ptr[row + 1] - row_ptr[row]; }

  // Every `step`-th product of a row with column `lane` of `vectors`, an array (n, batch) of elements; divided by R.
  INLINE Fr times(uint32_t row, const uint32_t* vectors, uint32_t batch, uint32_t lane, uint32_t start,
                  uint32_t step) const {
    ProductSum sum;
    const uint32_t end = row_ptr[row + 1];
#pragma unroll 1
    for (uint32_t k = row_ptr[row] + start; k < end; k += step)
      sum.add_product(load<Fr>(value, k), load<Fr>(vectors, (size_t)column[k] * batch + lane));
    return sum.divided();
  }
};

// The sum of the elements of a warp's 32 lanes, in every lane.
INLINE Fr warp_sum(Fr a) {
#pragma unroll 1
  for (int distance = 16; distance > 0; distance /= 2) {
    Fr other;
#pragma unroll
    for (int i = 0; i < LIMBS; i++) other.limb[i] = __shfl_xor_sync(FULL_MASK, a.limb[i], distance);
    a = add(a, other);
  }
  return a;
}
