"""The quotient a Groth16 proof commits to, in the form of snarkjs's keys.

u, v, w are the polynomials whose values on the domain are A w, B w and C w. p = u v - w is zero on the domain, so of
its Lagrange form on the domain of twice the size only the odd coset's half is left: p(tau) = sum of p(x_i) L_i(tau)
over the odd coset's x_i. The H points of a `.zkey` are those L_i(tau), divided by delta, and nothing has to be divided
here. Where the witness satisfies the constraints, w's values are the products (A w)(B w), which is why a `.zkey` has no
matrix C.
"""

import numpy as np

from prover.backend import extend_to_odd_coset, fr_mul_sub_plain, fr_mul_vector, sparse_multiply
from prover.r1cs import SparseMatrix


def quotient(a: SparseMatrix, b: SparseMatrix, witness: np.ndarray, threads: int | None = None) -> np.ndarray:
    """The scalars for a key's H points: uint64 (domain, 4), plain.

    a, b: the matrices of a ZKey (coefficient * R^2, a row for each element of the domain); witness: uint64 (wires, 4),
    plain.
    """
    u = sparse_multiply(a.row_ptr, a.col, a.value, witness, threads)
    v = sparse_multiply(b.row_ptr, b.col, b.value, witness, threads)
    w = fr_mul_vector(u, v, threads)
    u, v, w = (extend_to_odd_coset(values, threads) for values in (u, v, w))
    return fr_mul_sub_plain(u, v, w, threads)
