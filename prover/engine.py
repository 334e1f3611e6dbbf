"""One circuit with its proving key, ready to prove: what workers and wallets hold.

engine = Engine.load("spend_2x2", "keys/spend_2x2.zkey")
witness = engine.solve(inputs)
proof = engine.prove(witness)

_, device = open_device("cuda")                                   # prover.devices.opened
engine = Engine.load("spend_2x2", "keys/spend_2x2.zkey", device)
proofs = engine.prove_many(witnesses)                             # engine.batch at a time
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from prover.circuit.compile import Circuit
from prover.errors import InvalidProofError, KeyMismatchError, ProverError
from prover.formats.files import AnyPath
from prover.formats.proof import Proof
from prover.formats.verification_key import VerificationKey
from prover.formats.zkey import read_zkey
from prover.groth16.prove import ProvingKey, prove
from prover.groth16.verify import verify
from prover.limbs import from_limbs
from prover.statements import registry
from prover.witness import cpu as witness_solver

if TYPE_CHECKING:
    from prover.devices.opened import ProvingDevice
    from prover.groth16.cuda import DeviceProver


def _ignore(phase: str) -> None:
    """The listener of callers that do not time phases."""


class Engine:
    """Proves on the CPU, or on a device, in batches there. Thread-safe: nothing changes after loading.

    Memory is about the key's file size, on the device some ten times that.
    """

    def __init__(self, circuit: Circuit, key: "ProvingKey | DeviceProver") -> None:
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
    def load(
        cls,
        circuit_name: str,
        zkey_path: AnyPath,
        device: "ProvingDevice | None" = None,
        batch: int | None = None,
    ) -> "Engine":
        """Build the circuit and read its key: a second or two.

        device: where proofs are made; None is the CPU (see prover.devices.opened.open_device). What a device cannot
        prove is proved on the CPU, unless GELAP_DEVICE_FALLBACK says `error`. batch: the most proofs made at once on
        the device; default what fills it.
        Raises InputError for an unknown circuit, FormatError for a bad file, KeyMismatchError when they do not belong
        together, DeviceOutOfMemory for a key that does not fit on the device.
        """
        circuit = registry.build(circuit_name)
        if device is None:
            return cls(circuit, ProvingKey.load(zkey_path))
        from prover.devices.choice import fallback_to_cpu
        from prover.groth16.cuda import CpuFallback, DeviceProver

        fallback = CpuFallback(zkey_path).prove if fallback_to_cpu() else None
        return cls(circuit, DeviceProver(device, read_zkey(zkey_path), fallback, batch, circuit))

    @property
    def circuit_name(self) -> str:
        return self._circuit.name

    @property
    def n_public(self) -> int:
        return self._key.n_public

    @property
    def verification_key(self) -> VerificationKey:
        return self._key.verification_key

    @property
    def batch(self) -> int:
        """How many witnesses `prove_many` should be given at a time to be fastest; 1 on the CPU."""
        return 1 if isinstance(self._key, ProvingKey) else self._key.batch

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
        Raises UnsatisfiedError when the witness breaks a constraint, InvalidProofError when the proof is wrong all the
        same, and DeviceError when a device failed and the CPU may not prove in its place.
        """
        if isinstance(self._key, ProvingKey):
            try:
                return prove(self._key, witness, phase_done=phase_done)
            except InvalidProofError:
                witness_solver.check(self._circuit.r1cs, witness)
                raise
        (outcome,) = self.prove_many([witness])
        phase_done("device")
        if isinstance(outcome, ProverError):
            raise outcome
        return outcome

    def prove_many(self, witnesses: Sequence[np.ndarray]) -> "list[Proof | ProverError]":
        """For each witness a proof that was verified, or the error that `prove` would raise. Any number, in any order.

        On a device they are proved in batches of `batch`.
        """
        if isinstance(self._key, ProvingKey):
            return [self._outcome(witness) for witness in witnesses]
        outcomes = self._key.prove_many(witnesses)
        return [self._second_look(*each) for each in zip(witnesses, outcomes, strict=True)]

    def prove_statements(self, statements: Sequence[Mapping[str, Any]]) -> "list[Proof | ProverError]":
        """For each statement's inputs a proof that was verified, or the error that `solve` or `prove` would raise.

        On a device the witnesses are computed there, beside the proofs of the batch before.
        """
        if not isinstance(self._key, ProvingKey):
            return self._key.prove_statements(statements)
        return [self._outcome_of(inputs) for inputs in statements]

    def _outcome_of(self, inputs: Mapping[str, Any]) -> "Proof | ProverError":
        try:
            return self.prove(self.solve(inputs))
        except ProverError as error:
            return error

    def _outcome(self, witness: np.ndarray) -> "Proof | ProverError":
        try:
            return self.prove(witness)
        except ProverError as error:
            return error

    def _second_look(self, witness: np.ndarray, outcome: "Proof | ProverError") -> "Proof | ProverError":
        """Is the witness wrong, or did the device compute wrongly? Then the CPU proves in its place, if it may."""
        if not isinstance(outcome, InvalidProofError) or isinstance(self._key, ProvingKey):
            return outcome
        try:
            witness_solver.check(self._circuit.r1cs, witness)
            return self._key.fallback(witness) if self._key.fallback else outcome
        except ProverError as error:
            return error

    def warm_up(self) -> None:
        """Do all that a proof does, once, so that the first proof is as fast as the next: about a proof's time.

        Kernels are compiled or loaded, and the tables of this circuit's size are computed. Inputs of zero stand in for
        a statement; the proof made of them is dropped, whether it verifies or not.
        """
        zeros = np.zeros((1, self._circuit.program.n_inputs, 4), dtype=np.uint64)
        witness = witness_solver.execute(self._circuit, zeros)[0]
        witness_solver.checker(self._circuit).first_violation(witness)
        if isinstance(self._key, ProvingKey):
            with suppress(InvalidProofError):
                prove(self._key, witness)
        else:
            self._key.warm_up(witness)

    def verify(self, public_inputs: list[int], proof: Proof) -> bool:
        """Does the proof hold under this key? See prover.groth16.verify."""
        return verify(self.verification_key, public_inputs, proof)
