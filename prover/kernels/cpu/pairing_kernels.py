"""The optimal ate pairing of BN254, and membership of points in its groups.

Vercauteren, "Optimal pairings" (2010), with the parameter x = 4965661367192848881: the Miller loop runs over 6x + 2 and
ends with two Frobenius images. G2 lives on the twist y^2 = x^3 + 3 / xi; (x, y) there is (x w^2, y w^3) on the curve
over F_q12, so the line through points with slope l on the twist is y_P - l x_P w + (l x - y) w^3 at (x_P, y_P) in G1.
Lines are scaled by factors in F_q2, which the final exponentiation takes to one. Its hard part follows Scott, Benger,
Charlemagne, Dominguez Perez, Kachisa, "On the final exponentiation for calculating pairings on ordinary elliptic
curves" (2009).
"""

import numpy as np

from prover.kernels.cpu import fq12
from prover.kernels.cpu.coordinate import FQ2_ONE, FQ_ONE, add, equal, is_zero, load, mul, neg, square, sub
from prover.kernels.cpu.curve import add_affine, add_points, double_point, infinity, load_point, store_point
from prover.kernels.cpu.field import fq_mul, fq_neg
from prover.kernels.cpu.fq12 import fq2_constant
from prover.kernels.cpu.pairing import X
from prover.kernels.device import export, kernel, stack_rows


def _non_adjacent_form(value: int) -> list[int]:
    digits = []
    while value:
        digit = 2 - value % 4 if value & 1 else 0
        digits.append(digit)
        value = (value - digit) // 2
    return digits[::-1]


_LOOP = np.array(_non_adjacent_form(6 * X + 2), dtype=np.int8)
# xi^((q - 1) / 3), xi^((q - 1) / 2) and xi^((q^2 - 1) / 3)
_TWIST_X, _TWIST_Y, _TWIST_XX = (fq2_constant(fq12.FROBENIUS_FACTORS[place]) for place in (2, 3, 6 + 2))
_X = np.uint64(X)


@kernel
def _scale(a, scalar):
    """An element of F_q2 times one of F_q."""
    real, imaginary = a
    return fq_mul(real, scalar), fq_mul(imaginary, scalar)


@kernel
def _double_step(points, k, x_p, y_p, f):
    """Double point k and multiply f by the tangent there."""
    x, y, zz, zzz = load_point(points, k, FQ2_ONE)
    u = add(y, y)
    v = square(u)
    w = mul(u, v)
    s = mul(x, v)
    xx = square(x)
    m = add(add(xx, xx), xx)
    x3 = sub(square(m), add(s, s))
    y3 = sub(mul(m, sub(s, x3)), mul(w, y))
    store_point(points, k, (x3, y3, mul(v, zz), mul(w, zzz)))
    # The slope is m / (u z) with z = zzz / zz; the line is scaled by u zzz.
    c0 = _scale(mul(u, zzz), y_p)
    c1 = _scale(mul(m, zz), fq_neg(x_p))
    c3 = sub(mul(m, x), mul(u, y))
    fq12.multiply_sparse(f, c0, c1, c3)


@kernel
def _add_step(points, k, x2, y2, x_p, y_p, f):
    """Add (x2, y2) to point k and multiply f by the line through the two."""
    x, y, zz, zzz = load_point(points, k, FQ2_ONE)
    p = sub(mul(x2, zz), x)
    r = sub(mul(y2, zzz), y)
    pp = square(p)
    ppp = mul(p, pp)
    q = mul(x, pp)
    x3 = sub(sub(square(r), ppp), add(q, q))
    y3 = sub(mul(r, sub(q, x3)), mul(y, ppp))
    store_point(points, k, (x3, y3, mul(zz, pp), mul(zzz, ppp)))
    # The slope is r / (p z) with z = zzz / zz; the line is scaled by p zzz.
    slope, scale = mul(r, zz), mul(p, zzz)
    c0 = _scale(scale, y_p)
    c1 = _scale(slope, fq_neg(x_p))
    c3 = sub(mul(slope, x2), mul(scale, y2))
    fq12.multiply_sparse(f, c0, c1, c3)


@kernel
def _conjugate_times(a, factor):
    real, imaginary = a
    return mul((real, fq_neg(imaginary)), factor)


@export("u64[:,:], u64[:,:], u64[:,:], bool[:], u64[:,:]")
def miller_loop(g1, g2, points, skipped, f):
    """f = the product of the Miller functions of all pairs; a pair with infinity counts as one.

    `points`, 32 limbs a pair, and `skipped` are scratch.
    """
    pairs = g1.shape[0]
    for k in range(pairs):
        x_p, y_p = load(g1, k, 0, FQ_ONE), load(g1, k, 1, FQ_ONE)
        x_q, y_q = load(g2, k, 0, FQ2_ONE), load(g2, k, 1, FQ2_ONE)
        skipped[k] = (is_zero(x_p) and is_zero(y_p)) or (is_zero(x_q) and is_zero(y_q))
        store_point(points, k, add_affine(infinity(x_q), x_q, y_q))
    fq12.set_one(f)
    # After the digits come two additions: of the Frobenius image of each point, and of minus its image's image.
    for step in range(1, len(_LOOP) + 2):
        digit = _LOOP[step] if step < len(_LOOP) else 0
        if step < len(_LOOP):
            fq12.square(f, f)
        for k in range(pairs):
            if skipped[k]:
                continue
            x_p, y_p = load(g1, k, 0, FQ_ONE), load(g1, k, 1, FQ_ONE)
            x_q, y_q = load(g2, k, 0, FQ2_ONE), load(g2, k, 1, FQ2_ONE)
            if step < len(_LOOP):
                _double_step(points, k, x_p, y_p, f)
                if digit == 0:
                    continue
                if digit < 0:
                    y_q = neg(y_q)
            elif step == len(_LOOP):
                x_q, y_q = _conjugate_times(x_q, _TWIST_X), _conjugate_times(y_q, _TWIST_Y)
            else:
                x_q = mul(x_q, _TWIST_XX)
            _add_step(points, k, x_q, y_q, x_p, y_p, f)


