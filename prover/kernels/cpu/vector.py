"""Whole arrays of field elements: uint64 of shape (n, 4), canonical, little-endian limbs.

`_mont` in a name means Montgomery form (R = 2^256). Inputs are never changed; every function returns a new array.
`threads` defaults to one a CPU.
"""

from typing import Any

import numpy as np

from protocol.field import R
from prover.kernels.constants import FQ_R2, FR_R2, PLAIN_ONE, Limbs, montgomery
from prover.kernels.cpu.arrays import as_rows, read_only
from prover.kernels.cpu.threads import run_ranges
from prover.kernels.native import entry

_KERNELS = "prover.kernels.cpu.vector_kernels"
_fr_scale = entry(_KERNELS, "fr_scale")
_fq_scale = entry(_KERNELS, "fq_scale")
_fr_multiply = entry(_KERNELS, "fr_multiply")
_fr_multiply_subtract = entry(_KERNELS, "fr_multiply_subtract")
_fr_invert = entry(_KERNELS, "fr_invert")
_fr_powers = entry(_KERNELS, "fr_powers")
_sparse_multiply = entry(_KERNELS, "sparse_multiply")


def _scaled(scale: Any, values: np.ndarray, factor: Limbs, threads: int | None) -> np.ndarray:
    values = as_rows(values, 4)
    out = np.empty_like(values)
    run_ranges(lambda start, stop: scale(values, factor, out, start, stop), len(values), threads)
    return out


def fr_to_mont(values: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Plain -> Montgomery form, in F_r."""
    return _scaled(_fr_scale, values, FR_R2, threads)


def fr_from_mont(values_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Montgomery form -> plain, in F_r."""
    return _scaled(_fr_scale, values_mont, PLAIN_ONE, threads)


def fq_to_mont(values: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Plain -> Montgomery form, in F_q."""
    return _scaled(_fq_scale, values, FQ_R2, threads)


def fq_from_mont(values_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Montgomery form -> plain, in F_q."""
    return _scaled(_fq_scale, values_mont, PLAIN_ONE, threads)


def _same_length(*arrays: np.ndarray) -> list[np.ndarray]:
    rows = [as_rows(array, 4) for array in arrays]
    if len({len(array) for array in rows}) != 1:
        raise ValueError("vectors have different lengths")
    return rows


def fr_mul_vector(a_mont: np.ndarray, b_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Element by element a * b in F_r; Montgomery form in and out."""
    a, b = _same_length(a_mont, b_mont)
    out = np.empty_like(a)
    run_ranges(lambda start, stop: _fr_multiply(a, b, out, start, stop), len(a), threads)
    return out


def fr_mul_sub_vector(
    a_mont: np.ndarray, b_mont: np.ndarray, c_mont: np.ndarray, threads: int | None = None
) -> np.ndarray:
    """Element by element a * b - c in F_r; Montgomery form in and out."""
    a, b, c = _same_length(a_mont, b_mont, c_mont)
    out = np.empty_like(a)
    run_ranges(lambda start, stop: _fr_multiply_subtract(a, b, c, out, start, stop), len(a), threads)
    return out


def fr_inverse_vector(values_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Element by element 1 / a in F_r, and 0 for 0; Montgomery form in and out."""
    values = as_rows(values_mont, 4)
    out = np.empty_like(values)
    run_ranges(lambda start, stop: _fr_invert(values, out, start, stop), len(values), threads)
    return out


def fr_powers(base: int, count: int, first: int = 1) -> np.ndarray:
    """first * base^i for i = 0 .. count-1 in Montgomery form; `base` and `first` are plain integers."""
    out = np.empty((count, 4), dtype=np.uint64)
    _fr_powers(montgomery(base, R), montgomery(first, R), out)
    return out


def sparse_multiply(
    row_ptr: np.ndarray, col: np.ndarray, value: np.ndarray, vector: np.ndarray, threads: int | None = None
) -> np.ndarray:
    """A matrix in compressed sparse row form times a vector, in F_r: (rows, 4).

    row_ptr: int64 (rows + 1,); col: uint32 (nnz,), each below len(vector); value: (nnz, 4); vector: (n, 4).
    Every product is divided by R = 2^256. So the result is in Montgomery form when value and vector are, and also when
    value holds coefficient * R^2, as a .zkey does, and the vector is plain.
    """
    value, vector = as_rows(value, 4), as_rows(vector, 4)
    row_ptr = read_only(np.asarray(row_ptr, dtype=np.int64))
    col = read_only(np.asarray(col, dtype=np.uint32))
    if len(col) != len(value) or row_ptr[0] != 0 or row_ptr[-1] != len(col) or np.any(np.diff(row_ptr) < 0):
        raise ValueError("row_ptr, col and value do not describe one sparse matrix")
    if len(col) and col.max() >= len(vector):
        raise ValueError("a matrix entry refers to a place beyond the end of the vector")
    out = np.empty((len(row_ptr) - 1, 4), dtype=np.uint64)
    run_ranges(lambda start, stop: _sparse_multiply(row_ptr, col, value, vector, out, start, stop), len(out), threads)
    return out
