"""The gRPC service: from gRPC's calls to those of `calls.py`, and from what they raise to a status."""

import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, NoReturn, TypeVar

import grpc

from gateway import metrics
from gateway.calls import Calls, waiting_time
from gateway.failures import AboutJobError, failure_of
from gateway.status import STATUS, metadata_of
from gateway.tenants import api_key_of
from gelap.tracing import Traces
from proto import prover_pb2 as messages
from proto import prover_pb2_grpc

T = TypeVar("T")
_INTERFACE = "grpc"
_SERVICE = messages.DESCRIPTOR.services_by_name["Prover"].full_name


def _answered(method: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """Measure a unary call, and turn whatever it raises into its status."""

    @functools.wraps(method)
    async def answer(self: "ProverService", request: Any, context: grpc.aio.ServicerContext) -> T:
        with _measured(self.traces, method.__name__, context) as measured:
            try:
                return await method(self, request, context, _api_key(context))
            except Exception as error:
                await _abort(context, error, measured)

    return answer


def _streamed(method: Callable[..., AsyncIterator[T]]) -> Callable[..., AsyncIterator[T]]:
    """The same for a call that streams."""

    @functools.wraps(method)
    async def answer(self: "ProverService", request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[T]:
        with _measured(self.traces, method.__name__, context) as measured:
            try:
                async for item in method(self, request, context, _api_key(context)):
                    yield item
            except Exception as error:
                await _abort(context, error, measured)

    return answer


class ProverService(prover_pb2_grpc.ProverServicer):
    def __init__(self, calls: Calls, traces: Traces | None = None) -> None:
        self._calls = calls
        self.traces = traces or Traces()

    @_answered
    async def Prove(self, request: messages.ProveRequest, context: grpc.aio.ServicerContext, key: str) -> messages.Job:
        return await self._calls.prove(key, request, waiting_time(context.time_remaining()))

    @_answered
    async def Submit(self, request: messages.ProveRequest, _: grpc.aio.ServicerContext, key: str) -> messages.Job:
        return await self._calls.submit(key, request)

    @_answered
    async def GetJob(self, request: messages.GetJobRequest, _: grpc.aio.ServicerContext, key: str) -> messages.Job:
        return await self._calls.job(key, request.id)

    @_streamed
    async def WatchJob(
        self, request: messages.WatchJobRequest, _: grpc.aio.ServicerContext, key: str
    ) -> AsyncIterator[messages.Job]:
        async for job in self._calls.watch(key, request.id):
            yield job

    @_answered
    async def CancelJob(
        self, request: messages.CancelJobRequest, _: grpc.aio.ServicerContext, key: str
    ) -> messages.Job:
        return await self._calls.cancel(key, request.id)

    @_answered
    async def ListCircuits(
        self, _: messages.ListCircuitsRequest, __: grpc.aio.ServicerContext, key: str
    ) -> messages.ListCircuitsResponse:
        return await self._calls.circuits(key)

    @_answered
    async def GetCircuit(
        self, request: messages.GetCircuitRequest, _: grpc.aio.ServicerContext, key: str
    ) -> messages.GetCircuitResponse:
        return await self._calls.circuit(key, request.name)

    @_answered
    async def Verify(
        self, request: messages.VerifyRequest, context: grpc.aio.ServicerContext, key: str
    ) -> messages.VerifyResponse:
        return await self._calls.verify(key, request, waiting_time(context.time_remaining()))

    @_answered
    async def GetClusterKey(
        self, _: messages.GetClusterKeyRequest, __: grpc.aio.ServicerContext, key: str
    ) -> messages.ClusterKey:
        return await self._calls.cluster_key(key)


class _Measured:
    """One call in the metrics; one that its caller gave up counts as CANCELLED."""

    def __init__(self, method: str) -> None:
        self._method = method
        self.code = grpc.StatusCode.OK

    def __enter__(self) -> "_Measured":
        self._started = time.perf_counter()
        metrics.CALLS_IN_HAND.labels(_INTERFACE, self._method).inc()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self.code is grpc.StatusCode.OK:
            self.code = grpc.StatusCode.CANCELLED
        metrics.CALLS_IN_HAND.labels(_INTERFACE, self._method).dec()
        metrics.CALLS.labels(_INTERFACE, self._method, self.code.name).inc()
        metrics.CALL_SECONDS.labels(_INTERFACE, self._method).observe(time.perf_counter() - self._started)


@contextlib.contextmanager
def _measured(traces: Traces, method: str, context: grpc.aio.ServicerContext) -> Iterator[_Measured]:
    parents = [value for name, value in context.invocation_metadata() or () if name == "traceparent"]
    with traces.call(f"{_SERVICE}/{method}", parents[0] if len(parents) == 1 else "") as span:
        measured = _Measured(method)
        try:
            with measured:
                yield measured
        finally:
            span.end_as(measured.code.name, measured.code is not grpc.StatusCode.OK)


def _api_key(context: grpc.aio.ServicerContext) -> str:
    return api_key_of([value for name, value in context.invocation_metadata() or () if name == "authorization"])


async def _abort(context: grpc.aio.ServicerContext, error: Exception, measured: _Measured) -> NoReturn:
    failure, job_id = failure_of(error)
    measured.code = STATUS[type(failure)].code
    if not isinstance(error, AboutJobError):
        metrics.REJECTIONS.labels(failure.name).inc()
    context.set_trailing_metadata(metadata_of(failure, job_id))
    await context.abort(measured.code, str(failure))
    raise AssertionError("abort does not return")
