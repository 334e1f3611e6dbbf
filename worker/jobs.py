"""The jobs of the cluster, in Redis: the one place that knows what state a job is in.

`QUEUED -> RUNNING -> SUCCEEDED | FAILED | CANCELLED | EXPIRED`, and a lost worker or a failure worth a second try leads
back to QUEUED; the last four states are for good. Every change is one Lua script (`scripts/`), so it happens whole or
not at all. An attempt at a job holds a token and a lease: when the lease ends unrenewed another attempt may start, and
what the old one still says is refused because its token is no longer the job's.

Celery only wakes the workers: each message lets one of them take the job that should go first, so a lost message
strands no job in particular. This module knows neither Celery nor the prover. No witness is ever here: the sealed
inputs lie under a key of their own until the job ends.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, cast

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from protocol.sealing import ENCAPSULATED_KEY_BYTES, SealedInputs
from worker.errors import (
    CircuitStoppedError,
    ClusterError,
    IdempotencyConflictError,
    OverloadedError,
    QueueFullError,
    QuotaExceededError,
    StaleClusterKeyError,
    StoreFullError,
    by_name,
)
from worker.limits import Limits
from worker.overview import Overview, read_overview

# The broker's list for one proving key: this, and its digest in hexadecimal.
QUEUE = "gelap.jobs."
EVENTS = "gelap:events"
CANCELLED = "gelap:cancelled"
PHASES = ("queue", "witness", "wait", "prove", "verify")
# What a fake device makes begins with this byte. A proof cannot: it begins with a coordinate below the field's modulus.
FAKE_BYTE = 0xFF

_SCRIPTS = Path(__file__).parent / "scripts"


def connect(url: str) -> redis.Redis:
    """Return a client that gives up after a few seconds; raises ValueError for a URL that is none of Redis."""
    retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), 3)
    return redis.Redis.from_url(
        url, socket_timeout=5.0, socket_connect_timeout=2.0, retry=retry, health_check_interval=15
    )


def load_script(client: redis.Redis, name: str) -> Any:
    """Return one of `scripts/` as a callable, with the part that they share before it."""
    return client.register_script((_SCRIPTS / "common.lua").read_text() + (_SCRIPTS / f"{name}.lua").read_text())


class State(Enum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def ended(self) -> bool:
        return self not in (State.QUEUED, State.RUNNING)


class Kind(Enum):
    PROVE = "prove"
    VERIFY = "verify"


class Priority(IntEnum):
    """Bulk jobs give way to normal ones, until they have waited `Limits.aging` longer."""

    NORMAL = 1
    BULK = 2


class Outcome(Enum):
    """What became of a submission."""

    NEW = "new"
    CACHED = "cached"
    JOINED = "joined"
    REPEATED = "repeated"


@dataclass(frozen=True)
class Request:
    """A validated request for a job.

    `public_inputs` are canonical 32-byte words, `statement` is the statement hash, `wait` the seconds it may stay
    queued, `key` the digest of the verification key (32 bytes): only workers with its proving key get the job.
    A proving job has `sealed`, a verification `proof` (256 bytes). `quota` is how many new jobs the tenant may have
    a day (UTC), 0 for any number. `traceparent` is the trace it belongs to, if any (W3C Trace Context).
    """

    kind: Kind
    tenant: str
    circuit: str
    key: bytes
    statement: bytes
    public_inputs: tuple[bytes, ...]
    wait: float
    sealed: SealedInputs | None = None
    proof: bytes = b""
    idempotency_key: str = ""
    priority: Priority = Priority.NORMAL
    quota: int = 0
    traceparent: str = ""


@dataclass(frozen=True)
class Job:
    """A job as Redis has it. `proof` is the result of a proving job and the subject of a verification."""

    id: str
    kind: Kind
    state: State
    tenant: str
    circuit: str
    key: bytes
    priority: Priority
    statement: bytes
    public_inputs: tuple[bytes, ...]
    attempts: int
    retries: int
    losses: int
    created_ms: int
    expires_ms: int
    worker: str | None = None
    ended_ms: int | None = None
    cached: bool = False
    proof: bytes | None = None
    valid: bool | None = None
    error: ClusterError | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    traceparent: str = ""

    @property
    def fake(self) -> bool:
        """Its result comes from a fake device and proves nothing."""
        return self.kind is Kind.PROVE and is_fake(self.proof or b"")


@dataclass(frozen=True)
class Attempt:
    """A worker's hold on a job; `sealed` is None for a verification, or when the inputs are gone."""

    job: Job
    token: str
    sealed: SealedInputs | None


