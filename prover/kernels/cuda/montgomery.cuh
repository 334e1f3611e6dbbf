// Montgomery arithmetic on integers of eight 32-bit limbs, least significant first: R = 2^256, p < 2^254.
//
//   multiply<P>(r, a, b)   r = (a b + p m) / R     for a < 4p, b < 2^256;  r < a b / R + p
//   wide_product(t, a, b)  t = a b                 sixteen limbs
//   wide_square(t, a)      t = a^2
//   reduce<P>(r, t)        r = (t + p m) / R       for t < 2^256 p;  r < t / R + p
//   add_limbs<N>(r, a, b), subtract_limbs<N>(r, a, b)   modulo 2^(32 N); the latter returns all ones for a < b, else zero
//
// m is the one number below R that makes the division exact, so each result is one definite integer, not just a residue
// class. Since R > 5p, a product of factors below p is below 1.19 p and one conditional subtraction makes it canonical.
//
// Two implementations give the same integers. Chains of 32-bit multiply-adds are what a GPU is good at: 136 wide ones a
// multiplication, 64 a wide product, 36 a wide square and 72 a reduction. The other is for a CPU, with 64-bit limbs.
// Define GELAP_CHAINS under the shim to run the chains there.
//
// In a chain, products at even positions and at odd positions are summed apart (`even`, and `odd` one limb higher), so
// that the two halves of a product always extend one carry chain (N. Emmart, J. Luitjens, C. Weems, C. Woolley,
// "Optimizing Modular Multiplication for NVIDIA's Maxwell GPUs", ARITH 2016).
#pragma once
#include "ptx.cuh"

#if defined(__CUDA_ARCH__) || defined(GELAP_CHAINS)
#define GELAP_USE_CHAINS 1
#else
#define GELAP_USE_CHAINS 0
#endif

constexpr int LIMBS = 8;

template <int N>
INLINE void add_limbs(uint32_t* r, const uint32_t* a, const uint32_t* b) {
#if GELAP_USE_CHAINS
  r[0] = ptx::add_cc(a[0], b[0]);
#pragma unroll
  for (int i = 1; i < N - 1; i++) r[i] = ptx::addc_cc(a[i], b[i]);
  r[N - 1] = ptx::addc(a[N - 1], b[N - 1]);
#else
  uint64_t carry = 0;
  for (int i = 0; i < N; i++) {
    carry += (uint64_t)a[i] + b[i];
    r[i] = (uint32_t)carry;
    carry >>= 32;
  }
#endif
}

template <int N>
INLINE uint32_t subtract_limbs(uint32_t* r, const uint32_t* a, const uint32_t* b) {
#if GELAP_USE_CHAINS
  r[0] = ptx::sub_cc(a[0], b[0]);
#pragma unroll
  for (int i = 1; i < N; i++) r[i] = ptx::subc_cc(a[i], b[i]);
  return ptx::subc(0, 0);
#else
  int64_t borrow = 0;
  for (int i = 0; i < N; i++) {
    borrow += (int64_t)a[i] - b[i];
    r[i] = (uint32_t)borrow;
    borrow >>= 32;
  }
  return (uint32_t)borrow;
#endif
}

// r = a + p where mask is all ones, r = a where it is zero.
template <class P>
INLINE void add_modulus(uint32_t* r, const uint32_t* a, uint32_t mask) {
  uint32_t p[LIMBS];
#pragma unroll
  for (int i = 0; i < LIMBS; i++) p[i] = P::modulus(i) & mask;
  add_limbs<LIMBS>(r, a, p);
}

// r = a - p where that is not negative, else a.
template <class P>
INLINE void subtract_modulus(uint32_t* r, const uint32_t* a) {
  uint32_t p[LIMBS], t[LIMBS];
#pragma unroll
  for (int i = 0; i < LIMBS; i++) p[i] = P::modulus(i);
  const bool negative = subtract_limbs<LIMBS>(t, a, p) != 0;
#pragma unroll
  for (int i = 0; i < LIMBS; i++) r[i] = negative ? a[i] : t[i];
}

#if GELAP_USE_CHAINS

// acc[0 .. 2N-1] = sum of a[2j] b 2^(64 j). In C++ a product of 64 bits costs the compiler more instructions elsewhere.
template <int N>
INLINE void products(uint32_t* acc, const uint32_t* a, uint32_t b) {
#pragma unroll
  for (int j = 0; j < 2 * N; j += 2) {
    acc[j] = ptx::mul_lo(a[j], b);
    acc[j + 1] = ptx::mul_hi(a[j], b);
  }
}

// The same added to acc; the carry out is the new limb acc[2N].
template <int N>
INLINE void add_products(uint32_t* acc, const uint32_t* a, uint32_t b) {
  acc[2 * N] = 0;
  ptx::add_products<N>(acc, a, b, acc[2 * N]);
}

// The same where acc[2N-1] is a new limb. There is no carry out: 2N-1 limbs and the products fit into 2N limbs.
template <int N>
INLINE void extend_products(uint32_t* acc, const uint32_t* a, uint32_t b) {
  acc[2 * N - 1] = 0;
  ptx::add_products<N>(acc, a, b);
}

