"""One worker process: takes job ids from Celery, proves, and ends cleanly when it is told to."""

import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog
from celery import Celery
from celery.worker import state as celery_state

from gelap.tracing import traces_of
from protocol.sealing import fingerprint
from worker import queue
from worker.cluster_key import load_cluster_key
from worker.connection import connect_or_explain
from worker.executor import Batching, Executor, LoadedCircuit
from worker.jobs import JobStore, Limits
from worker.leases import LeaseKeeper
from worker.manifest import CircuitEntry, read_manifest
from worker.memory import forbid_core_dumps
from worker.metrics import Metrics
from worker.registry import Heartbeat, LiveWorker, Registry
from worker.runner import JobRunner
from worker.watchdog import EXIT_STATUS, Watchdog

log = structlog.get_logger("gelap.worker")

_CONSUMER_PAUSE_SECONDS = 1.0
# Python lets another thread run after 5 ms by default: longer than most of what waits, such as leases and messages.
_SWITCH_SECONDS = 0.0005


@dataclass(frozen=True)
class WorkerConfig:
    """`max_batch` jobs are proved at once, None for what the device takes; see `Batching` for the two beside it.

    `concurrency` is how many jobs are in hand at once, those on the device and those whose witness is solved
    meanwhile; None for twice the batch. `drain` is how many seconds a batch on the device gets to end when the worker
    is stopped. `metrics_address` is host:port; None for no metrics.
    """

    redis_url: str
    key_dir: Path
    cluster_key_file: Path
    concurrency: int | None = None
    max_batch: int | None = None
    batch_delay: float = 0.0
    min_batch: int = 1
    drain: float = 60.0
    metrics_address: str | None = None
    limits: Limits = field(default_factory=lambda: Limits())


def serve(
    config: WorkerConfig,
    load_circuits: Callable[[Mapping[str, CircuitEntry]], Mapping[str, LoadedCircuit]],
) -> int:
    """Work until SIGTERM or SIGINT, then finish or hand back what is in hand; return the exit status.

    `load_circuits` makes the circuits of the manifest ready to prove, all on the device that each of them names.
    Raises ConfigurationError.
    """
    forbid_core_dumps()
    sys.setswitchinterval(_SWITCH_SECONDS)
    stopper = Stopper()
    traces = traces_of("gelap-worker")
    client = connect_or_explain(config.redis_url)
    entries = read_manifest(config.key_dir)
    key, made = load_cluster_key(config.cluster_key_file)
    if made:
        log.warning(
            "made a new cluster key; workers on other machines need a copy of it", file=str(config.cluster_key_file)
        )
    circuits = load_circuits(entries)
    device = next(iter(circuits.values())).device
    most = config.max_batch or max(circuit.batch for circuit in circuits.values())
    concurrency = config.concurrency or 2 * most
    metrics = Metrics()
    executor = Executor(circuits, Batching(most, config.batch_delay, config.min_batch), metrics, stopper.device_lost)
    worker = LiveWorker(
        id=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
        circuits=executor.circuits,
        keys=executor.keys,
        device=device,
        batch=most,
    )
    store = JobStore(client, config.limits)
    leases = LeaseKeeper(store, client)
    app = queue.make_app(config.redis_url)

    def tell(key: bytes, jobs: int) -> None:
        queue.tell(app, key, jobs)

    runner = JobRunner(store, executor, key, leases, metrics, worker.id, tell, concurrency, traces)
    heartbeat = Heartbeat(
        Registry(client), lambda: replace(worker, in_hand=leases.count, done=runner.done), key.public_key
    )
    metrics.watch(lambda: leases.count, lambda: executor.busy_seconds)
    watchdog = Watchdog(lambda: executor.busy_seconds, config.limits.attempt)

    with ExitStack() as running:
        # Stopped in the opposite order: jobs in hand still need the device and their leases.
        running.callback(traces.close)
        if config.metrics_address is not None:
            running.callback(metrics.serve(config.metrics_address))
        watchdog.start()
        running.callback(watchdog.stop)
        running.callback(executor.close)
        leases.start()
        running.callback(leases.stop)
        heartbeat.start()
        running.callback(heartbeat.stop)
        running.callback(runner.close)

        def ready(_: Any) -> None:
            log.info(
                "worker ready",
                worker=worker.id,
                circuits=list(worker.circuits),
                device=device,
                batch=most,
                cluster_key=fingerprint(key.public_key).hex(),
            )

        app.task(runner.run, name=queue.TASK, acks_late=True, ignore_result=True, typing=False)
        with stopper.draining(lambda: runner.drain(config.drain)):
            _consume(app, executor.keys, concurrency, ready, stopper.asked)
        log.info("worker stopped", worker=worker.id)
    return stopper.status


class Stopper:
    """What SIGTERM and Ctrl-C do: before any job is taken they end the process, then the first one asks for a clean end
    and a second one ends the process at once. Jobs left behind go to other workers when their leases end.
    """

    def __init__(self) -> None:
        self._drain: Callable[[], None] | None = None
        self.asked = threading.Event()
        self.status = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    @contextmanager
    def draining(self, drain: Callable[[], None]) -> Iterator[None]:
        """While Celery's consumer runs; `drain` has the jobs in hand end soon."""
        celery_state.should_stop = None
        self._drain = drain
        yield

    def device_lost(self) -> None:
        """End as on a signal, with a status that has a supervisor start the worker again."""
        log.critical("the device is lost, and only a new process can use it: handing the jobs back and ending")
        self.status = EXIT_STATUS
        self.asked.set()
        if self._drain is not None:
            self._drain()
        celery_state.should_stop = EXIT_STATUS

    def _stop(self, number: int, _: object) -> None:
        if self._drain is None:
            sys.exit(0)
        if self.asked.is_set():
            os._exit(128 + number)
        self.asked.set()
        log.info("stopping: finishing the jobs in hand", signal=signal.Signals(number).name)
        # In a thread: a signal may come while this one holds the very lock that draining needs.
        threading.Thread(target=self._drain, name="drain", daemon=True).start()
        celery_state.should_stop = 0


def _consume(
    app: Celery, keys: Sequence[bytes], concurrency: int, ready: Callable[[Any], None], stopping: threading.Event
) -> None:
    """Run Celery's consumer, with its tasks in a pool of threads: CUDA does not survive a fork.

    It bears a Redis that goes away, but ends when Redis answers with an error, as one does that is full. What is in
    hand ends then all the same, and another consumer takes its place.
    """
    while not stopping.is_set():
        controller = app.WorkController(
            queues=[queue.queue_of(key) for key in keys],
            pool="threads",
            concurrency=concurrency,
            ready_callback=ready,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        controller.start()
        if not stopping.is_set():
            log.error("Celery's consumer ended: starting another one", status=controller.exitcode)
            stopping.wait(_CONSUMER_PAUSE_SECONDS)
