"""Bases on their way from a key to the sums: joined, checked and converted, wherever they lie in memory."""

import numpy as np
import pytest

from protocol.field import Q, R
from prover.errors import FormatError
from prover.kernels.cpu import points
from prover.limbs import from_limbs, to_limbs
from prover.msm import cpu, lanes
from prover.msm.fixed_base import fixed_base_g1, fixed_base_g2
from tests.unit.lane_support import needs_ifma

GENERATORS = {8: points.pack_g1([points.G1_GENERATOR])[0], 16: points.pack_g2([points.G2_GENERATOR])[0]}
MULTIPLES = {8: fixed_base_g1, 16: fixed_base_g2}
PATHS = {"scalar": cpu, "ifma": lanes}
each_group = pytest.mark.parametrize("width", [8, 16], ids=["g1", "g2"])
each_path = pytest.mark.parametrize("path", ["scalar", pytest.param("ifma", marks=needs_ifma)])


def _multiples(width: int, logs) -> np.ndarray:
    return MULTIPLES[width](GENERATORS[width], to_limbs([int(log) % R for log in logs]).reshape(-1, 4))


def _moved(array: np.ndarray, offset: int) -> np.ndarray:
    """The same rows, read-only, `offset` bytes after a multiple of 64, as in a mapped file."""
    buffer = np.zeros(array.nbytes + 128, dtype=np.uint8)
    start = -buffer.ctypes.data % 64 + offset
    buffer[start : start + array.nbytes] = array.view(np.uint8).reshape(-1)
    view = buffer[start : start + array.nbytes].view(np.uint64).reshape(array.shape)
    view.flags.writeable = False
    return view


def _sum(path: str, width: int, prepared, scalars: np.ndarray) -> list[int]:
    module = PATHS[path]
    return (module.msm_g1 if width == 8 else module.msm_g2)(prepared, scalars).tolist()


@each_path
@each_group
@pytest.mark.parametrize("counts", [(0,), (1,), (7,), (8,), (9, 1), (3, 0, 2), (16, 5), (33, 2)])
@pytest.mark.parametrize("offset", [0, 1, 4, 12, 60])
def test_arrays_anywhere_in_memory_become_one_set_of_bases(path, width, counts, offset):
    logs = [np.arange(1, count + 1) * 7 - 12 + place for place, count in enumerate(counts)]
    arrays = [_moved(_multiples(width, part), offset) for part in logs]
    (prepared,) = PATHS[path].prepare_all([(width, arrays)])
    assert len(prepared) == sum(counts)
    scalars = np.arange(3, 3 + sum(counts))
    expected = _multiples(width, [int(np.concatenate(logs) @ scalars)])[0].tolist()
    assert _sum(path, width, prepared, to_limbs(scalars.tolist()).reshape(-1, 4)) == expected


@each_path
@each_group
@pytest.mark.parametrize("seed", range(3))
def test_infinity_among_the_bases_counts_as_nothing(path, width, seed):
    generator = np.random.default_rng(seed)
    logs = generator.integers(1, 50, 500) * generator.integers(0, 2, 500)
    scalars = generator.integers(0, 1 << 30, 500)
    bases = _multiples(width, logs)
    (prepared,) = PATHS[path].prepare_all([(width, [bases[:130], bases[130:]])])
    expected = _multiples(width, [int(logs @ scalars)])[0].tolist()
    assert _sum(path, width, prepared, to_limbs(scalars.tolist())) == expected
    (nothing,) = PATHS[path].prepare_all([(width, [np.zeros((9, width), dtype=np.uint64)])])
    assert not any(_sum(path, width, nothing, to_limbs(range(1, 10))))


@each_path
@each_group
def test_sets_longer_than_a_task_keep_their_order(path, width):
    count = 40_000
    few = _multiples(width, range(64))
    chosen = np.random.default_rng(5).integers(0, 64, count)
    prepared = PATHS[path].prepare_all([(width, [few[chosen[:33_000]], few[chosen[33_000:]]]), (8, [few[:0, :8]])])
    assert [len(one_set) for one_set in prepared] == [count, 0]
    scalars = np.random.default_rng(6).integers(0, 1 << 20, count)
    expected = _multiples(width, [int(chosen @ scalars)])[0].tolist()
    assert _sum(path, width, prepared[0], to_limbs(scalars.tolist())) == expected


@each_path
@each_group
@pytest.mark.parametrize("place", [*range(9), 18])
def test_a_base_off_its_curve_is_refused_wherever_it_stands(path, width, place):
    bases = _multiples(width, range(1, 20))
    bases[place, width - 4] ^= np.uint64(1)
    with pytest.raises(FormatError, match="not on its curve"):
        PATHS[path].prepare_all([(width, [bases])])


@each_path
@each_group
def test_every_coordinate_and_every_limb_of_it_is_checked(path, width):
    for word in range(width):
        for bit in (0, 31, 51, 52, 59):
            bases = _multiples(width, range(1, 12))
            bases[10, word] ^= np.uint64(1 << bit)
            with pytest.raises(FormatError, match="not on its curve"):
                PATHS[path].prepare_all([(width, [bases])])


@each_path
def test_points_of_other_curves_are_refused(path):
    """(0, y), (x, 0) and points of y^2 = x^3 + b for another b."""
    for x, y in [(0, 1), (1, 0), (0, 2), (1, 1), (2, 3), (Q - 1, 1)]:
        with pytest.raises(FormatError, match="not on its curve"):
            PATHS[path].prepare_all([(8, [points.pack_g1([points.G1_GENERATOR, (x, y)])])])


@each_path
def test_rows_that_are_not_one_after_the_other_are_copied(path):
    bases = _multiples(8, range(1, 13))
    (prepared,) = PATHS[path].prepare_all([(8, [bases[::3]])])
    assert _sum(path, 8, prepared, to_limbs([1, 1, 1, 1])) == _multiples(8, [1 + 4 + 7 + 10])[0].tolist()


@needs_ifma
@each_group
def test_the_lanes_form_is_the_element_times_2_to_the_260(width):
    bases = _multiples(width, range(1, 30))
    (prepared,) = lanes.prepare_all([(width, [bases])])
    plain = [value * pow(1 << 256, -1, Q) % Q for value in from_limbs(bases.reshape(-1, 4))]
    stored = from_limbs(np.ascontiguousarray(prepared.points).reshape(-1, 4))
    assert [value % Q for value in stored] == [(value << 260) % Q for value in plain]
    assert max(stored) < 1.7 * Q


@needs_ifma
def test_bases_of_another_shape_or_type_are_refused():
    with pytest.raises(ValueError, match="shape"):
        lanes.prepare_all([(8, [np.zeros((3, 16), dtype=np.uint64)])])
    with pytest.raises(TypeError, match="uint64"):
        lanes.prepare_all([(8, [np.zeros((3, 8), dtype=np.int64)])])
