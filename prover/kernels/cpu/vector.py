"""Whole arrays of field elements: uint64 of shape (n, 4), canonical, little-endian limbs.

`_mont` in a name means Montgomery form (R = 2^256). Inputs are never changed; every function returns a new array.
`threads` defaults to one a CPU.
"""

from typing import Any

import numpy as np

from prover.kernels.cpu import field, kernel
from prover.kernels.cpu.arrays import as_rows, read_only
from prover.kernels.cpu.field import load, store
from prover.kernels.cpu.threads import run_ranges


@kernel
def _fr_scale(values, factor, out, start, stop):
    for i in range(start, stop):
        store(out, i, field.fr_mul(load(values, i), factor))


@kernel
def _fq_scale(values, factor, out, start, stop):
    for i in range(start, stop):
        store(out, i, field.fq_mul(load(values, i), factor))


@kernel
def _fr_multiply(a, b, out, start, stop):
    for i in range(start, stop):
        store(out, i, field.fr_mul(load(a, i), load(b, i)))


@kernel
def _fr_multiply_subtract(a, b, c, out, start, stop):
    for i in range(start, stop):
        product = field.fr_mul(load(a, i), load(b, i))
        store(out, i, field.fr_sub(product, load(c, i)))


@kernel
def _fr_invert(values, out, start, stop):
    """Montgomery's trick: one inversion and three multiplications an element; zeros are left out of the product."""
    product = field.FR_ONE
    for i in range(start, stop):
        store(out, i, product)
        value = load(values, i)
        if not field.is_zero(value):
            product = field.fr_mul(product, value)
    inverse = field.fr_inverse(product)
    for i in range(stop - 1, start - 1, -1):
        value = load(values, i)
        if field.is_zero(value):
            store(out, i, field.ZERO)
        else:
            store(out, i, field.fr_mul(inverse, load(out, i)))
            inverse = field.fr_mul(inverse, value)


@kernel
def _fr_powers(base, first, out):
    power = first
    for i in range(out.shape[0]):
        store(out, i, power)
        power = field.fr_mul(power, base)


@kernel
def _sparse_multiply(row_ptr, col, value, vector, out, start, stop):
    for row in range(start, stop):
        total = field.ZERO
        for k in range(row_ptr[row], row_ptr[row + 1]):
            total = field.fr_add(total, field.fr_mul(load(value, k), load(vector, col[k])))
        store(out, row, total)


def _scaled(scale: Any, values: np.ndarray, factor: field.Limbs, threads: int | None) -> np.ndarray:
    values = as_rows(values, 4)
    out = np.empty_like(values)
    run_ranges(lambda start, stop: scale(values, factor, out, start, stop), len(values), threads)
    return out


def fr_to_mont(values: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Plain -> Montgomery form, in F_r."""
    return _scaled(_fr_scale, values, field.FR_R2, threads)


def fr_from_mont(values_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Montgomery form -> plain, in F_r."""
    return _scaled(_fr_scale, values_mont, field.PLAIN_ONE, threads)


def fq_to_mont(values: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Plain -> Montgomery form, in F_q."""
    return _scaled(_fq_scale, values, field.FQ_R2, threads)


def fq_from_mont(values_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Montgomery form -> plain, in F_q."""
    return _scaled(_fq_scale, values_mont, field.PLAIN_ONE, threads)


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
    _fr_powers(field.montgomery(base, field.R), field.montgomery(first, field.R), out)
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