@kernel
def _power_of_x(out, a):
    """out = a^x; `out` may not be `a`."""
    fq12.set_one(out)
    for bit in range(62, -1, -1):
        fq12.square(out, out)
        if (_X >> np.uint64(bit)) & np.uint64(1):
            fq12.multiply(out, out, a)


@kernel
def _final_exponentiation(f):
    """f = f^((q^12 - 1) / r)"""
    t = stack_rows(54, 8)
    a, b = t[42:48], t[48:54]
    # The easy part: (q^6 - 1)(q^2 + 1).
    fq12.invert(a, f)
    fq12.conjugate(b, f)
    fq12.multiply(a, a, b)
    fq12.frobenius(b, a, 2)
    fq12.multiply(f, a, b)
    # The hard part: y0 y1^2 y2^6 y3^12 y4^18 y5^30 y6^36.
    y0, y1, y2, y3, y4, y5, y6 = t[0:6], t[6:12], t[12:18], t[18:24], t[24:30], t[30:36], t[36:42]
    fq12.frobenius(y0, f, 1)
    for times in (2, 3):
        fq12.frobenius(a, f, times)
        fq12.multiply(y0, y0, a)
    fq12.conjugate(y1, f)
    _power_of_x(y3, f)
    _power_of_x(y5, y3)
    _power_of_x(y6, y5)
    fq12.frobenius(y2, y5, 2)
    fq12.frobenius(a, y5, 1)
    fq12.multiply(y4, y3, a)
    fq12.conjugate(y4, y4)
    fq12.frobenius(y3, y3, 1)
    fq12.conjugate(y3, y3)
    fq12.frobenius(a, y6, 1)
    fq12.multiply(y6, y6, a)
    fq12.conjugate(y6, y6)
    fq12.conjugate(y5, y5)
    fq12.square(a, y6)
    fq12.multiply(a, a, y4)
    fq12.multiply(a, a, y5)
    fq12.multiply(b, y3, y5)
    fq12.multiply(b, b, a)
    fq12.multiply(a, a, y2)
    fq12.square(b, b)
    fq12.multiply(b, b, a)
    fq12.square(b, b)
    fq12.multiply(a, b, y1)
    fq12.multiply(b, b, y0)
    fq12.square(a, a)
    fq12.multiply(f, a, b)


@export("u64[:,:,:]")
def finish(parts):
    """Row 0 of `parts` = the pairing value of the product of all rows, each from a Miller loop."""
    for part in range(1, parts.shape[0]):
        fq12.multiply(parts[0], parts[0], parts[part])
    _final_exponentiation(parts[0])


@export("u64[:,:], coordinate", "bool")
def all_on_curve(points, b):
    for i in range(points.shape[0]):
        x, y = load(points, i, 0, b), load(points, i, 1, b)
        if is_zero(x) and is_zero(y):
            continue
        if not equal(square(y), add(mul(square(x), x), b)):
            return False
    return True


@kernel
def _twisted_frobenius(point):
    """psi of a point in XYZZ coordinates: the q-th power map of the curve over F_q12, seen on the twist."""
    x, y, zz, zzz = point
    return (
        _conjugate_times(x, _TWIST_X),
        _conjugate_times(y, _TWIST_Y),
        _conjugate_times(zz, FQ2_ONE),
        _conjugate_times(zzz, FQ2_ONE),
    )


@export("u64[:,:], like", "bool", groups=("g2",))
def all_in_subgroup(points, like):
    """(x + 1) P + psi(x P) + psi^2(x P) = psi^3(2 x P) for every point P, which has to lie on the twist.

    The endomorphism psi satisfies psi^2 - t psi + q = 0 on the whole twist; the points that satisfy the equation as
    well have an order that divides the resultant of the two polynomials, and of that and the twist's order the
    greatest common divisor is r. See El Housni, Guillevic, Piellard, "Co-factor clearing and subgroup membership
    testing on pairing-friendly curves", 2022.
    """
    for i in range(points.shape[0]):
        x, y = load(points, i, 0, like), load(points, i, 1, like)
        multiple = infinity(like)
        for bit in range(62, -1, -1):
            multiple = double_point(multiple)
            if (_X >> np.uint64(bit)) & np.uint64(1):
                multiple = add_affine(multiple, x, y)
        once = _twisted_frobenius(multiple)
        twice = _twisted_frobenius(once)
        left = add_points(add_affine(multiple, x, y), add_points(once, twice))
        right_x, right_y, right_zz, right_zzz = double_point(_twisted_frobenius(twice))
        if not is_zero(add_points(left, (right_x, neg(right_y), right_zz, right_zzz))[2]):
            return False
    return True
