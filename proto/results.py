"""What a proving cluster answers, whichever way it is asked."""

from dataclasses import dataclass, field
from enum import Enum

from proto import prover_pb2 as messages


class JobState(Enum):
    """Where a job is in its life; the last four are for good."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def ended(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Priority(Enum):
    """Bulk jobs give way to others, but not for ever."""

    NORMAL = messages.PRIORITY_NORMAL
    BULK = messages.PRIORITY_BULK


@dataclass(frozen=True)
class ProofResult:
    """A proof: 256 bytes, A (2 words) B (4) C (2) in EIP-197 order.

    `cached` says that it was made for an earlier request; `seconds` are the job's phases (queue, witness, wait, prove,
    verify, total) as far as they happened. `fake` is what only a cluster under test says: the bytes are no proof.
    """

    proof: bytes
    cached: bool
    job_id: str
    seconds: dict[str, float]
    fake: bool = False


@dataclass(frozen=True)
class JobFailure:
    name: str
    message: str
    retry: bool


@dataclass(frozen=True)
class JobStatus:
    """A job as the gateway saw it; `proof` when it succeeded, `failure` when it ended otherwise."""

    id: str
    state: JobState
    circuit: str
    statement_hash: bytes
    attempts: int
    created_ms: int
    ended_ms: int | None
    cached: bool = False
    proof: bytes | None = None
    failure: JobFailure | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    fake: bool = False


@dataclass(frozen=True)
class CircuitInfo:
    """A circuit of the cluster, and how many live workers prove it.

    `development` keys were made on one machine, by someone who can forge proofs: no real money behind them.
    `proving_key_sha256` is the digest of the proving key's file, under which the gateway's REST interface has it.
    """

    name: str
    public_inputs: int
    verification_key_digest: bytes
    development: bool
    workers: int
    proving_key_sha256: bytes = b""


@dataclass(frozen=True)
class ClusterKey:
    """The X25519 key that inputs are sealed to, and its SHA-256."""

    public_key: bytes
    fingerprint: bytes
