"""The field F_q12 that pairings take values in: F_q2[w] / (w^6 - xi), xi = 9 + i.

An element is a uint64 array (6, 8): row k is the coefficient of w^k, real part first, in Montgomery form. With v = w^2
this is the usual tower F_q12 = F_q6[w], F_q6 = F_q2[v] / (v^3 - xi). Products are schoolbook loops: short code compiles
fast, and a pairing still takes about a millisecond.
"""

import numpy as np

from protocol.field import Q
from prover.kernels.cpu.coordinate import FQ2_ONE, FQ_ONE, add, load, mul, neg, one, store, zero
from prover.kernels.cpu.coordinate import fq2_inverse as inverse
from prover.kernels.cpu.coordinate import square as square_fq2
from prover.kernels.cpu.field import Limbs, fq_neg, montgomery
from prover.kernels.device import kernel, stack_rows

SHAPE = (6, 8)
_Complex = tuple[int, int]


def complex_power(base: _Complex, exponent: int) -> _Complex:
    """base^exponent in F_q2, on plain integers; for constants."""
    result: _Complex = (1, 0)
    while exponent:
        if exponent & 1:
            result = _complex_product(result, base)
        base = _complex_product(base, base)
        exponent >>= 1
    return result


def _complex_product(a: _Complex, b: _Complex) -> _Complex:
    return (a[0] * b[0] - a[1] * b[1]) % Q, (a[0] * b[1] + a[1] * b[0]) % Q


def fq2_constant(value: _Complex) -> tuple[Limbs, Limbs]:
    """An element of F_q2 given by plain integers, in Montgomery form."""
    return montgomery(value[0], Q), montgomery(value[1], Q)


XI = (9, 1)
ONE = np.zeros(SHAPE, dtype=np.uint64)
ONE[0, :4] = FQ_ONE


def _frobenius_factors() -> list[_Complex]:
    """xi^(i (q^k - 1) / 6) at place 6 (k - 1) + i, by which the k-th Frobenius power multiplies w^i's coefficient."""
    root = complex_power(XI, (Q - 1) // 6)
    once = [complex_power(root, i) for i in range(6)]
    # q^k - 1 = (q - 1) + q (q^(k-1) - 1), and the q-th power is the conjugate.
    twice = [_complex_product(a, (a[0], -a[1])) for a in once]
    thrice = [_complex_product(a, (b[0], -b[1])) for a, b in zip(once, twice, strict=True)]
    return [*once, *twice, *thrice]


FROBENIUS_FACTORS = _frobenius_factors()
_FROBENIUS = np.array([fq2_constant(factor) for factor in FROBENIUS_FACTORS], dtype=np.uint64).reshape(18, 8)


@kernel
def times_xi(a):
    """(9 + i) a = (9 a0 - a1) + (a0 + 9 a1) i"""
    twice = add(a, a)
    four = add(twice, twice)
    nine = add(add(four, four), a)
    real, imaginary = a
    return add(nine, (fq_neg(imaginary), real))


@kernel
def set_one(out):
    store(out, 0, 0, one(FQ2_ONE))
    for i in range(1, 6):
        store(out, i, 0, zero(FQ2_ONE))


@kernel
def _fold(wide, out):
    """Replace w^6 by xi: (11, 8) coefficients -> (6, 8)."""
    for i in range(6):
        coefficient = load(wide, i, 0, FQ2_ONE)
        if i < 5:
            coefficient = add(coefficient, times_xi(load(wide, i + 6, 0, FQ2_ONE)))
        store(out, i, 0, coefficient)


@kernel
def multiply(out, a, b):
    """out = a * b; `out` may be `a` or `b`."""
    wide = stack_rows(11, 8)
    wide[:] = 0
    for i in range(6):
        left = load(a, i, 0, FQ2_ONE)
        for j in range(6):
            product = mul(left, load(b, j, 0, FQ2_ONE))
            store(wide, i + j, 0, add(load(wide, i + j, 0, FQ2_ONE), product))
    _fold(wide, out)


@kernel
def square(out, a):
    """out = a^2; `out` may be `a`."""
    wide = stack_rows(11, 8)
    wide[:] = 0
    for i in range(6):
        left = load(a, i, 0, FQ2_ONE)
        store(wide, 2 * i, 0, add(load(wide, 2 * i, 0, FQ2_ONE), square_fq2(left)))
        twice = add(left, left)
        for j in range(i + 1, 6):
            product = mul(twice, load(a, j, 0, FQ2_ONE))
            store(wide, i + j, 0, add(load(wide, i + j, 0, FQ2_ONE), product))
    _fold(wide, out)


@kernel
def multiply_sparse(a, c0, c1, c3):
    """a *= c0 + c1 w + c3 w^3, the shape of a line."""
    wide = stack_rows(11, 8)
    wide[:] = 0
    for i in range(6):
        left = load(a, i, 0, FQ2_ONE)
        store(wide, i, 0, add(load(wide, i, 0, FQ2_ONE), mul(left, c0)))
        store(wide, i + 1, 0, add(load(wide, i + 1, 0, FQ2_ONE), mul(left, c1)))
        store(wide, i + 3, 0, add(load(wide, i + 3, 0, FQ2_ONE), mul(left, c3)))
    _fold(wide, a)


@kernel
def conjugate(out, a):
    """out = a^(q^6): w becomes -w. In the cyclotomic subgroup this is the inverse. `out` may be `a`."""
    for i in range(6):
        coefficient = load(a, i, 0, FQ2_ONE)
        store(out, i, 0, neg(coefficient) if i & 1 else coefficient)


@kernel
def frobenius(out, a, times):
    """out = a^(q^times), times = 1, 2 or 3; `out` may be `a`."""
    for i in range(6):
        real, imaginary = load(a, i, 0, FQ2_ONE)
        if times & 1:
            imaginary = fq_neg(imaginary)
        factor = load(_FROBENIUS, 6 * (times - 1) + i, 0, FQ2_ONE)
        store(out, i, 0, mul((real, imaginary), factor))


@kernel
def invert(out, a):
    """out = 1 / a; `out` may not be `a`.

    The product of a's conjugates over F_q2, a^(q^2) to a^(q^10), is 1 / a but for a's norm, which lies in F_q2.
    """
    conjugate_of_a = stack_rows(6, 8)
    norm = stack_rows(6, 8)
    frobenius(conjugate_of_a, a, 2)
    set_one(out)
    multiply(out, out, conjugate_of_a)
    for _ in range(4):
        frobenius(conjugate_of_a, conjugate_of_a, 2)
        multiply(out, out, conjugate_of_a)
    multiply(norm, out, a)
    factor = inverse(load(norm, 0, 0, FQ2_ONE))
    for i in range(6):
        store(out, i, 0, mul(load(out, i, 0, FQ2_ONE), factor))
