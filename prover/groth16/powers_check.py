"""What can be checked about somebody's powers of tau in a moment.

A full check (`snarkjs powersoftau verify`) reads every power and every contribution. This one catches files that are
damaged, made for something else or degenerate, before minutes of work go into them.
"""

import numpy as np

from prover.errors import SetupError
from prover.formats.ptau import PowersOfTau
from prover.kernels.cpu.pairing import g1_on_curve, g2_in_subgroup, g2_on_curve, pairing_product_is_one
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2


def check_powers_of_tau(ptau: PowersOfTau, power: int) -> None:
    """Check the points that the setup of a 2^power domain uses; raises SetupError.

    The generators stand first; tau, alpha and beta are not zero and have one value wherever they appear; every Lagrange
    point of this size lies on its curve.
    """
    g1, minus_g1 = pack_g1([G1_GENERATOR, (G1_GENERATOR[0], Q - G1_GENERATOR[1])])
    (g2,) = pack_g2([G2_GENERATOR])
    if not (np.array_equal(ptau.tau_g1[0], g1) and np.array_equal(ptau.tau_g2[0], g2)):
        raise _unusable("the first powers are not the generators")
    tau_g1, tau_g2 = ptau.tau_g1[1], ptau.tau_g2[1]
