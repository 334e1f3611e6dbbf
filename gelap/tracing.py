"""Traces by OpenTelemetry for those who want them: a span for each call of a gateway, and for each attempt of a worker.

`OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) says where a collector takes them by OTLP over
HTTP; the other variables of OpenTelemetry's SDK hold too. Without one of the two nothing is traced and nothing of
OpenTelemetry is imported. A caller's `traceparent` (W3C Trace Context) becomes the parent of its call; the call's goes
with the job to the worker.

No span holds anything of a request but the circuit's name: no inputs, public or secret, no tenant, no API key.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.errors import ConfigurationError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# A collector that does not answer shall not hold up the end of a process for OpenTelemetry's 10 s.
_EXPORT_SECONDS = 2.0


class CallSpan:
    """The span of a call in hand; this one is nobody's."""

    def end_as(self, code: str, failed: bool) -> None:
        """Say how the call ended, by the name of its status."""


@dataclass(frozen=True)
class AttemptSpan:
    """An attempt at a job. `started` in seconds since 1970; `traceparent` is the job's, or ''.

    The phases in `seconds` become spans: `queue` before the start, the others in their order after it.
    """

    name: str
    traceparent: str
    started: float
    seconds: Mapping[str, float]
    attributes: Mapping[str, str | int]
    failed: bool


class Traces:
    """Where spans go; here: nowhere."""

    @contextlib.contextmanager
    def call(self, name: str, traceparent: str) -> Iterator[CallSpan]:
        """The span of a call, current in its block and what that awaits; `traceparent` is the caller's, or ''."""
        yield CallSpan()

    def current(self) -> str:
        """The `traceparent` of the current call, '' for none."""
        return ""

    def attempt(self, attempt: AttemptSpan) -> None:
        """Record an attempt that ends now."""

    def close(self) -> None:
        """Send what is left, within seconds."""


def traces_of(service: str) -> Traces:
    """What the environment asks for, for the program `service`. Raises ConfigurationError without OpenTelemetry."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return Traces()
    try:
        return _OpenTelemetry(service)
    except ImportError:
        raise ConfigurationError(
            f"{ENDPOINTS[0]} asks for traces: install what they need with `pip install 'gelap[tracing]'`, or unset it"
        ) from None


class _OpenTelemetry(Traces):
    def __init__(self, service: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", service)})
        timeout = None if "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ else _EXPORT_SECONDS
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=timeout)))
        self._tracer = self._provider.get_tracer("gelap")
        self._propagator = TraceContextTextMapPropagator()

    @contextlib.contextmanager
    def call(self, name: str, traceparent: str) -> Iterator[CallSpan]:
        from opentelemetry.trace import SpanKind

        parent = self._propagator.extract({"traceparent": traceparent})
        with self._tracer.start_as_current_span(
            name, context=parent, kind=SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            yield _OpenSpan(span)

    def current(self) -> str:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent", "")

    def attempt(self, attempt: AttemptSpan) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        parent = self._propagator.extract({"traceparent": attempt.traceparent})
        started, seconds = attempt.started, attempt.seconds
        if "queue" in seconds:
            self._phase("queue", parent, started - seconds["queue"], started)
        span = self._tracer.start_span(
            attempt.name, parent, SpanKind.CONSUMER, attributes=attempt.attributes, start_time=_ns(started)
        )
        within, place = set_span_in_context(span, parent), started
        for phase, length in seconds.items():
            if phase != "queue":
                self._phase(phase, within, place, place + length)
                place += length
        if attempt.failed:
            _fail(span)
        span.end(_ns(max(place, time.time())))

    def close(self) -> None:
        self._provider.shutdown()

    def _phase(self, name, context, begin: float, end: float) -> None:  # type: ignore[no-untyped-def]
        self._tracer.start_span(name, context, start_time=_ns(begin)).end(_ns(end))


class _OpenSpan(CallSpan):
    def __init__(self, span) -> None:  # type: ignore[no-untyped-def]
        self._span = span

    def end_as(self, code: str, failed: bool) -> None:
        self._span.set_attribute("rpc.status", code)
        if failed:
            _fail(self._span)


def _fail(span) -> None:  # type: ignore[no-untyped-def]
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR))


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
