"""A sparse matrix times a vector of points with AVX-512 IFMA: the same sums as in `prover.msm.sparse`.

Multiples of bases come from doublings in eight lanes, and the buckets of many rows are summed at once. Only emptying
them is left to scalar code, so windows are smaller.
"""

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np

from prover.kernels.native import entry, group_entries
from prover.msm.lane_scaling import scale
from prover.msm.lane_sums import add_up
from prover.msm.lane_workspace import Workspace
from prover.msm.lanes import prepare, run_with_workspaces
from prover.msm.plan import windows_for

_KERNELS = "prover.msm.lane_sparse_kernels"
_list_terms = entry(_KERNELS, "list_terms")
_weigh_rows = group_entries(_KERNELS, "weigh_rows")

# Values that fit into one window of so many bits need no multiples.
SMALL_BITS = 2
_MAX_WINDOW_BITS = 8
# What a bucket costs, two scalar additions, in additions in lanes.
_BUCKET_COST = 14
# Terms and buckets of one task, but for a row that has more.
_TASK = 1 << 17


def window_bits(rows: int, entries: int) -> int:
    """The window size with the lowest cost: a term has an addition a window, and a row its buckets."""
    return min(
        range(SMALL_BITS, _MAX_WINDOW_BITS + 1),
        key=lambda bits: windows_for(bits) * entries + rows * (_BUCKET_COST << (bits - 1)),
    )


def add_entries(
    row_ptr: np.ndarray,
    index: np.ndarray,
    digits: np.ndarray,
    bases: np.ndarray,
    sums: np.ndarray,
    bits: int,
    most_bytes: int,
    threads: int,
) -> None:
    """Add to each row of `sums` (XYZZ, portable form) its entries, digits times bases.

    row_ptr: int64 (rows + 1,); index: uint32 (nnz,), all bases that it names are used; digits: int16 (windows, nnz) of
    `bits`; bases: portable form. Multiples take up to `most_bytes`, or those of one window.
    """
    prepared = prepare(bases, bases.shape[1], threads)
    if prepared.places is not None:
        # Infinity adds nothing.
        number = np.full(len(bases), -1, dtype=np.int64)
        number[prepared.places] = np.arange(len(prepared.places))
        finite = number[index] >= 0
        row_ptr = np.concatenate([[0], np.cumsum(finite)])[row_ptr]
        index, digits = number[index[finite]].astype(np.uint32), np.ascontiguousarray(digits[:, finite])
    if not len(index):
        return
    places = np.flatnonzero(np.diff(row_ptr))
    row_ptr = np.append(0, row_ptr[places + 1])
    multiples = prepared.points
    double = np.array([1] + [0] * bits, dtype=np.int8)
    turn = max(1, most_bytes // bases.nbytes)
    for first in range(0, len(digits), turn):
        kept = []
        for window in range(first, min(first + turn, len(digits))):
            multiples = scale(multiples, double, threads) if window else multiples
            kept.append(multiples)
        _add_windows(row_ptr, index, digits[first : first + turn], kept, places, sums, 1 << (bits - 1), threads)


def _add_windows(
    row_ptr: np.ndarray,
    index: np.ndarray,
    digits: np.ndarray,
    multiples: list[np.ndarray],
    places: np.ndarray,
    sums: np.ndarray,
    buckets: int,
    threads: int,
) -> None:
    """Add row i of the matrix, none of which is empty, to row places[i] of `sums`."""
    width, stride = multiples[0].shape[1], multiples[0].strides[0]
    addresses = np.array([points.ctypes.data for points in multiples], dtype=np.uint64)
    # Rows cost their terms and their buckets.
    work_before = row_ptr * len(digits) + np.arange(len(row_ptr)) * buckets
    cuts = np.searchsorted(work_before, np.arange(_TASK, work_before[-1], _TASK))
    bounds = np.unique([0, *cuts, len(row_ptr) - 1]).tolist()

    def add_rows(start: int, stop: int, work: Workspace) -> None:
        _list_terms(row_ptr, index, digits, addresses, stride, buckets, work.entries, work.ends, start, stop)
        totals = add_up((stop - start) * buckets, work)
        _weigh_rows[width](totals, work.sizes, buckets, places, sums, start, stop)

    ranges = list(itertools.pairwise(bounds))
    tasks: list[Callable[[Workspace], None]] = [partial(add_rows, start, stop) for start, stop in ranges]
    terms = max(int(row_ptr[stop] - row_ptr[start]) * len(digits) for start, stop in ranges)
    rows = max(stop - start for start, stop in ranges)
    run_with_workspaces(tasks, threads, partial(Workspace, terms, rows * buckets, width))
