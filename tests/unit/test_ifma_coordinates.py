"""Coordinates in eight lanes: every operation agrees with integers, at the edges of the ranges it promises to take."""

import itertools
import random

import numpy as np
import pytest

from protocol.field import Q
from prover.kernels.cpu.coordinate import group_marker
from prover.kernels.device import kernel
from prover.kernels.ifma import coordinate
from prover.kernels.ifma.coordinate import lanes_like
from prover.kernels.ifma.lanes import load_points, spill, store_points, unspill
from prover.msm.lane_pair_kernels import invert_lanes
from tests.unit.lane_support import needs_ifma, spilled, unspilled

pytestmark = needs_ifma

_SOURCE = random.Random(5)
SMALL = [0, 1, 2, Q - 1, Q, Q + 1, 3 * Q // 2, 165 * Q // 100, *(_SOURCE.randrange(165 * Q // 100) for _ in range(8))]
WIDE = [0, 1, Q - 1, Q, 2 * Q, 3 * Q, 36 * Q // 10, *(_SOURCE.randrange(36 * Q // 10) for _ in range(9))]
R_INVERSE = pow(1 << 260, -1, Q)
SMALL_BOUND = 17 * Q // 10


@kernel
def _apply(name, a, b, c, out, like):
    kind = lanes_like(like)
    for row in range(out.shape[0]):
        x, y, z = unspill(a, row, kind), unspill(b, row, kind), unspill(c, row, kind)
        if name == 0:
            spill(out, row, coordinate.mul(x, y))
        elif name == 1:
            spill(out, row, coordinate.square(x))
        elif name == 2:
            spill(out, row, coordinate.difference(x, y))
        elif name == 3:
            spill(out, row, coordinate.small_difference(x, y))
        elif name == 4:
            spill(out, row, coordinate.sum_x(z, x, y))
        elif name == 5:
            spill(out, row, coordinate.negate_where(np.uint8(0b10100101), x))
        else:
            spill(out, row, coordinate.one_where(np.uint8(0b10100101), x))


NAMES = ["mul", "square", "difference", "small_difference", "sum_x", "negate_where", "one_where"]


@kernel
def _through_memory(addresses, out_address, like):
    x, y = load_points(addresses, 0, like)
    store_points(out_address, x, y)


@kernel
def _unusual(a, b, like):
    kind = lanes_like(like)
    x, y = unspill(a, 0, kind), unspill(b, 0, kind)
    return coordinate.unusual(x, y, coordinate.difference(y, x))


def _run(name: str, a: list[int], b: list[int], components: int, c: list[int] | None = None) -> list[int]:
    arrays = [spilled(values, components) for values in (a, b, c or a)]
    out = np.zeros_like(arrays[0])
    _apply(NAMES.index(name), *arrays, out, group_marker(8 * components))
    return unspilled(out, components)


def _pairs(values: list[int]) -> tuple[list[int], list[int]]:
    left, right = zip(*itertools.product(values, values), strict=True)
    return list(left), list(right)


def _shuffled(values: list[int]) -> list[int]:
    return random.Random(len(values)).sample(values, len(values))


def test_products_of_wide_values_are_right_and_small():
    a, b = _pairs(WIDE)
    for x, y, product in zip(a, b, _run("mul", a, b, 1), strict=True):
        assert product % Q == x * y * R_INVERSE % Q
        assert product < SMALL_BOUND


def test_products_of_wide_values_are_right_and_small_in_the_extension():
    a, b = _pairs(WIDE)
    products = _run("mul", a, b, 2)
    for k in range(0, len(a), 2):
        real = a[k] * b[k] - a[k + 1] * b[k + 1]
        imaginary = a[k] * b[k + 1] + a[k + 1] * b[k]
        assert [value % Q for value in products[k : k + 2]] == [real * R_INVERSE % Q, imaginary * R_INVERSE % Q]
    assert max(products) < SMALL_BOUND


def test_squares_of_small_values_are_right_and_below_the_bound_of_sum_x():
    for value, square in zip(SMALL, _run("square", SMALL, SMALL, 1), strict=True):
        assert square % Q == value * value * R_INVERSE % Q
        assert square < 12 * Q // 10


def test_squares_of_small_values_are_right_in_the_extension():
    a, _ = _pairs(SMALL)
    a = _shuffled(a)
    squares = _run("square", a, a, 2)
    for k in range(0, len(a), 2):
        expected = [(a[k] ** 2 - a[k + 1] ** 2) * R_INVERSE % Q, 2 * a[k] * a[k + 1] * R_INVERSE % Q]
        assert [value % Q for value in squares[k : k + 2]] == expected
    assert max(squares) < 12 * Q // 10


@pytest.mark.parametrize("components", [1, 2])
def test_differences_are_right_and_in_their_range(components):
    a, b = _pairs([*SMALL[:-1], 165 * Q // 100])
    b = [2 * Q if value == 165 * Q // 100 else value for value in b]
    for x, y, wide, small in zip(
        a, b, _run("difference", a, b, components), _run("small_difference", a, b, components), strict=True
    ):
        assert wide == x - y + 2 * Q
        assert small % Q == (x - y) % Q
        assert small < SMALL_BOUND


@pytest.mark.parametrize("components", [1, 2])
def test_the_x_of_a_sum_is_right_and_small(components):
    a, b = _pairs(SMALL)
    squares = [_SOURCE.choice([0, 1, Q, 12 * Q // 10 - 1, _SOURCE.randrange(Q)]) for _ in a]
    for x1, x2, square, x3 in zip(a, b, squares, _run("sum_x", a, b, components, squares), strict=True):
        assert x3 % Q == (square - x1 - x2) % Q
        assert x3 < SMALL_BOUND


@pytest.mark.parametrize("components", [1, 2])
def test_masks_choose_lanes(components):
    values = SMALL * components
    ones = [(1 << 260) % Q, 0] if components == 2 else [(1 << 260) % Q]
    negated = _run("negate_where", values, values, components)
    replaced = _run("one_where", values, values, components)
    for place, value in enumerate(values):
        element, component = divmod(place, components)
        chosen = (0b10100101 >> element % 8) & 1
        assert negated[place] == (2 * Q - value if chosen else value)
        assert replaced[place] == (ones[component] if chosen else value)


@pytest.mark.parametrize("width", [8, 16])
def test_points_survive_the_way_to_the_lanes_and_back(width):
    points = np.random.default_rng(width).integers(0, 1 << 63, size=(8, width), dtype=np.uint64) * np.uint64(2)
    points[0], points[1] = 0, np.uint64(2**64 - 1)
    out = np.zeros_like(points)
    order = [3, 0, 7, 1, 6, 2, 5, 4]
    addresses = points.ctypes.data + np.array(order, dtype=np.uint64) * np.uint64(8 * width)
    _through_memory(addresses, np.uint64(out.ctypes.data), group_marker(width))
    assert np.array_equal(out, points[order])


def test_only_pairs_that_need_care_are_unusual():
    first = [5, 0, 7, Q + 8, 9, 10, 3, 11]
    second = [6, 7, 0, 8, Q + 9, 10, 4, 12]
    assert _unusual(spilled(first), spilled(second), group_marker(8)) == 0b00111110


def test_equal_real_parts_alone_are_not_unusual_in_the_extension():
    first = [5, 1, 5, 1, 0, 0, 0, 1, 5, 2, 5, 1, 5, 1, 5, 1]
    second = [5, 2, 5, Q + 1, 5, 1, 5, 1, 5, 1, 6, 1, 6, 2, 7, 1]
    assert _unusual(spilled(first, 2), spilled(second, 2), group_marker(16)) == 0b00000110


@pytest.mark.parametrize("components", [1, 2])
def test_lanes_share_one_inversion(components):
    values = [_SOURCE.randrange(1, 165 * Q // 100) for _ in range(8 * components)]
    row = np.zeros((8, 8 * components), dtype=np.uint64)
    addresses = row.ctypes.data + np.arange(8, dtype=np.uint64) * np.uint64(64 * components)
    rows = spilled(values, components)
    out = np.zeros_like(rows)
    _inverted_times(rows, out, row, addresses, group_marker(8 * components))
    assert [value % Q for value in unspilled(out, components)] == ([(1 << 260) % Q, 0][:components] * 8)


@kernel
def _inverted_times(values, out, row, addresses, like):
    kind = lanes_like(like)
    value = unspill(values, 0, kind)
    spill(out, 0, coordinate.mul(value, invert_lanes(value, row, addresses, like)))
