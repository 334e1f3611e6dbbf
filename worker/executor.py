"""The one owner of this process's device: it gathers witnesses of one proving key and proves them in batches.

Tasks solve witnesses in their own threads while the device proves others, then wait here. With twice as many tasks as
the device takes at once it is never idle, and never more witnesses are held than there are tasks.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from protocol.statements import InputValue
from prover.errors import DeviceLost
from worker.errors import ProvingFailedError
from worker.metrics import Metrics

log = structlog.get_logger("gelap.device")


class LoadedCircuit(Protocol):
    """A circuit with its proving key, ready to prove. A witness is whatever its engine makes of it."""

    @property
    def verification_key_digest(self) -> bytes: ...

    @property
    def device(self) -> str:
        """The device's name: cpu, cuda:0, fake."""

    @property
    def batch(self) -> int:
        """How many witnesses its device proves fastest at once."""

    def solve(self, inputs: Mapping[str, InputValue]) -> Any:
        """Return the witness; raises the prover's errors for inputs that are wrong or break a constraint."""

    def public_inputs(self, witness: Any) -> list[int]: ...

    def prove(self, witnesses: Sequence[Any], phase_done: Callable[[str], None]) -> Sequence[bytes | Exception]:
        """Return for each a proof of 256 bytes that has been verified, or why there is none.

        `phase_done` hears the name of each phase as it ends, and may raise to end the work there.
        """

    def verify(self, public_inputs: list[int], proof: bytes) -> bool: ...


class HandedBackError(Exception):
    """The worker is stopping: the job is for another one."""


@dataclass(frozen=True)
class Batching:
    """Triton's three knobs. A batch starts when `most` witnesses of one key are there, or `enough` of them, or when the
    first has waited `delay` seconds for more; with a delay of 0 the device never idles while something waits.
    """

    most: int = 1
    delay: float = 0.0
    enough: int = 1


@dataclass(frozen=True)
class Proved:
    """A proof, the seconds it waited for the device, those its whole batch took, and how many were in the batch."""

    proof: bytes
    waited: float
    seconds: float
    batch: int


@dataclass
class _Entry:
    circuit: LoadedCircuit
    witness: Any
    check: Callable[[], None]
    since: float
    future: "Future[Proved]"


