"""Entries of several sparse matrices, interleaved row by row: how both `.r1cs` and `.zkey` store them."""

from collections.abc import Sequence

import numpy as np

from prover.r1cs import SparseMatrix


def interleave(matrices: Sequence[SparseMatrix], start: int, stop: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Places of the entries of rows start <= row < stop in the order row 0 of each matrix, row 1 of each, and so on.

    Returns the entries per row and matrix, int64 (rows, matrices), and for each matrix the destinations of its entries
    of those rows, int64 (entries,): together they are a permutation of 0..total-1.
    """
    counts = np.stack([np.diff(matrix.row_ptr[start : stop + 1]) for matrix in matrices], axis=1).astype(np.int64)
    begins = (np.cumsum(counts) - counts.ravel()).reshape(counts.shape)
    places = []
    for number, matrix in enumerate(matrices):
        own = counts[:, number]
        first = matrix.row_ptr[start]
        shift = begins[:, number] - (matrix.row_ptr[start:stop] - first)
        places.append(np.repeat(shift, own) + np.arange(int(own.sum())))
    return counts, places


def from_entries(row: np.ndarray, col: np.ndarray, value: np.ndarray, rows: int) -> SparseMatrix:
    """Group entries by row, keeping their order within a row. row, col: (nnz,); value: uint64 (nnz, 4)."""
    if np.any(row[1:] < row[:-1]):
        order = np.argsort(row, kind="stable")
        row, col, value = row[order], col[order], value[order]
    row_ptr = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(row, minlength=rows), out=row_ptr[1:])
    return SparseMatrix(
        row_ptr, np.ascontiguousarray(col, dtype=np.uint32), np.ascontiguousarray(value, dtype=np.uint64)
    )
