"""The one owner of this process's device: witnesses are solved beside it, proofs are made on it one after another."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from protocol.statements import InputValue
from worker.errors import ProvingFailedError


class LoadedCircuit(Protocol):
    """A circuit with its proving key, ready to prove. A witness is whatever its engine makes of it."""

    @property
    def verification_key_digest(self) -> bytes: ...

    def solve(self, inputs: Mapping[str, InputValue]) -> Any:
        """Return the witness; raises the prover's errors for inputs that are wrong or break a constraint."""

    def public_inputs(self, witness: Any) -> list[int]: ...

    def prove(self, witness: Any) -> bytes:
        """Return a proof of 256 bytes that has been verified."""

    def verify(self, public_inputs: list[int], proof: bytes) -> bool: ...


class Executor:
    """Proves with the circuits it was given, from any thread.

    A task solves its witness in its own thread while the device proves another, then waits its turn: with twice as many
    tasks as the device takes at once it is never idle, and never more witnesses are held than there are tasks.
    """

    def __init__(self, circuits: Mapping[str, LoadedCircuit]) -> None:
        self._circuits = circuits
        self._device = ThreadPoolExecutor(max_workers=1, thread_name_prefix="device")

    @property
    def circuits(self) -> tuple[str, ...]:
        return tuple(self._circuits)

    def circuit(self, name: str) -> LoadedCircuit:
        """Raises ProvingFailedError for a circuit that another worker may have."""
        try:
            return self._circuits[name]
        except KeyError:
            raise ProvingFailedError(f"this worker has no key for the circuit {name}") from None

    def prove(self, circuit: LoadedCircuit, witness: Any) -> Future[bytes]:
        return self._device.submit(circuit.prove, witness)

    def close(self) -> None:
        self._device.shutdown(cancel_futures=True)
