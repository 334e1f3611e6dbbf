"""Proving keys for benchmarks, made in seconds from a tau that this process knows.

A setup from powers of tau sums points; whoever knows tau sums numbers instead and multiplies each generator once for
every point of the key. Whoever made such a key can forge proofs under it, so it never leaves the process. For the
proving time it is like any other: the same number of points, all of them random.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from protocol.field import R
from prover.formats.zkey import MpcParameters, ZKey
from prover.groth16.setup import as_in_zkey, domain_power, pad, transpose, with_public_rows
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.kernels.cpu.vector import (
    fr_from_mont,
    fr_inverse_vector,
    fr_mul_sub_vector,
    fr_mul_vector,
    fr_powers,
    fr_to_mont,
    sparse_multiply,
)
from prover.limbs import to_limbs
from prover.msm.fixed_base import fixed_base_g1, fixed_base_g2
from prover.ntt.domain import root_of_unity
from prover.progress import Reporter, silent
from prover.r1cs import R1CS, SparseMatrix

# Plain scalars, uint64 (n, 4) -> multiples of the group's generator, affine, uint64 (n, 8) or (n, 16).
Multiply = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Generators:
    """How multiples of the two generators are computed; by default on the CPU."""

    g1: Multiply = lambda scalars: fixed_base_g1(pack_g1([G1_GENERATOR])[0], scalars)
    g2: Multiply = lambda scalars: fixed_base_g2(pack_g2([G2_GENERATOR])[0], scalars)


def known_tau_key(r1cs: R1CS, generators: Generators | None = None, progress: Reporter = silent) -> ZKey:
    """A proving key of random tau, alpha, beta and delta, and gamma = 1. For benchmarks only: its maker could forge."""
    generators = generators or Generators()
    size = 1 << domain_power(r1cs)
    tau, alpha, beta, delta = (1 + secrets.randbelow(R - 1) for _ in range(4))
    a, b = pad(with_public_rows(r1cs), size), pad(r1cs.b, size)
    progress("the key's scalars", 0, 2)
    lagrange_mont = _lagrange_mont(tau, size, 1, 0)
    u, v, w = (_columns_at(matrix, r1cs.n_wires, lagrange_mont) for matrix in (a, b, r1cs.c))
    linear = _linear_combination(u, beta, v, alpha, w)
    split = r1cs.n_public + 1
    private = _scaled(linear[split:], pow(delta, -1, R))
    h_mont = _lagrange_mont(tau, size, 2, 1)
    h = _scaled(fr_from_mont(h_mont), pow(delta, -1, R))
    progress("the key's points", 1, 2)
    header_g1 = generators.g1(to_limbs([alpha, beta, delta]))
    header_g2 = generators.g2(to_limbs([beta, 1, delta]))
    return ZKey(
        n_vars=r1cs.n_wires,
        n_public=r1cs.n_public,
        domain_size=size,
        alpha_g1=header_g1[0],
        beta_g1=header_g1[1],
        beta_g2=header_g2[0],
        gamma_g2=header_g2[1],
        delta_g1=header_g1[2],
        delta_g2=header_g2[2],
        ic=generators.g1(linear[:split]),
        a=as_in_zkey(a),
        b=as_in_zkey(b),
        points_a=generators.g1(u),
        points_b1=generators.g1(v),
        points_b2=generators.g2(v),
        points_c=generators.g1(private),
        points_h=generators.g1(h),
        mpc=MpcParameters(bytes(64), []),
    )


def _lagrange_mont(tau: int, size: int, step: int, first: int) -> np.ndarray:
    """The Lagrange polynomials of the domain of size * step elements at tau, every step-th from `first` on.

    L_j(tau) = (tau^n - 1) / n * x_j / (tau - x_j), x_j the domain's element j. uint64 (size, 4), Montgomery form.
    """
    total = size * step
    root = root_of_unity(total)
    elements_mont = fr_powers(pow(root, step, R), size, first=pow(root, first, R))
    (one_mont,) = fr_to_mont(to_limbs([1]))
    (tau_mont,) = fr_to_mont(to_limbs([tau]))
    differences = fr_mul_sub_vector(np.tile(tau_mont, (size, 1)), np.tile(one_mont, (size, 1)), elements_mont)
    quotients = fr_mul_vector(elements_mont, fr_inverse_vector(differences))
    return _scaled(quotients, (pow(tau, total, R) - 1) * pow(total, -1, R))


def _columns_at(matrix: SparseMatrix, wires: int, lagrange_mont: np.ndarray) -> np.ndarray:
    """The value at tau of each wire's polynomial; plain, uint64 (wires, 4)."""
    columns = transpose(matrix, wires)
    return sparse_multiply(columns.row_ptr, columns.col, columns.value, lagrange_mont)


def _scaled(values: np.ndarray, factor: int) -> np.ndarray:
    """values * factor, in the form that the values are in."""
    (factor_mont,) = fr_to_mont(to_limbs([factor % R]))
    return fr_mul_vector(values, np.tile(factor_mont, (len(values), 1)))


def _linear_combination(u: np.ndarray, beta: int, v: np.ndarray, alpha: int, w: np.ndarray) -> np.ndarray:
    """beta u + alpha v + w."""
    alpha_mont, beta_mont = fr_to_mont(to_limbs([alpha, beta]))
    minus_rest = _scaled(fr_mul_sub_vector(v, np.tile(alpha_mont, (len(v), 1)), _scaled(w, -1)), -1)
    return fr_mul_sub_vector(u, np.tile(beta_mont, (len(u), 1)), minus_rest)
