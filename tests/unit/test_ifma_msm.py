"""Multi-scalar multiplication in eight lanes agrees with the portable one, whatever points meet in a batch."""

import random

import numpy as np
import pytest
from py_ecc import optimized_bn128 as reference

from protocol.field import R
from prover.kernels.cpu import points
from prover.limbs import to_limbs
from prover.msm import cpu, lanes
from prover.msm.fixed_base import fixed_base_g1, fixed_base_g2
from tests.unit.lane_support import needs_ifma

pytestmark = needs_ifma

GENERATORS = {8: points.pack_g1([points.G1_GENERATOR])[0], 16: points.pack_g2([points.G2_GENERATOR])[0]}
PORTABLE = {8: cpu.msm_g1, 16: cpu.msm_g2}
LANES = {8: lanes.msm_g1, 16: lanes.msm_g2}
MULTIPLES = {8: fixed_base_g1, 16: fixed_base_g2}
each_group = pytest.mark.parametrize("width", [8, 16], ids=["g1", "g2"])


def _multiples(width, logs) -> np.ndarray:
    return MULTIPLES[width](GENERATORS[width], to_limbs([int(log) % R for log in logs]).reshape(-1, 4))


def _agrees(width, logs, scalars, **options) -> bool:
    """Is the sum in the lanes the multiple of the generator that the logarithms say?"""
    result = LANES[width](_multiples(width, logs), to_limbs([int(s) for s in scalars]).reshape(-1, 4), **options)
    dot = sum(int(log) * int(scalar) for log, scalar in zip(logs, scalars, strict=True)) % R
    return np.array_equal(result, _multiples(width, [dot])[0])


def _random(seed: int, count: int, bound: int = R) -> list[int]:
    source = random.Random(seed)
    return [source.randrange(bound) for _ in range(count)]


# Infinity, equal and opposite points, and points whose sums are again equal or opposite to others.
MIXED = [0, 1, 1, -1, 2, 2, -2, 3, -3, 4, 5, 5, 5, 5, 0, 0, -5, *_random(1, 40)]


def test_the_sum_is_the_one_py_ecc_computes():
    logs, scalars = [1, 2, 5, 5, -5, 0, 7], [3, R - 1, 1, 2**253, 1, 9, 0]
    expected = reference.normalize(reference.multiply(reference.G1, sum(map(int.__mul__, logs, scalars)) % R))
    result = points.unpack_g1(lanes.msm_g1(_multiples(8, logs), to_limbs(scalars)))[0]
    assert result == tuple(int(coordinate) for coordinate in expected)


@each_group
@pytest.mark.parametrize("window_bits", range(2, 17))
def test_every_window_size_gives_the_sum_of_the_products(width, window_bits):
    assert _agrees(width, MIXED, _random(window_bits, len(MIXED)), window_bits=window_bits)


@each_group
@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 33])
def test_every_length_works_also_those_that_do_not_fill_the_lanes(width, count):
    assert _agrees(width, _random(2, count), _random(3, count))


@each_group
@pytest.mark.parametrize("scalar", [0, 1, 2, R - 1, 1 << 253, (R + 1) // 2])
def test_equal_scalars_send_all_points_to_the_same_buckets(width, scalar):
    assert _agrees(width, MIXED, [scalar] * len(MIXED))


@each_group
@pytest.mark.parametrize("log", [0, 1, -1])
def test_equal_bases_are_doubled_where_they_meet(width, log):
    assert _agrees(width, [log] * 300, [1] * 300, window_bits=4)
    assert _agrees(width, [log] * 300, _random(4, 300, 16), window_bits=4)


@each_group
def test_opposite_bases_and_opposite_digits_cancel(width):
    logs = [sign * log for log in _random(5, 100) for sign in (1, -1)]
    assert _agrees(width, logs, [7] * 200)
    scalars = [scalar for value in _random(6, 100) for scalar in (value, R - value)]
    assert _agrees(width, [log for log in _random(5, 100) for _ in range(2)], scalars)


@each_group
def test_bases_at_infinity_count_nothing_wherever_they_are(width):
    logs = _random(7, 64)
    for places in ([0], [63], list(range(0, 64, 2)), list(range(64))):
        holes = [0 if place in places else log for place, log in enumerate(logs)]
        assert _agrees(width, holes, _random(8, 64))


@each_group
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_witness_like_scalars_give_the_same_sum_on_any_number_of_threads(width, threads):
    source = random.Random(9)
    kinds = [lambda: source.randrange(2), lambda: source.randrange(1 << 16), lambda: source.randrange(R)]
    scalars = to_limbs([source.choice(kinds)() for _ in range(5000)])
    bases = _multiples(width, range(16))[np.random.default_rng(9).integers(0, 16, 5000)]
    expected = PORTABLE[width](bases, scalars)
    assert np.array_equal(LANES[width](bases, scalars, threads=threads), expected)
    assert np.array_equal(LANES[width](bases, scalars, threads=threads, window_bits=5), expected)


@each_group
def test_buckets_larger_and_smaller_than_a_tile_give_the_portable_sum(width):
    count = 70_000
    scalars = np.zeros((count, 4), dtype=np.uint64)
    scalars[:, 0] = np.random.default_rng(10).integers(0, 1 << 13, count)
    scalars[: count // 2 + 3, 0] = 1
    bases = _multiples(width, _random(11, 1000))[np.random.default_rng(12).integers(0, 1000, count)]
    expected = PORTABLE[width](bases, scalars, window_bits=13)
    assert np.array_equal(LANES[width](bases, scalars, window_bits=13), expected)


@each_group
def test_prepared_bases_give_the_same_sums_again_and_again(width):
    bases = _multiples(width, MIXED)
    prepared = lanes.prepare(bases, width)
    assert len(prepared) == len(MIXED)
    for seed in range(3):
        scalars = to_limbs(_random(seed, len(MIXED)))
        assert np.array_equal(LANES[width](prepared, scalars), PORTABLE[width](bases, scalars))


def test_mismatched_lengths_and_oversized_scalars_are_refused():
    base = GENERATORS[8][None]
    with pytest.raises(ValueError, match="1 bases but 2 scalars"):
        lanes.msm_g1(base, to_limbs([1, 2]))
    with pytest.raises(ValueError, match="too large"):
        lanes.msm_g1(base, to_limbs([2**254]))
    with pytest.raises(ValueError, match="window_bits"):
        lanes.msm_g1(base, to_limbs([1]), window_bits=17)


def test_short_scalars_get_windows_that_fit_them():
    full, short = to_limbs(_random(13, 20_000)), to_limbs(_random(14, 20_000, 2))
    assert lanes.choose_window_bits(full) > lanes.choose_window_bits(short)


def test_bit_lengths_are_counted_at_every_length():
    scalars = [0, *(value for length in range(254) for value in (1 << length, (2 << length) - 1))]
    counts = np.zeros(257, dtype=np.int64)
    lanes._count_bit_lengths(to_limbs(scalars), counts)
    assert counts.tolist() == [1] + [2] * 254 + [0, 0]
