"""Groth16 verification: Groth, "On the Size of Pairing-based Non-interactive Arguments" (eprint 2016/260), section 3.2.

    e(A, B) = e(alpha, beta) * e(IC_0 + sum of input_i * IC_i, gamma) * e(C, delta)

A proof is malleable: from (A, B, C) anyone makes another valid proof of the same statement, (xA, B/x, C) for one. Never
use a proof's bytes as an identity; what a statement does must be bound by its public inputs.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from protocol.field import Q, R
from prover.errors import FormatError, KeyMismatchError
from prover.formats.proof import Proof
from prover.formats.verification_key import VerificationKey
from prover.kernels.cpu.pairing import g1_on_curve, g2_in_subgroup, g2_on_curve, pairing_product_is_one
from prover.kernels.cpu.points import pack_g1, pack_g2
from prover.limbs import to_limbs
from prover.msm.cpu import msm_g1


class Verifier:
    """A verification key, checked once and ready for many proofs.

    Raises FormatError for a key that cannot be trusted: a point off its curve or outside its subgroup, a point at
    infinity, or delta equal to gamma or its negative. The last is what a setup without phase 2 leaves behind, and lets
    anyone prove anything.
    """

    def __init__(self, key: VerificationKey) -> None:
        self.key = key
        g1 = {"alpha": key.alpha1, **{f"IC[{i}]": point for i, point in enumerate(key.ic)}}
        g2 = {"beta": key.beta2, "gamma": key.gamma2, "delta": key.delta2}
        for name, coordinates in [*g1.items(), *((name, x + y) for name, (x, y) in g2.items())]:
            if not any(coordinates):
                raise FormatError(f"the verification key's {name} is the point at infinity; make a new setup")
            if not all(0 <= coordinate < Q for coordinate in coordinates):
                raise FormatError(f"the verification key's {name} has a coordinate outside the field")
        for name, g1_point in g1.items():
            if not g1_on_curve(pack_g1([g1_point])):
                raise FormatError(f"the verification key's {name} is not on the curve")
        for name, g2_point in g2.items():
            if not in_g2(pack_g2([g2_point])):
                raise FormatError(f"the verification key's {name} is not in the group G2")
        if key.gamma2[0] == key.delta2[0]:
            raise FormatError(
                "the verification key's gamma and delta are equal, so anyone can forge proofs: "
                "its setup had no phase-2 contribution; make one"
            )
        self._ic = pack_g1(key.ic)
        self._alpha = pack_g1([key.alpha1])[0]
        self._g2 = pack_g2([key.gamma2, key.delta2, key.beta2])

    def verify(self, public_inputs: Sequence[int], proof: Proof) -> bool:
        """Does `proof` prove the statement with these public inputs?

        A proof with a point off its curve or outside its subgroup, or an input not in [0, r), is not valid: False. A
        wrong number of inputs is a KeyMismatchError.
        """
        if len(public_inputs) != self.key.n_public:
            raise KeyMismatchError(
                f"this verification key takes {self.key.n_public} public inputs, not {len(public_inputs)}"
            )
        if not all(0 <= value < R for value in public_inputs):
            return False
        coordinates = (*proof.a, *proof.b[0], *proof.b[1], *proof.c)
        if not all(0 <= coordinate < Q for coordinate in coordinates):
            return False
        negated_a = (proof.a[0], -proof.a[1] % Q)
        ac, b = pack_g1([negated_a, proof.c]), pack_g2([proof.b])
        if not (g1_on_curve(ac) and in_g2(b)):
            return False
        statement = msm_g1(self._ic, to_limbs([1, *public_inputs]))
        g1 = np.stack([ac[0], statement, ac[1], self._alpha])
        return pairing_product_is_one(g1, np.concatenate([b, self._g2]))


def in_g2(points: np.ndarray) -> bool:
    """Are all points, uint64 (n, 16) in Montgomery form, in the order-r subgroup of the twist, or infinity?"""
    return g2_on_curve(points) and g2_in_subgroup(points)


@lru_cache(maxsize=64)
def _verifier(key: VerificationKey) -> Verifier:
    return Verifier(key)


def verify(key: VerificationKey, public_inputs: Sequence[int], proof: Proof) -> bool:
    """Verify one proof; see Verifier for what is refused and how. Checked keys are remembered."""
    return _verifier(key).verify(public_inputs, proof)