class JobStore:
    """Every operation on jobs, each one round trip to Redis; raises `redis.RedisError` when Redis fails."""

    def __init__(self, client: redis.Redis, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._client = client
        names = ("submit", "claim", "renew", "succeed", "fail", "release", "cancel", "reap", "overview", "list")
        self._scripts = {name: load_script(client, name) for name in names}
        self._keep_ms = _ms(self.limits.keep_finished)

    def submit(self, request: Request, *, sealed_to: bytes = b"", message: str = "") -> tuple[Outcome, Job]:
        """Take in a request; NEW means that the workers now have to be told, unless `message` does.

        `sealed_to` is the cluster key that the request is good for, nothing for any. `message` is what `queue.Messages`
        makes; it enters the broker's list with the job, or not at all.

        A proof the tenant already has is answered at once (CACHED), a statement of the tenant's that is being proved
        is not proved twice (JOINED), a known idempotency key gives its job again (REPEATED).
        Raises IdempotencyConflictError, QueueFullError, OverloadedError, CircuitStoppedError, StoreFullError,
        StaleClusterKeyError and QuotaExceededError.
        """
        sealed = request.sealed.encapsulated_key + request.sealed.ciphertext if request.sealed else b""
        idempotency = request.idempotency_key and hashlib.sha256(request.idempotency_key.encode()).hexdigest()
        try:
            outcome, fields = self._run(
                "submit",
                secrets.token_hex(16),
                request.kind.value,
                request.tenant,
                request.circuit,
                request.key.hex(),
                int(request.priority),
                request.statement.hex(),
                b"".join(request.public_inputs),
                sealed,
                request.proof,
                idempotency,
                _ms(request.wait),
                self._keep_ms,
                _ms(self.limits.keep_idempotency),
                self.limits.queued_jobs,
                _ms(self.limits.oldest),
                request.quota,
                sealed_to,
                QUEUE,
                message,
                request.traceparent,
            )
        except redis.ResponseError as error:
            # A script's failure is told in other words than a command's, by Redis 6 and 7.
            if "OOM" in str(error) or isinstance(error, redis.exceptions.OutOfMemoryError):
                raise StoreFullError from None
            raise
        if outcome == b"spent":
            raise QuotaExceededError(retry_after=fields[0] / 1000)
        if outcome == b"crowded":
            raise QueueFullError("too many jobs of this API key's tenant wait already: try again when some have ended")
        if outcome in _REFUSALS:
            raise _REFUSALS[outcome]
        return Outcome(outcome.decode()), _job(_pairs(fields))

    def read(self, job_id: str) -> Job | None:
        """Return a job, or None when there is none of this id (any more)."""
        fields = cast(dict[bytes, bytes], self._client.hgetall(f"gelap:job:{job_id}"))
        return _job(fields) if fields else None

    def claim(self, key: bytes, worker: str, most: int = 1) -> list[Attempt]:
        """Start attempts at the jobs of this key that should go first; fewer than `most` when fewer wait."""
        limits, token = self.limits, secrets.token_hex(16)
        times = [_ms(limits.lease), _ms(limits.attempt), self._keep_ms, _ms(limits.aging)]
        attempts = []
        for fields, blob in self._run("claim", key.hex(), token, most, worker, *times):
            sealed = SealedInputs(blob[:ENCAPSULATED_KEY_BYTES], blob[ENCAPSULATED_KEY_BYTES:]) if blob else None
            attempts.append(Attempt(_job(_pairs(fields)), token, sealed))
        return attempts

    def renew(self, attempts: Sequence[Attempt]) -> list[str]:
        """Renew leases; returns the ids of jobs that are no longer these attempts' (lost, cancelled, too slow)."""
        held = [part for attempt in attempts for part in (attempt.job.id, attempt.token)]
        return [job_id.decode() for job_id in self._run("renew", _ms(self.limits.lease), *held)]

    def succeed(
        self,
        attempt: Attempt,
        seconds: Mapping[str, float],
        *,
        proof: bytes = b"",
        valid: bool = False,
        device_seconds: float = 0.0,
    ) -> bool:
        """End an attempt with a verified proof, or with a verification's answer; False when it lost the job before.

        `seconds` are those of `PHASES`; `device_seconds` is the job's share of the time the device took for its batch.
        """
        phases = [part for name in seconds for part in (f"{name}_ms", f"{seconds[name] * 1000:.3f}")]
        keep_proof, device = _ms(self.limits.keep_proofs), f"{device_seconds * 1000:.3f}"
        arguments = (attempt.job.id, attempt.token, self._keep_ms, keep_proof, proof, int(valid), device)
        return bool(self._run("succeed", *arguments, *phases))

    def fail(self, attempt: Attempt, error: ClusterError, *, retry: bool, wrong_proof: bool = False) -> bool:
        """End an attempt that failed; True when the job is queued again, and the workers have to be told.

        `wrong_proof`: the device made a proof that does not verify; several jobs of that kind stop the circuit.
        """
        answer = self._run(
            "fail",
            attempt.job.id,
            attempt.token,
            self._keep_ms,
            error.name,
            str(error),
            int(retry),
            self.limits.retries,
            int(wrong_proof),
            self.limits.wrong_jobs,
            _ms(self.limits.wrong_window),
        )
        return bool(answer == b"requeued")

    def release(self, attempt: Attempt, *, lost: bool = False) -> bool:
        """Hand a job back to the queue; True when it is there again, and the workers have to be told.

        `lost`: the device was lost with it, which counts as a lost worker.
        """
        survivable = self.limits.losses if lost else -1
        return bool(self._run("release", attempt.job.id, attempt.token, survivable, self._keep_ms))

    def cancel(self, job_id: str, tenant: str | None) -> Job | None:
        """End a job of this tenant, of any tenant for None, if it has not ended; None when there is no such job."""
        fields = self._run("cancel", job_id, tenant or "", self._keep_ms)
        return _job(_pairs(fields)) if fields else None

    def reap(self) -> dict[bytes, int]:
        """Requeue lost jobs and end expired ones; returns how often to tell the workers of each proving key."""
        limits = self.limits
        again = self._run("reap", QUEUE, self._keep_ms, limits.losses, _ms(limits.stranded), 100)
        return {bytes.fromhex(key.decode()): int(count) for key, count in _pairs(again).items()}

    def overview(self) -> Overview:
        """Return what waits, runs and is stopped; its cost grows with the number of circuits, not of jobs."""
        return read_overview(self._run("overview"))

    def list(self, most: int = 100) -> "list[Job]":
        """Return running jobs, queued ones, and those that ended last: `most` of each."""
        return [_job(_pairs(fields)) for fields in self._run("list", most)]

    def reset_breaker(self, key: bytes) -> bool:
        """Let a circuit that was stopped take jobs again; False when it was not stopped."""
        name = f"gelap:breaker:{key.hex()}"
        with self._client.pipeline() as pipeline:
            pipeline.hexists(name, "stopped_ms")
            pipeline.delete(name)
            return bool(pipeline.execute()[0])

    def _run(self, script: str, *arguments: Any) -> Any:
        return self._scripts[script](args=arguments)


_REFUSALS: dict[bytes, type[ClusterError]] = {
    b"conflict": IdempotencyConflictError,
    b"full": QueueFullError,
    b"overdue": OverloadedError,
    b"stopped": CircuitStoppedError,
    b"stale": StaleClusterKeyError,
}


@dataclass(frozen=True)
class Event:
    """News of a job; `fields` is the job as Redis has it if it has ended, read it with `job()`."""

    id: str
    state: State
    fields: bytes = field(default=b"", repr=False)

    @classmethod
    def parse(cls, data: bytes) -> "Event":
        """Read what the scripts publish on EVENTS."""
        job_id, state, *rest = data.split(b" ", 2)
        return cls(job_id.decode(), State(state.decode()), rest[0] if rest else b"")

    def job(self) -> Job | None:
        """Return the job as it ended, None when it has not."""
        parts, place = [], 0
        while place < len(self.fields):
            start = place + 4
            place = start + int.from_bytes(self.fields[place:start], "big")
            parts.append(self.fields[start:place])
        return _job(_pairs(parts)) if parts else None


def is_fake(proof: bytes) -> bool:
    """Whether these bytes come from a fake device."""
    return proof[:1] == bytes([FAKE_BYTE])


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _job(fields: Mapping[bytes, bytes]) -> Job:
    def text(name: str) -> str:
        return fields[name.encode()].decode()

    public = fields[b"public"]
    error = by_name(text("error"))(fields.get(b"message", b"").decode() or None) if b"error" in fields else None
    return Job(
        id=text("id"),
        kind=Kind(text("kind")),
        state=State(text("state")),
        tenant=text("tenant"),
        circuit=text("circuit"),
        key=bytes.fromhex(text("key")),
        priority=Priority(int(fields[b"priority"])),
        statement=bytes.fromhex(text("statement")),
        public_inputs=tuple(public[i : i + 32] for i in range(0, len(public), 32)),
        attempts=int(fields[b"attempts"]),
        retries=int(fields[b"retries"]),
        losses=int(fields[b"losses"]),
        created_ms=int(fields[b"created_ms"]),
        expires_ms=int(fields[b"expires_ms"]),
        worker=text("worker") if b"worker" in fields else None,
        ended_ms=int(fields[b"ended_ms"]) if b"ended_ms" in fields else None,
        cached=b"cached" in fields,
        proof=fields.get(b"proof"),
        valid=fields[b"valid"] == b"1" if b"valid" in fields else None,
        error=error,
        seconds=_seconds(fields),
        traceparent=fields.get(b"trace", b"").decode(),
    )


def _seconds(fields: Mapping[bytes, bytes]) -> dict[str, float]:
    seconds = {
        phase: float(fields[f"{phase}_ms".encode()]) / 1000 for phase in PHASES if f"{phase}_ms".encode() in fields
    }
    if b"ended_ms" in fields:
        seconds["total"] = (int(fields[b"ended_ms"]) - int(fields[b"created_ms"])) / 1000
    return seconds
