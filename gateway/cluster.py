"""What the gateway does with the cluster: take in requests, read and cancel jobs, look after lost ones.

Everything here blocks for a round trip or two to Redis; the gRPC service calls it from threads.
"""

from collections.abc import Mapping
from typing import Any

import redis
import structlog
from celery import Celery

from gateway import validation
from protocol.sealing import fingerprint
from worker import queue
from worker.errors import NoClusterKeyError, UnknownJobError
from worker.jobs import Job, JobStore, Outcome, Request
from worker.manifest import CircuitEntry
from worker.registry import LiveWorker, Registry

log = structlog.get_logger("gelap.gateway")


class Cluster:
    """Raises the errors of `worker.errors`, and `redis.RedisError` when Redis fails."""

    def __init__(self, client: redis.Redis, store: JobStore, app: Celery, circuits: Mapping[str, CircuitEntry]) -> None:
        self.circuits = circuits
        self._client = client
        self._store = store
        self._registry = Registry(client)
        self._app = app

    def prove(self, message: Any, tenant: str, wait: float) -> Job:
        """Take in a ProveRequest; the job stays queued `wait` seconds at most."""
        key = fingerprint(self.cluster_key())
        return self._submit(validation.prove_request(message, self.circuits, key, tenant, wait))

    def verify(self, message: Any, tenant: str, wait: float) -> Job:
        """Take in a VerifyRequest."""
        return self._submit(validation.verify_request(message, self.circuits, tenant, wait))

    def job(self, job_id: str, tenant: str) -> Job:
        """Return a tenant's job. Raises UnknownJobError for another's as for one that does not exist."""
        job = self._store.read(validation.job_id_of(job_id))
        if job is None or job.tenant != tenant:
            raise UnknownJobError
        return job

    def cancel(self, job_id: str, tenant: str) -> Job:
        """End a tenant's job if it has not ended. Raises UnknownJobError."""
        job = self._store.cancel(validation.job_id_of(job_id), tenant)
        if job is None:
            raise UnknownJobError
        return job

    def cluster_key(self) -> bytes:
        """Return the X25519 key to seal inputs to. Raises NoClusterKeyError."""
        key = self._registry.cluster_key()
        if key is None:
            raise NoClusterKeyError
        return key

    def live_workers(self) -> list[LiveWorker]:
        return self._registry.live_workers()

    def reap(self) -> None:
        """Give lost jobs to other workers and end those that nobody could start in time."""
        for job_id in self._store.reap():
            log.warning("job sent to the workers again", job=job_id)
            queue.send(self._app, job_id)

    def _submit(self, request: Request) -> Job:
        outcome, job = self._store.submit(request)
        if outcome is Outcome.NEW:
            queue.send(self._app, job.id)
        log.info("job taken in", job=job.id, circuit=job.circuit, kind=job.kind.value, outcome=outcome.value)
        return job
