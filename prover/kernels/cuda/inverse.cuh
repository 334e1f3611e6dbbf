// Inversion in a prime field by division steps: D. J. Bernstein, B.-Y. Yang, "Fast constant-time gcd computation and
// modular inversion" (eprint 2019/266), with the step count that starts from delta = 1/2 (P. Wuille, G. Maxwell, R.
// O'Connor, "The safegcd implementation in libsecp256k1 explained"): 590 steps are enough below 2^256.
//
// About 600 steps of 16 instructions and 20 updates of some 100 multiply-adds, where a power by p - 2 takes 45,000
// multiply-adds. All threads of a warp do the same, so none waits for another.
//
// Numbers are nine signed limbs of 30 bits, least significant first; all but the highest are in [0, 2^30).
#pragma once
#include "field.cuh"

namespace divsteps {

constexpr int SIGNED_LIMBS = 9;
constexpr int BITS = 30;
constexpr int32_t MASK = (1 << BITS) - 1;
constexpr int ROUNDS = 20;

struct Signed {
  int32_t limb[SIGNED_LIMBS];
};

// Limb i of a number of eight limbs of 32 bits that `limb32` gives.
template <class Limbs>
INLINE int32_t limb30(const Limbs& limb32, int i) {
  const int first = BITS * i / 32, shift = BITS * i % 32;
  uint64_t bits = limb32(first);
  if (first + 1 < LIMBS) bits |= (uint64_t)limb32(first + 1) << 32;
  return (int32_t)(bits >> shift) & MASK;
}

template <class P>
INLINE int32_t modulus30(int i) {
  return limb30([](int j) { return P::modulus(j); }, i);
}

// 2^30 times the transition of 30 steps: (f, g) -> ((u f + v g), (q f + r g)) / 2^30.
struct Matrix {
  int32_t u, v, q, r;
};

// zeta is -(delta + 1/2); f and g are the lowest limbs, of which f is odd.
INLINE int32_t thirty_steps(int32_t zeta, int32_t f, int32_t g, Matrix& matrix) {
  int32_t u = 1, v = 0, q = 0, r = 1;
#pragma unroll 6
  for (int i = 0; i < BITS; i++) {
    const int32_t odd = -(g & 1);
    const int32_t negative = zeta >> 31;
    // delta > 0: (f, g) -> (g, (g - f) / 2); else g -> (g + f) / 2; and g -> g / 2 where g is even.
    const int32_t sign = (negative | 1) & odd, swap = negative & odd;
    g += f * sign;
    q += u * sign;
    r += v * sign;
    zeta = (zeta ^ swap) - 1;
    // f + (g - f) is the old g.
    f += g & swap;
    u += q & swap;
    v += r & swap;
    g >>= 1;
    u += u;
    v += v;
  }
  matrix = Matrix{u, v, q, r};
  return zeta;
}

INLINE void update_fg(Signed& f, Signed& g, const Matrix& m) {
  int64_t next_f = (int64_t)m.u * f.limb[0] + (int64_t)m.v * g.limb[0];
  int64_t next_g = (int64_t)m.q * f.limb[0] + (int64_t)m.r * g.limb[0];
#pragma unroll
  for (int i = 1; i < SIGNED_LIMBS; i++) {
    next_f = (next_f >> BITS) + (int64_t)m.u * f.limb[i] + (int64_t)m.v * g.limb[i];
    next_g = (next_g >> BITS) + (int64_t)m.q * f.limb[i] + (int64_t)m.r * g.limb[i];
    f.limb[i - 1] = (int32_t)next_f & MASK;
    g.limb[i - 1] = (int32_t)next_g & MASK;
  }
  f.limb[SIGNED_LIMBS - 1] = (int32_t)(next_f >> BITS);
  g.limb[SIGNED_LIMBS - 1] = (int32_t)(next_g >> BITS);
}

// The same for (d, e) modulo p. Both stay in (-2p, p): where one is negative p is added first, then the multiple of p
// that makes the division by 2^30 exact.
template <class P>
INLINE void update_de(Signed& d, Signed& e, const Matrix& m) {
  constexpr uint32_t INVERSE = 0u - P::NEGATIVE_INVERSE;
  const int32_t sign_d = d.limb[SIGNED_LIMBS - 1] >> 31, sign_e = e.limb[SIGNED_LIMBS - 1] >> 31;
  int32_t times_d = (m.u & sign_d) + (m.v & sign_e), times_e = (m.q & sign_d) + (m.r & sign_e);
  int64_t next_d = (int64_t)m.u * d.limb[0] + (int64_t)m.v * e.limb[0];
  int64_t next_e = (int64_t)m.q * d.limb[0] + (int64_t)m.r * e.limb[0];
  times_d -= (int32_t)(INVERSE * (uint32_t)next_d + (uint32_t)times_d) & MASK;
  times_e -= (int32_t)(INVERSE * (uint32_t)next_e + (uint32_t)times_e) & MASK;
  next_d += (int64_t)modulus30<P>(0) * times_d;
  next_e += (int64_t)modulus30<P>(0) * times_e;
#pragma unroll
  for (int i = 1; i < SIGNED_LIMBS; i++) {
    next_d = (next_d >> BITS) + (int64_t)m.u * d.limb[i] + (int64_t)m.v * e.limb[i];
    next_e = (next_e >> BITS) + (int64_t)m.q * d.limb[i] + (int64_t)m.r * e.limb[i];
    next_d += (int64_t)modulus30<P>(i) * times_d;
    next_e += (int64_t)modulus30<P>(i) * times_e;
    d.limb[i - 1] = (int32_t)next_d & MASK;
    e.limb[i - 1] = (int32_t)next_e & MASK;
  }
  d.limb[SIGNED_LIMBS - 1] = (int32_t)(next_d >> BITS);
  e.limb[SIGNED_LIMBS - 1] = (int32_t)(next_e >> BITS);
}

// a + (p where `take` is all ones), negated before that where `negate` is; carries settled.
template <class P>
INLINE void adjust(Signed& a, int32_t negate, int32_t take) {
  int32_t carry = 0;
#pragma unroll
  for (int i = 0; i < SIGNED_LIMBS; i++) {
    carry += ((a.limb[i] ^ negate) - negate) + (modulus30<P>(i) & take);
    a.limb[i] = i + 1 < SIGNED_LIMBS ? carry & MASK : carry;
    carry >>= BITS;
  }
}

}  // namespace divsteps

