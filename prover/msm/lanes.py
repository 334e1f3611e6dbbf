"""Multi-scalar multiplication with AVX-512 IFMA: Pippenger's bucket method, all additions affine and eight at a time.

The same sums as `prover.msm.cpu`, computed as `prover.msm.lane_buckets` tells. Importing this module compiles nothing,
but calling it needs a CPU with the instructions (see `prover.kernels.paths`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

import numpy as np

from prover.kernels.cpu import kernel
from prover.kernels.cpu.arrays import as_rows
from prover.kernels.cpu.coordinate import group_marker
from prover.kernels.cpu.threads import default_threads, run_all, run_ranges
from prover.kernels.ifma.convert import points_to_lanes
from prover.kernels.ifma.lanes import aligned_rows
from prover.msm.cpu import combine_windows
from prover.msm.digits import signed_digits
from prover.msm.lane_buckets import Workspace, window_sum
from prover.msm.plan import MAX_WINDOW_BITS, windows_for

# Measured costs, in additions: what a bucket adds to a window (its row and its column), and what a window costs
# besides, which is the inversions of its passes and the additions one by one.
_BUCKET_COST = 2.5
_WINDOW_COST = 2500
# A part of a window has at least so many points a bucket, or it would cost more than it shares.
_PART_POINTS = 4


@dataclass(frozen=True, eq=False)
class LaneBases:
    """Bases in the form the lanes work on, made once by `prepare`.

    points: uint64 (finite, width), the bases that are not infinity; places: int64 (finite,), their numbers among all
    `count` bases, or None where all are finite.
    """

    points: np.ndarray
    places: np.ndarray | None
    count: int

    def __len__(self) -> int:
        return self.count


def prepare(bases: np.ndarray, width: int, threads: int | None = None) -> LaneBases:
    """Convert bases, uint64 (n, width), affine in Montgomery form with R = 2^256: some 20 ns a base in G1.

    width: 8 for G1, 16 for G2.
    """
    bases = as_rows(bases, width)
    finite = bases.any(axis=1)
    places = None if finite.all() else np.flatnonzero(finite)
    chosen = as_rows(bases if places is None else bases[places], width)
    points = aligned_rows(len(chosen), width)
    like = group_marker(width)
    run_ranges(lambda start, stop: points_to_lanes(chosen, points, like, start, stop), len(chosen), threads)
    return LaneBases(points, places, len(bases))


@kernel
def _count_bit_lengths(scalars, counts):
    for i in range(scalars.shape[0]):
        length = 0
        for limb in range(3, -1, -1):
            word = scalars[i, limb]
            if word:
                length = 64 * limb + 1
                for shift in (32, 16, 8, 4, 2, 1):
                    if word >> np.uint64(shift):
                        word >>= np.uint64(shift)
                        length += shift
                break
        counts[length] += 1


def choose_window_bits(scalars: np.ndarray) -> int:
    """The window size with the lowest cost for these scalars, which may be short."""
    counts = np.zeros(257, dtype=np.int64)
    _count_bit_lengths(scalars, counts)
    at_least = counts[::-1].cumsum()[::-1]

    def cost(bits: int) -> float:
        busy = at_least[[max(1, bits * window) for window in range(windows_for(bits)) if bits * window <= 256]]
        busy = busy[busy > 0]
        return float(busy.sum()) + len(busy) * (_WINDOW_COST + _BUCKET_COST * (1 << (bits - 1)))

    return min(range(2, MAX_WINDOW_BITS + 1), key=cost)


def _parts(counts: np.ndarray, buckets: int, threads: int) -> list[int]:
    """In how many parts each window's points are split, so that `threads` are busy to the end."""
    if threads == 1:
        return [1] * len(counts)
    share = max(1.0, counts.sum() / (4 * threads))
    return [max(1, min(round(count / share), int(count) // (_PART_POINTS * buckets), 4 * threads)) for count in counts]


def _msm(
    bases: LaneBases | np.ndarray, scalars: np.ndarray, width: int, threads: int | None, window_bits: int | None
) -> np.ndarray:
    threads = threads or default_threads()
    if not isinstance(bases, LaneBases):
        bases = prepare(bases, width, threads)
    scalars = as_rows(scalars, 4)
    if len(bases) != len(scalars):
        raise ValueError(f"{len(bases)} bases but {len(scalars)} scalars")
    if bases.places is not None:
        scalars = as_rows(scalars[bases.places], 4)
    if window_bits is None:
        window_bits = choose_window_bits(scalars)
    elif not 2 <= window_bits <= MAX_WINDOW_BITS:
        raise ValueError(f"window_bits must be 2 to {MAX_WINDOW_BITS}, got {window_bits}")
    result = np.zeros((1, width), dtype=np.uint64)
    digits = signed_digits(scalars, window_bits, threads)
    counts = np.count_nonzero(digits, axis=1) if len(scalars) else np.zeros(len(digits), dtype=np.int64)
    if not counts.any():
        return result[0]
    buckets = 1 << (window_bits - 1)
    parts = _parts(counts, buckets, threads)
    most = max(parts)
    sums = np.zeros((len(digits) * most, 2 * width), dtype=np.uint64)

    tasks: list[tuple[float, Callable[[Workspace], None]]] = []
    for window in np.flatnonzero(counts).tolist():
        bounds = [len(scalars) * part // parts[window] for part in range(parts[window] + 1)]
        for part in range(parts[window]):
            work = partial(_sum_part, digits[window], bounds[part], bounds[part + 1], bases.points, sums)
            tasks.append((counts[window] / parts[window], partial(work, window * most + part)))
    tasks.sort(key=lambda task: -task[0])
    largest = max(math.ceil(len(scalars) / parts[window]) for window in np.flatnonzero(counts).tolist())
    _run_with_workspaces([task for _, task in tasks], threads, partial(Workspace, largest, buckets, width))
    combine_windows(sums, len(digits), most, window_bits, group_marker(width), result)
    return result[0]


def _sum_part(
    digits: np.ndarray, start: int, stop: int, points: np.ndarray, sums: np.ndarray, row: int, work: Workspace
) -> None:
    window_sum(digits, start, stop, points, work, sums, row)


def _run_with_workspaces(tasks: list[Callable[[Workspace], None]], threads: int, make: Callable[[], Workspace]) -> None:
    """Run every task with a workspace that no other task uses meanwhile."""
    free: SimpleQueue[Workspace] = SimpleQueue()
    for _ in range(min(threads, len(tasks))):
        free.put(make())

    def run(task: Callable[[Workspace], None]) -> None:
        work = free.get()
        try:
            task(work)
        finally:
            free.put(work)

    run_all([partial(run, task) for task in tasks], threads)


def msm_g1(
    bases: LaneBases | np.ndarray, scalars: np.ndarray, threads: int | None = None, window_bits: int | None = None
) -> np.ndarray:
    """As `prover.msm.cpu.msm_g1`, which see; bases may have been prepared. Bases must lie on the curve."""
    return _msm(bases, scalars, 8, threads, window_bits)


def msm_g2(
    bases: LaneBases | np.ndarray, scalars: np.ndarray, threads: int | None = None, window_bits: int | None = None
) -> np.ndarray:
    """As `msm_g1`, in G2: bases uint64 (n, 16), result uint64 (16,)."""
    return _msm(bases, scalars, 16, threads, window_bits)
