"""Plans of sums of points on a GPU: they cover the scalars and keep to their budgets."""

import random
from itertools import pairwise

import pytest

from protocol.field import R
from prover.errors import DeviceOutOfMemory
from prover.msm.cuda_plan import (
    G1,
    G2,
    LEAST_WINDOW_BITS,
    MOST_WINDOW_BITS,
    SIZE_CLASSES,
    make_plan,
    windows_for,
)

H100 = 132
_GIB = 1 << 30
each_group = pytest.mark.parametrize("group", [G1, G2], ids=lambda group: group.name)
CASES = [
    (count, batch, budget)
    for count in (0, 1, 7, 1000, 1 << 15, 3_300_000)
    for batch in (1, 5, 64)
    for budget in (1 << 20, 1 << 25, _GIB, 20 * _GIB)
]


@pytest.mark.parametrize("window_bits", range(LEAST_WINDOW_BITS, MOST_WINDOW_BITS + 1))
def test_windows_hold_the_magnitude_of_every_scalar(window_bits):
    windows = windows_for(window_bits)
    # The last digit takes what is left, with a carry from below.
    assert ((R // 2) >> (window_bits * (windows - 1))) + 1 <= 1 << (window_bits - 1)
    offset = sum(1 << (window_bits * window + window_bits - 1) for window in range(windows - 1))
    assert R // 2 + offset < 1 << 256


def _plans(group):
    for count, batch, budget in CASES:
        try:
            yield batch, budget, make_plan(group, count, batch, budget, budget, H100)
        except DeviceOutOfMemory:
            assert count > 1000


@each_group
def test_plans_keep_to_their_budgets(group):
    found = list(_plans(group))
    assert len(found) > len(CASES) * 3 // 4
    for batch, budget, plan in found:
        assert plan.table_bytes <= budget
        assert plan.workspace_bytes <= budget
        assert 1 <= plan.proofs <= batch
        assert 1 <= plan.rows <= max(1, plan.count)
        assert plan.streamed == (plan.count * group.point_bytes > budget)


@each_group
def test_indexes_fit_into_the_words_that_kernels_count_with(group):
    for _, _, plan in _plans(group):
        assert plan.tables * plan.count < 1 << 31
        assert plan.entries < 1 << 31
        assert plan.buckets + plan.pieces < 1 << 31
        assert plan.large < SIZE_CLASSES
        assert plan.lines * plan.line_width < 1 << 31


@each_group
def test_windows_are_shared_out_among_tables_and_sets(group):
    for tables in range(1, 30):
        plan = make_plan(group, 100, 1, _GIB, _GIB, H100, window_bits=10, tables=tables)
        assert plan.tables <= tables
        assert (plan.tables - 1) * plan.sets < plan.windows <= plan.tables * plan.sets
        assert plan.table_doublings == 10 * plan.sets


@each_group
def test_arrays_of_a_workspace_do_not_overlap_and_are_aligned(group):
    for _, _, plan in _plans(group):
        layout = dict(plan.layout)
        ranks, partial_sums = layout["ranks"], layout.pop("partial_sums")
        # These two are not in use at the same time.
        assert partial_sums[0] == ranks[0]
        assert partial_sums[1] <= ranks[1]
        places = sorted(layout.values())
        assert all(start % 256 == 0 for start, _ in places)
        assert all(start + size <= following for (start, size), (following, _) in pairwise(places))
        assert places[-1][0] + places[-1][1] <= plan.workspace_bytes
        # Cleared in one go.
        assert list(layout)[:3] == ["starts", "sizes", "large_total"]


@each_group
def test_fewer_proofs_need_no_more_memory(group):
    plan = make_plan(group, 5000, 64, _GIB, _GIB, H100)
    for proofs in range(1, plan.proofs + 1):
        smaller = plan.for_proofs(proofs)
        assert smaller.workspace_bytes <= plan.workspace_bytes
        assert (smaller.window_bits, smaller.tables, smaller.rows) == (plan.window_bits, plan.tables, plan.rows)


def test_large_buckets_and_their_pieces_have_room_however_entries_fall():
    source = random.Random(1)
    plan = make_plan(G1, 1000, 2, _GIB, _GIB, H100, window_bits=6)
    for _ in range(200):
        left, sizes = plan.entries, []
        while left and len(sizes) < plan.buckets:
            sizes.append(min(left, source.choice([1, plan.large, plan.large + 1, 2 * plan.large + 1, left])))
            left -= sizes[-1]
        large = [size for size in sizes if size > plan.large]
        assert len(large) <= plan.large_buckets
        assert sum(-(-size // plan.large) for size in large) <= plan.pieces


def test_more_memory_never_makes_the_modelled_time_longer():
    for count, batch in ((1 << 15, 64), (1 << 20, 1)):
        times = []
        for shift in range(26, 36):
            try:
                times.append(make_plan(G1, count, batch, 1 << shift, 1 << shift, H100).microseconds(batch))
            except DeviceOutOfMemory:
                assert not times
        assert len(times) > 5
        assert all(later <= earlier for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("group", "count", "batch", "window_bits", "windows", "adding", "emptying"),
    [
        (G1, 1 << 15, 64, 15, 17, 324, 27),
        (G1, 1 << 20, 1, 20, 13, 124, 14),
        (G1, 1 << 22, 1, 20, 13, 496, 14),
        (G2, 1 << 15, 64, 15, 17, 809, 68),
        (G2, 1 << 20, 1, 19, 14, 333, 17),
    ],
)
def test_the_plans_on_an_h100_are_those_the_module_tells_of(
    group, count, batch, window_bits, windows, adding, emptying
):
    plan = make_plan(group, count, batch, 8 * _GIB, 8 * _GIB, H100)
    assert (plan.window_bits, plan.windows, plan.tables, plan.sets) == (window_bits, windows, windows, 1)
    assert (plan.proofs, plan.rows) == (batch, count)
    assert round(plan.entries * group.mixed / 1e6) == adding
    assert round(2 * plan.buckets * group.full / 1e6) == emptying


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="window_bits must be 2 to 22"):
        make_plan(G1, 10, 1, _GIB, _GIB, H100, window_bits=23)
    with pytest.raises(ValueError, match="at least one proof"):
        make_plan(G1, 10, 0, _GIB, _GIB, H100)
    with pytest.raises(DeviceOutOfMemory, match="does not fit into 500 bytes"):
        make_plan(G1, 10, 1, _GIB, 500, H100)
