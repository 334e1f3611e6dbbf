"""What can be checked about somebody's powers of tau in a second.

A full check (`snarkjs powersoftau verify`) reads every power and every contribution. This one catches files that are
damaged, misordered or degenerate, before minutes of work go into them and come out as a key that proves nothing.
"""

import numpy as np

from prover.backend import msm_g1, msm_g2
from prover.errors import FormatError, SetupError
from prover.formats.ptau import Family, PowersOfTau
from prover.groth16.verify import in_g2
from prover.kernels.cpu.pairing import g1_on_curve, pairing_product_is_one
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.kernels.cpu.vector import fr_from_mont, fr_powers
from prover.msm.fixed_base import scale_points_g1
from prover.ntt.domain import root_of_unity


def check_powers_of_tau(ptau: PowersOfTau, power: int) -> None:
    """Check the points that the setup of a 2^power domain begins with; raises SetupError.

    The generators stand first; tau, alpha and beta are not zero and have one value wherever they appear; each Lagrange
    basis that will be used interpolates the polynomial X, whose value at tau is known.
    """
    (g1,), (g2,) = pack_g1([G1_GENERATOR]), pack_g2([G2_GENERATOR])
    if not (np.array_equal(ptau.tau_g1[0], g1) and np.array_equal(ptau.tau_g2[0], g2)):
        raise _unusable("the generators do not stand first")
    first_g1 = np.stack([ptau.tau_g1[1], ptau.alpha_tau_g1[0], ptau.beta_tau_g1[0], *_seconds(ptau)])
    first_g2 = np.stack([ptau.tau_g2[1], ptau.beta_g2])
    if not (first_g1.any(axis=1).all() and first_g2.any(axis=1).all()):
        raise _unusable("tau, alpha or beta is zero")
    if not (g1_on_curve(first_g1) and in_g2(first_g2)):
        raise _unusable("a point is not in its group")
    tau_g2, beta_g2 = first_g2
    ratios = [(g1, first_g1[0], tau_g2), (g1, first_g1[2], beta_g2)]
    ratios += [(first_g1[1], first_g1[3], tau_g2), (first_g1[2], first_g1[4], tau_g2)]
    for start, multiple, factor in ratios:
        pair_g1 = np.concatenate([multiple[None], scale_points_g1(start[None], -1)])
        if not pairing_product_is_one(pair_g1, np.stack([g2, factor])):
            raise _unusable("tau or beta differ between the two groups")
    for family, size, expected in _bases(ptau, power):
        if not _interpolates_x(ptau.lagrange(family, size), expected):
            raise _unusable(f"the Lagrange basis of 2^{size} in {family} is not one of these powers")


def _seconds(ptau: PowersOfTau) -> tuple[np.ndarray, np.ndarray]:
    """alpha tau G1 and beta tau G1."""
    return ptau.alpha_tau_g1[1], ptau.beta_tau_g1[1]


def _bases(ptau: PowersOfTau, power: int) -> list[tuple[Family, int, np.ndarray]]:
    """The bases a setup uses: family, log2 of the size, and tau times the family's factor."""
    alpha_tau, beta_tau = _seconds(ptau)
    return [
        ("tau_g1", power, ptau.tau_g1[1]),
        ("tau_g1", power + 1, ptau.tau_g1[1]),
        ("alpha_tau_g1", power, alpha_tau),
        ("beta_tau_g1", power, beta_tau),
        ("tau_g2", power, ptau.tau_g2[1]),
    ]


def _interpolates_x(basis: np.ndarray, tau: np.ndarray) -> bool:
    """Is the sum of w^i L_i(tau) equal to tau? The basis must have two elements or more."""
    values = fr_from_mont(fr_powers(root_of_unity(len(basis)), len(basis)))
    msm = msm_g1 if basis.shape[1] == 8 else msm_g2
    try:
        return np.array_equal(msm(basis, values), tau)
    except FormatError:
        # A point is not on its curve, which not every way of summing them notices.
        return False


def _unusable(problem: str) -> SetupError:
    return SetupError(f"these powers of tau cannot be used: {problem}; fetch the file again, or another one")
