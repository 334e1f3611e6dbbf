"""Groth16 proving: Groth, eprint 2016/260, section 3.2, with keys laid out as snarkjs's.

With the witness w, random r and s, and the quotient h:

    A = alpha + sum of w_i A_i + r delta
    B = beta  + sum of w_i B_i + s delta           in G2, and as B1 in G1
    C = sum over private wires of w_i C_i + sum of h_i H_i + s A + r B1 - r s delta

The constant terms are bases like any other, so each line is one multi-scalar multiplication.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from protocol.field import R
from prover.backend import Bases, msm_g1, msm_g2, prepare
from prover.errors import FormatError, InvalidProofError, KeyMismatchError
from prover.formats.field_arrays import first_not_below
from prover.formats.files import AnyPath
from prover.formats.proof import Proof
from prover.formats.verification_key import VerificationKey
from prover.formats.zkey import ZKey, read_zkey
from prover.groth16.quotient import quotient
from prover.groth16.verify import Verifier
from prover.kernels.cpu.points import unpack_g1, unpack_g2
from prover.limbs import from_limbs, to_limbs
from prover.r1cs import SparseMatrix


@dataclass(frozen=True, eq=False)
class ProvingKey:
    """A key as the prover uses it. Point arrays: Montgomery limbs, in memory, prepared for the CPU at hand.

    bases_a, bases_b1: (n_vars + 2, 8) and bases_b2: (n_vars + 2, 16) end with the constant term's point and delta;
    bases_c: C points, then H points, (n_private + domain, 8). a, b: as in ZKey.
    """

    n_vars: int
    n_public: int
    a: SparseMatrix
    b: SparseMatrix
    bases_a: Bases
    bases_b1: Bases
    bases_b2: Bases
    bases_c: Bases
    delta_g1: np.ndarray
    verifier: Verifier

    @classmethod
    def load(cls, path: AnyPath) -> "ProvingKey":
        """Read a `.zkey`. Raises FormatError for a bad file and for a verification key that cannot be trusted."""
        return cls.from_zkey(read_zkey(path))

    @classmethod
    def from_zkey(cls, zkey: ZKey) -> "ProvingKey":
        """Prepare a key that was read or just made; raises FormatError as `load` does."""
        verifier = Verifier(VerificationKey.from_zkey(zkey))
        in_g1 = np.stack([zkey.alpha_g1, zkey.beta_g1, zkey.delta_g1])
        in_g2 = np.stack([zkey.beta_g2, zkey.delta_g2])
        try:
            bases_a, bases_b1, bases_b2, bases_c = prepare(
                [
                    (8, [zkey.points_a, in_g1[::2]]),
                    (8, [zkey.points_b1, in_g1[1:]]),
                    (16, [zkey.points_b2, in_g2]),
                    (8, [zkey.points_c, zkey.points_h]),
                ]
            )
        except FormatError as error:
            raise FormatError(
                "the proving key holds a point that is not on its curve; fetch or make the key again"
            ) from error
        return cls(
            n_vars=zkey.n_vars,
            n_public=zkey.n_public,
            a=zkey.a,
            b=zkey.b,
            bases_a=bases_a,
            bases_b1=bases_b1,
            bases_b2=bases_b2,
            bases_c=bases_c,
            delta_g1=zkey.delta_g1,
            verifier=verifier,
        )

    @property
    def verification_key(self) -> VerificationKey:
        return self.verifier.key


def _ignore(phase: str) -> None:
    """The listener of callers that do not time phases."""


def prove(
    key: ProvingKey, witness: np.ndarray, threads: int | None = None, phase_done: Callable[[str], None] = _ignore
) -> Proof:
    """Prove that `witness`, uint64 (wires, 4), plain and canonical, satisfies the circuit of `key`.

    r and s come from the operating system's random source, so no two proofs are alike and a proof tells nothing about
    the witness. The proof has been verified when it is returned. threads: default one a CPU. phase_done: called with
    the name of each phase as it ends, for those who time them.

    Raises KeyMismatchError for a witness of another circuit or not of this form, and InvalidProofError when the proof
    does not verify: then the witness breaks a constraint, or the key is damaged.
    """
    check_witness(key.n_vars, witness)
    r, s = secrets.randbelow(R), secrets.randbelow(R)

    def with_blinding(blinding: int) -> np.ndarray:
        return np.concatenate([witness, to_limbs([1, blinding])])

    a = msm_g1(key.bases_a, with_blinding(r), threads)
    phase_done("A")
    b1 = msm_g1(key.bases_b1, with_blinding(s), threads)
    phase_done("B in G1")
    b2 = msm_g2(key.bases_b2, with_blinding(s), threads)
    phase_done("B in G2")
    scalars = np.concatenate([witness[key.n_public + 1 :], quotient(key.a, key.b, witness, threads)])
    phase_done("quotient")
    linear = msm_g1(key.bases_c, scalars, threads)
    phase_done("C and H")
    c = msm_g1(np.stack([linear, a, b1, key.delta_g1]), to_limbs([1, s, r, -r * s % R]), threads)

    proof = Proof(a=unpack_g1(a)[0], b=unpack_g2(b2)[0], c=unpack_g1(c)[0])
    if not key.verifier.verify(from_limbs(witness[1 : key.n_public + 1]), proof):
        raise InvalidProofError(
            "the proof does not verify: the witness does not satisfy the circuit, or the proving key is damaged; "
            "compute the witness again, then fetch or make the key again"
        )
    phase_done("verification")
    return proof


def check_witness(n_vars: int, witness: np.ndarray) -> None:
    """Raise KeyMismatchError unless `witness` has the form of one for a key with `n_vars` wires."""
    if witness.dtype != np.uint64 or witness.ndim != 2 or witness.shape[1] != 4:
        raise KeyMismatchError("a witness is a uint64 array of shape (wires, 4)")
    if len(witness) != n_vars:
        raise KeyMismatchError(
            f"the witness has {len(witness)} values and the proving key {n_vars} wires: they are not of one circuit"
        )
    if witness[0].tolist() != [1, 0, 0, 0] or first_not_below(witness, R) is not None:
        raise KeyMismatchError("a witness begins with the constant 1 and holds values below r; compute it again")
