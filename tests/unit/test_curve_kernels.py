"""The group law of G1 and G2 in kernels: its laws, its exceptional cases, and py-ecc as the reference."""

import numpy as np
import pytest
from py_ecc import optimized_bn128 as reference

from protocol.field import Q
from prover.kernels.cpu import curve, points
from prover.kernels.cpu.coordinate import group_marker, load, neg
from prover.kernels.device import kernel


@kernel
def _sum_affine(rows, out, like):
    """Adds the rows one by one to an XYZZ sum."""
    total = curve.infinity(like)
    for i in range(rows.shape[0]):
        total = curve.add_affine(total, load(rows, i, 0, like), load(rows, i, 1, like))
    curve.store_point(out, 0, total)


@kernel
def _sum_points(rows, out, like):
    """Turns every row into an XYZZ point whose ZZ is not one, then adds them up."""
    total = curve.infinity(like)
    for i in range(rows.shape[0]):
        x, y = load(rows, i, 0, like), load(rows, i, 1, like)
        point = curve.add_affine(curve.infinity(like), x, y)
        scaled = curve.add_affine(curve.add_points(point, point), x, neg(y))
        total = curve.add_points(total, scaled)
    curve.store_point(out, 0, total)


class Group:
    """One group with its reference implementation, so that both groups obey the same tests."""

    def __init__(self, name, width, generator, pack, unpack):
        self.name, self.width, self.generator, self.pack, self.unpack = name, width, generator, pack, unpack

    def multiple(self, scalar: int):
        point = reference.multiply(self.generator, scalar % reference.curve_order)
        if reference.is_inf(point):
            return (0, 0) if self.width == 8 else ((0, 0), (0, 0))
        coordinates = reference.normalize(point)
        if self.width == 8:
            return tuple(int(coordinate) for coordinate in coordinates)
        return tuple(tuple(int(part) for part in coordinate.coeffs) for coordinate in coordinates)

    def sum(self, add, scalars):
        rows = self.pack([self.multiple(scalar) for scalar in scalars])
        total = np.zeros((1, 2 * self.width), dtype=np.uint64)
        affine = np.zeros((1, self.width), dtype=np.uint64)
        add(rows, total, group_marker(self.width))
        curve.to_affine(total, affine, group_marker(self.width), 0, 1)
        return self.unpack(affine)[0]


GROUPS = [
    Group("g1", 8, reference.G1, points.pack_g1, points.unpack_g1),
    Group("g2", 16, reference.G2, points.pack_g2, points.unpack_g2),
]

SUMS = {
    "different points": [5, 7],
    "a point and itself": [5, 5],
    "a point and its opposite": [5, -5],
    "infinity and a point": [0, 5],
    "a point and infinity": [5, 0],
    "infinity and infinity": [0, 0],
    "a sum and the same point": [2, 3, 5],
    "a sum and the opposite point": [2, 3, -5],
    "past infinity": [5, -5, 3],
    "many points": [1, 2, 3, 4, -7, 2**200],
}


@pytest.mark.parametrize("scalars", SUMS.values(), ids=SUMS.keys())
@pytest.mark.parametrize("add", [_sum_affine, _sum_points], ids=["affine", "xyzz"])
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_sum_of_multiples_of_the_generator_is_the_multiple_by_their_sum(group, add, scalars):
    assert group.sum(add, scalars) == group.multiple(sum(scalars))


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_conversion_to_affine_keeps_infinity_among_other_points(group):
    affine = group.pack([group.multiple(scalar) for scalar in (3, 0, 4, 0, 0, 9)])
    out = np.full_like(affine, 7)
    xyzz = np.zeros((len(affine), 2 * group.width), dtype=np.uint64)
    doubled = np.zeros_like(xyzz[:1])
    for i in range(len(affine)):
        _sum_affine(affine[[i, i]], doubled, group_marker(group.width))
        xyzz[i] = doubled
    curve.to_affine(xyzz, out, group_marker(group.width), 0, len(affine))
    assert group.unpack(out) == [group.multiple(2 * scalar) for scalar in (3, 0, 4, 0, 0, 9)]


def test_the_generators_are_those_of_the_reference():
    assert GROUPS[0].multiple(1) == points.G1_GENERATOR
    assert GROUPS[1].multiple(1) == points.G2_GENERATOR


def test_coordinates_outside_the_field_are_refused():
    with pytest.raises(ValueError, match="below q"):
        points.pack_g1([(Q, 2)])
    with pytest.raises(ValueError, match="below q"):
        points.pack_g2([((1, 2), (3, -1))])
