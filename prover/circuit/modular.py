"""Small linear algebra modulo a prime, for tables that are made when a circuit is built."""

from collections.abc import Sequence


def invert_matrix(matrix: Sequence[Sequence[int]], modulus: int) -> list[list[int]]:
    """The inverse of a square matrix over F_modulus, by Gauss-Jordan elimination. Raises ValueError without one."""
    size = len(matrix)
    rows = [[*row, *(int(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next((i for i in range(column, size) if rows[i][column] % modulus), None)
        if pivot is None:
            raise ValueError("the matrix is singular")
        rows[column], rows[pivot] = rows[pivot], rows[column]
        inverse = pow(rows[column][column], -1, modulus)
        rows[column] = [value * inverse % modulus for value in rows[column]]
        for i in range(size):
            factor = rows[i][column]
            if i != column and factor:
                rows[i] = [(a - factor * b) % modulus for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[size:] for row in rows]
