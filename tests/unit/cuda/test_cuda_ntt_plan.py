"""The passes of a transform on a GPU: they cover every level once, fit into shared memory and never collide in it."""

import re
from itertools import pairwise

import pytest

from prover.kernels.cuda.sources import unit_path
from prover.ntt import plan_cuda
from prover.ntt.plan_cuda import make_plan, tile_bytes

H100 = {"multiprocessors": 132, "shared_bytes": 227 << 10}


def _addresses(each, tile):
    """The kernels' Geometry in Python: where the elements of a tile lie."""
    log_pieces = each.log_stride - each.log_columns
    base = (tile >> log_pieces) << (each.log_block + each.log_groups)
    base += (tile & ((1 << log_pieces) - 1)) << each.log_columns
    for e in range(1 << each.log_tile):
        yield base + ((e >> each.log_columns) << each.log_stride) + (e & ((1 << each.log_columns) - 1))


@pytest.mark.parametrize("log_n", range(1, 25))
@pytest.mark.parametrize("count", [1, 3, 192])
def test_the_passes_cover_every_level_once_and_fit(log_n, count):
    plan = make_plan(log_n, count, **H100)
    assert sum(each.log_radix for each in plan.passes) == log_n
    assert plan.passes[0].log_block == log_n
    for each, following in pairwise(plan.passes):
        assert following.log_block == each.log_stride
        assert each.log_columns >= 1
        assert each.log_groups == 0
    assert plan.passes[-1].log_stride == plan.passes[-1].log_columns == 0
    assert all(each.log_tile == plan.log_tile for each in plan.passes)
    assert all(0 <= each.log_columns <= each.log_stride for each in plan.passes)
    assert plan.shared_bytes <= 64 << 10
    assert 32 <= plan.threads <= 256


@pytest.mark.parametrize(("log_n", "radices"), [(11, [11]), (12, [6, 6]), (15, [7, 8]), (20, [10, 10]), (21, [10, 11])])
def test_two_passes_are_enough_to_a_size_of_two_million(log_n, radices):
    assert [each.log_radix for each in make_plan(log_n, 1, **H100).passes] == radices


@pytest.mark.parametrize("log_n", [1, 3, 5, 8])
@pytest.mark.parametrize("log_tile", [2, 3, 4])
@pytest.mark.parametrize("count", [1, 3])
def test_the_tiles_of_a_pass_hold_every_value_once(log_n, log_tile, count, monkeypatch):
    monkeypatch.setattr(plan_cuda, "LARGEST_LOG_TILE", log_tile)
    monkeypatch.setattr(plan_cuda, "SMALLEST_LOG_TILE", 2)
    plan = make_plan(log_n, count, 2, 1 << 20)
    total = count << log_n
    for each in plan.passes:
        addresses = [address for tile in range(plan.blocks) for address in _addresses(each, tile)]
        assert sorted(address for address in addresses if address < total) == list(range(total))
        assert len(set(addresses)) == len(addresses)


def test_small_work_is_spread_over_more_blocks_with_the_same_passes():
    one, many = make_plan(15, 3, **H100), make_plan(15, 192, **H100)
    assert one.blocks >= 132
    assert many.log_tile == 11
    assert [each.log_radix for each in one.passes] == [each.log_radix for each in many.passes]


def test_less_shared_memory_makes_smaller_tiles_and_too_little_is_an_error():
    assert make_plan(20, 1, 132, 48 << 10).log_tile == 10
    assert make_plan(20, 1, 132, 16 << 10).log_tile == 9
    with pytest.raises(ValueError, match="shared memory"):
        make_plan(20, 1, 132, 8 << 10)


def test_the_counts_of_the_documentation_are_those_of_the_plan():
    plan = make_plan(20, 1, **H100)
    assert plan.transform_multiplications == 9.5 * (1 << 20)
    assert plan.extension_multiplications == 20 * (1 << 20)
    assert plan.transform_bytes == 2 * (64 << 20)
    assert plan.extension_bytes == 3 * (64 << 20)
    assert sum(each.butterflies for each in plan.passes) == 10


@pytest.mark.parametrize("skipped", [1, 2])
def test_neighbouring_threads_meet_different_banks_at_every_distance(skipped):
    # Eight threads are served at once, 16 bytes each; `skipped` bits tell the values of one thread apart.
    source = unit_path("ntt").read_text()
    formula = re.search(r"uint32_t place\(uint32_t e\) \{ return (.*?); \}", source)[1]
    for log_distance in range(11 - skipped):
        low = (1 << log_distance) - 1
        for first in range(0, 1 << (11 - skipped), 8):
            for value in range(1 << skipped):
                places = set()
                for unit in range(first, first + 8):
                    e = (unit & ~low) << skipped | value << log_distance | unit & low
                    places.add(eval(formula, {"e": e}) % 8)
                assert len(places) == 8


def test_places_in_shared_memory_are_a_permutation():
    formula = re.search(r"place\(uint32_t e\) \{ return (.*?); \}", unit_path("ntt").read_text())[1]
    assert sorted(eval(formula, {"e": e}) for e in range(2048)) == list(range(2048))
    assert tile_bytes(11) == 2048 * 32
