"""Keeps the leases of this worker's attempts from a thread of its own: a worker that is busy proving is not dead."""

import contextlib
import threading
from collections.abc import Iterator

import redis
import structlog

from worker.jobs import Attempt, JobStore

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

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._interval = store.limits.lease / 3
        self._held: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    @contextlib.contextmanager
    def hold(self, attempt: Attempt) -> Iterator[Lease]:
        lease = Lease(attempt)
        with self._lock:
            self._held[attempt.token] = lease
        try:
            yield lease
        finally:
            with self._lock:
                del self._held[attempt.token]

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
            for lease in held:
                if lease.attempt.job.id in lost:
                    lease.lost.set()
