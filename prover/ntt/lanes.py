"""The step to the odd coset with AVX-512 IFMA: an inverse and a forward transform, eight butterflies at a time.

The n values are eight blocks of m = n/8. The first three stages of the inverse transform work across the blocks, eight
neighbours of each in the lanes. Then rows and lanes are exchanged, so that lane i holds block i, and what is left is
eight transforms of size m side by side that share their twiddles. The forward transform goes the same way back. Between
them nothing is permuted (see `prover.ntt.cpu`), and large transforms are done in parts that fit in a core's cache:
first columns, 2^k values far apart, then blocks of neighbours, each through both transforms at once.

A product with a factor in Montgomery form with R = 2^260 keeps the form of the other factor, so values stay in the
portable form, R = 2^256.
"""

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from protocol.field import R
from prover.kernels.cpu import kernel
from prover.kernels.cpu.arrays import as_rows, read_only
from prover.kernels.cpu.threads import default_threads, run_ranges
from prover.kernels.ifma.emit import LANES, LIMBS, limbs_of
from prover.kernels.ifma.lanes import SPILLED, aligned_rows, spill, unspill
from prover.kernels.ifma.scalars import (
    any_lanes,
    broadcast,
    difference,
    load_elements,
    mul,
    small_difference,
    small_sum,
    store_elements,
    transpose_rows,
)
from prover.ntt import cpu
from prover.ntt.domain import coset_factors, root_of_unity, twiddles

# Rows of eight values that are transformed at once: with their factors they fit in a core's second-level cache.
_BLOCK_BITS = 9
_COLUMN_BITS = 8
# Shorter transforms are left to the portable code.
LEAST = LANES << _BLOCK_BITS


@kernel
def _frequency_stages(values, first, count, spacing, offset, table):
    """Gentleman-Sande stages over rows first .. first + count - 1, which lie `spacing` apart in their transform."""
    kind = any_lanes()
    half = count // 2
    while half:
        for block in range(first, first + count, 2 * half):
            for j in range(half):
                low, high = block + j, block + half + j
                a, b = unspill(values, low, kind), unspill(values, high, kind)
                factor = broadcast(table, (half + j) * spacing + offset)
                spill(values, low, small_sum(a, b))
                spill(values, high, mul(difference(a, b), factor))
        half //= 2


@kernel
def _time_stages(values, first, count, spacing, offset, table):
    """Cooley-Tukey stages, the way back."""
    kind = any_lanes()
    half = 1
    while half < count:
        for block in range(first, first + count, 2 * half):
            for j in range(half):
                low, high = block + j, block + half + j
                a = unspill(values, low, kind)
                b = mul(unspill(values, high, kind), broadcast(table, (half + j) * spacing + offset))
                spill(values, low, small_sum(a, b))
                spill(values, high, small_difference(a, b))
        half *= 2


@kernel
def _split(values, work, wide_table, start, stop):
    """Three stages across the eight blocks and the exchange, for columns 8 * start .. 8 * stop - 1."""
    kind = any_lanes()
    columns = values.shape[0] // 8
    eight = np.empty((8, SPILLED), dtype=np.uint64)
    for piece in range(start, stop):
        column = 8 * piece
        for block in range(8):
            spill(eight, block, load_elements(values, block * columns + column))
        half = 4
        while half:
            for low in range(8):
                if low & half == 0:
                    a, b = unspill(eight, low, kind), unspill(eight, low + half, kind)
                    row = ((half + low % half) * columns + column) // 8
                    spill(eight, low, small_sum(a, b))
                    spill(eight, low + half, mul(difference(a, b), unspill(wide_table, row, kind)))
            half //= 2
        transpose_rows(eight, 0, work, column)


@kernel
def _merge(work, values, wide_table, start, stop):
    """The way back of `_split`, to canonical values."""
    kind = any_lanes()
    columns = values.shape[0] // 8
    eight = np.empty((8, SPILLED), dtype=np.uint64)
    for piece in range(start, stop):
        column = 8 * piece
        transpose_rows(work, column, eight, 0)
        half = 1
        while half < 8:
            for low in range(8):
                if low & half == 0:
                    row = ((half + low % half) * columns + column) // 8
                    a = unspill(eight, low, kind)
                    b = mul(unspill(eight, low + half, kind), unspill(wide_table, row, kind))
                    spill(eight, low, small_sum(a, b))
                    spill(eight, low + half, small_difference(a, b))
            half *= 2
        for block in range(8):
            store_elements(values, block * columns + column, unspill(eight, block, kind))


