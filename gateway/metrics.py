"""What Prometheus reads from a gateway: every metric it has, in one place.

No label holds anything of a caller: neither tenants nor job ids, of which there is no end, nor inputs.
"""

from collections.abc import Iterator, Sequence

from prometheus_client import Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gelap.metrics_registry import process_registry
from worker.jobs import Overview
from worker.registry import LiveWorker

# From a status read to a long proof, in seconds.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

REGISTRY = process_registry()

CALLS = Counter(
    "gelap_gateway_calls",
    "Calls that ended, by interface (grpc, rest), method, and status (a gRPC code's name)",
    ("interface", "method", "code"),
    registry=REGISTRY,
)
CALL_SECONDS = Histogram(
    "gelap_gateway_call_seconds",
    "How long calls took, waiting for a proof included",
    ("interface", "method"),
    buckets=_BUCKETS,
    registry=REGISTRY,
)
CALLS_IN_HAND = Gauge(
    "gelap_gateway_calls_in_hand", "Calls that have not ended", ("interface", "method"), registry=REGISTRY
)
REJECTIONS = Counter(
    "gelap_gateway_rejections",
    "Calls refused before anything was queued, by the stable name of the reason",
    ("reason",),
    registry=REGISTRY,
)
JOBS = Counter(
    "gelap_gateway_jobs",
    "Requests for jobs by what became of them: new, cached (the proof was there), joined (it is being proved), "
    "repeated (a known idempotency key)",
    ("kind", "circuit", "outcome"),
    registry=REGISTRY,
)
JOBS_SENT_AGAIN = Counter(
    "gelap_gateway_jobs_sent_again",
    "Jobs that this gateway took from a lost worker, or found queued without a message",
    registry=REGISTRY,
)
STORE_UP = Gauge("gelap_gateway_store_up", "1 while Redis answers this gateway, else 0", registry=REGISTRY)
DRAINING = Gauge("gelap_gateway_draining", "1 from the moment the gateway is told to stop", registry=REGISTRY)
RELOADS = Counter(
    "gelap_gateway_reloads",
    "Files read again without a restart, by what (manifest, tls) and whether they could be used",
    ("what", "outcome"),
    registry=REGISTRY,
)

# What the job store counts (worker/scripts). Prometheus sees no rise in a counter that appears with its first event, so
# these are there from the start.
EVENTS = (
    "submitted", "cached", "joined", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "retries", "wrong_proofs",
    "handed_back", "lost_attempts", "lost_workers", "poison_jobs", "swept",
)  # fmt: skip

CONSUMING = Gauge("gelap_cluster_consuming", "1 while workers live and the queue moves, else 0", registry=REGISTRY)


class ClusterMetrics(Collector):
    """What the job store says of the whole cluster, as this gateway saw it last: every gateway shows the same.

    Sum nothing of this over gateways; take the maximum.
    """

    def __init__(self) -> None:
        self._overview: Overview | None = None
        self._workers: Sequence[LiveWorker] = ()
        self._circuits: Sequence[str] = ()

    def show(self, overview: Overview, workers: Sequence[LiveWorker], circuits: Sequence[str]) -> None:
        self._overview, self._workers, self._circuits = overview, workers, circuits

    def collect(self) -> Iterator[Metric]:
        overview = self._overview
        if overview is None:
            return
        queued = GaugeMetricFamily("gelap_queue_jobs", "Jobs that wait for a worker", labels=("circuit", "priority"))
        oldest = GaugeMetricFamily(
            "gelap_queue_oldest_seconds", "How long the oldest queued job has waited", labels=("circuit",)
        )
        device = GaugeMetricFamily(
            "gelap_queue_device_seconds", "Device time that queued jobs will take, by what they took lately",
            labels=("circuit",),
        )  # fmt: skip
        stopped = GaugeMetricFamily(
            "gelap_circuit_stopped", "1 while a circuit takes no jobs because its proofs did not verify",
            labels=("circuit",),
        )  # fmt: skip
        # A circuit can have had several keys; what waits for any of them waits for the circuit.
        for circuit in sorted({*self._circuits, *(load.circuit for load in overview.circuits)}):
            loads = [load for load in overview.circuits if load.circuit == circuit]
            queued.add_metric((circuit, "normal"), sum(load.normal for load in loads))
            queued.add_metric((circuit, "bulk"), sum(load.bulk for load in loads))
            oldest.add_metric((circuit,), max((load.oldest_seconds for load in loads), default=0.0))
            device.add_metric((circuit,), sum(load.queued_device_seconds for load in loads))
            stopped.add_metric((circuit,), float(any(load.stopped_seconds is not None for load in loads)))
        workers = GaugeMetricFamily(
            "gelap_workers", "Workers seen in the last seconds that prove a circuit", labels=("circuit",)
        )
        for circuit in self._circuits:
            workers.add_metric((circuit,), sum(circuit in worker.circuits for worker in self._workers))
        events = CounterMetricFamily(
            "gelap_cluster_events", "What happened since the job store was empty", labels=("event",)
        )
        for name in dict.fromkeys((*EVENTS, *overview.counters)):
            events.add_metric((name.lower(),), overview.counters.get(name, 0))
        running = GaugeMetricFamily("gelap_running_jobs", "Jobs that a worker has", value=overview.running)
        yield from (queued, oldest, device, stopped, workers, events, running)


CLUSTER = ClusterMetrics()
REGISTRY.register(CLUSTER)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition() -> bytes:
    """Return all metrics in Prometheus's text format."""
    return generate_latest(REGISTRY)
