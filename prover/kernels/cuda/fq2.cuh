// Fq2 = Fq[u] / (u^2 + 1), the coordinates of G2, with the operations of field.cuh; in memory c0, then c1.
#pragma once
#include "field.cuh"

struct Fq2 {
  Fq c0, c1;

  INLINE static Fq2 zero() { return {Fq::zero(), Fq::zero()}; }
  INLINE static Fq2 one() { return {Fq::one(), Fq::zero()}; }
};

INLINE bool is_zero(const Fq2& a) { return is_zero(a.c0) && is_zero(a.c1); }
INLINE bool equal(const Fq2& a, const Fq2& b) { return equal(a.c0, b.c0) && equal(a.c1, b.c1); }
INLINE Fq2 add(const Fq2& a, const Fq2& b) { return {add(a.c0, b.c0), add(a.c1, b.c1)}; }
INLINE Fq2 sub(const Fq2& a, const Fq2& b) { return {sub(a.c0, b.c0), sub(a.c1, b.c1)}; }
INLINE Fq2 neg(const Fq2& a) { return {neg(a.c0), neg(a.c1)}; }
INLINE Fq2 doubled(const Fq2& a) { return {doubled(a.c0), doubled(a.c1)}; }

// A product before its reduction: c0 in two's complement, from -p^2 to p^2; c1 from 0 to 2 p^2.
struct Fq2Product {
  uint32_t c0[2 * LIMBS], c1[2 * LIMBS];
};

// Karatsuba: three products of integers. The factors of the third are below 2p, no reduction is needed in between.
INLINE Fq2Product wide_product(const Fq2& a, const Fq2& b) {
  Fq2Product t;
  uint32_t high[2 * LIMBS], a_sum[LIMBS], b_sum[LIMBS];
  add_limbs<LIMBS>(a_sum, a.c0.limb, a.c1.limb);
  add_limbs<LIMBS>(b_sum, b.c0.limb, b.c1.limb);
  wide_product(t.c1, a_sum, b_sum);
  wide_product(t.c0, a.c0.limb, b.c0.limb);
  subtract_limbs<2 * LIMBS>(t.c1, t.c1, t.c0);
  wide_product(high, a.c1.limb, b.c1.limb);
  subtract_limbs<2 * LIMBS>(t.c1, t.c1, high);
  subtract_limbs<2 * LIMBS>(t.c0, t.c0, high);
  return t;
}

// For c0 from -2 p^2 to 2 p^2 and c1 from 0 to 4 p^2: a multiple of p makes c0 positive and keeps it below 2^256 p, and
// both reductions end below 2p.
INLINE Fq2 reduce(const Fq2Product& product) {
  Fq2Product t = product;
  const uint32_t negative = (uint32_t)((int32_t)t.c0[2 * LIMBS - 1] >> 31);
  add_modulus<FqParameters>(t.c0 + LIMBS, t.c0 + LIMBS, negative);
  Fq2 r;
  reduce<FqParameters>(r.c0.limb, t.c0);
  reduce<FqParameters>(r.c1.limb, t.c1);
  subtract_modulus<FqParameters>(r.c0.limb, r.c0.limb);
  subtract_modulus<FqParameters>(r.c1.limb, r.c1.limb);
  return r;
}

// 336 wide multiply-adds, where three multiplications of Fq take 408.
INLINE Fq2 mul(const Fq2& a, const Fq2& b) { return reduce(wide_product(a, b)); }

// (c0 + c1)(c0 - c1) + 2 c0 c1 u; a first factor below 2p is good enough for a multiplication.
INLINE Fq2 square(const Fq2& a) {
  uint32_t sum[LIMBS], twice[LIMBS];
  add_limbs<LIMBS>(sum, a.c0.limb, a.c1.limb);
  add_limbs<LIMBS>(twice, a.c0.limb, a.c0.limb);
  const Fq difference = sub(a.c0, a.c1);
  Fq2 r;
  multiply<FqParameters>(r.c0.limb, sum, difference.limb);
  multiply<FqParameters>(r.c1.limb, twice, a.c1.limb);
  subtract_modulus<FqParameters>(r.c0.limb, r.c0.limb);
  subtract_modulus<FqParameters>(r.c1.limb, r.c1.limb);
  return r;
}

// a b + c d with one reduction for two products.
INLINE Fq2 mul_add(const Fq2& a, const Fq2& b, const Fq2& c, const Fq2& d) {
  Fq2Product t = wide_product(a, b);
  const Fq2Product s = wide_product(c, d);
  add_limbs<2 * LIMBS>(t.c0, t.c0, s.c0);
  add_limbs<2 * LIMBS>(t.c1, t.c1, s.c1);
  return reduce(t);
}

INLINE Fq2 mul_sub(const Fq2& a, const Fq2& b, const Fq2& c, const Fq2& d) { return mul_add(a, b, neg(c), d); }

INLINE Fq2 to_montgomery(const Fq2& plain) { return {to_montgomery(plain.c0), to_montgomery(plain.c1)}; }
INLINE Fq2 from_montgomery(const Fq2& a) { return {from_montgomery(a.c0), from_montgomery(a.c1)}; }

// 1 / (c0 + c1 u) = (c0 - c1 u) / (c0^2 + c1^2); zero for zero.
NOINLINE Fq2 inverse(const Fq2& a) {
  const Fq shared = inverse(mul_add(a.c0, a.c0, a.c1, a.c1));
  return {mul(a.c0, shared), neg(mul(a.c1, shared))};
}

template <>
struct Memory<Fq2> {
  INLINE static Fq2 load(const void* base, size_t index) {
    Fq2 a;
    load_limbs(a.c0.limb, base, 2 * index);
    load_limbs(a.c1.limb, base, 2 * index + 1);
    return a;
  }
  INLINE static void store(void* base, size_t index, const Fq2& a) {
    store_limbs(base, 2 * index, a.c0.limb);
    store_limbs(base, 2 * index + 1, a.c1.limb);
  }
};
