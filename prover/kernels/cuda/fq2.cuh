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

INLINE Fq2 mul(const Fq2& a, const Fq2& b) {
  const Fq low = mul(a.c0, b.c0), high = mul(a.c1, b.c1);
  const Fq cross = mul(add(a.c0, a.c1), add(b.c0, b.c1));
  return {sub(low, high), sub(sub(cross, low), high)};
}

// (c0 + c1)(c0 - c1) + 2 c0 c1 u
INLINE Fq2 square(const Fq2& a) {
  const Fq product = mul(a.c0, a.c1);
  return {mul(add(a.c0, a.c1), sub(a.c0, a.c1)), doubled(product)};
}

INLINE Fq2 mul_add(const Fq2& a, const Fq2& b, const Fq2& c, const Fq2& d) { return add(mul(a, b), mul(c, d)); }
INLINE Fq2 mul_sub(const Fq2& a, const Fq2& b, const Fq2& c, const Fq2& d) { return sub(mul(a, b), mul(c, d)); }

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
