"""The group law of G1 and G2 as CUDA kernels compute it, against py-ecc: all exceptional cases, any denominators."""

import random

import numpy as np
import pytest
from py_ecc import bn128

from protocol.field import R
from tests.unit.cuda.law_support import (
    ARITHMETIC,
    affine_limbs,
    integers,
    law_device,
    points_of_affine,
    points_of_xyzz,
    to_montgomery,
    xyzz_limbs,
)

OPERATIONS = [
    "add",
    "add_mixed",
    "double",
    "double_affine",
    "negate",
    "negate_affine",
    "to_xyzz",
    "to_affine",
    "equal",
    "is_infinity",
]


@pytest.fixture(scope="module", params=ARITHMETIC)
def device(request):
    return law_device(request.param)


class Group:
    """Pairs of points that meet every case of an addition."""

    def __init__(self, name: str, generator):
        scalars = random.Random(name)
        points = [bn128.multiply(generator, scalars.randrange(1, R)) for _ in range(3)]
        points += [generator, bn128.multiply(generator, R - 1), bn128.double(generator), None]
        first = [a for a in points for _ in points]
        second = [b for _ in points for b in points]
        # Equal and opposite points.
        first += points
        second += [None if point is None else bn128.neg(point) for point in points]
        self.kernel = f"{name}_operation"
        self.first, self.second = first, second
        self.width = 8 if name == "g1" else 16


@pytest.fixture(scope="module", params=["g1", "g2"])
def group(request):
    return Group(request.param, bn128.G1 if request.param == "g1" else bn128.G2)


def _run(device, group: Group, operation: str) -> np.ndarray:
    first, second = xyzz_limbs(group.first, seed=1), xyzz_limbs(group.second, seed=2)
    affine = affine_limbs(group.second)
    arrays = [device.upload(array) for array in (first, second, affine)]
    count = len(group.first)
    out = device.empty(first.shape, np.uint32)
    arguments = [np.uint32(OPERATIONS.index(operation)), out, *arrays, np.uint32(count)]
    device.launch(device.kernel("laws", group.kernel), (count + 31) // 32, 32, arguments)
    return device.download(out)


@pytest.mark.parametrize("operation", ["add", "add_mixed"])
def test_sums_are_those_of_py_ecc_for_equal_opposite_infinite_and_other_points(device, group, operation):
    expected = [bn128.add(a, b) for a, b in zip(group.first, group.second, strict=True)]
    assert points_of_xyzz(_run(device, group, operation)) == expected


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("double", lambda a, b: bn128.double(a) if a else None),
        ("double_affine", lambda a, b: bn128.double(b) if b else None),
        ("negate", lambda a, b: bn128.neg(a) if a else None),
        ("negate_affine", lambda a, b: bn128.neg(b) if b else None),
        ("to_xyzz", lambda a, b: b),
    ],
)
def test_doubles_and_opposites_are_those_of_py_ecc(device, group, operation, expected):
    result = points_of_xyzz(_run(device, group, operation))
    assert result == [expected(a, b) for a, b in zip(group.first, group.second, strict=True)]


def test_affine_points_are_the_same_points(device, group):
    result = np.ascontiguousarray(_run(device, group, "to_affine")[:, : 2 * group.width])
    assert points_of_affine(result) == group.first


def test_points_compare_by_value_whatever_their_denominators(device, group):
    result = _run(device, group, "equal")[:, :8]
    expected = [a == b for a, b in zip(group.first, group.second, strict=True)]
    assert integers(result) == [to_montgomery(int(each)) for each in expected]


def test_infinity_is_known_in_both_forms(device, group):
    result = _run(device, group, "is_infinity")
    flags = [integers(np.ascontiguousarray(result[:, start : start + 8])) for start in (0, group.width)]
    for flag, points in zip(flags, (group.first, group.second), strict=True):
        assert flag == [to_montgomery(int(point is None)) for point in points]
