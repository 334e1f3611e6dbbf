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
from prover.kernels.constants import LANE_LIMBS, LANES, SPILLED, lane_limbs_of
from prover.kernels.cpu.arrays import aligned_rows, as_rows, read_only
from prover.kernels.cpu.threads import default_threads, run_ranges
from prover.kernels.native import entry
from prover.ntt import cpu
from prover.ntt.domain import coset_factors, root_of_unity, twiddles

# Rows of eight values that are transformed at once: with their factors they fit in a core's second-level cache.
_BLOCK_BITS = 9
_COLUMN_BITS = 8
# Shorter transforms are left to the portable code.
LEAST = LANES << _BLOCK_BITS

_KERNELS = "prover.ntt.lane_kernels"
_split = entry(_KERNELS, "split")
_merge = entry(_KERNELS, "merge")
_columns = entry(_KERNELS, "columns")
_blocks = entry(_KERNELS, "blocks")
_to_lane_form = entry(_KERNELS, "to_lane_form")


def _spilled(values_mont: np.ndarray, threads: int | None) -> np.ndarray:
    """uint64 (n, 4), portable Montgomery form -> (n / 8, SPILLED), the lanes' Montgomery form."""
    factor = np.array([lane_limbs_of((1 << 264) % R)], dtype=np.uint64)
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
    narrow = wide[: size // LANES // LANES].reshape(-1, LANE_LIMBS, LANES).transpose(0, 2, 1).reshape(-1, LANE_LIMBS)
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

        def transform(start: int, stop: int, first: int = first, spacing: int = spacing) -> None:
            column = aligned_rows(count, SPILLED)
            _columns(work, first, spacing, table, forward, column, start, stop)

        run_ranges(transform, spacing, threads, least=16)


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
