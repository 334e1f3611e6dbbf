"""Groth16 verification: Groth, "On the Size of Pairing-based Non-interactive Arguments" (eprint 2016/260), section 3.2.

    e(A, B) = e(alpha, beta) * e(IC_0 + sum of input_i * IC_i, gamma) * e(C, delta)

Many proofs of one key are verified by one equation, the sum of theirs with random coefficients (Bellare, Garay, Rabin,
"Fast batch verification for modular exponentiation and digital signatures", 1998, the "small exponents test").

A proof is malleable: from (A, B, C) anyone makes another valid proof of the same statement, (xA, B/x, C) for one. Never
use a proof's bytes as an identity; what a statement does must be bound by its public inputs.
"""

import secrets
from collections.abc import Sequence
from functools import lru_cache
from operator import mul

import numpy as np

from protocol.field import Q, R
from prover.errors import FormatError, KeyMismatchError
from prover.formats.proof import Proof
from prover.formats.verification_key import VerificationKey
from prover.kernels.cpu.pairing import g1_on_curve, g2_in_subgroup, g2_on_curve, pairing_product_is_one
from prover.kernels.cpu.points import pack_g1, pack_g2
from prover.limbs import to_limbs
from prover.msm.cpu import msm_g1
from prover.msm.pointwise import multiply_each_g1

Statement = tuple[Sequence[int], Proof]

_COEFFICIENT_BITS = 128
_LEAST_SHARED = 512


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
        points = self._points([(public_inputs, proof)])
        if points is None:
            return False
        minus_a, b, c = points
        statement = _short_sum(self._ic, [1, *public_inputs])
        g1 = np.stack([minus_a[0], statement, c[0], self._alpha])
        return pairing_product_is_one(g1, np.concatenate([b, self._g2]))

    def verify_batch(self, statements: Sequence[Statement]) -> bool:
        """Are all of these (public inputs, proof) valid? One that is not escapes with probability 2^-128.

        The equations are added with random coefficients, so that errors of different proofs cannot cancel: a proof
        costs one Miller loop instead of four and a final exponentiation. Every proof's points are checked on their own.
        Which proof is invalid is not told: ask `verify` of each. Raises KeyMismatchError as `verify` does.
        """
        points = self._points(statements)
        if points is None:
            return False
        if not statements:
            return True
        minus_a, b, c = points
        coefficients = [secrets.randbits(_COEFFICIENT_BITS) for _ in statements]
        total = sum(coefficients) % R
        columns = zip(*(public_inputs for public_inputs, _ in statements), strict=True)
        inputs = [sum(map(mul, coefficients, column)) % R for column in columns]
        statement = _short_sum(self._ic, [total, *inputs])
        left = multiply_each_g1(np.vstack([minus_a, self._alpha]), to_limbs([*coefficients, total]))
        sum_of_c = _short_sum(c, coefficients)
        g1 = np.concatenate([left[:-1], np.stack([statement, sum_of_c]), left[-1:]])
        return pairing_product_is_one(g1, np.concatenate([b, self._g2]))

    def _points(self, statements: Sequence[Statement]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """-A and C, uint64 (n, 8), and B, (n, 16), of the proofs, in the order -A, B, C; None if any cannot be valid.

        Raises KeyMismatchError for a wrong number of inputs, whatever else is wrong.
        """
        for public_inputs, _ in statements:
            if len(public_inputs) != self.key.n_public:
                raise KeyMismatchError(
                    f"this verification key takes {self.key.n_public} public inputs, not {len(public_inputs)}"
                )
        for public_inputs, proof in statements:
            coordinates = (*proof.a, *proof.b[0], *proof.b[1], *proof.c)
            if not all(0 <= value < R for value in public_inputs) or not all(0 <= value < Q for value in coordinates):
                return None
        proofs = [proof for _, proof in statements]
        minus_a = pack_g1((proof.a[0], -proof.a[1] % Q) for proof in proofs)
        b, c = pack_g2(proof.b for proof in proofs), pack_g1(proof.c for proof in proofs)
        if not (g1_on_curve(np.concatenate([minus_a, c])) and in_g2(b)):
            return None
        return minus_a, b, c


def _short_sum(points: np.ndarray, scalars: list[int]) -> np.ndarray:
    # Threads take longer to start than they save on a few points.
    return msm_g1(points, to_limbs(scalars), threads=1 if len(scalars) < _LEAST_SHARED else None)


def in_g2(points: np.ndarray) -> bool:
    """Are all points, uint64 (n, 16) in Montgomery form, in the order-r subgroup of the twist, or infinity?"""
    return g2_on_curve(points) and g2_in_subgroup(points)


@lru_cache(maxsize=64)
def _verifier(key: VerificationKey) -> Verifier:
    return Verifier(key)


def verify(key: VerificationKey, public_inputs: Sequence[int], proof: Proof) -> bool:
    """Verify one proof; see Verifier for what is refused and how. Checked keys are remembered."""
    return _verifier(key).verify(public_inputs, proof)


def verify_batch(key: VerificationKey, statements: Sequence[Statement]) -> bool:
    """Are all of these (public inputs, proof) valid? See `Verifier.verify_batch`. None at all are valid."""
    return _verifier(key).verify_batch(statements)
