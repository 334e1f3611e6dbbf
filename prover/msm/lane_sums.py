"""Sums of short lists of points with AVX-512 IFMA, a row each: what a setup computes millions of.

The lists are the buckets of `prover.msm.lane_buckets`, whose additions share inversions across lists.
"""

import numpy as np

from prover.kernels.cpu.threads import run_ranges
from prover.kernels.native import group_entries
from prover.msm.lane_buckets import sum_buckets
from prover.msm.lane_workspace import Workspace

_points_from_lanes = group_entries("prover.kernels.ifma.convert", "points_from_lanes")


def sum_lists(entries: np.ndarray, counts: np.ndarray, work: Workspace) -> np.ndarray:
    """The sum of each list: uint64 (lists, width), lanes' form, zeros for infinity; overwritten by the next call.

    entries: uint64, addresses of points, the lowest bit set for the opposite, list after list; counts: int64 (lists,),
    their lengths. `work` was made for so many points and lists.
    """
    work.entries[: len(entries)] = entries
    np.cumsum(counts, out=work.ends[: len(counts)])
    return add_up(len(counts), work)


def add_up(lists: int, work: Workspace) -> np.ndarray:
    """As `sum_lists`, for lists in work.entries that end at work.ends."""
    sum_buckets[work.width](work.entries, work.ends, work.sizes, lists, work.buckets, *work.arrays)
    return work.buckets[:lists]


def from_lanes(points: np.ndarray, out: np.ndarray, threads: int = 1) -> None:
    """Write points in the lanes' form to `out` in the portable one, both uint64 (n, width)."""
    convert = _points_from_lanes[points.shape[1]]
    run_ranges(lambda start, stop: convert(points, out, start, stop), len(points), threads)
