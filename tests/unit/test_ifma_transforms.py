"""F_r in eight lanes: operations at the edges of their ranges, and transforms that agree with the portable ones."""

import itertools
import random

import numpy as np
import pytest

from protocol.field import R
from prover.kernels.cpu import vector as portable_vector
from prover.kernels.cpu.vector import fr_from_mont, fr_to_mont
from prover.kernels.device import kernel
from prover.kernels.ifma import scalars, vector
from prover.kernels.ifma.lanes import spill, unspill
from prover.kernels.ifma.scalars import any_lanes, load_elements, store_elements, transpose_rows
from prover.limbs import from_limbs, to_limbs
from prover.ntt import cpu, lanes
from prover.ntt.domain import root_of_unity
from tests.unit.lane_support import needs_ifma, spilled, unspilled

pytestmark = needs_ifma

_SOURCE = random.Random(6)
SMALL_BOUND = 17 * R // 10
SMALL = [0, 1, 2, R - 1, R, R + 1, 3 * R // 2, 165 * R // 100, *(_SOURCE.randrange(R) for _ in range(8))]
WIDE = [0, 1, R - 1, 2 * R, 3 * R, 36 * R // 10, *(_SOURCE.randrange(36 * R // 10) for _ in range(10))]


@kernel
def _apply(name, a, b, out):
    kind = any_lanes()
    for row in range(out.shape[0]):
        x, y = unspill(a, row, kind), unspill(b, row, kind)
        if name == 0:
            spill(out, row, scalars.mul(x, y))
        elif name == 1:
            spill(out, row, scalars.small_sum(x, y))
        elif name == 2:
            spill(out, row, scalars.difference(x, y))
        else:
            spill(out, row, scalars.small_difference(x, y))


@kernel
def _through_lanes(values, out):
    for row in range(0, values.shape[0], 8):
        store_elements(out, row, load_elements(values, row))


@kernel
def _transpose(source, target):
    transpose_rows(source, 0, target, 0)


OPERATIONS = {
    "mul": (WIDE, lambda x, y: x * y * pow(1 << 260, -1, R)),
    "small_sum": (SMALL, lambda x, y: x + y),
    "difference": (SMALL, lambda x, y: x - y),
    "small_difference": (SMALL, lambda x, y: x - y),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_agree_with_integers_and_keep_their_bounds(name):
    values, expected = OPERATIONS[name]
    a, b = (list(side) for side in zip(*itertools.product(values, values), strict=True))
    out = np.zeros_like(spilled(a))
    _apply(list(OPERATIONS).index(name), spilled(a), spilled(b), out)
    for x, y, result in zip(a, b, unspilled(out), strict=True):
        assert result % R == expected(x, y) % R
        assert result < (37 * R // 10 if name == "difference" else SMALL_BOUND)


def test_what_is_stored_is_canonical():
    out = np.zeros((len(SMALL), 4), dtype=np.uint64)
    _through_lanes(to_limbs(SMALL), out)
    assert from_limbs(out) == [value % R for value in SMALL]


def test_rows_and_lanes_are_exchanged():
    values = [_SOURCE.randrange(1 << 255) for _ in range(64)]
    out = np.zeros_like(spilled(values))
    _transpose(spilled(values), out)
    assert unspilled(out) == [values[8 * lane + row] for row in range(8) for lane in range(8)]


@pytest.mark.parametrize("count", [0, 8, 64, 5000 // 8 * 8])
def test_vector_products_are_the_portable_ones(count):
    edges = [0, 1, R - 1, R - 2]
    a, b, c = (
        fr_to_mont(to_limbs([_SOURCE.choice([*edges, _SOURCE.randrange(R)]) for _ in range(count)]).reshape(-1, 4))
        for _ in range(3)
    )
    assert np.array_equal(vector.fr_mul_vector(a, b), portable_vector.fr_mul_vector(a, b))
    expected = fr_from_mont(portable_vector.fr_mul_sub_vector(a, b, c))
    assert np.array_equal(vector.fr_mul_sub_plain(a, b, c), expected)


def test_vectors_that_do_not_fill_the_lanes_or_each_other_are_refused():
    for lengths in ((8, 16), (7, 7)):
        with pytest.raises(ValueError, match="multiple of eight"):
            vector.fr_mul_vector(*(np.zeros((length, 4), dtype=np.uint64) for length in lengths))


def _random(count: int) -> np.ndarray:
    values = np.random.default_rng(count).integers(0, 1 << 63, size=(count, 4), dtype=np.uint64)
    values[:, 3] >>= np.uint64(3)
    return values


@pytest.mark.parametrize("power", [0, 1, 5, 11, 12, 13, 14, 16])
@pytest.mark.parametrize("threads", [1, 3])
def test_every_size_gives_the_portable_transform(power, threads):
    values = _random(1 << power)
    before = values.copy()
    assert np.array_equal(lanes.extend_to_odd_coset(values, threads), cpu.extend_to_odd_coset(values))
    assert np.array_equal(values, before)


@pytest.mark.parametrize("block_bits", [3, 4])
@pytest.mark.parametrize("column_bits", [1, 2, 3])
def test_any_cut_into_columns_and_blocks_gives_the_same(monkeypatch, block_bits, column_bits):
    monkeypatch.setattr(lanes, "_BLOCK_BITS", block_bits)
    monkeypatch.setattr(lanes, "_COLUMN_BITS", column_bits)
    values = _random(1 << 12)
    assert np.array_equal(lanes.extend_to_odd_coset(values), cpu.extend_to_odd_coset(values))


def test_extreme_values_go_through_every_stage():
    values = fr_to_mont(to_limbs([R - 1, 0] * (lanes.LEAST // 2)))
    assert np.array_equal(lanes.extend_to_odd_coset(values), cpu.extend_to_odd_coset(values))
    zeros = np.zeros_like(values)
    assert not lanes.extend_to_odd_coset(zeros).any()
    values[:] = to_limbs([R - 1])[0]
    assert np.array_equal(lanes.extend_to_odd_coset(values), values)


def test_a_line_is_evaluated_on_the_odd_coset():
    size = lanes.LEAST
    root, odd = root_of_unity(size), root_of_unity(2 * size)
    line = [(3 + 5 * pow(root, i, R)) % R for i in range(size)]
    extended = from_limbs(fr_from_mont(lanes.extend_to_odd_coset(fr_to_mont(to_limbs(line)))))
    for i in (0, 1, 2, 1000, size - 1):
        assert extended[i] == (3 + 5 * odd * pow(root, i, R)) % R


def test_sizes_without_a_domain_are_refused():
    with pytest.raises(ValueError, match="2\\^k elements"):
        lanes.extend_to_odd_coset(np.zeros((lanes.LEAST + 8, 4), dtype=np.uint64))