template <class P>
struct ModulusLimbs {
  uint32_t limb[LIMBS];
  INLINE ModulusLimbs() {
#pragma unroll
    for (int i = 0; i < LIMBS; i++) limb[i] = P::modulus(i);
  }
};

// Make the lowest limb zero: even + 2^32 odd += p m.
template <class P>
INLINE void clear_lowest(uint32_t* even, uint32_t* odd) {
  const ModulusLimbs<P> p;
  const uint32_t m = even[0] * P::NEGATIVE_INVERSE;
  ptx::add_products<4>(odd, p.limb + 1, m);
  ptx::add_products<4>(even, p.limb, m, odd[7]);
}

// Divide by 2^32, then add a b_i and make the lowest limb zero again. Before, `odd` holds the even positions and its
// lowest limb is zero; afterwards the roles are as named. No limb overflows: the whole is below 2^32 (a + p + 1).
template <class P>
INLINE void next_row(uint32_t* even, uint32_t* odd, const uint32_t* a, uint32_t b) {
  ptx::shift_and_add_products(even, odd, a, b);
  ptx::add_products<4>(even, a, b, odd[7]);
  clear_lowest<P>(even, odd);
}

// r = even + odd / 2^32, of which odd[0] is zero.
INLINE void join_columns(uint32_t* r, const uint32_t* even, const uint32_t* odd) {
  r[0] = ptx::add_cc(even[0], odd[1]);
#pragma unroll
  for (int i = 1; i < LIMBS - 1; i++) r[i] = ptx::addc_cc(even[i], odd[i + 1]);
  r[7] = ptx::addc(even[7], 0);
}

template <class P>
INLINE void multiply(uint32_t* r, const uint32_t* a, const uint32_t* b) {
  uint32_t even[LIMBS], odd[LIMBS];
  products<4>(odd, a + 1, b[0]);
  products<4>(even, a, b[0]);
  clear_lowest<P>(even, odd);
#pragma unroll
  for (int i = 1; i < LIMBS - 1; i += 2) {
    next_row<P>(odd, even, a, b[i]);
    next_row<P>(even, odd, a, b[i + 1]);
  }
  next_row<P>(odd, even, a, b[7]);
  join_columns(r, even, odd);
}

// t = even + 2^32 odd, for fifteen limbs of `odd`.
INLINE void join_wide(uint32_t* t, const uint32_t* even, const uint32_t* odd) {
  t[0] = even[0];
  add_limbs<2 * LIMBS - 1>(t + 1, even + 1, odd);
}

INLINE void wide_product(uint32_t* t, const uint32_t* a, const uint32_t* b) {
  uint32_t even[2 * LIMBS], odd[2 * LIMBS];
  products<4>(even, a, b[0]);
  products<4>(odd, a + 1, b[0]);
  even[8] = 0;
#pragma unroll
  for (int i = 1; i < LIMBS; i++) {
    // With b_i at an odd position the odd limbs of a land in even positions.
    if (i % 2) {
      extend_products<4>(even + i + 1, a + 1, b[i]);
      add_products<4>(odd + i - 1, a, b[i]);
    } else {
      add_products<4>(even + i, a, b[i]);
      extend_products<4>(odd + i, a + 1, b[i]);
    }
  }
  join_wide(t, even, odd);
}

INLINE void wide_square(uint32_t* t, const uint32_t* a) {
  // Products of different limbs once; a row covers positions 2i+1 .. 7+i, with a_i a_(i+1) first.
  uint32_t even[2 * LIMBS], odd[2 * LIMBS];
  even[0] = even[1] = even[8] = 0;
  products<4>(odd, a + 1, a[0]);
  products<3>(even + 2, a + 2, a[0]);
  // i = 1: odd positions 3, 5, 7; even positions 4, 6, 8.
  add_products<3>(odd + 2, a + 2, a[1]);
  extend_products<3>(even + 4, a + 3, a[1]);
  // i = 2: odd 5, 7, 9; even 6, 8.
  extend_products<3>(odd + 4, a + 3, a[2]);
  add_products<2>(even + 6, a + 4, a[2]);
  // i = 3: odd 7, 9; even 8, 10.
  add_products<2>(odd + 6, a + 4, a[3]);
  extend_products<2>(even + 8, a + 5, a[3]);
  // i = 4: odd 9, 11; even 10.
  extend_products<2>(odd + 8, a + 5, a[4]);
  add_products<1>(even + 10, a + 6, a[4]);
  // i = 5: odd 11; even 12.
  add_products<1>(odd + 10, a + 6, a[5]);
  extend_products<1>(even + 12, a + 7, a[5]);
  // i = 6: odd 13.
  extend_products<1>(odd + 12, a + 7, a[6]);
  even[14] = even[15] = 0;
  odd[14] = 0;
  uint32_t cross[2 * LIMBS];
  join_wide(cross, even, odd);
  // Twice that, plus the squares of the limbs.
#pragma unroll
  for (int i = 2 * LIMBS - 1; i > 0; i--) t[i] = (cross[i] << 1) | (cross[i - 1] >> 31);
  t[0] = 0;
  t[0] = ptx::mad_lo_cc(a[0], a[0], t[0]);
  t[1] = ptx::madc_hi_cc(a[0], a[0], t[1]);
#pragma unroll
  for (int i = 1; i < LIMBS - 1; i++) {
    t[2 * i] = ptx::madc_lo_cc(a[i], a[i], t[2 * i]);
    t[2 * i + 1] = ptx::madc_hi_cc(a[i], a[i], t[2 * i + 1]);
  }
  t[14] = ptx::madc_lo_cc(a[7], a[7], t[14]);
  t[15] = ptx::madc_hi(a[7], a[7], t[15]);
}

