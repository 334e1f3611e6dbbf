"""What Prometheus reads from a worker. A worker is one process whose tasks are threads, so one registry has it all.

No label holds anything of a caller: neither tenants nor job ids, of which there is no end, nor inputs.
"""

from collections.abc import Callable, Iterable, Mapping

import structlog
from prometheus_client import Counter, Gauge, Histogram, start_http_server

from gelap.metrics_registry import process_registry
from worker.errors import ConfigurationError

log = structlog.get_logger("gelap.worker")

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """All metrics of one worker."""

    def __init__(self) -> None:
        self.registry = process_registry()
        self._phases = Histogram(
            "gelap_worker_phase_seconds",
            "How long jobs were in each phase: queue, witness, wait (for the device), prove, verify",
            ("circuit", "phase"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._device_phases = Histogram(
            "gelap_worker_device_phase_seconds",
            "How long batches were in each phase on the device",
            ("circuit", "phase"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._attempts = Counter(
            "gelap_worker_attempts",
            "Attempts that ended, by how: done, failed, tried again, dropped (cancelled or lost), handed back",
            ("circuit", "outcome"),
            registry=self.registry,
        )
        self._batches = Histogram(
            "gelap_worker_batch_jobs", "Jobs in a batch", ("circuit",), buckets=_BATCH, registry=self.registry
        )
        self._wrong = Counter(
            "gelap_worker_wrong_proofs",
            "Proofs that the device made and that do not verify",
            ("circuit",),
            registry=self.registry,
        )
        self._in_hand = Gauge("gelap_worker_jobs_in_hand", "Jobs that have not ended", registry=self.registry)
        self._busy = Gauge(
            "gelap_worker_device_busy_seconds", "How long the device has been at this batch", registry=self.registry
        )

    def know(self, circuits: Iterable[str]) -> None:
        """Show counters of rare events from the start: Prometheus sees no rise in one that appears with its first."""
        for circuit in circuits:
            self._wrong.labels(circuit)

    def attempt_ended(self, circuit: str, outcome: str, seconds: Mapping[str, float]) -> None:
        """Count an attempt; `seconds` are those of the phases that it went through."""
        self._attempts.labels(circuit, outcome).inc()
        for phase, value in seconds.items():
            self._phases.labels(circuit, phase).observe(value)

    def device_phase(self, circuit: str, phase: str, seconds: float) -> None:
        self._device_phases.labels(circuit, phase).observe(seconds)

    def batch(self, circuit: str, jobs: int) -> None:
        self._batches.labels(circuit).observe(jobs)

    def wrong_proof(self, circuit: str) -> None:
        self._wrong.labels(circuit).inc()

    def watch(self, in_hand: Callable[[], float], busy_seconds: Callable[[], float]) -> None:
        """Have the gauges read from these when somebody asks."""
        self._in_hand.set_function(in_hand)
        self._busy.set_function(busy_seconds)

    def serve(self, address: str) -> Callable[[], None]:
        """Answer Prometheus on host:port, port 0 for any free one; returns what ends it. Raises ConfigurationError."""
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ConfigurationError(f"{address!r} is no address to listen on, such as 127.0.0.1:9465")
        try:
            server, thread = start_http_server(int(port), host.strip("[]"), registry=self.registry)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(f"cannot listen on {address} for metrics: {error}") from None
        log.info("metrics ready", address=host, port=server.server_port)

        def close() -> None:
            server.shutdown()
            thread.join()

        return close
