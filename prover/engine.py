"""One circuit with its proving key, ready to prove: what workers and wallets hold.

engine = Engine.load("spend_2x2", "keys/spend_2x2.zkey")
witness = engine.solve(inputs)
proof = engine.prove(witness)
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from prover.circuit.compile import Circuit
from prover.errors import InvalidProofError, KeyMismatchError
from prover.formats.files import AnyPath
from prover.formats.proof import Proof
from prover.formats.verification_key import VerificationKey
from prover.groth16.prove import ProvingKey, prove
from prover.groth16.verify import verify
from prover.limbs import from_limbs
from prover.statements import registry
from prover.witness import cpu as witness_solver


def _ignore(phase: str) -> None:
    """The listener of callers that do not time phases."""


class Engine:
    """Thread-safe: nothing changes after loading. Memory is about the key's file size."""

    def __init__(self, circuit: Circuit, key: ProvingKey) -> None:
        """Use `Engine.load`. Raises KeyMismatchError when key and circuit differ in wires or public inputs."""
        r1cs = circuit.r1cs
        if (key.n_vars, key.n_public) != (r1cs.n_wires, r1cs.n_public):
            raise KeyMismatchError(
                f"the proving key is not one of circuit {circuit.name}: it has {key.n_vars} wires and {key.n_public} "
                f"public inputs, the circuit {r1cs.n_wires} and {r1cs.n_public}; make it again with `gelap keys make`"
            )
        self._circuit = circuit
        self._key = key

    @classmethod
    def load(cls, circuit_name: str, zkey_path: AnyPath) -> "Engine":
        """Build the circuit and read its key: a second or two.

        Raises InputError for an unknown circuit, FormatError for a bad file, KeyMismatchError when they do not belong
        together.
        """
        return cls(registry.build(circuit_name), ProvingKey.load(zkey_path))

    @property
    def circuit_name(self) -> str:
        return self._circuit.name

    @property
    def n_public(self) -> int:
        return self._key.n_public

    @property
    def verification_key(self) -> VerificationKey:
        return self._key.verification_key

    def solve(self, inputs: Mapping[str, Any]) -> np.ndarray:
        """The witness of these inputs: uint64 (wires, 4), plain. Secret.

        Raises InputError for inputs that are missing, unknown, misshapen or out of range, and UnsatisfiedError for
        inputs that break a constraint.
        """
        return witness_solver.solve(self._circuit, inputs)[0]

    def public_inputs(self, witness: np.ndarray) -> list[int]:
        """The public inputs in a witness, in the circuit's order."""
        return from_limbs(witness[1 : self.n_public + 1])

    def prove(self, witness: np.ndarray, phase_done: Callable[[str], None] = _ignore) -> Proof:
        """Prove a witness; the proof was verified. No two proofs are alike.

        phase_done: called with the name of each phase as it ends; what it raises ends the proof there.
        Raises UnsatisfiedError when the witness breaks a constraint, and InvalidProofError when the proof is wrong all
        the same.
        """
        try:
            return prove(self._key, witness, phase_done=phase_done)
        except InvalidProofError:
            witness_solver.check(self._circuit.r1cs, witness)
            raise

    def warm_up(self) -> None:
        """Do all that a proof does, once, so that the first proof is as fast as the next: about a proof's time.

        Kernels are compiled or loaded, and the tables of this circuit's size are computed. Inputs of zero stand in for
        a statement; the proof made of them is dropped, whether it verifies or not.
        """
        zeros = np.zeros((1, self._circuit.program.n_inputs, 4), dtype=np.uint64)
        witness = witness_solver.execute(self._circuit, zeros)[0]
        witness_solver.checker(self._circuit).first_violation(witness)
        with suppress(InvalidProofError):
            prove(self._key, witness)

    def verify(self, public_inputs: list[int], proof: Proof) -> bool:
        """Does the proof hold under this key? See prover.groth16.verify."""
        return verify(self.verification_key, public_inputs, proof)
