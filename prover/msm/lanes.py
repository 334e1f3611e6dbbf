"""Multi-scalar multiplication with AVX-512 IFMA: Pippenger's bucket method, all additions affine and eight at a time.

The same sums as `prover.msm.cpu`, computed as `prover.msm.lane_buckets` tells. Importing this module compiles nothing,
but calling it needs a CPU with the instructions (see `prover.kernels.paths`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

import numpy as np

from protocol.field import Q
from prover.errors import FormatError
from prover.kernels.constants import LANE_R_BITS, LANES, lane_limbs_of
from prover.kernels.cpu.arrays import aligned_rows, as_rows
from prover.kernels.cpu.threads import default_threads, run_all
from prover.kernels.native import entry, group_entries
from prover.msm.cpu import combine_windows
from prover.msm.digits import signed_digits
from prover.msm.lane_buckets import window_sum
from prover.msm.lane_workspace import Workspace
from prover.msm.plan import MAX_WINDOW_BITS, windows_for

_LOADING = "prover.kernels.ifma.loading_kernels"
_find_finite_points = group_entries(_LOADING, "find_finite")
_check_and_convert_points = group_entries(_LOADING, "check_and_convert")
_TO_LANES = (1 << (2 * LANE_R_BITS - 256)) % Q
_B = {8: (3,), 16: (27 * pow(82, -1, Q) % Q, -3 * pow(82, -1, Q) % Q)}
# For the points of a width, as 52-bit limbs: what a product with brings the portable form into the lanes' (which
# divides by 2^260 as it does so), and the b of y^2 = x^3 + b in the lanes' form, in G2 real part first.
_CONSTANTS = {
    width: np.array([lane_limbs_of(_TO_LANES), *(lane_limbs_of((part << LANE_R_BITS) % Q) for part in b)], np.uint64)
    for width, b in _B.items()
}
_count_bit_lengths = entry("prover.msm.digit_kernels", "count_bit_lengths")

# Measured costs, in additions: what a bucket adds to a window (its row and its column), and what a window costs
# besides, which is the inversions of its passes and the additions one by one.
_BUCKET_COST = 2.5
_WINDOW_COST = 2500
# A part of a window has at least so many points a bucket, or it would cost more than it shares.
_PART_POINTS = 4
# Bases checked or converted in one task.
_CHUNK = 1 << 14


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


@dataclass(frozen=True, eq=False)
class _Finite:
    """Where the points of one set are that are not infinity: addresses uint64, places int64, filled up to eights."""

    width: int
    count: int
    addresses: np.ndarray
    places: np.ndarray
    found: list[tuple[int, int]]
    """(start, number) of the filled parts of the two arrays"""

    def joined(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Addresses, the last one repeated to fill a vector, and places, or None where all points are finite."""
        total = sum(number for _, number in self.found)
        places = None
        if total == self.count:
            addresses = self.addresses[: total + -total % LANES]
        else:
            parts = [slice(start, start + number) for start, number in sorted(self.found)]
            places = np.concatenate([self.places[part] for part in parts])
            addresses = np.empty(total + -total % LANES, dtype=np.uint64)
            np.concatenate([self.addresses[part] for part in parts], out=addresses[:total])
        if total:
            addresses[total:] = addresses[total - 1]
        return addresses, places


def prepare(bases: np.ndarray, width: int, threads: int | None = None) -> LaneBases:
    """Bases, uint64 (n, width), affine in Montgomery form with R = 2^256, in the lanes' form: see `prepare_all`."""
    return prepare_all([(width, [bases])], threads)[0]


def prepare_all(sets: Sequence[tuple[int, Sequence[np.ndarray]]], threads: int | None = None) -> list[LaneBases]:
    """Check and convert sets of bases: some 35 ns a base in G1 and 80 ns in G2, on one core.

    A set is a width, 8 for G1 and 16 for G2, and the arrays, uint64 (n, width), affine in canonical Montgomery form
    with R = 2^256, whose rows are its bases one after the other. Arrays may be read-only and need not be aligned to 8
    bytes. Raises FormatError when a base is not on its curve.
    """
    kept_alive: list[np.ndarray] = []
    finite: list[_Finite] = []
    tasks: list[Callable[[], object]] = []
    for width, arrays in sets:
        count = sum(map(len, arrays))
        rows = count + LANES
        one_set = _Finite(width, count, np.empty(rows, dtype=np.uint64), np.empty(rows, dtype=np.int64), [])
        finite.append(one_set)
        first = 0
        for array in arrays:
            source = _addressable(array, width)
            kept_alive.append(source)
            for start in range(0, len(source), _CHUNK):
                stop = min(start + _CHUNK, len(source))
                tasks.append(partial(_find_finite, source[start:stop], first + start, one_set))
            first += len(source)
    run_all(tasks, threads)

    prepared: list[LaneBases] = []
    wrong: list[int] = []
    tasks = []
    for one_set in finite:
        addresses, places = one_set.joined()
        points = aligned_rows(len(addresses), one_set.width)
        total = sum(number for _, number in one_set.found)
        prepared.append(LaneBases(points[:total], places, one_set.count))
        for start in range(0, len(addresses), _CHUNK):
            stop = min(start + _CHUNK, len(addresses))
            tasks.append(partial(_check_and_convert, addresses, start, stop, points, wrong))
    run_all(tasks, threads)
    if any(wrong):
        raise FormatError("a base is not on its curve")
    return prepared


def _addressable(array: np.ndarray, width: int) -> np.ndarray:
    """The array, or a copy when its rows are not one after the other or begin at odd addresses."""
    if array.dtype != np.uint64:
        raise TypeError(f"expected an array of uint64 limbs, got {array.dtype}")
    if array.ndim != 2 or array.shape[1] != width:
        raise ValueError(f"expected an array of shape (n, {width}), got {array.shape}")
    return array if array.flags.c_contiguous and array.ctypes.data % 2 == 0 else array.copy()


def _find_finite(source: np.ndarray, first: int, into: _Finite) -> None:
    addresses, places = into.addresses[first:], into.places[first:]
    stride = 8 * into.width
    number = _find_finite_points[into.width](source.ctypes.data, stride, len(source), first, addresses, places)
    into.found.append((first, number))


def _check_and_convert(addresses: np.ndarray, start: int, stop: int, points: np.ndarray, wrong: list[int]) -> None:
    width = points.shape[1]
    check = _check_and_convert_points[width]
    wrong.append(check(addresses, start, stop, points.ctypes.data, 8 * width, _CONSTANTS[width]))


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
    run_with_workspaces([task for _, task in tasks], threads, partial(Workspace, largest, buckets, width))
    combine_windows[width](sums, len(digits), most, window_bits, result)
    return result[0]


def _sum_part(
    digits: np.ndarray, start: int, stop: int, points: np.ndarray, sums: np.ndarray, row: int, work: Workspace
) -> None:
    window_sum(digits, start, stop, points, work, sums, row)


def run_with_workspaces(tasks: list[Callable[[Workspace], None]], threads: int, make: Callable[[], Workspace]) -> None:
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