// 1/a, and zero for zero; Montgomery form in and out, canonical.
template <class P>
NOINLINE PrimeField<P> inverse_by_divsteps(const PrimeField<P>& a) {
  using namespace divsteps;
  Signed d, e, f, g;
#pragma unroll
  for (int i = 0; i < SIGNED_LIMBS; i++) {
    d.limb[i] = 0;
    e.limb[i] = i == 0;
    f.limb[i] = modulus30<P>(i);
    g.limb[i] = limb30([&a](int j) { return a.limb[j]; }, i);
  }
  int32_t zeta = -1;
#pragma unroll 1
  for (int round = 0; round < ROUNDS; round++) {
    Matrix matrix;
    zeta = thirty_steps(zeta, f.limb[0], g.limb[0], matrix);
    update_de<P>(d, e, matrix);
    update_fg(f, g, matrix);
  }
  // f is now 1 or -1 (p for a = 0, with d = 0), and d in (-2p, p) is f / a.
  adjust<P>(d, 0, d.limb[SIGNED_LIMBS - 1] >> 31);
  adjust<P>(d, f.limb[SIGNED_LIMBS - 1] >> 31, 0);
  adjust<P>(d, 0, d.limb[SIGNED_LIMBS - 1] >> 31);
  PrimeField<P> plain;
#pragma unroll
  for (int i = 0; i < LIMBS; i++) {
    const int first = 32 * i / BITS, shift = 32 * i % BITS;
    uint64_t bits = (uint64_t)(uint32_t)d.limb[first] | (uint64_t)(uint32_t)d.limb[first + 1] << BITS;
    if (first + 2 < SIGNED_LIMBS) bits |= (uint64_t)(uint32_t)d.limb[first + 2] << (2 * BITS);
    plain.limb[i] = (uint32_t)(bits >> shift);
  }
  // The inverse of x R is x^-1 R^-1: two factors R are missing.
  return to_montgomery(to_montgomery(plain));
}
