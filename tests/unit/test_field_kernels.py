"""F_r and F_q as kernels see them: the laws of a field, against Python integers."""

import random

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.field import Q, R
from prover.kernels.cpu import emit, field
from prover.kernels.device import intrinsic, kernel

MONT = 1 << 256


@kernel
def _fr_all(a, b):
    return (
        field.fr_mul(a, b),
        field.fr_add(a, b),
        field.fr_sub(a, b),
        field.fr_neg(a),
        field.fr_inverse(a),
    )


@kernel
def _fq_all(a, b):
    return (
        field.fq_mul(a, b),
        field.fq_add(a, b),
        field.fq_sub(a, b),
        field.fq_neg(a),
        field.fq_inverse(a),
    )


@kernel
def _predicates(a, b):
    return field.equal(a, b), field.is_zero(a)


def _multiplication(name: str, modulus: int, two_chains: bool):
    """A kernel that multiplies in one form, whichever the other kernels of this CPU use."""
    emitted = emit.PrimeField(name, modulus, two_chains)

    @intrinsic
    def multiply(typing_context, a, b):
        return field.ELEMENT(a, b), lambda context, builder, signature, arguments: emitted.mul(builder, *arguments)

    return numba.njit(lambda a, b: multiply(a, b))


FIELDS = {"fr": (R, _fr_all), "fq": (Q, _fq_all)}


def _value(limbs: tuple) -> int:
    return sum(int(limb) << (64 * i) for i, limb in enumerate(limbs))


def _edges(modulus: int) -> list[int]:
    edges = [0, 1, 2, 2**64 - 1, 2**64, 2**128 - 1, 2**192, 2**253, MONT % modulus, pow(MONT, -1, modulus)]
    edges += [(modulus - 1) // 2, modulus - 2, modulus - 1]
    return [edge % modulus for edge in edges]


def _check(modulus: int, operations, a: int, b: int) -> None:
    product, total, difference, negated, inverse = (
        _value(result) for result in operations(field.limb_tuple(a), field.limb_tuple(b))
    )
    assert product == a * b * pow(MONT, -1, modulus) % modulus
    assert total == (a + b) % modulus
    assert difference == (a - b) % modulus
    assert negated == -a % modulus
    plain = a * pow(MONT, -1, modulus) % modulus
    assert inverse == (pow(plain, -1, modulus) * MONT % modulus if a else 0)


@pytest.mark.parametrize("name", FIELDS)
def test_operations_agree_with_integers_on_every_pair_of_edge_values(name):
    modulus, operations = FIELDS[name]
    for a in _edges(modulus):
        for b in _edges(modulus):
            _check(modulus, operations, a, b)


@pytest.mark.parametrize("name", FIELDS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_operations_agree_with_integers(name, data):
    modulus, operations = FIELDS[name]
    elements = st.integers(0, modulus - 1)
    _check(modulus, operations, data.draw(elements), data.draw(elements))


@pytest.mark.parametrize(
    "two_chains",
    [
        False,
        pytest.param(
            True,
            marks=pytest.mark.skipif(not emit.has_two_carry_chains(), reason="this CPU has no MULX, ADCX and ADOX"),
        ),
    ],
)
@pytest.mark.parametrize("modulus", [Q, R])
def test_both_forms_of_multiplication_agree_with_integers(modulus, two_chains):
    """Also for factors up to twice the modulus, as the arithmetic of F_q2 uses them."""
    multiply = _multiplication(f"test_{two_chains}_{modulus % 1000}", modulus, two_chains)
    source = random.Random(3)
    factors = [*_edges(modulus), modulus, modulus + 1, 2 * modulus - 1, 2 * modulus - 2]
    factors += [modulus + edge for edge in _edges(modulus)]
    pairs = [(a, b) for a in factors for b in factors]
    pairs += [(source.randrange(2 * modulus), source.randrange(2 * modulus)) for _ in range(5000)]
    for a, b in pairs:
        product = _value(multiply(field.limb_tuple(a), field.limb_tuple(b)))
        assert product == a * b * pow(MONT, -1, modulus) % modulus


def test_equality_looks_at_every_limb():
    base = R - 1
    for bit in (0, 63, 64, 127, 128, 191, 192, 252):
        other = base ^ (1 << bit)
        assert not _predicates(field.limb_tuple(base), field.limb_tuple(other))[0]
        assert not _predicates(field.limb_tuple(1 << bit), field.limb_tuple(0))[1]
    assert _predicates(field.limb_tuple(base), field.limb_tuple(base)) == (True, False)
    assert _predicates(field.limb_tuple(0), field.limb_tuple(0)) == (True, True)


def test_limb_tuples_are_unsigned_64_bit_words():
    assert all(isinstance(limb, np.uint64) for limb in field.limb_tuple(R - 1))
