"""The jobs of the cluster, in Redis: the one place that knows what state a job is in.

`QUEUED -> RUNNING -> SUCCEEDED | FAILED | CANCELLED | EXPIRED`, and a lost worker or a failure worth a second try leads
back to QUEUED; the last four states are for good. Every change is one Lua script (`scripts/`), so it happens whole or
not at all. An attempt at a job holds a token and a lease: when the lease ends unrenewed another attempt may start, and
what the old one still says is refused because its token is no longer the job's.

Celery carries job ids to the workers; this module knows neither Celery nor the prover. No witness is ever here: the
sealed inputs lie under a key of their own until the job ends.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, cast

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from protocol.sealing import ENCAPSULATED_KEY_BYTES, SealedInputs
from worker.errors import ClusterError, IdempotencyConflictError, QueueFullError, by_name

QUEUE = "gelap.jobs"
EVENTS = "gelap:events"
PHASES = ("queue", "witness", "prove", "verify")

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


class Outcome(Enum):
    """What became of a submission."""

    NEW = "new"
    CACHED = "cached"
    JOINED = "joined"
    REPEATED = "repeated"


@dataclass(frozen=True)
class Limits:
    """Seconds, unless said otherwise."""

    lease: float = 8.0
    keep_finished: float = 3600.0
    keep_proofs: float = 3600.0
    keep_idempotency: float = 86400.0
    queued_jobs: int = 1000
    retries: int = 2
    losses: int = 3
    stranded: float = 5.0


@dataclass(frozen=True)
class Request:
    """A validated request for a job.

    `public_inputs` are canonical 32-byte words, `statement` is the statement hash, `wait` the seconds it may stay
    queued. A proving job has `sealed`, a verification `proof` (256 bytes).
    """

    kind: Kind
    tenant: str
    circuit: str
    statement: bytes
    public_inputs: tuple[bytes, ...]
    wait: float
    sealed: SealedInputs | None = None
    proof: bytes = b""
    idempotency_key: str = ""


@dataclass(frozen=True)
class Job:
    """A job as Redis has it. `proof` is the result of a proving job and the subject of a verification."""

    id: str
    kind: Kind
    state: State
    tenant: str
    circuit: str
    statement: bytes
    public_inputs: tuple[bytes, ...]
    attempts: int
    created_ms: int
    ended_ms: int | None = None
    cached: bool = False
    proof: bytes | None = None
    valid: bool | None = None
    error: ClusterError | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


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
        names = ("submit", "claim", "renew", "succeed", "fail", "cancel", "reap")
        self._scripts = {name: load_script(client, name) for name in names}
        self._keep_ms = _ms(self.limits.keep_finished)

    def submit(self, request: Request) -> tuple[Outcome, Job]:
        """Take in a request; NEW means that its id now has to be sent to the workers.

        A proof the tenant already has is answered at once (CACHED), a statement of the tenant's that is being proved
        is not proved twice (JOINED), a known idempotency key gives its job again (REPEATED).
        Raises IdempotencyConflictError and QueueFullError.
        """
        sealed = request.sealed.encapsulated_key + request.sealed.ciphertext if request.sealed else b""
        idempotency = request.idempotency_key and hashlib.sha256(request.idempotency_key.encode()).hexdigest()
        outcome, fields = self._run(
            "submit",
            secrets.token_hex(16),
            request.kind.value,
            request.tenant,
            request.circuit,
            request.statement.hex(),
            b"".join(request.public_inputs),
            sealed,
            request.proof,
            idempotency,
            _ms(request.wait),
            self._keep_ms,
            _ms(self.limits.keep_idempotency),
            self.limits.queued_jobs,
        )
        if outcome == b"conflict":
            raise IdempotencyConflictError
        if outcome == b"full":
            raise QueueFullError
        return Outcome(outcome.decode()), _job(_pairs(fields))

    def read(self, job_id: str) -> Job | None:
        """Return a job, or None when there is none of this id (any more)."""
        fields = cast(dict[bytes, bytes], self._client.hgetall(f"gelap:job:{job_id}"))
        return _job(fields) if fields else None

    def claim(self, job_id: str, worker: str) -> Attempt | None:
        """Start an attempt at a queued job; None when it is not queued or has expired."""
        token = secrets.token_hex(16)
        answer = self._run("claim", job_id, token, worker, _ms(self.limits.lease), self._keep_ms)
        if answer is None:
            return None
        fields, blob = answer
        sealed = None
        if blob:
            sealed = SealedInputs(blob[:ENCAPSULATED_KEY_BYTES], blob[ENCAPSULATED_KEY_BYTES:])
        return Attempt(_job(_pairs(fields)), token, sealed)

    def renew(self, attempts: Sequence[Attempt]) -> list[str]:
        """Renew leases; returns the ids of jobs that are no longer these attempts' (lost, cancelled)."""
        held = [part for attempt in attempts for part in (attempt.job.id, attempt.token)]
        return [job_id.decode() for job_id in self._run("renew", _ms(self.limits.lease), *held)]

    def succeed(
        self, attempt: Attempt, seconds: Mapping[str, float], *, proof: bytes = b"", valid: bool = False
    ) -> bool:
        """End an attempt with a verified proof, or with a verification's answer; False when it lost the job before."""
        phases = [part for name, value in seconds.items() for part in (name, f"{value * 1000:.3f}")]
        keep_proof = _ms(self.limits.keep_proofs)
        return bool(
            self._run("succeed", attempt.job.id, attempt.token, self._keep_ms, keep_proof, proof, int(valid), *phases)
        )

    def fail(self, attempt: Attempt, error: ClusterError, *, retry: bool) -> bool:
        """End an attempt that failed; True when the job is queued again, and its id has to be sent again."""
        answer = self._run(
            "fail",
            attempt.job.id,
            attempt.token,
            self._keep_ms,
            error.name,
            str(error),
            int(retry),
            self.limits.retries,
        )
        return bool(answer == b"requeued")

    def cancel(self, job_id: str, tenant: str) -> Job | None:
        """End a job of this tenant if it has not ended; None when the tenant has no such job."""
        fields = self._run("cancel", job_id, tenant, self._keep_ms)
        return _job(_pairs(fields)) if fields else None

    def reap(self) -> list[str]:
        """Requeue lost jobs and end expired ones; returns the ids to send to the workers again."""
        limits = self.limits
        again = self._run("reap", QUEUE, self._keep_ms, limits.losses, _ms(limits.stranded), 100)
        return [job_id.decode() for job_id in again]

    def _run(self, script: str, *arguments: Any) -> Any:
        return self._scripts[script](args=arguments)


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
        statement=bytes.fromhex(text("statement")),
        public_inputs=tuple(public[i : i + 32] for i in range(0, len(public), 32)),
        attempts=int(fields[b"attempts"]),
        created_ms=int(fields[b"created_ms"]),
        ended_ms=int(fields[b"ended_ms"]) if b"ended_ms" in fields else None,
        cached=b"cached" in fields,
        proof=fields.get(b"proof"),
        valid=fields[b"valid"] == b"1" if b"valid" in fields else None,
        error=error,
        seconds=_seconds(fields),
    )


def _seconds(fields: Mapping[bytes, bytes]) -> dict[str, float]:
    seconds = {
        phase: float(fields[f"{phase}_ms".encode()]) / 1000 for phase in PHASES if f"{phase}_ms".encode() in fields
    }
    if b"ended_ms" in fields:
        seconds["total"] = (int(fields[b"ended_ms"]) - int(fields[b"created_ms"])) / 1000
    return seconds
