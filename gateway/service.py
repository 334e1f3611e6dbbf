"""The gRPC service: who calls, what they may see, and how long they wait. What it does is in `cluster.py`."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import grpc
import redis
import structlog

from gateway.cluster import Cluster
from gateway.events import JobEvents
from gateway.status import STATUS, metadata_of
from gateway.tenants import authenticate
from gateway.validation import circuit_of
from gelap.logs import where
from proto import prover_pb2 as messages
from proto import prover_pb2_grpc
from protocol.sealing import fingerprint
from worker.errors import ClusterError, InternalError, StoreUnavailableError, WaitTimedOutError
from worker.jobs import Job, State
from worker.manifest import CircuitEntry
from worker.registry import LiveWorker

# How long a call waits, and what it asked for stays queued, when the caller sets no deadline.
DEFAULT_WAIT = 120.0
MAX_WAIT = 3600.0
SUBMITTED_WAIT = 600.0
# A change of state is announced; this is for announcements that were lost.
LOOK_AGAIN = 5.0

log = structlog.get_logger("gelap.gateway")
T = TypeVar("T")


class _JobEndedError(Exception):
    """Carries a job's failure, with its id, to where it becomes a status."""

    def __init__(self, job: Job) -> None:
        self.job = job


def _answered(method: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """Turn whatever a unary call raises into its status."""

    @functools.wraps(method)
    async def answer(self: "ProverService", request: Any, context: grpc.aio.ServicerContext) -> T:
        try:
            return await method(self, request, context)
        except Exception as error:
            await _abort(context, error)

    return answer


def _streamed(method: Callable[..., AsyncIterator[T]]) -> Callable[..., AsyncIterator[T]]:
    """The same for a call that streams."""

    @functools.wraps(method)
    async def answer(self: "ProverService", request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[T]:
        try:
            async for item in method(self, request, context):
                yield item
        except Exception as error:
            await _abort(context, error)

    return answer


class ProverService(prover_pb2_grpc.ProverServicer):
    """One instance serves all calls, in one event loop; what blocks runs in threads."""

    def __init__(self, cluster: Cluster, events: JobEvents) -> None:
        self._cluster = cluster
        self._events = events

    @_answered
    async def Prove(self, request: messages.ProveRequest, context: grpc.aio.ServicerContext) -> messages.Job:
        tenant, wait = _tenant(context), _wait(context)
        job = await asyncio.to_thread(self._cluster.prove, request, tenant, wait)
        job = await self._ended(job, tenant, wait)
        if job.error is not None:
            raise _JobEndedError(job)
        return job_message(job)

    @_answered
    async def Submit(self, request: messages.ProveRequest, context: grpc.aio.ServicerContext) -> messages.Job:
        return job_message(await asyncio.to_thread(self._cluster.prove, request, _tenant(context), SUBMITTED_WAIT))

    @_answered
    async def GetJob(self, request: messages.GetJobRequest, context: grpc.aio.ServicerContext) -> messages.Job:
        return job_message(await asyncio.to_thread(self._cluster.job, request.id, _tenant(context)))

    @_streamed
    async def WatchJob(
        self, request: messages.WatchJobRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[messages.Job]:
        tenant = _tenant(context)
        told = None
        with self._events.changes(request.id) as changed:
            while told is None or not told.state.ended:
                changed.clear()
                job = await asyncio.to_thread(self._cluster.job, request.id, tenant)
                if told is None or job.state is not told.state or job.attempts != told.attempts:
                    yield job_message(job)
                    told = job
                else:
                    await _until(changed, LOOK_AGAIN)

    @_answered
    async def CancelJob(self, request: messages.CancelJobRequest, context: grpc.aio.ServicerContext) -> messages.Job:
        return job_message(await asyncio.to_thread(self._cluster.cancel, request.id, _tenant(context)))

    @_answered
    async def ListCircuits(
        self, request: messages.ListCircuitsRequest, context: grpc.aio.ServicerContext
    ) -> messages.ListCircuitsResponse:
        _tenant(context)
        live = await asyncio.to_thread(self._cluster.live_workers)
        circuits = [_circuit_message(entry, live) for entry in self._cluster.circuits.values()]
        return messages.ListCircuitsResponse(circuits=circuits)

    @_answered
    async def GetCircuit(
        self, request: messages.GetCircuitRequest, context: grpc.aio.ServicerContext
    ) -> messages.GetCircuitResponse:
        _tenant(context)
        entry = circuit_of(request.name, self._cluster.circuits)
        live = await asyncio.to_thread(self._cluster.live_workers)
        key = await asyncio.to_thread(entry.verification_key.read_text, "utf-8")
        return messages.GetCircuitResponse(circuit=_circuit_message(entry, live), verification_key_json=key)

    @_answered
    async def Verify(
        self, request: messages.VerifyRequest, context: grpc.aio.ServicerContext
    ) -> messages.VerifyResponse:
        tenant, wait = _tenant(context), _wait(context)
        job = await asyncio.to_thread(self._cluster.verify, request, tenant, wait)
        job = await self._ended(job, tenant, wait)
        if job.valid is None:
            raise _JobEndedError(job)
        return messages.VerifyResponse(valid=job.valid)

    @_answered
    async def GetClusterKey(
        self, request: messages.GetClusterKeyRequest, context: grpc.aio.ServicerContext
    ) -> messages.ClusterKey:
        _tenant(context)
        key = await asyncio.to_thread(self._cluster.cluster_key)
        return messages.ClusterKey(public_key=key, fingerprint=fingerprint(key))

    async def _ended(self, job: Job, tenant: str, wait: float) -> Job:
        """Wait for a job's end. Raises WaitTimedOutError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        with self._events.changes(job.id) as changed:
            while not job.state.ended:
                changed.clear()
                job = await asyncio.to_thread(self._cluster.job, job.id, tenant)
                if not job.state.ended:
                    remaining = deadline - loop.time()
                    if remaining <= 0:
                        raise WaitTimedOutError(f"job {job.id} is still going on: ask GetJob or WatchJob for it")
                    await _until(changed, min(remaining, LOOK_AGAIN))
        return job


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
    )


def _tenant(context: grpc.aio.ServicerContext) -> str:
    return authenticate(context.invocation_metadata() or ())


def _wait(context: grpc.aio.ServicerContext) -> float:
    remaining = context.time_remaining()
    return DEFAULT_WAIT if remaining is None else min(max(remaining, 0.001), MAX_WAIT)


async def _until(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def _abort(context: grpc.aio.ServicerContext, error: Exception) -> NoReturn:
    job_id = None
    if isinstance(error, _JobEndedError):
        job_id, failure = error.job.id, error.job.error or InternalError()
    elif isinstance(error, ClusterError):
        failure = error
    elif isinstance(error, redis.RedisError):
        log.warning("call failed: Redis does not answer", reason=str(error))
        failure = StoreUnavailableError()
    else:
        log.error("call failed", exception=type(error).__name__, where=where(error))
        failure = InternalError()
    context.set_trailing_metadata(metadata_of(failure, job_id))
    await context.abort(STATUS[type(failure)].code, str(failure))
    raise AssertionError("abort does not return")