class Executor:
    """Proves with the circuits it was given, from any thread; `close` it.

    `lost` is called, from the device's thread, when the device can be used by another process only (DeviceLost). By
    then what waited is handed back; the futures of what was on the device raise DeviceLost after it.
    """

    def __init__(
        self,
        circuits: Mapping[str, LoadedCircuit],
        batching: Batching | None = None,
        metrics: Metrics | None = None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._by_name = dict(circuits)
        self._by_key = {circuit.verification_key_digest: circuit for circuit in circuits.values()}
        self._batching = batching or Batching()
        self._metrics = metrics or Metrics()
        self._lost = lost
        self._metrics.know(circuits)
        self._waiting: list[_Entry] = []
        self._changed = threading.Condition()
        self._draining = False
        self._closed = False
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._own_device, name="device", daemon=True)
        self._thread.start()

    @property
    def circuits(self) -> tuple[str, ...]:
        return tuple(self._by_name)

    @property
    def keys(self) -> tuple[bytes, ...]:
        return tuple(self._by_key)

    @property
    def batch(self) -> int:
        return self._batching.most

    def circuit(self, name: str, key: bytes) -> LoadedCircuit:
        """Raises ProvingFailedError for a circuit that another worker may have."""
        circuit = self._by_key.get(key)
        if circuit is None or self._by_name.get(name) is not circuit:
            raise ProvingFailedError(f"this worker has no key for the circuit {name}")
        return circuit

    def prove(self, circuit: LoadedCircuit, witness: Any, check: Callable[[], None]) -> "Future[Proved]":
        """Queue a witness for the device. `check` raises when its proof is not wanted any more.

        The future raises what `check` or the prover raised, and HandedBackError when the worker stops first.
        """
        entry = _Entry(circuit, witness, check, time.monotonic(), Future())
        with self._changed:
            if self._draining:
                entry.future.set_exception(HandedBackError())
            else:
                self._waiting.append(entry)
                self._changed.notify()
        return entry.future

    def drain(self) -> None:
        """Finish the batch on the device and hand back what waits for it."""
        with self._changed:
            self._draining = True
            waiting, self._waiting = self._waiting, []
            self._changed.notify()
        for entry in waiting:
            entry.future.set_exception(HandedBackError())

    def close(self) -> None:
        self.drain()
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    @property
    def busy_seconds(self) -> float:
        """For how long the device has been at its present batch; 0 when it is idle."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _own_device(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._busy_since = time.monotonic()
            try:
                self._prove(batch)
            except Exception as error:
                # Whatever this is, the device's thread has to outlive it.
                _fail(batch, error)
            finally:
                self._busy_since = None

    def _next_batch(self) -> list[_Entry] | None:
        """Wait for the batch whose first witness has waited longest; None when the executor is closed."""
        with self._changed:
            while not self._closed:
                if not self._waiting:
                    self._changed.wait()
                    continue
                first = self._waiting[0]
                batch = [entry for entry in self._waiting if entry.circuit is first.circuit][: self._batching.most]
                remaining = first.since + self._batching.delay - time.monotonic()
                if len(batch) >= min(self._batching.enough, self._batching.most) or remaining <= 0 or self._draining:
                    taken = set(map(id, batch))
                    self._waiting = [entry for entry in self._waiting if id(entry) not in taken]
                    return batch
                self._changed.wait(remaining)
        return None

    def _prove(self, batch: list[_Entry]) -> None:
        wanted = [entry for entry in batch if _still_wanted(entry)]
        if not wanted:
            return
        try:
            self._prove_together(wanted)
        except DeviceLost as error:
            self._lose()
            _fail(wanted, error)
        except Exception as error:
            if len(wanted) == 1 or all(not _still_wanted(entry) for entry in wanted):
                _fail(wanted, error)
                return
            # One of them spoiled the batch, or it was too large for the device's memory: the others shall not suffer.
            log.warning("batch failed, proving its jobs one by one", jobs=len(wanted), exception=type(error).__name__)
            for entry in wanted:
                self._prove([entry])

    def _prove_together(self, batch: list[_Entry]) -> None:
        circuit = batch[0].circuit
        name = next(name for name, each in self._by_name.items() if each is circuit)
        self._metrics.batch(name, len(batch))
        started = last = time.monotonic()

        def phase_done(phase: str) -> None:
            nonlocal last
            now = time.monotonic()
            self._metrics.device_phase(name, phase, now - last)
            last = now
            # Every entry is looked at; going on is pointless only when nobody wants any of them.
            wanted = [entry for entry in batch if _still_wanted(entry)]
            if not wanted:
                raise HandedBackError

        proofs = circuit.prove([entry.witness for entry in batch], phase_done)
        seconds = time.monotonic() - started
        if any(isinstance(proof, DeviceLost) for proof in proofs):
            self._lose()
        for entry, proof in zip(batch, proofs, strict=True):
            if entry.future.done():
                continue
            if isinstance(proof, Exception):
                entry.future.set_exception(proof)
            else:
                entry.future.set_result(Proved(proof, started - entry.since, seconds, len(batch)))

    def _lose(self) -> None:
        self.drain()
        self._lost()


def _still_wanted(entry: _Entry) -> bool:
    if not entry.future.done():
        try:
            entry.check()
        except Exception as error:
            entry.future.set_exception(error)
    return not entry.future.done()


def _fail(batch: list[_Entry], error: Exception) -> None:
    for entry in batch:
        if not entry.future.done():
            entry.future.set_exception(error)
