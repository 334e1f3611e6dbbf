"""One worker process: takes job ids from Celery, proves, and ends cleanly when it is told to."""

import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from celery import Celery
from celery.worker import state as celery_state

from protocol.sealing import fingerprint
from worker import queue
from worker.cluster_key import load_cluster_key
from worker.connection import connect_or_explain
from worker.executor import Executor, LoadedCircuit
from worker.jobs import JobStore, Limits
from worker.leases import LeaseKeeper
from worker.manifest import CircuitEntry, read_manifest
from worker.memory import forbid_core_dumps
from worker.registry import Heartbeat, LiveWorker, Registry
from worker.runner import JobRunner

log = structlog.get_logger("gelap.worker")


@dataclass(frozen=True)
class WorkerConfig:
    """`concurrency` is how many jobs are in hand at once: one on the device, the others solving their witness."""

    redis_url: str
    key_dir: Path
    cluster_key_file: Path
    concurrency: int = 2
    limits: Limits = field(default_factory=Limits)


def serve(
    config: WorkerConfig,
    load_circuits: Callable[[Mapping[str, CircuitEntry]], Mapping[str, LoadedCircuit]],
) -> int:
    """Work until SIGTERM or SIGINT, then finish what is in hand; return the exit status. Raises ConfigurationError.

    `load_circuits` makes the circuits of the manifest ready to prove: `worker.engines.load_circuits`.
    """
    forbid_core_dumps()
    stopper = Stopper()
    client = connect_or_explain(config.redis_url)
    entries = read_manifest(config.key_dir)
    key, made = load_cluster_key(config.cluster_key_file)
    if made:
        log.warning(
            "made a new cluster key; workers on other machines need a copy of it", file=str(config.cluster_key_file)
        )
    executor = Executor(load_circuits(entries))
    worker = LiveWorker(f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}", executor.circuits)

    store = JobStore(client, config.limits)
    leases = LeaseKeeper(store)
    heartbeat = Heartbeat(Registry(client), worker, key.public_key)
    app = queue.make_app(config.redis_url)
    runner = JobRunner(store, executor, key, leases, worker.id, lambda job_id: queue.send(app, job_id))

    with ExitStack() as running:
        # Stopped in the opposite order: jobs in hand still need the device and their leases.
        running.callback(executor.close)
        leases.start()
        running.callback(leases.stop)
        heartbeat.start()
        running.callback(heartbeat.stop)

        def ready(_: Any) -> None:
            log.info(
                "worker ready",
                worker=worker.id,
                circuits=list(worker.circuits),
                cluster_key=fingerprint(key.public_key).hex(),
            )

        controller = _consumer(app, runner, config.concurrency, ready)
        with stopper.draining():
            controller.start()
        log.info("worker stopped", worker=worker.id)
    return int(controller.exitcode or 0)


class Stopper:
    """What SIGTERM and Ctrl-C do: before any job is taken they end the process, then the first one asks for a clean end
    and a second one ends the process at once. Jobs left behind go to other workers when their leases end.
    """

    def __init__(self) -> None:
        self._draining = False
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    @contextmanager
    def draining(self) -> Iterator[None]:
        """While Celery's consumer runs."""
        celery_state.should_stop = None
        self._draining = True
        yield

    def _stop(self, number: int, _: object) -> None:
        if not self._draining:
            sys.exit(0)
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        log.info("stopping: finishing the jobs in hand", signal=signal.Signals(number).name)
        celery_state.should_stop = 0


def _consumer(app: Celery, runner: JobRunner, concurrency: int, ready: Callable[[Any], None]) -> Any:
    """Return Celery's consumer, which runs its tasks in a pool of threads: CUDA does not survive a fork."""
    app.task(runner.run, name=queue.TASK, acks_late=True, ignore_result=True, typing=False)
    return app.WorkController(
        pool="threads",
        concurrency=concurrency,
        ready_callback=ready,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
