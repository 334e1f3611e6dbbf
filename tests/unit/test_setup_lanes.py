"""What a setup computes in eight lanes is what the portable code computes, bit by bit."""

import random

import numpy as np
import pytest

from protocol.field import R
from prover.errors import FormatError
from prover.kernels.cpu import points
from prover.kernels.paths import CpuPath
from prover.limbs import to_limbs
from prover.msm import fixed_base, lane_fixed_base, lane_scaling, lane_sparse, sparse
from prover.msm.endomorphism import LAMBDA
from tests.unit.lane_support import needs_ifma

_SOURCE = random.Random(11)
G1, G2 = points.pack_g1([points.G1_GENERATOR])[0], points.pack_g2([points.G2_GENERATOR])[0]
EDGES = [0, 1, 2, R - 1, R - 2, (R - 1) // 2, (R + 1) // 2, 2**64, 2**253, 1024, R - 1024]
pytestmark = needs_ifma


@pytest.fixture
def on(monkeypatch):
    """Choose the path of these modules, and get the list that grows when something is done in eight lanes."""
    calls = []
    replaced = (lane_fixed_base, "multiples"), (lane_scaling, "scale_points"), (lane_sparse, "add_entries")
    for module, name in replaced:
        work = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, work=work: calls.append(1) or work(*args))

    def choose(name):
        for module in (fixed_base, sparse):
            monkeypatch.setattr(module, "cpu_path", lambda: CpuPath(name, "for a test"))
        return calls

    return choose


def _both(on, work):
    calls = on("scalar")
    portable = work()
    assert not calls
    on("ifma")
    in_lanes = work()
    return portable, in_lanes, bool(calls)


@pytest.mark.parametrize("count", [512, 513, 2048 * 2 + 5])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("multiply", "base"), [(fixed_base.fixed_base_g1, G1), (fixed_base.fixed_base_g2, G2)])
def test_multiples_of_a_base_are_those_of_the_portable_path(on, multiply, base, count, threads):
    scalars = to_limbs([*EDGES, *(_SOURCE.randrange(R) for _ in range(count - len(EDGES)))])
    portable, in_lanes, used = _both(on, lambda: multiply(base, scalars, threads))
    assert used
    assert np.array_equal(portable, in_lanes)


def test_multiples_of_infinity_are_infinity_in_lanes(on):
    on("ifma")
    assert not fixed_base.fixed_base_g1(np.zeros_like(G1), to_limbs(list(range(600)))).any()


@pytest.mark.parametrize("scalar", [1, 2, 3, 5, R - 1, LAMBDA, R - LAMBDA, 1 + LAMBDA, 2**127, 0xA5A5 << 200])
def test_scaled_points_are_those_of_the_portable_path(on, scalar):
    logs = [0, *EDGES, 0, *(_SOURCE.randrange(R) for _ in range(1500)), 0]
    on("scalar")
    many = fixed_base.fixed_base_g1(G1, to_limbs(logs))
    portable, in_lanes, _ = _both(on, lambda: fixed_base.scale_points_g1(many, scalar, 2))
    assert np.array_equal(portable, in_lanes)
    assert not in_lanes[0].any()


def test_random_scalars_are_taken_in_lanes_and_match(on):
    on("scalar")
    many = fixed_base.fixed_base_g1(G1, to_limbs([_SOURCE.randrange(R) for _ in range(1030)]))
    for scalar in (_SOURCE.randrange(R) for _ in range(12)):
        portable, in_lanes, used = _both(on, lambda scalar=scalar: fixed_base.scale_points_g1(many, scalar))
        assert used
        assert np.array_equal(portable, in_lanes)
        on("scalar").clear()


def test_points_that_are_all_infinity_stay_so(on):
    on("ifma")
    assert not fixed_base.scale_points_g1(np.zeros((600, 8), dtype=np.uint64), 77).any()


def test_a_point_off_the_curve_is_refused(on):
    on("ifma")
    wrong = np.tile(G1, (600, 1))
    wrong[599, 0] ^= 1
    with pytest.raises(FormatError, match="not on its curve"):
        fixed_base.scale_points_g1(wrong, 77)


def _multiple_of(steps) -> int:
    total = 0
    for step in steps.tolist():
        total = 2 * total if step == 0 else total + lane_scaling._MULTIPLES[step]
    return total % R


def test_steps_reach_the_scalar_and_stop_at_special_cases():
    for scalar in (1, 2, R - 1, LAMBDA, _SOURCE.randrange(R), _SOURCE.randrange(R)):
        steps = lane_scaling.steps_of(fixed_base._signed_bits(*fixed_base.split(scalar)))
        assert _multiple_of(steps) == scalar
    assert lane_scaling.steps_of(np.zeros((0, 2), dtype=np.int8)) is None
    # Without halving: the last step would add -P to -P, and P to -P.
    for scalar in (R - 2, R):
        assert lane_scaling.steps_of(fixed_base._signed_bits(scalar, 0)) is None


def _matrix(rows: int, wide: int, bases: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of every kind: empty, of ones and minus ones, of short and of long values, and one of `wide` entries."""
    lengths = [_SOURCE.choice([0, 1, 2, 3, 12]) for _ in range(rows)]
    lengths[rows // 2] = wide
    count = sum(lengths)
    kinds = [lambda: 1, lambda: R - 1, lambda: _SOURCE.randrange(R), lambda: _SOURCE.choice([*EDGES, 2, 3, 127, 128])]
    values = to_limbs([_SOURCE.choice(kinds)() for _ in range(count)])
    index = np.array([_SOURCE.randrange(bases) for _ in range(count)], dtype=np.uint32)
    return np.cumsum([0, *lengths]), index, values


@pytest.mark.parametrize("windows_at_a_time", [3, 1000])
@pytest.mark.parametrize(
    ("combine", "multiply", "base"),
    [
        (sparse.sparse_combination_g1, fixed_base.fixed_base_g1, G1),
        (sparse.sparse_combination_g2, fixed_base.fixed_base_g2, G2),
    ],
)
def test_sparse_combinations_are_those_of_the_portable_path(
    on, monkeypatch, combine, multiply, base, windows_at_a_time
):
    """Among few bases, with equal, opposite and infinite ones: additions meet every special case."""
    bases = multiply(base, to_limbs([0, 1, 1, R - 1, 2, 0, *(_SOURCE.randrange(R) for _ in range(30))]))
    monkeypatch.setattr(sparse, "_MULTIPLES_BYTES", windows_at_a_time * bases.nbytes)
    monkeypatch.setattr(lane_sparse, "_TASK", 1 << 12)
    matrix = _matrix(700, 900, len(bases))
    for threads in (1, 3):
        portable, in_lanes, used = _both(on, lambda threads=threads: combine(*matrix, bases, threads))
        assert used
        assert np.array_equal(portable, in_lanes)
        on("scalar").clear()


def test_rows_of_nothing_but_infinity_are_infinity_in_lanes(on):
    calls = on("ifma")
    row_ptr, index, values = _matrix(700, 900, 4)
    bases = np.concatenate([np.zeros((4, 8), dtype=np.uint64), G1[None]])
    assert not sparse.sparse_combination_g1(row_ptr, index, values, bases).any()
    assert calls


def test_a_sparse_combination_of_points_off_the_curve_is_refused(on):
    on("ifma")
    row_ptr, index, values = _matrix(700, 900, 4)
    wrong = np.tile(G1, (4, 1))
    wrong[3, 4] ^= 1
    with pytest.raises(FormatError, match="not on its curve"):
        sparse.sparse_combination_g1(row_ptr, index, values, wrong)
