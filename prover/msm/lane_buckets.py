"""Sums of many buckets of points in eight lanes.

Entries are addresses of points, sorted by bucket. Neighbours in one bucket are added in pairs, all pairs of a pass
being independent; their sums and the points left over are the entries of the next pass, until a bucket has one. Since a
left over point stays where it is and only its address moves on, nothing is copied. Buckets are worked on in tiles whose
points fit in a core's cache, and only a tile's first pass reads points at random.

The window sum, the sum of (b + 1) * bucket_b, is done the same way: with b = r * columns + c it is the sum of
columns * r * (sum of row r) and (c + 1) * (sum of column c). The sums of rows and columns are sums of buckets again,
and only some square roots as many points are left for additions one by one.
"""

import numpy as np

from prover.kernels.native import entry, group_entries
from prover.msm.lane_workspace import Workspace, column_bits

_KERNELS = "prover.msm.lane_bucket_kernels"
_sort_digits = entry(_KERNELS, "sort_digits")
_group_entries = entry(_KERNELS, "group_entries")
sum_buckets = group_entries(_KERNELS, "sum_buckets")
_weigh_groups = group_entries(_KERNELS, "weigh_groups")


def window_sum(
    digits: np.ndarray, start: int, stop: int, bases: np.ndarray, work: Workspace, window_sums: np.ndarray, window: int
) -> None:
    """Row `window` of window_sums (XYZZ, portable form) = the sum of digits[i] * bases[i] over start <= i < stop.

    digits: int16, |digit| at most 2^k, the number of buckets `work` was made for; bases: in the lanes' form, in an
    array from `aligned_rows`.
    """
    buckets = len(work.buckets) - 8
    stride = 8 * bases.shape[1]
    _sort_digits(digits, start, stop, bases.ctypes.data, stride, work.entries, work.ends[: buckets + 1])
    add_up = sum_buckets[work.width]
    add_up(work.entries, work.ends, work.sizes, buckets, work.buckets, *work.arrays)
    bits = column_bits(buckets)
    columns, rows = 1 << bits, buckets >> bits
    address = work.buckets.ctypes.data
    _group_entries(buckets, work.sizes, bits, address, stride, work.entries, work.ends)
    add_up(work.entries, work.ends, work.sizes, columns + rows, work.groups, *work.arrays)
    _weigh_groups[work.width](work.groups, columns, bits, rows, window_sums, window)
