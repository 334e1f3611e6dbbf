"""The one place that chooses which implementation runs the heavy steps of a proof.

The prover takes these functions from here; their meaning is told where they are defined. One implementation exists so
far: portable machine code for the CPU at hand.
"""

import numpy as np

from prover.kernels.cpu.pairing import g1_on_curve, g2_in_subgroup, g2_on_curve, pairing_product_is_one
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2, unpack_g1
from prover.kernels.cpu.vector import fr_from_mont, fr_mul_sub_vector, fr_mul_vector, fr_to_mont, sparse_multiply
from prover.limbs import to_limbs
from prover.msm.cpu import msm_g1, msm_g2
from prover.ntt.cpu import extend_to_odd_coset
from prover.progress import Reporter, silent

__all__ = ["NAME", "extend_to_odd_coset", "msm_g1", "msm_g2", "sparse_multiply", "warm_up"]

NAME = "cpu"


def warm_up(progress: Reporter = silent) -> None:
    """Compile, or load from the cache, every kernel that a proof and its verification need.

    With an empty cache this takes some 20 s on one core, else about a second. Kernels compile on first use anyway: a
    warm-up moves the wait to a moment when nobody waits, and tells `progress` what is going on.
    """
    g1, g2 = pack_g1([G1_GENERATOR]), pack_g2([G2_GENERATOR])
    one = to_limbs([1])

    def vectors() -> None:
        value = fr_to_mont(one)
        sparse_multiply(np.array([0, 1]), np.array([0]), value, one)
        fr_from_mont(fr_mul_sub_vector(value, fr_mul_vector(value, value), value))
        unpack_g1(g1)

    def membership() -> None:
        g1_on_curve(g1)
        g2_on_curve(g2)
        g2_in_subgroup(g2)

    steps = [
        ("vectors", vectors),
        ("transforms", lambda: extend_to_odd_coset(fr_to_mont(one))),
        ("sums in G1", lambda: msm_g1(g1, one)),
        ("sums in G2", lambda: msm_g2(g2, one)),
        ("points", membership),
        ("pairing", lambda: pairing_product_is_one(g1, g2)),
    ]
    for done, (name, step) in enumerate(steps):
        progress(f"compiling {name}", done, len(steps))
        step()
    progress("compiled", len(steps), len(steps))
