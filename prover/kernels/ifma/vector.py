"""Whole arrays of F_r elements in eight lanes: the counterparts of `prover.kernels.cpu.vector`.

Arrays are uint64 (n, 4), n a multiple of 8, canonical, Montgomery form with R = 2^256 where a name says `_mont`.
"""

from functools import partial

import numpy as np

from protocol.field import R
from prover.kernels.constants import LANES, lane_limbs_of
from prover.kernels.cpu.arrays import as_rows
from prover.kernels.cpu.threads import run_ranges
from prover.kernels.native import entry

_KERNELS = "prover.kernels.ifma.vector_kernels"
_multiply = entry(_KERNELS, "multiply")
_multiply_subtract = entry(_KERNELS, "multiply_subtract")

# A product in the lanes divides by 2^260, and the values carry a factor of 2^256 each. Rows: what a product of two
# values is multiplied by to carry 2^256 again, what it is multiplied by to be plain, and what makes one value plain.
_FACTORS = np.array([lane_limbs_of((1 << 264) % R), lane_limbs_of(1 << 8), lane_limbs_of(1 << 4)], dtype=np.uint64)


def _same_length(*arrays: np.ndarray) -> list[np.ndarray]:
    rows = [as_rows(array, 4) for array in arrays]
    if len({len(array) for array in rows}) != 1 or len(rows[0]) % LANES:
        raise ValueError("vectors in lanes have one length, a multiple of eight")
    return rows


def fr_mul_vector(a_mont: np.ndarray, b_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Element by element a * b in F_r; Montgomery form in and out. Raises ValueError for lengths that do not fit."""
    a, b = _same_length(a_mont, b_mont)
    out = np.empty_like(a)
    run_ranges(partial(_multiply, a, b, _FACTORS, out), len(a) // LANES, threads, least=512)
    return out


def fr_mul_sub_plain(
    a_mont: np.ndarray, b_mont: np.ndarray, c_mont: np.ndarray, threads: int | None = None
) -> np.ndarray:
    """Element by element a * b - c in F_r, plain, of values in Montgomery form. Raises as `fr_mul_vector`."""
    a, b, c = _same_length(a_mont, b_mont, c_mont)
    out = np.empty_like(a)
    run_ranges(partial(_multiply_subtract, a, b, c, _FACTORS, out), len(a) // LANES, threads, least=512)
    return out
