// The prime fields of BN254: Fr (scalars) and Fq (coordinates).
//
// An element is eight 32-bit limbs, least significant first, in Montgomery form (x is stored as x 2^256 mod p) and
// canonical (below p), in registers as in memory: the 32 bytes of an element of a .zkey file. Every function takes
// canonical elements and returns one, unless it says otherwise. Nothing here runs in constant time.
//
//   F::zero() F::one()  add sub mul neg doubled square inverse  is_zero equal
//   mul_add(a, b, c, d) = a b + c d    mul_sub(a, b, c, d) = a b - c d    with one reduction for two products
//   to_montgomery(plain)  from_montgomery(a)
//   load<F>(base, index)  store(base, index, a)
#pragma once
#include "montgomery.cuh"

// A constant of eight limbs, as a function that folds to an immediate where the index is one.
#define LIMB_CONSTANT(name, ...)                   \
  INLINE static constexpr uint32_t name(int i) {   \
    constexpr uint32_t limb[LIMBS] = {__VA_ARGS__}; \
    return limb[i];                                \
  }

// NEGATIVE_INVERSE is -1/p modulo 2^32 (and 2^64), one is R mod p, r_squared is R^2 mod p.
struct FrParameters {
  LIMB_CONSTANT(modulus, 0xf0000001, 0x43e1f593, 0x79b97091, 0x2833e848, 0x8181585d, 0xb85045b6, 0xe131a029, 0x30644e72)
  LIMB_CONSTANT(one, 0x4ffffffb, 0xac96341c, 0x9f60cd29, 0x36fc7695, 0x7879462e, 0x666ea36f, 0x9a07df2f, 0x0e0a77c1)
  LIMB_CONSTANT(r_squared, 0xae216da7, 0x1bb8e645, 0xe35c59e3, 0x53fe3ab1, 0x53bb8085, 0x8c49833d, 0x7f4e44a5,
                0x0216d0b1)
  static constexpr uint32_t NEGATIVE_INVERSE = 0xefffffff;
  static constexpr uint64_t NEGATIVE_INVERSE_64 = 0xc2e1f593efffffff;
};

struct FqParameters {
  LIMB_CONSTANT(modulus, 0xd87cfd47, 0x3c208c16, 0x6871ca8d, 0x97816a91, 0x8181585d, 0xb85045b6, 0xe131a029, 0x30644e72)
  LIMB_CONSTANT(one, 0xc58f0d9d, 0xd35d438d, 0xf5c70b3d, 0x0a78eb28, 0x7879462c, 0x666ea36f, 0x9a07df2f, 0x0e0a77c1)
  LIMB_CONSTANT(r_squared, 0x538afa89, 0xf32cfc5b, 0xd44501fb, 0xb5e71911, 0x0a417ff6, 0x47ab1eff, 0xcab8351f,
                0x06d89f71)
  static constexpr uint32_t NEGATIVE_INVERSE = 0xe4866389;
  static constexpr uint64_t NEGATIVE_INVERSE_64 = 0x87d20782e4866389;
};

template <class P>
struct PrimeField {
  typedef P Parameters;
  uint32_t limb[LIMBS];

  INLINE static PrimeField zero() {
    PrimeField a;
#pragma unroll
    for (int i = 0; i < LIMBS; i++) a.limb[i] = 0;
    return a;
  }

  INLINE static PrimeField one() {
    PrimeField a;
#pragma unroll
    for (int i = 0; i < LIMBS; i++) a.limb[i] = P::one(i);
    return a;
  }
};

typedef PrimeField<FrParameters> Fr;
typedef PrimeField<FqParameters> Fq;

template <class P>
INLINE bool is_zero(const PrimeField<P>& a) {
  uint32_t any = 0;
#pragma unroll
  for (int i = 0; i < LIMBS; i++) any |= a.limb[i];
  return any == 0;
}

template <class P>
INLINE bool equal(const PrimeField<P>& a, const PrimeField<P>& b) {
  uint32_t any = 0;
#pragma unroll
  for (int i = 0; i < LIMBS; i++) any |= a.limb[i] ^ b.limb[i];
  return any == 0;
}

template <class P>
INLINE PrimeField<P> add(const PrimeField<P>& a, const PrimeField<P>& b) {
  PrimeField<P> r;
  add_limbs<LIMBS>(r.limb, a.limb, b.limb);
  subtract_modulus<P>(r.limb, r.limb);
  return r;
}

template <class P>
INLINE PrimeField<P> sub(const PrimeField<P>& a, const PrimeField<P>& b) {
  PrimeField<P> r;
  const uint32_t negative = subtract_limbs<LIMBS>(r.limb, a.limb, b.limb);
  add_modulus<P>(r.limb, r.limb, negative);
  return r;
}

template <class P>
INLINE PrimeField<P> neg(const PrimeField<P>& a) {
  return sub(PrimeField<P>::zero(), a);
}

template <class P>
INLINE PrimeField<P> doubled(const PrimeField<P>& a) {
  PrimeField<P> r;
#pragma unroll
  for (int i = LIMBS - 1; i > 0; i--) r.limb[i] = (a.limb[i] << 1) | (a.limb[i - 1] >> 31);
  r.limb[0] = a.limb[0] << 1;
  subtract_modulus<P>(r.limb, r.limb);
  return r;
}

