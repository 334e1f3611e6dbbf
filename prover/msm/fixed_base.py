"""Many multiples of one point, and one multiple of many points: the work of a setup.

`fixed_base_*` multiplies one base by many scalars with a table of d * 2^(cj) * base for every window j and digit d, so
a product costs one addition a window and no doubling (Brickell, Gordon, McCurley, Wilson, "Fast exponentiation with
precomputation", 1992). `scale_points_*` multiplies many points by one scalar in non-adjacent form, in G1 by halves (see
`prover.msm.endomorphism`). With AVX-512 IFMA both work on eight points at a time, to the same results: see
`prover.msm.lane_fixed_base` and `prover.msm.lane_scaling`. `sparse_combination_*` is told in `prover.msm.sparse`.
"""

import itertools
from functools import partial
from typing import Any

import numpy as np

from protocol.field import Q, R
from prover.kernels.constants import FQ2_ONE, Coordinate, montgomery
from prover.kernels.cpu.arrays import as_rows
from prover.kernels.cpu.threads import default_threads, run_all
from prover.kernels.native import group_entries
from prover.kernels.paths import cpu_path
from prover.msm import lane_fixed_base, lane_scaling
from prover.msm.digits import signed_digits
from prover.msm.endomorphism import BETA, split
from prover.msm.plan import windows_for
from prover.msm.sparse import sparse_combination_g1, sparse_combination_g2

__all__ = [
    "fixed_base_g1",
    "fixed_base_g2",
    "scale_points_g1",
    "scale_points_g2",
    "sparse_combination_g1",
    "sparse_combination_g2",
]

# The table of a larger window no longer fits in a core's cache.
_MAX_TABLE_BITS = 12
# The same with AVX-512 IFMA. Tables are made by scalar code: an entry costs as much as so many additions in lanes.
_LANE_TABLE_BITS = 11
_LANE_ENTRY_COST = 6
# Fewer products than this are not worth preparing for eight lanes.
_LEAST_IN_LANES = 512
# Points that share one inversion, and one task.
_CHUNK = 4096
_BETA = montgomery(BETA, Q)

_KERNELS = "prover.msm.fixed_base_kernels"
_fill_table = group_entries(_KERNELS, "fill_table")
_multiply_base = group_entries(_KERNELS, "multiply_base")
_multiply_points = group_entries(_KERNELS, "multiply_points")


def _in_chunks(work: Any, count: int, width: int, threads: int | None) -> None:
    """Call work(scratch, start, stop) for every chunk of range(count), each with scratch rows of its own."""

    def task(start: int) -> None:
        stop = min(start + _CHUNK, count)
        work(np.empty((stop - start, 2 * width), dtype=np.uint64), start, stop)

    run_all([partial(task, start) for start in range(0, count, _CHUNK)], threads or default_threads())


def _in_lanes(count: int) -> bool:
    return count >= _LEAST_IN_LANES and cpu_path().name == "ifma"


def _table_bits(count: int, largest: int, entry_cost: int) -> int:
    """The window size with the fewest additions: `windows` a scalar, and `entry_cost` for each entry of the table."""
    return min(range(2, largest + 1), key=lambda bits: windows_for(bits) * (count + (entry_cost << (bits - 1))))


def _fixed_base(base: np.ndarray, scalars: np.ndarray, width: int, threads: int | None) -> np.ndarray:
    base, scalars = as_rows(base, width), as_rows(scalars, 4)
    in_lanes = _in_lanes(len(scalars))
    limits = (_LANE_TABLE_BITS, _LANE_ENTRY_COST) if in_lanes else (_MAX_TABLE_BITS, 1)
    window_bits = _table_bits(len(scalars), *limits)
    windows = windows_for(window_bits)
    table = np.empty((windows << (window_bits - 1), width), dtype=np.uint64)
    scratch = np.empty((len(table), 2 * width), dtype=np.uint64)
    _fill_table[width](base, table, scratch, windows, window_bits)
    if in_lanes:
        return lane_fixed_base.multiples(table, window_bits, scalars, threads or default_threads())
    digits = signed_digits(scalars, window_bits, threads)
    out = np.empty((len(scalars), width), dtype=np.uint64)
    _in_chunks(partial(_multiply_base[width], table, digits, out), len(scalars), width, threads)
    return out


def fixed_base_g1(base: np.ndarray, scalars: np.ndarray, threads: int | None = None) -> np.ndarray:
    """scalars[i] * base in G1: uint64 (n, 8), affine.

    base: uint64 (8,), affine, Montgomery form; scalars: uint64 (n, 4), plain and below r. threads: default one a CPU.
    """
    return _fixed_base(base, scalars, 8, threads)


def fixed_base_g2(base: np.ndarray, scalars: np.ndarray, threads: int | None = None) -> np.ndarray:
    """As `fixed_base_g1`, in G2: base uint64 (16,), result (n, 16)."""
    return _fixed_base(base, scalars, 16, threads)


def _signed_bits(*scalars: int) -> np.ndarray:
    """int8 (digits, scalars): non-adjacent forms, highest first; on average a third of the digits are not zero."""
    forms = []
    for scalar in scalars:
        signs = []
        while scalar:
            sign = 2 - scalar % 4 if scalar & 1 else 0
            signs.append(sign)
            scalar = (scalar - sign) // 2
        forms.append(signs)
    digits = itertools.zip_longest(*forms, fillvalue=0)
    return np.array(list(digits), dtype=np.int8).reshape(-1, len(scalars))[::-1].copy()


def _scale_points(
    points: np.ndarray, signs: np.ndarray, root: Coordinate, width: int, threads: int | None
) -> np.ndarray:
    points = as_rows(points, width)
    # The twist has points of other orders than r, with which other steps may be special.
    if width == 8 and _in_lanes(len(points)) and (steps := lane_scaling.steps_of(signs)) is not None:
        return lane_scaling.scale_points(points, steps, threads or default_threads())
    out = np.empty_like(points)
    _in_chunks(partial(_multiply_points[width], points, signs, root, out), len(points), width, threads)
    return out


def scale_points_g1(points: np.ndarray, scalar: int, threads: int | None = None) -> np.ndarray:
    """scalar * points[i] in G1: uint64 (n, 8), affine; `scalar` is an integer, taken modulo r."""
    return _scale_points(points, _signed_bits(*split(scalar % R)), _BETA, 8, threads)


def scale_points_g2(points: np.ndarray, scalar: int, threads: int | None = None) -> np.ndarray:
    """scalar * points[i] in G2: uint64 (n, 16), affine; `scalar` is an integer, taken modulo r."""
    # An image that is never added.
    return _scale_points(points, _signed_bits(scalar % R, 0), FQ2_ONE, 16, threads)
