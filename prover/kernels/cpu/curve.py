"""The group law of G1 (y^2 = x^3 + 3 over F_q) and G2 (its sextic twist over F_q2), inside kernels.

A running sum is kept in "XYZZ" coordinates (X, Y, ZZ, ZZZ) with x = X/ZZ, y = Y/ZZZ, ZZ^3 = ZZZ^2; infinity has ZZ = 0.
Formulas: Bernstein and Lange, Explicit-Formulas Database, "Short Weierstrass curves, XYZZ coordinates", a = 0
(madd-2008-s, add-2008-s, dbl-2008-s-1, mdbl-2008-s-1). An affine point is two coordinates, infinity is (0, 0). The
order of both curves is odd, so no point but infinity equals its own opposite.

In arrays an affine point takes slots 0, 1 of a row, an XYZZ point slots 0 to 3.
"""

from prover.kernels.cpu.coordinate import add, inverse, is_zero, load, mul, one, square, store, sub, zero
from prover.kernels.device import kernel


@kernel
def infinity(like):
    """The neutral element of the group whose coordinates are of the kind of `like`."""
    return one(like), one(like), zero(like), zero(like)


@kernel
def double_affine(x, y):
    """2 (x, y) in XYZZ coordinates; (x, y) is not infinity."""
    u = add(y, y)
    v = square(u)
    w = mul(u, v)
    s = mul(x, v)
    xx = square(x)
    m = add(add(xx, xx), xx)
    x3 = sub(square(m), add(s, s))
    y3 = sub(mul(m, sub(s, x3)), mul(w, y))
    return x3, y3, v, w


@kernel
def double_point(p):
    x, y, zz, zzz = p
    x3, y3, v, w = double_affine(x, y)
    return x3, y3, mul(v, zz), mul(w, zzz)


@kernel
def _finish_addition(x1, y1, p, r):
    """The part all additions share: X3, Y3, P^2 and P^3 from the difference P of the x's and R of the y's."""
    pp = square(p)
    ppp = mul(p, pp)
    q = mul(x1, pp)
    x3 = sub(sub(square(r), ppp), add(q, q))
    y3 = sub(mul(r, sub(q, x3)), mul(y1, ppp))
    return x3, y3, pp, ppp


@kernel
def add_affine(point, x, y):
    """point + (x, y), whatever the two are."""
    x1, y1, zz, zzz = point
    if is_zero(x) and is_zero(y):
        return point
    if is_zero(zz):
        return x, y, one(x), one(x)
    p = sub(mul(x, zz), x1)
    r = sub(mul(y, zzz), y1)
    if is_zero(p):
        if is_zero(r):
            return double_affine(x, y)
        return infinity(x)
    x3, y3, pp, ppp = _finish_addition(x1, y1, p, r)
    return x3, y3, mul(zz, pp), mul(zzz, ppp)


@kernel
def add_points(a, b):
    """a + b in XYZZ coordinates, whatever the two are."""
    x1, y1, zz1, zzz1 = a
    x2, y2, zz2, zzz2 = b
    if is_zero(zz1):
        return b
    if is_zero(zz2):
        return a
    u1 = mul(x1, zz2)
    s1 = mul(y1, zzz2)
    p = sub(mul(x2, zz1), u1)
    r = sub(mul(y2, zzz1), s1)
    if is_zero(p):
        if is_zero(r):
            return double_point(a)
        return infinity(x1)
    x3, y3, pp, ppp = _finish_addition(u1, s1, p, r)
    return x3, y3, mul(mul(zz1, zz2), pp), mul(mul(zzz1, zzz2), ppp)


@kernel
def load_point(array, row, like):
    """The XYZZ point in row `row`."""
    return load(array, row, 0, like), load(array, row, 1, like), load(array, row, 2, like), load(array, row, 3, like)


@kernel
def store_point(array, row, point):
    """Write an XYZZ point to row `row`."""
    for slot in range(4):
        store(array, row, slot, point[slot])


@kernel
def to_affine(points, out, like, start, stop):
    """Rows start .. stop-1 of `points` (XYZZ) as affine points in the same rows of `out`; one inversion for all."""
    product = one(like)
    for i in range(start, stop):
        store(out, i, 0, product)
        zzz = load(points, i, 3, like)
        if not is_zero(zzz):
            product = mul(product, zzz)
    shared = inverse(product)
    for i in range(stop - 1, start - 1, -1):
        x, y, zz, zzz = load_point(points, i, like)
        if is_zero(zz):
            store(out, i, 0, zero(like))
            store(out, i, 1, zero(like))
            continue
        inverse_zzz = mul(shared, load(out, i, 0, like))
        shared = mul(shared, zzz)
        # ZZ^3 = ZZZ^2, so (ZZ / ZZZ)^2 = 1 / ZZ.
        store(out, i, 0, mul(x, square(mul(zz, inverse_zzz))))
        store(out, i, 1, mul(y, inverse_zzz))
