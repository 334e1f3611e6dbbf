// The group law of G1 (y^2 = x^3 + 3 over Fq) and G2 (its sextic twist over Fq2), for F = Fq and F = Fq2.
//
// Affine points are the points of a .zkey file: x, y, and infinity is all zero. A running sum is kept in XYZZ
// coordinates: x = X/ZZ, y = Y/ZZZ, ZZ^3 = ZZZ^2; infinity has ZZ = 0. Formulas: Bernstein and Lange, Explicit-Formulas
// Database, "Short Weierstrass curves, XYZZ coordinates", a = 0 (madd-2008-s, add-2008-s, dbl-2008-s-1, mdbl-2008-s-1).
// Y3 is a difference of two products and takes one reduction. The order of both curves is odd, so no point but
// infinity equals its opposite. All functions are complete: any two points will do.
//
//   Xyzz<F>::infinity()  is_infinity  negate  add_mixed(Xyzz, Affine)  add(Xyzz, Xyzz)
//   double_point(Xyzz)  double_point(Affine)  to_xyzz(Affine)  to_affine(Xyzz)  equal_points(Xyzz, Xyzz)
//   load<Affine<F>>, load<Xyzz<F>> and store, as for field elements: `index` counts points
#pragma once
#include "fq2.cuh"

template <class F>
struct Affine {
  F x, y;

  INLINE static Affine infinity() { return {F::zero(), F::zero()}; }
};

template <class F>
struct Xyzz {
  F x, y, zz, zzz;

  INLINE static Xyzz infinity() { return {F::zero(), F::zero(), F::zero(), F::zero()}; }
};

template <class F>
INLINE bool is_infinity(const Affine<F>& p) {
  return is_zero(p.x) && is_zero(p.y);
}

template <class F>
INLINE bool is_infinity(const Xyzz<F>& p) {
  return is_zero(p.zz);
}

template <class F>
INLINE Affine<F> negate(const Affine<F>& p) {
  return {p.x, neg(p.y)};
}

template <class F>
INLINE Xyzz<F> negate(const Xyzz<F>& p) {
  return {p.x, neg(p.y), p.zz, p.zzz};
}

template <class F>
INLINE Xyzz<F> to_xyzz(const Affine<F>& p) {
  if (is_infinity(p)) return Xyzz<F>::infinity();
  return {p.x, p.y, F::one(), F::one()};
}

template <class F>
INLINE Xyzz<F> double_point(const Affine<F>& p) {
  const F u = doubled(p.y);
  const F v = square(u);
  const F w = mul(u, v);
  const F s = mul(p.x, v);
  const F xx = square(p.x);
  const F m = add(doubled(xx), xx);
  const F x3 = sub(square(m), doubled(s));
  // Infinity gives v = w = 0: infinity again.
  return {x3, mul_sub(m, sub(s, x3), w, p.y), v, w};
}

template <class F>
INLINE Xyzz<F> double_point(const Xyzz<F>& p) {
  Xyzz<F> r = double_point(Affine<F>{p.x, p.y});
  r.zz = mul(r.zz, p.zz);
  r.zzz = mul(r.zzz, p.zzz);
  return r;
}

// X3, Y3, P^2 and P^3 from the difference P of the x's, R of the y's: what both additions end with.
template <class F>
INLINE Xyzz<F> finish_addition(const F& x1, const F& y1, const F& p, const F& r) {
  const F pp = square(p);
  const F ppp = mul(p, pp);
  const F q = mul(x1, pp);
  const F x3 = sub(sub(square(r), ppp), doubled(q));
  return {x3, mul_sub(r, sub(q, x3), y1, ppp), pp, ppp};
}

// a + b: 8 multiplications and 2 squares.
template <class F>
INLINE Xyzz<F> add_mixed(const Xyzz<F>& a, const Affine<F>& b) {
  if (is_infinity(b)) return a;
  if (is_infinity(a)) return {b.x, b.y, F::one(), F::one()};
  const F p = sub(mul(b.x, a.zz), a.x);
  const F r = sub(mul(b.y, a.zzz), a.y);
  if (is_zero(p)) return is_zero(r) ? double_point(b) : Xyzz<F>::infinity();
  Xyzz<F> sum = finish_addition(a.x, a.y, p, r);
  sum.zz = mul(sum.zz, a.zz);
  sum.zzz = mul(sum.zzz, a.zzz);
  return sum;
}

// a + b: 12 multiplications and 2 squares.
template <class F>
INLINE Xyzz<F> add(const Xyzz<F>& a, const Xyzz<F>& b) {
  if (is_infinity(a)) return b;
  if (is_infinity(b)) return a;
  const F u1 = mul(a.x, b.zz);
  const F s1 = mul(a.y, b.zzz);
  const F p = sub(mul(b.x, a.zz), u1);
  const F r = sub(mul(b.y, a.zzz), s1);
  if (is_zero(p)) return is_zero(r) ? double_point(a) : Xyzz<F>::infinity();
  Xyzz<F> sum = finish_addition(u1, s1, p, r);
  sum.zz = mul(sum.zz, mul(a.zz, b.zz));
  sum.zzz = mul(sum.zzz, mul(a.zzz, b.zzz));
  return sum;
}

// Whether a and b are the same point, whatever their coordinates.
template <class F>
INLINE bool equal_points(const Xyzz<F>& a, const Xyzz<F>& b) {
  if (is_infinity(a) || is_infinity(b)) return is_infinity(a) && is_infinity(b);
  return equal(mul(a.x, b.zz), mul(b.x, a.zz)) && equal(mul(a.y, b.zzz), mul(b.y, a.zzz));
}

// The affine point, given inverse_zzz = 1/ZZZ. As ZZ^3 = ZZZ^2, 1/ZZ is (ZZ/ZZZ)^2. Infinity for ZZ = 0.
template <class F>
INLINE Affine<F> to_affine(const Xyzz<F>& p, const F& inverse_zzz) {
  return {mul(p.x, square(mul(p.zz, inverse_zzz))), mul(p.y, inverse_zzz)};
}

template <class F>
INLINE Affine<F> to_affine(const Xyzz<F>& p) {
  return to_affine(p, inverse(p.zzz));
}

template <class F>
struct Memory<Affine<F>> {
  INLINE static Affine<F> load(const void* base, size_t index) {
    return {::load<F>(base, 2 * index), ::load<F>(base, 2 * index + 1)};
  }
  INLINE static void store(void* base, size_t index, const Affine<F>& p) {
    ::store(base, 2 * index, p.x);
    ::store(base, 2 * index + 1, p.y);
  }
};

template <class F>
struct Memory<Xyzz<F>> {
  INLINE static Xyzz<F> load(const void* base, size_t index) {
    return {::load<F>(base, 4 * index), ::load<F>(base, 4 * index + 1), ::load<F>(base, 4 * index + 2),
            ::load<F>(base, 4 * index + 3)};
  }
  INLINE static void store(void* base, size_t index, const Xyzz<F>& p) {
    ::store(base, 4 * index, p.x);
    ::store(base, 4 * index + 1, p.y);
    ::store(base, 4 * index + 2, p.zz);
    ::store(base, 4 * index + 3, p.zzz);
  }
};
