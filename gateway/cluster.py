"""What the gateway does with the cluster: take in requests, read and cancel jobs, look after lost ones.

Everything here blocks for a round trip or two to Redis; `calls.py` calls it from threads.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import redis
import structlog
from celery import Celery

from gateway import metrics, validation
from gateway.circuits import Circuits
from gateway.tenants import Caller, Doorkeeper, Scope
from gelap.tracing import Traces
from protocol.sealing import fingerprint
from worker.errors import NoClusterKeyError, StaleClusterKeyError, UnknownJobError
from worker.jobs import Job, JobStore, Outcome, Overview, Request
from worker.manifest import CircuitEntry
from worker.queue import Messages, Sender
from worker.registry import LiveWorker, Registry

log = structlog.get_logger("gelap.gateway")


class Cluster:
    """Raises the errors of `worker.errors`, and `redis.RedisError` when Redis fails."""

    def __init__(
        self,
        client: redis.Redis,
        store: JobStore,
        app: Celery,
        circuits: Circuits,
        door: Doorkeeper,
        traces: Traces | None = None,
    ) -> None:
        self.files = circuits
        self._store = store
        self._registry = Registry(client)
        self._sender = Sender(app)
        self._messages = Messages()
        self._door = door
        self._traces = traces or Traces()
        self._last_key = b""

    @property
    def circuits(self) -> Mapping[str, CircuitEntry]:
        return self.files.current

    def admit(self, key: str, scope: Scope | None = None) -> Caller:
        """Return who calls. Raises UnauthenticatedError, NotAllowedError and RateLimitedError."""
        caller = self._door.admit(key)
        if scope is not None:
            caller.require(scope)
        return caller

    def prove(self, message: Any, caller: Caller, wait: float) -> Job:
        """Take in a ProveRequest; the job stays queued `wait` seconds at most."""
        # The script that takes the job in compares the key too, so an old one here costs time and nothing else.
        key = self._last_key or self.cluster_key()
        try:
            return self._prove(message, caller, wait, key)
        except StaleClusterKeyError:
            if (present := self.cluster_key()) == key:
                raise
            return self._prove(message, caller, wait, present)

    def verify(self, message: Any, caller: Caller, wait: float) -> Job:
        """Take in a VerifyRequest."""
        return self._submit(validation.verify_request(message, self.circuits, caller.tenant, wait), caller)

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
        self._last_key = key or b""
        if key is None:
            raise NoClusterKeyError
        return key

    def live_workers(self) -> list[LiveWorker]:
        workers = self._registry.live_workers()
        self._sender.learn(workers)
        return workers

    def overview(self) -> Overview:
        return self._store.overview()

    def reap(self) -> None:
        """Give lost jobs to other workers and end those that nobody could start in time."""
        for key, count in self._store.reap().items():
            metrics.JOBS_SENT_AGAIN.inc(count)
            log.warning("workers told of jobs again", key=key.hex()[:16], jobs=count)
            self._sender.send(key, count)

    def close(self) -> None:
        """Tell the workers of what they have not been told of yet, within two seconds."""
        self._sender.stop()

    def _prove(self, message: Any, caller: Caller, wait: float, key: bytes) -> Job:
        request = validation.prove_request(message, self.circuits, fingerprint(key), caller.tenant, wait)
        return self._submit(request, caller, key)

    def _submit(self, request: Request, caller: Caller, sealed_to: bytes = b"") -> Job:
        # A message with several jobs in it gathers them in the sender; one for this job alone can go with it.
        alone = self._sender.most_in_one(request.key) == 1
        word = self._messages.one(request.key) if alone else ""
        request = replace(request, quota=caller.quota, traceparent=self._traces.current())
        outcome, job = self._store.submit(request, sealed_to=sealed_to, message=word)
        if outcome is Outcome.NEW and not alone:
            self._sender.send(request.key)
        metrics.JOBS.labels(job.kind.value, job.circuit, outcome.value).inc()
        log.info(
            "job taken in",
            job=job.id,
            tenant=caller.tenant,
            tenant_name=caller.name,
            circuit=job.circuit,
            kind=job.kind.value,
            outcome=outcome.value,
        )
        return job
