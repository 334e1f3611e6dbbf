// Field and curve operations on arrays, one element a thread: what tests check. See rate.cu for how fast they are.
#include "curve.cuh"

namespace {

INLINE size_t thread_index() { return (size_t)blockIdx.x * blockDim.x + threadIdx.x; }

// Each operation is compiled on its own: all of G2's in one kernel would keep the compiler busy for half a minute.
#define SEPARATE(name, expression)                                    \
  template <class T, class... Rest>                                   \
  NOINLINE auto separate_##name(const T& x, const Rest&... rest) {    \
    return expression(x, rest...);                                    \
  }
SEPARATE(add, add)
SEPARATE(mul, mul)
SEPARATE(square, square)
SEPARATE(mul_add, mul_add)
SEPARATE(mul_sub, mul_sub)
SEPARATE(add_mixed, add_mixed)
SEPARATE(double_point, double_point)
SEPARATE(to_affine, to_affine)
SEPARATE(equal_points, equal_points)
SEPARATE(to_montgomery, to_montgomery)

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
    case OP_ADD: r = separate_add(x, y); break;
    case OP_SUB: r = sub(x, y); break;
    case OP_MUL: r = separate_mul(x, y); break;
    case OP_NEG: r = neg(x); break;
    case OP_DOUBLED: r = doubled(x); break;
    case OP_SQUARE: r = separate_square(x); break;
    case OP_INVERSE: r = inverse(x); break;
    case OP_TO_MONTGOMERY: r = separate_to_montgomery(x); break;
    case OP_FROM_MONTGOMERY: r = from_montgomery(x); break;
    case OP_MUL_ADD: r = separate_mul_add(x, y, y, y); break;
    case OP_MUL_SUB: r = separate_mul_sub(x, y, x, x); break;
    case OP_IS_ZERO: r = flag<F>(is_zero(x)); break;
    case OP_EQUAL: r = flag<F>(equal(x, y)); break;
    case OP_ONE: r = F::one(); break;
  }
  store(out, i, r);
}

enum PointOperation {
  POINT_ADD, POINT_ADD_MIXED, POINT_DOUBLE, POINT_DOUBLE_AFFINE, POINT_NEGATE, POINT_NEGATE_AFFINE, POINT_TO_XYZZ,
  POINT_TO_AFFINE, POINT_EQUAL, POINT_IS_INFINITY,
};

template <class F>
INLINE void point_operation(uint32_t operation, void* out, const void* a, const void* b, const void* affine,
                            uint32_t count) {
  const size_t i = thread_index();
  if (i >= count) return;
  const Xyzz<F> x = load<Xyzz<F>>(a, i);
  const Affine<F> z = load<Affine<F>>(affine, i);
  Xyzz<F> r = Xyzz<F>::infinity();
  switch (operation) {
    case POINT_ADD: r = separate_add(x, load<Xyzz<F>>(b, i)); break;
    case POINT_ADD_MIXED: r = separate_add_mixed(x, z); break;
    case POINT_DOUBLE: r = separate_double_point(x); break;
    case POINT_DOUBLE_AFFINE: r = separate_double_point(z); break;
    case POINT_NEGATE: r = negate(x); break;
    case POINT_NEGATE_AFFINE: r = to_xyzz(negate(z)); break;
    case POINT_TO_XYZZ: r = to_xyzz(z); break;
    case POINT_TO_AFFINE: {
      const Affine<F> p = separate_to_affine(x);
      r.x = p.x, r.y = p.y;
      break;
    }
    case POINT_EQUAL: r.x = flag<F>(separate_equal_points(x, load<Xyzz<F>>(b, i))); break;
    case POINT_IS_INFINITY: r.x = flag<F>(is_infinity(x)), r.y = flag<F>(is_infinity(z)); break;
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

// out[i] (XYZZ) = operation(a[i], b[i]) on XYZZ points, or on a[i] and affine[i]; what is not a point is put into x and y.
extern "C" __global__ void g1_operation(uint32_t operation, void* out, const void* a, const void* b, const void* affine,
                                        uint32_t count) {
  point_operation<Fq>(operation, out, a, b, affine, count);
}
extern "C" __global__ void g2_operation(uint32_t operation, void* out, const void* a, const void* b, const void* affine,
                                        uint32_t count) {
  point_operation<Fq2>(operation, out, a, b, affine, count);
}
