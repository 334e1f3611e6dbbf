"""A sparse matrix times a vector of points: what a circuit's setup computes for every wire.

A row's sum of value_k * P_k has a handful of terms, so Pippenger's buckets would stay empty and separate
multiplications would double 254 times a term. Instead each base's multiples 2^(cj) * P are computed once for
all rows, and a row throws them into one set of buckets whatever their window: 254 / c additions a term, and two a
bucket at the end (Yao, "On the evaluation of powers", 1976, with signed digits). A value near r is replaced by its
opposite. The matrices of a circuit hold little but 1 and -1: values that fit into one window are added on their own,
so that only the bases of the others need multiples. With AVX-512 IFMA additions are in eight lanes, to the same sums:
see `prover.msm.lane_sparse`.
"""

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np

from prover.kernels.cpu.arrays import as_rows, read_only
from prover.kernels.cpu.threads import default_threads, run_all, run_ranges
from prover.kernels.native import entry, group_entries
from prover.kernels.paths import cpu_path
from prover.msm import lane_sparse
from prover.msm.digits import signed_digits
from prover.msm.plan import windows_for

# Multiples of the bases that are kept at a time; more windows than fit are done in turns.
_MULTIPLES_BYTES = 256 << 20
_MAX_WINDOW_BITS = 8
# Fewer entries than this are not worth preparing for eight lanes.
_LEAST_IN_LANES = 1024

_KERNELS = "prover.msm.sparse_kernels"
_make_short = entry(_KERNELS, "make_short")
_double_bases = group_entries(_KERNELS, "double_bases")
_add_rows = group_entries(_KERNELS, "add_rows")
_to_affine = group_entries(_KERNELS, "all_to_affine")


def _window_bits(rows: int, entries: int, bases: int) -> int:
    """The window size with the fewest additions: a term has one a window, a row two a bucket, a base one a window."""
    return min(
        range(2, _MAX_WINDOW_BITS + 1),
        key=lambda bits: windows_for(bits) * (entries + bases) + (rows << bits),
    )


def _balanced(row_ptr: np.ndarray, parts: int) -> list[tuple[int, int]]:
    """Ranges of rows with about equal numbers of entries."""
    targets = row_ptr[-1] * np.arange(1, parts, dtype=np.int64) // parts
    bounds = [0, *np.searchsorted(row_ptr, targets).tolist(), len(row_ptr) - 1]
    return [(start, stop) for start, stop in itertools.pairwise(bounds) if start < stop]


class _Multiples:
    """2^(window_bits * j) * bases, for one window after the other."""

    def __init__(self, bases: np.ndarray, window_bits: int, threads: int) -> None:
        self._bases = bases
        self._last: np.ndarray | None = None
        self._window_bits = window_bits
        self._threads = threads

    def take(self, windows: int) -> np.ndarray:
        """The multiples for the next `windows` windows, one after the other: (windows * bases, width)."""
        out = np.empty((windows, *self._bases.shape), dtype=np.uint64)
        for window in range(windows):
            if self._last is None:
                out[window] = self._bases
            else:
                self._double(self._last, out[window])
            self._last = out[window]
        return out.reshape(-1, self._bases.shape[1])

    def _double(self, bases: np.ndarray, out: np.ndarray) -> None:
        width = bases.shape[1]
        scratch = np.empty((len(bases), 2 * width), dtype=np.uint64)
        work = partial(_double_bases[width], read_only(bases), self._window_bits, out, scratch)
        run_ranges(work, len(bases), self._threads, least=256)


@dataclass(frozen=True)
class _Entries:
    """Some entries of the matrix: values are short, and `negated` tells which stand for their opposites."""

    row_ptr: np.ndarray
    index: np.ndarray
    values: np.ndarray
    negated: np.ndarray

    def only(self, chosen: np.ndarray) -> "_Entries":
        """Those where `chosen` is true."""
        row_ptr = np.concatenate([[0], np.cumsum(chosen)])[self.row_ptr]
        return _Entries(row_ptr, self.index[chosen], self.values[chosen], self.negated[chosen])