@kernel
def _columns(work, first, spacing, count, table, forward, start, stop):
    """Stages over `count` rows `spacing` apart, from row first + offset, for start <= offset < stop."""
    column = np.empty((count, SPILLED), dtype=np.uint64)
    for offset in range(start, stop):
        for i in range(count):
            column[i] = work[first + i * spacing + offset]
        if forward:
            _time_stages(column, 0, count, spacing, offset, table)
        else:
            _frequency_stages(column, 0, count, spacing, offset, table)
        for i in range(count):
            work[first + i * spacing + offset] = column[i]


@kernel
def _blocks(work, size, inverse_table, factors, forward_table, start, stop):
    """The last stages of the inverse transform, the factors, and the first stages of the forward one."""
    kind = any_lanes()
    for block in range(start, stop):
        first = block * size
        _frequency_stages(work, first, size, 1, 0, inverse_table)
        for row in range(first, first + size):
            spill(work, row, mul(unspill(work, row, kind), unspill(factors, row, kind)))
        _time_stages(work, first, size, 1, 0, forward_table)


@kernel
def _to_lane_form(values, factor, out, start, stop):
    """Rows start .. stop-1 of `out` = eight values each, times a factor."""
    for row in range(start, stop):
        spill(out, row, mul(load_elements(values, 8 * row), broadcast(factor, 0)))


def _spilled(values_mont: np.ndarray, threads: int | None) -> np.ndarray:
    """uint64 (n, 4), portable Montgomery form -> (n / 8, SPILLED), the lanes' Montgomery form."""
    factor = np.array([limbs_of((1 << 264) % R)], dtype=np.uint64)
    out = aligned_rows(len(values_mont) // LANES, SPILLED)
    run_ranges(partial(_to_lane_form, as_rows(values_mont, 4), factor, out), len(out), threads)
    return out


@dataclass(frozen=True, eq=False)
class _Tables:
    """The twiddles of one size and direction: `wide` for the stages across blocks, `narrow` for those within.

    Row m + j belongs to w_2m^j, as in `prover.ntt.domain.twiddles`; eight to a row in `wide`, (m, 5) limbs in `narrow`.
    """

    wide: np.ndarray
    narrow: np.ndarray


@lru_cache(maxsize=8)
def _tables(size: int, inverse: bool) -> _Tables:
    wide = _spilled(twiddles(size, inverse), None)
    narrow = wide[: size // LANES // LANES].reshape(-1, LIMBS, LANES).transpose(0, 2, 1).reshape(-1, LIMBS)
    return _Tables(read_only(wide), read_only(np.ascontiguousarray(narrow)))


@lru_cache(maxsize=4)
def _factors(size: int) -> np.ndarray:
    """The coset's factors, in the order of the work array: row p, lane i belong to value p of block i."""
    by_block = coset_factors(size).reshape(LANES, size // LANES, 4)
    return read_only(_spilled(np.ascontiguousarray(by_block.transpose(1, 0, 2)).reshape(-1, 4), None))


def _levels(rows: int) -> list[tuple[int, int]]:
    """(rows of a transform, of which a column has) for each pass over columns, the largest first."""
    levels = []
    while rows > 1 << _BLOCK_BITS:
        count = min(1 << _COLUMN_BITS, rows >> _BLOCK_BITS)
        levels.append((rows, count))
        rows //= count
    return levels


def _column_pass(work: np.ndarray, level: tuple[int, int], table: np.ndarray, forward: bool, threads: int) -> None:
    size, count = level
    for first in range(0, len(work), size):
        spacing = size // count
        run_ranges(partial(_columns, work, first, spacing, count, table, forward), spacing, threads, least=16)


def extend_to_odd_coset(values_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """As `prover.ntt.cpu.extend_to_odd_coset`, which see and which does the small sizes."""
    values = as_rows(values_mont, 4)
    if len(values) < LEAST:
        return cpu.extend_to_odd_coset(values, threads)
    size = len(values)
    root_of_unity(2 * size)
    threads = threads or default_threads()
    inverse, forward, factors = _tables(size, True), _tables(size, False), _factors(size)
    rows = size // LANES
    work = aligned_rows(rows, SPILLED)
    run_ranges(partial(_split, values, work, inverse.wide), rows // LANES, threads, least=16)
    levels = _levels(rows)
    for level in levels:
        _column_pass(work, level, inverse.narrow, False, threads)
    block = rows
    for _, count in levels:
        block //= count
    run_ranges(partial(_blocks, work, block, inverse.narrow, factors, forward.narrow), rows // block, threads, least=1)
    for level in reversed(levels):
        _column_pass(work, level, forward.narrow, True, threads)
    out = np.empty_like(values)
    run_ranges(partial(_merge, work, out, forward.wide), rows // LANES, threads, least=16)
    return out
