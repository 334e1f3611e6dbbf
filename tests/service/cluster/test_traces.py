"""Spans of gateway and worker reach a real OTLP collector, belong together, and hold nothing of a witness."""

import http.server
import itertools
import threading
import time

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gelap import tracing
from proto import errors
from tests.service.cluster_processes import PATIENCE, Cluster, until
from worker.errors import ConfigurationError

CANARY = 0x7ACE57ACE57ACE57ACE57ACE57ACE5
ROOTS = itertools.count(CANARY)
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CALL = "gelap.v1.Prover/Prove"


class Collector(http.server.ThreadingHTTPServer):
    """Keeps what is exported to it."""

    def __init__(self):
        self.bodies = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self):
        """(service, span) of everything received."""
        return [
            (next(item.value.string_value for item in part.resource.attributes if item.key == "service.name"), span)
            for body in list(self.bodies)
            for part in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in part.scope_spans
            for span in scope.spans
        ]

    def named(self, name):
        return next((span for _, span in self.spans() if span.name == name), None)


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.shutdown()
    collector.server_close()


@pytest.fixture
def traced(client, redis_url, key_dir, tmp_path):
    """A cluster whose processes send their spans to the given address at once."""
    clusters = []

    def start(url):
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        clusters.append(Cluster(redis_url, key_dir, tmp_path, **settings))
        clusters[-1].gateway()
        clusters[-1].worker()
        return clusters[-1]

    yield start
    for cluster in clusters:
        cluster.kill_all()


def attributes(span):
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


def square(root=None, **more):
    root = next(ROOTS) if root is None else root
    return [root**2], {"square": root**2, "root": root, **more}


def test_one_trace_leads_from_the_caller_through_the_gateway_to_the_phases_of_the_proof(traced, collector):
    cluster = traced(collector.url)
    with cluster.client() as client:
        client.prove("square", *square(pause=30))
    names = {CALL, "prove square", "queue", "witness", "wait", "prove"}
    until(lambda: all(map(collector.named, names)))
    spans = {span.name: (service, span) for service, span in collector.spans() if span.name in names}
    attempt, call = spans["prove square"][1], spans[CALL][1]
    assert {service for service, _ in spans.values()} == {"gelap-gateway", "gelap-worker"}
    assert len({span.trace_id for _, span in spans.values()}) == 1
    assert attempt.parent_span_id == call.span_id == spans["queue"][1].parent_span_id
    assert attributes(call) == {"rpc.status": "OK"}
    assert attributes(attempt).items() >= {"attempt": 1, "outcome": "done"}.items()
    place = attempt.start_time_unix_nano
    for phase in ("witness", "wait", "prove"):
        span = spans[phase][1]
        assert span.parent_span_id == attempt.span_id
        assert abs(span.start_time_unix_nano - place) < 1000
        place = span.end_time_unix_nano
    assert place - spans["prove"][1].start_time_unix_nano >= 30e6
    assert place <= attempt.end_time_unix_nano + 5e6


def test_a_callers_trace_is_gone_on_with_and_a_malformed_one_is_ignored(traced, collector):
    cluster = traced(collector.url)
    for header in (CALLER, "00-nothing-of-the-kind"):
        headers = {"Authorization": "Bearer alice", "traceparent": header}
        assert requests.get(f"{cluster.url}/v1/circuits", headers=headers, timeout=PATIENCE).status_code == 200
    until(lambda: len(collector.spans()) == 2)
    ours, other = (span for _, span in collector.spans())
    assert (ours.trace_id.hex(), ours.parent_span_id.hex()) == tuple(CALLER.split("-")[1:3])
    assert other.trace_id != ours.trace_id
    assert other.parent_span_id == b""


def test_failures_are_marked_and_nothing_of_the_witness_or_the_caller_is_sent(traced, collector):
    cluster = traced(collector.url)
    root = next(ROOTS)
    with cluster.client("the-API-key-of-alice") as client:
        with pytest.raises(errors.RefusedError):
            client.prove("square", [1], {"square": 1, "root": root})
        client.prove("square", *square(root))
    until(lambda: collector.named("prove") and sum(span.name == CALL for _, span in collector.spans()) == 2)
    failed = [span for _, span in collector.spans() if span.status.code == span.status.STATUS_CODE_ERROR]
    assert sorted(span.name for span in failed) == [CALL, "prove square"]
    sent = b"\n".join(collector.bodies)
    assert b"prove square" in sent
    for number in (root, root**2):
        assert str(number).encode() not in sent
        assert number.to_bytes(32, "big").lstrip(b"\0") not in sent
    assert b"the-API-key-of-alice" not in sent


def test_proofs_and_the_end_of_a_process_do_not_wait_for_a_collector_that_is_gone(traced):
    cluster = traced("http://127.0.0.1:9")
    with cluster.client() as client:
        assert client.prove("square", *square()).proof
    for process in cluster.processes:
        started = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - started < 40, "its exporter would go on asking for a minute"


def test_no_traces_are_made_unless_asked_for_and_without_their_packages_it_says_what_to_install(monkeypatch):
    for name in tracing.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert type(tracing.traces_of("gelap-test")) is tracing.Traces
    monkeypatch.setenv(tracing.ENDPOINTS[0], "http://127.0.0.1:9")
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError, match=r"gelap\[tracing\]"):
        tracing.traces_of("gelap-test")