def _used(entries: _Entries, window_bits: int, threads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bases used, each entry's number among them (uint32), and digits in one window or more, as many as needed."""
    used, index = np.unique(entries.index, return_inverse=True)
    values = entries.values
    if values[:, 1:].any() or values[:, 0].max(initial=0) >= 1 << (window_bits - 1):
        digits = signed_digits(values, window_bits, threads)
        digits = digits[: 1 + max(np.flatnonzero(digits.any(axis=1)), default=0)]
    else:
        digits = values[None, :, 0].astype(np.int16)
    digits[:, entries.negated] *= -1
    return used, index.astype(np.uint32), digits


def _add_entries_in_lanes(
    entries: _Entries, bases: np.ndarray, sums: np.ndarray, window_bits: int, threads: int
) -> None:
    used, index, digits = _used(entries, window_bits, threads)
    row_ptr = read_only(entries.row_ptr)
    lane_sparse.add_entries(row_ptr, index, digits, bases[used], sums, window_bits, _MULTIPLES_BYTES, threads)


def _add_entries(entries: _Entries, bases: np.ndarray, sums: np.ndarray, window_bits: int, threads: int) -> None:
    """Add value * base of every entry to its row of `sums`, in windows of `window_bits`."""
    used, index, digits = _used(entries, window_bits, threads)
    bases = bases[used]
    multiples = _Multiples(bases, window_bits, threads)
    turn = max(1, _MULTIPLES_BYTES // bases.nbytes)
    row_ptr, index = read_only(entries.row_ptr), read_only(index)
    width = bases.shape[1]
    for first in range(0, len(digits), turn):
        some_digits = digits[first : first + turn]
        some_multiples = multiples.take(len(some_digits))

        def add_rows(
            start: int, stop: int, digits: np.ndarray = some_digits, made: np.ndarray = some_multiples
        ) -> None:
            buckets = np.empty((1 << (window_bits - 1), 2 * width), dtype=np.uint64)
            _add_rows[width](row_ptr, index, digits, made, sums, buckets, start, stop)

        run_all([partial(add_rows, *bounds) for bounds in _balanced(row_ptr, 8 * threads)], threads)


def _sparse_combination(
    row_ptr: np.ndarray, index: np.ndarray, value: np.ndarray, bases: np.ndarray, width: int, threads: int | None
) -> np.ndarray:
    bases, values = as_rows(bases, width), np.array(as_rows(value, 4))
    row_ptr = np.asarray(row_ptr, dtype=np.int64)
    index = np.asarray(index, dtype=np.uint32)
    if len(index) != len(values) or row_ptr[0] != 0 or row_ptr[-1] != len(index) or np.any(np.diff(row_ptr) < 0):
        raise ValueError("row_ptr, index and value do not describe one sparse matrix")
    if len(index) and index.max() >= len(bases):
        raise ValueError("a matrix entry refers to a base that is not there")
    threads = threads or default_threads()
    rows = len(row_ptr) - 1
    sums = np.zeros((rows, 2 * width), dtype=np.uint64)
    negated = np.empty(len(values), dtype=np.bool_)
    _make_short(values, negated)
    entries = _Entries(row_ptr, index, values, negated)
    in_lanes = len(values) >= _LEAST_IN_LANES and cpu_path().name == "ifma"
    add_entries = _add_entries_in_lanes if in_lanes else _add_entries
    small_bits = lane_sparse.SMALL_BITS if in_lanes else _MAX_WINDOW_BITS
    # They fit into one window, whose signed digits go up to 2^(bits - 1).
    small = ~values[:, 1:].any(axis=1) & (values[:, 0] < 1 << (small_bits - 1))

    if small.any():
        add_entries(entries.only(small), bases, sums, small_bits, threads)
    if not small.all():
        long = entries.only(~small)
        busy_rows = int(np.count_nonzero(np.diff(long.row_ptr)))
        if in_lanes:
            window_bits = lane_sparse.window_bits(busy_rows, len(long.index))
        else:
            window_bits = _window_bits(busy_rows, len(long.index), len(np.unique(long.index)))
        add_entries(long, bases, sums, window_bits, threads)
    out = np.zeros((rows, width), dtype=np.uint64)
    run_ranges(partial(_to_affine[width], sums, out), rows, threads)
    return out


def sparse_combination_g1(
    row_ptr: np.ndarray, index: np.ndarray, value: np.ndarray, bases: np.ndarray, threads: int | None = None
) -> np.ndarray:
    """Row by row the sum of value[k] * bases[index[k]] in G1: uint64 (rows, 8), affine, zeros for infinity.

    row_ptr: int64 (rows + 1,); index: uint32 (nnz,), numbers of bases; value: uint64 (nnz, 4), plain and below r;
    bases: uint64 (n, 8), affine, Montgomery form. Raises ValueError when they do not fit together. Values near 0 or r
    are the fast ones. Memory: about 256 MiB at most for multiples of the bases, and 128 bytes a row.
    """
    return _sparse_combination(row_ptr, index, value, bases, 8, threads)


def sparse_combination_g2(
    row_ptr: np.ndarray, index: np.ndarray, value: np.ndarray, bases: np.ndarray, threads: int | None = None
) -> np.ndarray:
    """As `sparse_combination_g1`, in G2: bases uint64 (n, 16), result (rows, 16)."""
    return _sparse_combination(row_ptr, index, value, bases, 16, threads)
