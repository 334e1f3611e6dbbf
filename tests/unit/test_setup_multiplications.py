"""Fixed-base, scaled and sparse multiplications, checked through known multiples of the generators."""

import itertools
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.field import Q, R
from prover.kernels.cpu import points
from prover.limbs import to_limbs
from prover.msm import endomorphism, fixed_base, sparse
from prover.msm.cpu import msm_g1, msm_g2


@dataclass(frozen=True, eq=False)
class Group:
    name: str
    generator: np.ndarray
    msm: Any
    fixed: Any
    scale: Any
    combine: Any

    def multiples(self, scalars) -> np.ndarray:
        """The generator times each scalar by the bucket method, which has its own reference."""
        return np.array([self.msm(self.generator, to_limbs([scalar % R]), window_bits=4) for scalar in scalars])


GROUPS = [
    Group(
        "g1",
        points.pack_g1([points.G1_GENERATOR]),
        msm_g1,
        fixed_base.fixed_base_g1,
        fixed_base.scale_points_g1,
        sparse.sparse_combination_g1,
    ),
    Group(
        "g2",
        points.pack_g2([points.G2_GENERATOR]),
        msm_g2,
        fixed_base.fixed_base_g2,
        fixed_base.scale_points_g2,
        sparse.sparse_combination_g2,
    ),
]
each_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)

_SOURCE = random.Random(4)
SCALARS = [0, 1, 2, R - 1, R - 2, (R - 1) // 2, (R + 1) // 2, 2**64, 2**253, *(_SOURCE.randrange(R) for _ in range(6))]


@each_group
def test_fixed_base_multiples_are_the_base_times_each_scalar(group):
    base = group.multiples([12345])[0]
    assert np.array_equal(group.fixed(base, to_limbs(SCALARS)), group.multiples([12345 * s for s in SCALARS]))


@each_group
def test_fixed_base_multiples_do_not_depend_on_how_many_there_are(group):
    many = [_SOURCE.randrange(R) for _ in range(40)] * 110
    result = group.fixed(group.generator[0], to_limbs(many))
    assert np.array_equal(result[:40], group.fixed(group.generator[0], to_limbs(many[:40])))
    assert np.array_equal(result, np.tile(result[:40], (110, 1)))


@each_group
def test_multiples_of_infinity_are_infinity(group):
    assert not group.fixed(np.zeros_like(group.generator[0]), to_limbs([1, 5, R - 1])).any()


@each_group
@pytest.mark.parametrize("scalar", [0, 1, 2, 3, R - 1, R, R + 3, -2, _SOURCE.randrange(R)])
def test_scaling_multiplies_every_point_also_infinity(group, scalar):
    logs = [0, 1, 7, R - 7, 99]
    assert np.array_equal(group.scale(group.multiples(logs), scalar), group.multiples([scalar * log for log in logs]))


def test_the_endomorphism_multiplies_by_its_eigenvalue():
    assert pow(endomorphism.LAMBDA, 3, R) == 1 != endomorphism.LAMBDA
    for log in (1, 5, R - 7):
        (point,) = points.unpack_g1(GROUPS[0].multiples([log]))
        image = points.pack_g1([(endomorphism.BETA * point[0] % Q, point[1])])
        assert np.array_equal(GROUPS[0].multiples([endomorphism.LAMBDA * log]), image)


@given(st.one_of(st.sampled_from(SCALARS), st.integers(0, R - 1)))
def test_a_scalar_is_split_into_two_of_half_its_length(scalar):
    first, second = endomorphism.split(scalar)
    assert (first + second * endomorphism.LAMBDA - scalar) % R == 0
    assert max(abs(first), abs(second)) < 2**128


def _rows(lengths: list[int]) -> np.ndarray:
    return np.cumsum([0, *lengths])


def _expected(group: Group, row_ptr, index, values, logs) -> np.ndarray:
    rows = itertools.pairwise(row_ptr)
    return group.multiples([sum(values[k] * logs[index[k]] for k in range(start, stop)) for start, stop in rows])


@each_group
def test_sparse_combinations_are_a_matrix_times_the_bases(group):
    logs = [0, 1, 5, R - 5, 5, *(_SOURCE.randrange(R) for _ in range(4))]
    row_ptr = _rows([0, 1, len(SCALARS), 3, 0, 20, 1])
    values = (SCALARS * 3)[: row_ptr[-1]]
    index = [_SOURCE.randrange(len(logs)) for _ in values]
    result = group.combine(row_ptr, np.array(index, dtype=np.uint32), to_limbs(values), group.multiples(logs))
    assert np.array_equal(result, _expected(group, row_ptr, index, values, logs))


@each_group
def test_sparse_combinations_with_equal_and_opposite_bases_meet_every_special_case(group):
    logs = [3, 3, R - 3]
    row_ptr = _rows([2, 2, 2, 3])
    index, values = [0, 1, 0, 2, 0, 1, 0, 1, 2], [1, 1, 1, 1, 1, R - 1, 4, 4, 8]
    result = group.combine(row_ptr, np.array(index, dtype=np.uint32), to_limbs(values), group.multiples(logs))
    assert np.array_equal(result, _expected(group, row_ptr, index, values, logs))
    assert not result[1:].any()


@each_group
def test_sparse_combinations_in_turns_are_the_same(group, monkeypatch):
    bases = group.multiples(range(1, 8))
    row_ptr = _rows([4, 4])
    index = np.array([0, 1, 2, 3, 3, 4, 5, 6], dtype=np.uint32)
    values = to_limbs([_SOURCE.randrange(R) for _ in index])
    at_once = group.combine(row_ptr, index, values, bases)
    monkeypatch.setattr(sparse, "_MULTIPLES_BYTES", 5 * bases.nbytes)
    assert np.array_equal(group.combine(row_ptr, index, values, bases), at_once)


@each_group
def test_an_empty_matrix_gives_infinity(group):
    nothing = np.empty(0, dtype=np.uint32)
    result = group.combine(_rows([0, 0]), nothing, np.empty((0, 4), dtype=np.uint64), group.generator)
    assert result.shape == (2, group.generator.shape[1])
    assert not result.any()
    zeros = group.combine(_rows([1, 0]), np.zeros(1, dtype=np.uint32), to_limbs([0]), group.generator)
    assert not zeros.any()


def test_a_matrix_that_does_not_fit_is_refused():
    bases = GROUPS[0].generator
    with pytest.raises(ValueError, match="not there"):
        sparse.sparse_combination_g1(_rows([1]), np.array([1], dtype=np.uint32), to_limbs([1]), bases)
    with pytest.raises(ValueError, match="one sparse matrix"):
        sparse.sparse_combination_g1(_rows([2]), np.array([0], dtype=np.uint32), to_limbs([1]), bases)