// Divide by 2^32 and make the lowest limb zero again, as next_row without a product.
template <class P>
INLINE void next_reduction_row(uint32_t* even, uint32_t* odd) {
  const ModulusLimbs<P> p;
  const uint32_t m = ptx::shift_and_add_quotient(even, odd, p.limb, P::NEGATIVE_INVERSE);
  ptx::add_products<4>(even, p.limb, m, odd[7]);
}

template <class P>
INLINE void reduce(uint32_t* r, const uint32_t* t) {
  const ModulusLimbs<P> p;
  uint32_t even[LIMBS], odd[LIMBS];
#pragma unroll
  for (int i = 0; i < LIMBS; i++) even[i] = t[i];
  const uint32_t m = even[0] * P::NEGATIVE_INVERSE;
  products<4>(odd, p.limb + 1, m);
  ptx::add_products<4>(even, p.limb, m, odd[7]);
#pragma unroll
  for (int i = 1; i < LIMBS - 1; i += 2) {
    next_reduction_row<P>(odd, even);
    next_reduction_row<P>(even, odd);
  }
  next_reduction_row<P>(odd, even);
  join_columns(r, even, odd);
  add_limbs<LIMBS>(r, r, t + LIMBS);
}

#else

typedef unsigned __int128 uint128_t;

INLINE void to_words(uint64_t* words, const uint32_t* limbs, int count) {
  for (int i = 0; i < count; i++) words[i] = limbs[2 * i] | (uint64_t)limbs[2 * i + 1] << 32;
}

INLINE void to_limbs(uint32_t* limbs, const uint64_t* words, int count) {
  for (int i = 0; i < count; i++) {
    limbs[2 * i] = (uint32_t)words[i];
    limbs[2 * i + 1] = (uint32_t)(words[i] >> 32);
  }
}

// Eight words of t, times 2^-256 modulo p: four words and no final subtraction.
template <class P>
INLINE void reduce_words(uint32_t* r, uint64_t* t) {
  uint64_t p[4];
  for (int i = 0; i < 4; i++) p[i] = P::modulus(2 * i) | (uint64_t)P::modulus(2 * i + 1) << 32;
  uint64_t above = 0;
  for (int i = 0; i < 4; i++) {
    const uint64_t m = t[i] * P::NEGATIVE_INVERSE_64;
    uint64_t carry = 0;
    for (int j = 0; j < 4; j++) {
      const uint128_t sum = (uint128_t)m * p[j] + t[i + j] + carry;
      t[i + j] = (uint64_t)sum;
      carry = (uint64_t)(sum >> 64);
    }
    const uint128_t sum = (uint128_t)t[i + 4] + carry + above;
    t[i + 4] = (uint64_t)sum;
    above = (uint64_t)(sum >> 64);
  }
  to_limbs(r, t + 4, 4);
}

INLINE void product_words(uint64_t* t, const uint32_t* a, const uint32_t* b) {
  uint64_t x[4], y[4];
  to_words(x, a, 4);
  to_words(y, b, 4);
  for (int i = 0; i < 8; i++) t[i] = 0;
  for (int i = 0; i < 4; i++) {
    uint64_t carry = 0;
    for (int j = 0; j < 4; j++) {
      const uint128_t sum = (uint128_t)x[j] * y[i] + t[i + j] + carry;
      t[i + j] = (uint64_t)sum;
      carry = (uint64_t)(sum >> 64);
    }
    t[i + 4] = carry;
  }
}

template <class P>
INLINE void multiply(uint32_t* r, const uint32_t* a, const uint32_t* b) {
  uint64_t t[8];
  product_words(t, a, b);
  reduce_words<P>(r, t);
}

INLINE void wide_product(uint32_t* t, const uint32_t* a, const uint32_t* b) {
  uint64_t words[8];
  product_words(words, a, b);
  to_limbs(t, words, 8);
}

INLINE void wide_square(uint32_t* t, const uint32_t* a) { wide_product(t, a, a); }

template <class P>
INLINE void reduce(uint32_t* r, const uint32_t* t) {
  uint64_t words[8];
  to_words(words, t, 8);
  reduce_words<P>(r, words);
}

#endif
