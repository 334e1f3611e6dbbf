"""A rank-1 constraint system: for a witness w, (A w) * (B w) = C w, row by row.

Wires are numbered as in iden3's `.r1cs` format: wire 0 is the constant one, then public outputs, public inputs, private
inputs, then internal wires.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SparseMatrix:
    """A matrix over F_r in compressed sparse row form.

    row_ptr: int64 (rows + 1,); col: uint32 (nnz,), wire numbers; value: uint64 (nnz, 4), canonical and plain
    (not Montgomery) unless the holder says otherwise.
    """

    row_ptr: np.ndarray
    col: np.ndarray
    value: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.row_ptr) - 1

    @property
    def nnz(self) -> int:
        return len(self.col)


@dataclass(frozen=True)
class R1CS:
    """A constraint system and its wire counts; `labels` maps each wire to its number in the `.sym` file."""

    n_wires: int
    n_outputs: int
    n_public_inputs: int
    n_private_inputs: int
    a: SparseMatrix
    b: SparseMatrix
    c: SparseMatrix
    labels: np.ndarray
    n_labels: int

    @property
    def n_public(self) -> int:
        """Public wires without the constant one: the length of the public input vector of a proof."""
        return self.n_outputs + self.n_public_inputs

    @property
    def n_constraints(self) -> int:
        return self.a.rows
