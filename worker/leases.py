"""Keeps the leases of this worker's attempts from a thread of its own: a worker that is busy proving is not dead.

A second thread hears of cancelled jobs, so that a running one is noticed at once and not when its lease is due.
"""

import contextlib
import threading
from collections.abc import Iterator

import redis
import structlog

from worker.jobs import CANCELLED, Attempt, JobStore

log = structlog.get_logger("gelap.leases")


class AttemptLostError(Exception):
    """The job is no longer this attempt's: it was cancelled, or another worker has it."""


class Lease:
    """Whether an attempt still owns its job, as far as this worker knows."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.lost = threading.Event()

    def check(self) -> None:
        """Raise AttemptLostError when going on is pointless."""
        if self.lost.is_set():
            raise AttemptLostError


class LeaseKeeper:
    """Renews every held lease three times in its length; `start` it first and `stop` it last."""

    def __init__(self, store: JobStore, client: redis.Redis) -> None:
        self._store = store
        self._client = client
        self._interval = store.limits.lease / 3
        self._held: dict[int, Lease] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._renew, name="leases", daemon=True),
            threading.Thread(target=self._hear, name="cancellations", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def count(self) -> int:
        """How many attempts are in hand."""
        return len(self._held)

    @contextlib.contextmanager
    def hold(self, attempt: Attempt) -> Iterator[Lease]:
        lease = Lease(attempt)
        with self._lock:
            self._held[id(lease)] = lease
        try:
            yield lease
        finally:
            with self._lock:
                del self._held[id(lease)]

    def _renew(self) -> None:
        while not self._stopping.wait(self._interval):
            with self._lock:
                held = list(self._held.values())
            if not held:
                continue
            try:
                lost = set(self._store.renew([lease.attempt for lease in held]))
            except redis.RedisError as error:
                log.warning("leases not renewed: Redis does not answer", reason=str(error))
                continue
            self._lose(lost, held)

    def _hear(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as subscription:
                    subscription.subscribe(CANCELLED)
                    while not self._stopping.is_set():
                        message = subscription.get_message(timeout=0.5)
                        if message is not None:
                            cancelled = message["data"].decode()
                            with self._lock:
                                held = list(self._held.values())
                            self._lose({cancelled}, held)
            except redis.RedisError as error:
                log.warning("no news of cancelled jobs: Redis does not answer", reason=str(error))
                self._stopping.wait(1.0)

    @staticmethod
    def _lose(job_ids: set[str], held: list[Lease]) -> None:
        for lease in held:
            if lease.attempt.job.id in job_ids:
                lease.lost.set()
