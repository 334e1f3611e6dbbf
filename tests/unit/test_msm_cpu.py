"""Multi-scalar multiplication: the laws it obeys, for every window size, and py-ecc as the reference."""

import random
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from py_ecc import optimized_bn128 as reference

from protocol.field import R
from prover.kernels.cpu import points
from prover.limbs import to_limbs
from prover.msm.cpu import msm_g1, msm_g2
from prover.msm.digits import signed_digits
from prover.msm.plan import make_plan, windows_for


@dataclass(frozen=True, eq=False)
class Group:
    name: str
    width: int
    generator: tuple
    msm: object
    pack: object

    def multiples(self, scalars) -> np.ndarray:
        """The generator times each scalar, computed by the reference."""
        return self.pack([self.multiple(scalar % R) for scalar in scalars])

    @cache  # noqa: B019  (two groups live as long as the module)
    def multiple(self, scalar):
        point = reference.multiply(self.generator, scalar)
        if reference.is_inf(point):
            return (0, 0) if self.width == 8 else ((0, 0), (0, 0))
        coordinates = reference.normalize(point)
        if self.width == 8:
            return tuple(int(coordinate) for coordinate in coordinates)
        return tuple(tuple(int(part) for part in coordinate.coeffs) for coordinate in coordinates)


GROUPS = [
    Group("g1", 8, reference.G1, msm_g1, points.pack_g1),
    Group("g2", 16, reference.G2, msm_g2, points.pack_g2),
]
each_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)

_SOURCE = random.Random(2)
# Discrete logarithms of the bases: infinity, equal and opposite points are among them.
LOGS = [0, 1, 5, 5, -5, 2, *(_SOURCE.randrange(R) for _ in range(7))]
SCALARS = [3, 0, 1, R - 1, R - 1, (R - 1) // 2, 2**64, 2**253, 1, *(_SOURCE.randrange(R) for _ in range(4))]


def _dot(logs, scalars) -> int:
    return sum(log * scalar for log, scalar in zip(logs, scalars, strict=True)) % R


@each_group
@pytest.mark.parametrize("window_bits", range(2, 17))
def test_every_window_size_gives_the_sum_of_the_products(group, window_bits):
    result = group.msm(group.multiples(LOGS), to_limbs(SCALARS), window_bits=window_bits)
    assert np.array_equal(result, group.multiples([_dot(LOGS, SCALARS)])[0])


@each_group
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 13])
def test_every_length_works_also_zero_and_those_that_are_no_power_of_two(group, count):
    result = group.msm(group.multiples(LOGS[:count]), to_limbs(SCALARS[:count]).reshape(-1, 4))
    assert np.array_equal(result, group.multiples([_dot(LOGS[:count], SCALARS[:count])])[0])


@each_group
@pytest.mark.parametrize("scalar", [0, 1, 2, R - 1], ids=["zero", "one", "two", "minus one"])
def test_equal_scalars_multiply_the_sum_of_the_bases(group, scalar):
    result = group.msm(group.multiples(LOGS), to_limbs([scalar] * len(LOGS)))
    assert np.array_equal(result, group.multiples([scalar * sum(LOGS)])[0])


def _many(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bases with known logarithms 1..16, repeated, and scalars as a witness has them: mostly bits and small numbers."""
    source = random.Random(count)
    kinds = [lambda: source.randrange(2), lambda: source.randrange(1 << 16), lambda: source.randrange(R)]
    scalars = [source.choice(kinds)() for _ in range(count)]
    logs = [source.randrange(16) for _ in range(count)]
    return np.array(logs), np.array(scalars, dtype=object)


@each_group
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_witness_like_scalars_give_the_same_sum_on_any_number_of_threads(group, threads):
    logs, scalars = _many(3000)
    bases = group.multiples(range(16))[logs]
    result = group.msm(bases, to_limbs(list(scalars)), threads=threads, window_bits=5)
    assert np.array_equal(result, group.multiples([int(np.dot(logs, scalars))])[0])


@each_group
def test_more_points_than_are_sorted_at_a_time_give_the_same_sum(group):
    logs, scalars = _many((1 << 15) + 100)
    result = group.msm(group.multiples(range(16))[logs], to_limbs(list(scalars)), threads=1)
    assert np.array_equal(result, group.multiples([int(np.dot(logs, scalars))])[0])


@each_group
def test_the_sum_is_linear_in_the_scalars(group):
    logs, scalars = _many(400)
    bases = group.multiples(range(16))[logs]
    others = [(3 * int(scalar) + 1) % R for scalar in scalars]
    separate = [group.msm(bases, to_limbs(values)) for values in (list(scalars), others)]
    together = group.msm(bases, to_limbs([(int(a) + b) % R for a, b in zip(scalars, others, strict=True)]))
    assert np.array_equal(group.msm(np.array(separate), to_limbs([1, 1])), together)


@pytest.mark.parametrize("window_bits", range(2, 17))
def test_signed_digits_spell_the_scalar_and_stay_in_range(window_bits):
    half = 1 << (window_bits - 1)
    scalars = [*SCALARS, half - 1, half, half + 1, 2**254 - 1]
    digits = signed_digits(to_limbs(scalars), window_bits)
    assert digits.min() >= -half
    assert digits.max() <= half
    for column, scalar in enumerate(scalars):
        assert sum(int(digit) << (window_bits * j) for j, digit in enumerate(digits[:, column])) == scalar


def test_a_plan_covers_the_scalar_and_keeps_many_threads_busy():
    for count in (1, 100, 30_000, 1 << 20):
        for threads in (1, 2, 64):
            plan = make_plan(count, threads)
            assert plan.windows * plan.window_bits > 254
            assert plan.windows == windows_for(plan.window_bits)
    assert make_plan(1 << 20, 64).windows * make_plan(1 << 20, 64).parts >= 128


def test_mismatched_lengths_and_oversized_scalars_are_refused():
    base = points.pack_g1([points.G1_GENERATOR])
    with pytest.raises(ValueError, match="1 bases but 2 scalars"):
        msm_g1(base, to_limbs([1, 2]))
    with pytest.raises(ValueError, match="too large"):
        msm_g1(base, to_limbs([2**254]))
    with pytest.raises(ValueError, match="window_bits"):
        msm_g1(base, to_limbs([1]), window_bits=17)
