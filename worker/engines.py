"""Loads the prover for the circuits of a manifest; the only module of the worker that knows the proving engine."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import structlog

from protocol.statements import InputValue
from prover.backend import warm_up
from prover.devices.opened import ProvingDevice, open_device
from prover.engine import Engine
from prover.errors import FormatError, ProverError
from prover.formats.proof import Proof
from worker.errors import ConfigurationError
from worker.manifest import CircuitEntry

log = structlog.get_logger("gelap.worker")


class EngineCircuit:
    """One circuit with its proving key, as the executor wants it."""

    def __init__(self, engine: Engine, device: str = "cpu") -> None:
        self._engine = engine
        self.device = device
        self.verification_key_digest = engine.verification_key.digest()

    @property
    def batch(self) -> int:
        return self._engine.batch

    def warm_up(self) -> None:
        self._engine.warm_up()

    def solve(self, inputs: Mapping[str, InputValue]) -> np.ndarray:
        return self._engine.solve(inputs)

    def public_inputs(self, witness: Any) -> list[int]:
        return self._engine.public_inputs(witness)

    def prove(self, witnesses: Sequence[Any], phase_done: Callable[[str], None]) -> list[bytes | Exception]:
        """In one batch if the engine's device takes batches, else one after another."""
        if self.batch > 1:
            outcomes = self._engine.prove_many(witnesses)
            phase_done("batch")
            return [each if isinstance(each, Exception) else each.to_bytes() for each in outcomes]
        return [self._engine.prove(witness, phase_done).to_bytes() for witness in witnesses]

    def verify(self, public_inputs: list[int], proof: bytes) -> bool:
        try:
            return self._engine.verify(public_inputs, Proof.from_bytes(proof))
        except FormatError:
            # Coordinates that are not below the field's modulus: no contract takes such a proof either.
            return False


def load_circuits(entries: Mapping[str, CircuitEntry]) -> dict[str, EngineCircuit]:
    """Load every circuit with the proving key that the manifest names, and warm the prover up.

    The first job is then as fast as the next. About 20 s when the kernels have to be compiled first. Raises
    ConfigurationError.
    """
    try:
        choice, device = open_device()
    except ProverError as error:
        raise ConfigurationError(str(error)) from None
    log.info("device", device=choice.name, reason=choice.reason)
    circuits = {name: _load(entry, choice.name, device) for name, entry in entries.items()}
    warm_up(lambda activity, done, total: log.info("getting ready", activity=activity, done=done, total=total))
    for name, circuit in circuits.items():
        log.info("getting ready", activity=f"a first proof of {name}")
        circuit.warm_up()
    return circuits


def _load(entry: CircuitEntry, name: str, device: ProvingDevice | None) -> EngineCircuit:
    advice = f"make the keys of {entry.name} again with `gelap keys make`"
    try:
        with entry.zkey.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        if digest != entry.zkey_sha256:
            raise ConfigurationError(f"{entry.zkey} is not the file that the manifest names: {advice}")
        circuit = EngineCircuit(Engine.load(entry.name, entry.zkey, device), name)
    except OSError as error:
        raise ConfigurationError(f"{entry.zkey} cannot be read ({error.strerror}): {advice}") from None
    except ProverError as error:
        raise ConfigurationError(f"{error}: {advice}") from None
    if circuit.verification_key_digest != entry.verification_key_digest:
        raise ConfigurationError(f"{entry.zkey} holds another verification key than the manifest names: {advice}")
    return circuit
