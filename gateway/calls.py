"""The calls of the interface, whatever brought them here: gRPC (`service.py`) and REST (`rest/`) both end in these.

Requests and answers are the messages of prover.proto. What goes wrong is raised: an error of `worker.errors`, or one of
`failures.py` that carries it; `failures.failure_of` and the table in `status.py` say what callers are told.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

from gateway.cluster import Cluster
from gateway.events import JobEvents
from gateway.failures import AboutJobError
from gateway.status import STATUS
from gateway.tenants import Caller, Scope
from gateway.validation import circuit_of
from proto import prover_pb2 as messages
from protocol.sealing import fingerprint
from worker.errors import GatewayStoppingError, InternalError, WaitTimedOutError
from worker.jobs import Job, State
from worker.manifest import CircuitEntry
from worker.registry import LiveWorker

# How long a call waits, and what it asked for stays queued, when the caller sets no deadline.
DEFAULT_WAIT = 120.0
MAX_WAIT = 3600.0
SUBMITTED_WAIT = 600.0
# A change of state is announced; this is for announcements that were lost.
LOOK_AGAIN = 5.0
FIRST_LOOK = 0.05

T = TypeVar("T")


class Calls:
    """One instance serves all calls, in one event loop; what blocks runs in threads.

    `key` is the caller's API key: every call but `end_waiting` lets the caller in first.
    """

    def __init__(self, cluster: Cluster, events: JobEvents) -> None:
        self._cluster = cluster
        self._events = events
        self._stopping = False

    async def prove(self, key: str, request: Any, wait: float) -> messages.Job:
        """Prove and wait for the proof."""
        job, caller = await self._let_in(
            key, lambda caller: self._cluster.prove(request, caller, wait), scope=Scope.PROVE
        )
        job = await self._ended(job, caller, wait)
        if job.error is not None:
            raise AboutJobError(job.error, job.id)
        return job_message(job)

    async def submit(self, key: str, request: Any) -> messages.Job:
        """Queue the same and return at once."""
        job, _ = await self._let_in(
            key, lambda caller: self._cluster.prove(request, caller, SUBMITTED_WAIT), scope=Scope.PROVE
        )
        return job_message(job)

    async def verify(self, key: str, request: Any, wait: float) -> messages.VerifyResponse:
        """Check a proof on a worker and wait for the answer."""
        job, caller = await self._let_in(
            key, lambda caller: self._cluster.verify(request, caller, wait), scope=Scope.VERIFY
        )
        job = await self._ended(job, caller, wait)
        if job.valid is None:
            raise AboutJobError(job.error or InternalError(), job.id)
        return messages.VerifyResponse(valid=job.valid)

    async def job(self, key: str, job_id: str, wait: float = 0.0) -> messages.Job:
        """Return a job as it is now, or as it is when it has ended or `wait` seconds are over."""
        job, caller = await self._let_in(key, lambda caller: self._cluster.job(job_id, caller.tenant))
        if wait > 0:
            with contextlib.suppress(AboutJobError):
                return job_message(await self._ended(job, caller, wait))
            job = await asyncio.to_thread(self._cluster.job, job_id, caller.tenant)
        return job_message(job)

    async def watch(self, key: str, job_id: str) -> AsyncIterator[messages.Job]:
        """Yield the job now and after every change of its state; it ends with the job."""
        job, caller = await self._let_in(key, lambda caller: self._cluster.job(job_id, caller.tenant))
        yield job_message(job)
        with self._events.changes(job_id) as changed:
            while not job.state.ended:
                changed.clear()
                told, job = job, await asyncio.to_thread(self._cluster.job, job_id, caller.tenant)
                if job.state is not told.state or job.attempts != told.attempts:
                    yield job_message(job)
                else:
                    self._go_on(job.id)
                    await changed.wait(LOOK_AGAIN)

    async def cancel(self, key: str, job_id: str) -> messages.Job:
        """End a job that has not ended."""
        job, _ = await self._let_in(key, lambda caller: self._cluster.cancel(job_id, caller.tenant))
        return job_message(job)

    async def circuits(self, key: str) -> messages.ListCircuitsResponse:
        live, _ = await self._let_in(key, lambda _: self._cluster.live_workers())
        circuits = [_circuit_message(entry, live) for entry in self._cluster.circuits.values()]
        return messages.ListCircuitsResponse(circuits=circuits)

    async def circuit(self, key: str, name: str) -> messages.GetCircuitResponse:
        def read(_: Caller) -> messages.GetCircuitResponse:
            entry = circuit_of(name, self._cluster.circuits)
            return messages.GetCircuitResponse(
                circuit=_circuit_message(entry, self._cluster.live_workers()),
                verification_key_json=entry.verification_key.read_text("utf-8"),
            )

        return (await self._let_in(key, read))[0]

    async def cluster_key(self, key: str) -> messages.ClusterKey:
        public, _ = await self._let_in(key, lambda _: self._cluster.cluster_key())
        return messages.ClusterKey(public_key=public, fingerprint=fingerprint(public))

    async def manifest(self, key: str) -> dict[str, Any]:
        """Return the key folder's manifest, for whoever wants to fetch proving keys."""
        document, _ = await self._let_in(key, lambda _: self._cluster.files.document, scope=Scope.KEYS)
        return dict(document)

    async def proving_key(self, key: str, sha256: str) -> Path:
        """Return where a proving key is. Raises UnknownKeyFileError."""
        path, _ = await self._let_in(key, lambda _: self._cluster.files.proving_key(sha256), scope=Scope.KEYS)
        return path

    def end_waiting(self) -> None:
        """End every call that waits for a job, with GatewayStoppingError; the jobs go on."""
        self._stopping = True
        self._events.wake_all()

    async def _let_in(self, key: str, action: Callable[[Caller], T], *, scope: Scope | None = None) -> tuple[T, Caller]:
        """Let the caller in and do what is asked, in one thread."""

        def work() -> tuple[T, Caller]:
            caller = self._cluster.admit(key, scope)
            return action(caller), caller

        return await asyncio.to_thread(work)

    async def _ended(self, job: Job, caller: Caller, wait: float) -> Job:
        """Wait for a job's end. Raises AboutJobError with WaitTimedOutError or GatewayStoppingError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        with self._events.changes(job.id, to_an_end=True) as changed:
            if not job.state.ended:
                # Had it ended before anybody listened, a look would tell; most have not, and looking would slow them.
                await changed.wait(min(wait, FIRST_LOOK))
            while not job.state.ended:
                changed.clear()
                if changed.ended is not None:
                    return changed.ended
                job = await asyncio.to_thread(self._cluster.job, job.id, caller.tenant)
                if not job.state.ended:
                    self._go_on(job.id)
                    remaining = deadline - loop.time()
                    if remaining <= 0:
                        raise AboutJobError(
                            WaitTimedOutError(f"job {job.id} is still going on: ask GetJob or WatchJob for it"), job.id
                        )
                    await changed.wait(min(remaining, LOOK_AGAIN))
        return job

    def _go_on(self, job_id: str) -> None:
        if self._stopping:
            raise AboutJobError(GatewayStoppingError(), job_id)


def waiting_time(seconds: float | None) -> float:
    """Return how long a call may wait that says it wants to."""
    return DEFAULT_WAIT if seconds is None else min(max(seconds, 0.001), MAX_WAIT)


def job_message(job: Job) -> messages.Job:
    """Return a job as callers see it: without its tenant, and with a proof only if it made one."""
    message = messages.Job(
        id=job.id,
        state=job.state.value,
        circuit=job.circuit,
        proof=job.proof if job.state is State.SUCCEEDED else None,
        cached=job.cached,
        seconds=job.seconds,
        attempts=job.attempts,
        statement_hash=job.statement,
        created_ms=job.created_ms,
        ended_ms=job.ended_ms or 0,
        fake=job.fake,
    )
    if job.error is not None:
        retry = STATUS[type(job.error)].retry
        message.error.CopyFrom(messages.JobError(name=job.error.name, message=str(job.error), retry=retry))
    return message


def _circuit_message(entry: CircuitEntry, live: list[LiveWorker]) -> messages.Circuit:
    return messages.Circuit(
        name=entry.name,
        public_inputs=entry.public_inputs,
        verification_key_digest=entry.verification_key_digest,
        development=entry.development,
        workers=sum(entry.name in worker.circuits for worker in live),
        proving_key_sha256=entry.zkey_sha256,
    )
