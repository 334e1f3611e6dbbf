"""The setup of one circuit: from its constraints and powers of tau to a proving key, as `snarkjs groth16 setup` makes
it.

Let L_j be the Lagrange basis of the domain and row j of A, B, C the j-th constraint. Wire i has the polynomials u_i =
sum of A[j][i] L_j, v_i with B and w_i with C; their values at tau in the group are sums of the powers-of-tau file's
Lagrange points, with the columns of the matrices as coefficients:

    A_i = u_i(tau)     B_i = v_i(tau)     IC_i or C_i = beta u_i(tau) + alpha v_i(tau) + w_i(tau)

To A are added rows that hold one public wire each (wire 0 included), which keeps the public wires' polynomials
independent: without them an unused public input could be changed under a valid proof.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from prover.errors import SetupError
from prover.formats.ptau import PowersOfTau
from prover.formats.zkey import MpcParameters, ZKey
from prover.groth16.circuit_hash import circuit_hash
from prover.groth16.phase2 import contribute
from prover.groth16.powers_check import check_powers_of_tau
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.kernels.cpu.vector import fr_to_mont
from prover.limbs import to_limbs
from prover.msm.fixed_base import sparse_combination_g1, sparse_combination_g2
from prover.progress import Reporter, silent
from prover.r1cs import R1CS, SparseMatrix

# The two-adicity of r - 1 is 28, and the H points need a domain of twice the size.
MAX_POWER = 27
CONTRIBUTOR = "gelap setup"
_STEPS = 6


def domain_power(r1cs: R1CS) -> int:
    """log2 of the domain: the smallest with a point for every constraint and every public wire, wire 0 included."""
    return max(1, (r1cs.n_constraints + r1cs.n_public).bit_length())


def setup(r1cs: R1CS, ptau: PowersOfTau, progress: Reporter = silent) -> ZKey:
    """Make a proving key with one phase-2 contribution, by this process. Raises SetupError as `initial_key` does."""
    key = initial_key(r1cs, ptau, progress)
    progress("phase-2 contribution", _STEPS - 1, _STEPS)
    key = contribute(key, CONTRIBUTOR)
    progress("done", _STEPS, _STEPS)
    return key


def initial_key(r1cs: R1CS, ptau: PowersOfTau, progress: Reporter = silent) -> ZKey:
    """The key before phase 2, with delta = gamma: no verifier may accept it before somebody contributed.

    Raises SetupError when the powers of tau are too few, not prepared for phase 2 or not powers of anything, or the
    circuit is too large.
    """
    progress("checking the powers of tau", 0, _STEPS)
    power = domain_power(r1cs)
    if power > MAX_POWER:
        raise SetupError(f"the circuit needs a domain of 2^{power}, more than the 2^{MAX_POWER} that BN254 allows")
    if power > ptau.power:
        raise SetupError(
            f"the circuit needs powers of tau of power {power}, this file has {ptau.power}; "
            "take a larger file, or make one for development with `gelap ptau new`"
        )
    check_powers_of_tau(ptau, power)
    size, wires = 1 << power, r1cs.n_wires
    a, b, c = pad(with_public_rows(r1cs), size), pad(r1cs.b, size), pad(r1cs.c, size)
    columns_a, columns_b = transpose(a, wires), transpose(b, wires)

    progress("points in G1", 1, _STEPS)
    # One product for A, B1 and C together, since what it computes for each base is shared by all rows.
    bases = [ptau.lagrange(family, power) for family in ("tau_g1", "beta_tau_g1", "alpha_tau_g1")]
    columns_c = transpose(_stack([c, a, b]), wires)
    combined = _combine(sparse_combination_g1, _stack([columns_a, columns_b, columns_c]), np.concatenate(bases))
    points_a, points_b1, linear = combined[:wires], combined[wires : 2 * wires], combined[2 * wires :]
    ic, points_c = linear[: r1cs.n_public + 1], linear[r1cs.n_public + 1 :]
    progress("points in G2", 2, _STEPS)
    points_b2 = _combine(sparse_combination_g2, columns_b, ptau.lagrange("tau_g2", power))
    progress("H points", 3, _STEPS)
    points_h = np.ascontiguousarray(ptau.lagrange("tau_g1", power + 1)[1::2])

    progress("circuit hash", 4, _STEPS)
    generator_g1, generator_g2 = pack_g1([G1_GENERATOR])[0], pack_g2([G2_GENERATOR])[0]
    alpha_g1, beta_g1 = ptau.alpha_tau_g1[0].copy(), ptau.beta_tau_g1[0].copy()
    header = (alpha_g1, beta_g1, ptau.beta_g2, generator_g2, generator_g1, generator_g2)
    cs_hash = circuit_hash(header, ic, ptau, size, (points_c, points_a, points_b1, points_b2))
    return ZKey(
        n_vars=r1cs.n_wires,
        n_public=r1cs.n_public,
        domain_size=size,
        alpha_g1=alpha_g1,
        beta_g1=beta_g1,
        beta_g2=ptau.beta_g2,
        gamma_g2=generator_g2,
        delta_g1=generator_g1,
        delta_g2=generator_g2,
        ic=ic,
        a=as_in_zkey(a),
        b=as_in_zkey(b),
        points_a=points_a,
        points_b1=points_b1,
        points_b2=points_b2,
        points_c=points_c,
        points_h=points_h,
        mpc=MpcParameters(cs_hash, []),
    )


def with_public_rows(r1cs: R1CS) -> SparseMatrix:
    """A, followed by one row [wire s] for each s from 0 to n_public."""
    count = r1cs.n_public + 1
    a = r1cs.a
    return SparseMatrix(
        row_ptr=np.concatenate([a.row_ptr, a.row_ptr[-1] + np.arange(1, count + 1)]),
        col=np.concatenate([a.col, np.arange(count, dtype=np.uint32)]),
        value=np.concatenate([a.value, np.tile(to_limbs([1]), (count, 1))]),
    )


def pad(matrix: SparseMatrix, rows: int) -> SparseMatrix:
    """The same matrix with empty rows at the end, `rows` in all."""
    return replace(matrix, row_ptr=np.pad(matrix.row_ptr, (0, rows - matrix.rows), mode="edge"))


def _stack(matrices: list[SparseMatrix]) -> SparseMatrix:
    """The matrices one above the other."""
    starts = np.cumsum([0, *(matrix.nnz for matrix in matrices)])
    return SparseMatrix(
        row_ptr=np.concatenate(
            [[0], *(matrix.row_ptr[1:] + start for matrix, start in zip(matrices, starts, strict=False))]
        ),
        col=np.concatenate([matrix.col for matrix in matrices]),
        value=np.concatenate([matrix.value for matrix in matrices]),
    )


def transpose(matrix: SparseMatrix, columns: int) -> SparseMatrix:
    """The transposed matrix: a row for each wire, `col` the constraints' numbers."""
    order = np.argsort(matrix.col, kind="stable")
    rows = np.repeat(np.arange(matrix.rows, dtype=np.uint32), np.diff(matrix.row_ptr))
    counts = np.bincount(matrix.col, minlength=columns)
    return SparseMatrix(
        row_ptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), col=rows[order], value=matrix.value[order]
    )


def _combine(sparse_combination: Callable[..., np.ndarray], columns: SparseMatrix, bases: np.ndarray) -> np.ndarray:
    return sparse_combination(columns.row_ptr, columns.col, columns.value, bases)


def as_in_zkey(matrix: SparseMatrix) -> SparseMatrix:
    """Plain coefficients -> coefficient * R^2, as .zkey files hold them."""
    return replace(matrix, value=fr_to_mont(fr_to_mont(matrix.value)))
