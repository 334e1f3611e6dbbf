"""The number-theoretic transform: it evaluates polynomials, its inverse undoes it, and it is linear."""

import random

import numpy as np
import pytest

from protocol.field import R
from prover.kernels.cpu.vector import fr_from_mont, fr_to_mont
from prover.limbs import from_limbs, to_limbs
from prover.ntt.cpu import extend_to_odd_coset, ntt
from prover.ntt.domain import root_of_unity


def _evaluate(coefficients: list[int], x: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % R
    return value


def _random(count: int, seed: int = 1) -> list[int]:
    source = random.Random(seed)
    return [source.randrange(R) for _ in range(count)]


def _mont(values: list[int]) -> np.ndarray:
    return fr_to_mont(to_limbs(values))


def _plain(values_mont: np.ndarray) -> list[int]:
    return from_limbs(fr_from_mont(values_mont))


@pytest.mark.parametrize("power", range(8))
def test_the_transform_evaluates_a_polynomial_at_the_powers_of_the_root(power):
    coefficients = _random(1 << power)
    root = root_of_unity(1 << power)
    expected = [_evaluate(coefficients, pow(root, i, R)) for i in range(1 << power)]
    assert _plain(ntt(_mont(coefficients))) == expected


@pytest.mark.parametrize("power", [0, 1, 2, 5, 13])
def test_the_inverse_undoes_the_transform(power):
    values = _mont(_random(1 << power))
    assert np.array_equal(ntt(ntt(values), inverse=True), values)
    assert np.array_equal(ntt(ntt(values, inverse=True)), values)


def test_the_transform_is_linear():
    a, b = _random(64, 1), _random(64, 2)
    together = _plain(ntt(_mont([(x + 5 * y) % R for x, y in zip(a, b, strict=True)])))
    separate = zip(_plain(ntt(_mont(a))), _plain(ntt(_mont(b))), strict=True)
    assert together == [(x + 5 * y) % R for x, y in separate]


@pytest.mark.parametrize("power", [0, 1, 6])
def test_the_odd_coset_holds_the_values_between_those_of_the_domain(power):
    coefficients = _random(1 << power)
    root = root_of_unity(2 << power)
    on_coset = extend_to_odd_coset(ntt(_mont(coefficients)))
    assert _plain(on_coset) == [_evaluate(coefficients, pow(root, 2 * i + 1, R)) for i in range(1 << power)]


def test_the_domain_and_its_odd_coset_together_are_the_domain_of_twice_the_size():
    values = _mont(_random(1 << 12))
    double = ntt(np.concatenate([ntt(values, inverse=True), np.zeros_like(values)]))
    assert np.array_equal(double[0::2], values)
    assert np.array_equal(double[1::2], extend_to_odd_coset(values))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_the_result_does_not_depend_on_the_number_of_threads(threads):
    values = _mont(_random(1 << 13))
    assert np.array_equal(ntt(values, threads=threads), ntt(values, threads=1))
    assert np.array_equal(extend_to_odd_coset(values, threads=threads), extend_to_odd_coset(values, threads=1))


def test_the_input_is_left_as_it_was():
    values = _mont(_random(8))
    before = values.copy()
    ntt(values)
    extend_to_odd_coset(values)
    assert np.array_equal(values, before)


def test_the_root_of_the_full_domain_is_the_one_snarkjs_keys_use():
    # F1Field(r).nqr_to_t of ffjavascript 0.3.1, where nqr, the least quadratic non-residue, is 5.
    assert root_of_unity(1 << 28) == 19103219067921713944291392827692070036145651957329286315305642004821462161904


@pytest.mark.parametrize("size", [0, 3, 12])
def test_sizes_that_are_no_power_of_two_are_refused(size):
    with pytest.raises(ValueError, match=r"2\^k"):
        ntt(np.zeros((size, 4), dtype=np.uint64))