template <class P>
INLINE PrimeField<P> mul(const PrimeField<P>& a, const PrimeField<P>& b) {
  PrimeField<P> r;
  multiply<P>(r.limb, a.limb, b.limb);
  subtract_modulus<P>(r.limb, r.limb);
  return r;
}

template <class P>
INLINE PrimeField<P> square(const PrimeField<P>& a) {
  uint32_t t[2 * LIMBS];
  wide_square(t, a.limb);
  PrimeField<P> r;
  reduce<P>(r.limb, t);
  subtract_modulus<P>(r.limb, r.limb);
  return r;
}

// a b + c d: 200 wide multiply-adds where two multiplications take 272. The sum is below 2 p^2, so its reduction is
// below 1.38 p.
template <class P>
INLINE PrimeField<P> mul_add(const PrimeField<P>& a, const PrimeField<P>& b, const PrimeField<P>& c,
                             const PrimeField<P>& d) {
  uint32_t s[2 * LIMBS], t[2 * LIMBS];
  wide_product(s, a.limb, b.limb);
  wide_product(t, c.limb, d.limb);
  add_limbs<2 * LIMBS>(t, t, s);
  PrimeField<P> r;
  reduce<P>(r.limb, t);
  subtract_modulus<P>(r.limb, r.limb);
  return r;
}

template <class P>
INLINE PrimeField<P> mul_sub(const PrimeField<P>& a, const PrimeField<P>& b, const PrimeField<P>& c,
                             const PrimeField<P>& d) {
  return mul_add(a, b, neg(c), d);
}

// `plain` is any number below 2^256, canonical or not; the result is x 2^256 mod p.
template <class P>
INLINE PrimeField<P> to_montgomery(const PrimeField<P>& plain) {
  PrimeField<P> r_squared;
#pragma unroll
  for (int i = 0; i < LIMBS; i++) r_squared.limb[i] = P::r_squared(i);
  // The first factor must be below 4p, the second need not.
  return mul(r_squared, plain);
}

// The plain canonical limbs of a, in the same type.
template <class P>
INLINE PrimeField<P> from_montgomery(const PrimeField<P>& a) {
  uint32_t t[2 * LIMBS];
#pragma unroll
  for (int i = 0; i < LIMBS; i++) {
    t[i] = a.limb[i];
    t[LIMBS + i] = 0;
  }
  PrimeField<P> r;
  reduce<P>(r.limb, t);
  return r;
}

// 1/a, and zero for zero: a^(p-2), about 45,000 wide multiply-adds. Share one among many elements (Montgomery's trick).
template <class P>
NOINLINE PrimeField<P> inverse(const PrimeField<P>& a) {
  PrimeField<P> r = PrimeField<P>::one();
  for (int i = LIMBS - 1; i >= 0; i--) {
    // p - 2 differs from p in the lowest limb only, and p is odd and larger than 2 there.
    const uint32_t exponent = P::modulus(i) - (i == 0 ? 2 : 0);
#pragma unroll 1
    for (int bit = 31; bit >= 0; bit--) {
      r = square(r);
      if ((exponent >> bit) & 1) r = mul(r, a);
    }
  }
  return r;
}

// An element is read and written with two accesses of 16 bytes; `base` must be aligned to 16.
INLINE void load_limbs(uint32_t* limbs, const void* base, size_t index) {
#ifdef __CUDA_ARCH__
  const uint4* source = reinterpret_cast<const uint4*>(base) + 2 * index;
  const uint4 low = source[0], high = source[1];
  limbs[0] = low.x, limbs[1] = low.y, limbs[2] = low.z, limbs[3] = low.w;
  limbs[4] = high.x, limbs[5] = high.y, limbs[6] = high.z, limbs[7] = high.w;
#else
  __builtin_memcpy(limbs, reinterpret_cast<const uint32_t*>(base) + LIMBS * index, 4 * LIMBS);
#endif
}

INLINE void store_limbs(void* base, size_t index, const uint32_t* limbs) {
#ifdef __CUDA_ARCH__
  uint4* target = reinterpret_cast<uint4*>(base) + 2 * index;
  target[0] = make_uint4(limbs[0], limbs[1], limbs[2], limbs[3]);
  target[1] = make_uint4(limbs[4], limbs[5], limbs[6], limbs[7]);
#else
  __builtin_memcpy(reinterpret_cast<uint32_t*>(base) + LIMBS * index, limbs, 4 * LIMBS);
#endif
}

// How many elements of a prime field an F is made of, and how to move one: `index` counts elements of F.
template <class F>
struct Memory;

template <class P>
struct Memory<PrimeField<P>> {
  INLINE static PrimeField<P> load(const void* base, size_t index) {
    PrimeField<P> a;
    load_limbs(a.limb, base, index);
    return a;
  }
  INLINE static void store(void* base, size_t index, const PrimeField<P>& a) { store_limbs(base, index, a.limb); }
};

template <class F>
INLINE F load(const void* base, size_t index) {
  return Memory<F>::load(base, index);
}

template <class F>
INLINE void store(void* base, size_t index, const F& a) {
  Memory<F>::store(base, index, a);
}
