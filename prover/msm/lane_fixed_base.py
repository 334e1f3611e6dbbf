"""Many multiples of one point with AVX-512 IFMA: the same points as `fixed_base_*`, by the same kind of table.

A multiple is the sum of a list of the table's points, one a window. All additions are affine and in eight lanes.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from prover.kernels.cpu.arrays import aligned_rows
from prover.kernels.cpu.threads import run_ranges
from prover.msm.digits import signed_digits
from prover.msm.lane_sums import from_lanes, sum_lists
from prover.msm.lane_workspace import Workspace, points_to_lanes
from prover.msm.lanes import run_with_workspaces

# Scalars of one task.
_CHUNK = 2048


def multiples(table: np.ndarray, window_bits: int, scalars: np.ndarray, threads: int) -> np.ndarray:
    """scalars[i] times the base of `table`: uint64 (n, width), affine, portable form.

    table: row j * half + d - 1 is d * 2^(window_bits * j) * base, half = 2^(window_bits - 1), affine, portable form.
    """
    half, width = 1 << (window_bits - 1), table.shape[1]
    points = aligned_rows(len(table), width)
    run_ranges(partial(points_to_lanes[width], table, points), len(table), threads)
    digits = signed_digits(scalars, window_bits, threads)
    windows = len(digits)
    first_of_window = points.ctypes.data + np.arange(windows, dtype=np.int64) * (half * points.strides[0])
    out = np.empty((len(scalars), width), dtype=np.uint64)

    def multiply(start: int, stop: int, work: Workspace) -> None:
        chosen = digits[:, start:stop].T.astype(np.int64)
        used = chosen != 0
        addresses = first_of_window + (np.abs(chosen) - 1) * points.strides[0]
        addresses |= chosen < 0
        sums = sum_lists(addresses[used].view(np.uint64), np.count_nonzero(used, axis=1), work)
        from_lanes(sums, out[start:stop])

    tasks: list[Callable[[Workspace], None]] = [
        partial(multiply, start, min(start + _CHUNK, len(scalars))) for start in range(0, len(scalars), _CHUNK)
    ]
    run_with_workspaces(tasks, threads, partial(Workspace, _CHUNK * windows, _CHUNK, width))
    return out
