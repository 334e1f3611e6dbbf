"""A typed client of the proving cluster: seals the inputs, asks the gateway, turns failures into clear errors."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

import grpc

from proto import prover_pb2 as messages
from proto import prover_pb2_grpc
from proto.errors import PinnedKeyError, RefusedError, UnauthenticatedError, from_rpc_error
from protocol.errors import ProtocolError
from protocol.field import to_bytes32
from protocol.sealing import fingerprint, seal, tenant_of
from protocol.statements import InputValue, encode_inputs, statement_hash

__all__ = ["CircuitInfo", "ClusterKey", "JobFailure", "JobState", "JobStatus", "ProofResult", "ProverClient"]

_SHORT_CALL = 30.0
# A gateway with a new cluster key or new proving keys refuses what was made for the old ones: learn them and try again.
_STALE = frozenset({"stale-cluster-key", "wrong-verification-key"})

T = TypeVar("T")


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


@dataclass(frozen=True)
class ProofResult:
    """A proof: 256 bytes, A (2 words) B (4) C (2) in EIP-197 order.

    `cached` says that it was made for an earlier request; `seconds` are the job's phases (queue, witness, prove,
    verify, total) as far as they happened.
    """

    proof: bytes
    cached: bool
    job_id: str
    seconds: dict[str, float]


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


@dataclass(frozen=True)
class CircuitInfo:
    """A circuit of the cluster, and how many live workers prove it.

    `development` keys were made on one machine, by someone who can forge proofs: no real money behind them.
    """

    name: str
    public_inputs: int
    verification_key_digest: bytes
    development: bool
    workers: int


@dataclass(frozen=True)
class ClusterKey:
    """The X25519 key that inputs are sealed to, and its SHA-256."""

    public_key: bytes
    fingerprint: bytes


class ProverClient:
    """A connection to one gateway, made on first use; safe to share between threads; close it or use it in `with`.

    Every call raises `proto.errors.ProverClientError` or one of its kinds. `pinned_key_fingerprint` is the SHA-256 of
    the cluster key in hexadecimal, learned from the cluster's operator: without it whoever controls the gateway or its
    Redis could put a key of their own in its place and read the inputs. `credentials` (for example
    `grpc.ssl_channel_credentials()`) turn on TLS.
    """

    def __init__(
        self,
        target: str,
        api_key: str,
        pinned_key_fingerprint: str | None = None,
        *,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise UnauthenticatedError("an API key is printable ASCII without spaces", name="unauthenticated")
        self._target = target
        self._tenant = tenant_of(api_key)
        self._metadata = (("authorization", f"Bearer {api_key}"),)
        self._pin = _parse_pin(pinned_key_fingerprint)
        channel = grpc.secure_channel(target, credentials) if credentials else grpc.insecure_channel(target)
        self._channel = channel
        self._stub = prover_pb2_grpc.ProverStub(channel)
        self._lock = threading.Lock()
        self._key: ClusterKey | None = None
        self._digests: dict[str, bytes] = {}

    def __enter__(self) -> "ProverClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def prove(
        self,
        circuit: str,
        public_inputs: Sequence[int],
        inputs: Mapping[str, InputValue],
        timeout: float = 120.0,
        *,
        idempotency_key: str = "",
    ) -> ProofResult:
        """Prove a statement and wait for the proof, `timeout` seconds at most.

        `inputs` are all the circuit's inputs by name, public ones included; they leave this process sealed only.
        """
        job = self._with_fresh_keys(
            lambda: self._stub.Prove(
                self._prove_request(circuit, public_inputs, inputs, idempotency_key),
                timeout=timeout,
                metadata=self._metadata,
            )
        )
        return ProofResult(job.proof, job.cached, job.id, dict(job.seconds))

    def submit(
        self,
        circuit: str,
        public_inputs: Sequence[int],
        inputs: Mapping[str, InputValue],
        *,
        idempotency_key: str = "",
    ) -> JobStatus:
        """Queue a statement for proving and return its job at once."""
        job = self._with_fresh_keys(
            lambda: self._stub.Submit(
                self._prove_request(circuit, public_inputs, inputs, idempotency_key),
                timeout=_SHORT_CALL,
                metadata=self._metadata,
            )
        )
        return _job_status(job)

    def job(self, job_id: str) -> JobStatus:
        """Return a job as it is now."""
        return _job_status(self._call(self._stub.GetJob, messages.GetJobRequest(id=job_id)))

    def watch(self, job_id: str, timeout: float = 120.0) -> Iterator[JobStatus]:
        """Yield the job now and after every change of its state, until it has ended."""
        stream = self._stub.WatchJob(messages.WatchJobRequest(id=job_id), timeout=timeout, metadata=self._metadata)
        try:
            for job in stream:
                yield _job_status(job)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._target) from None
        finally:
            stream.cancel()

    def cancel(self, job_id: str) -> JobStatus:
        """End a job that has not ended yet; returns the job as it then is."""
        return _job_status(self._call(self._stub.CancelJob, messages.CancelJobRequest(id=job_id)))

    def circuits(self) -> list[CircuitInfo]:
        """List the circuits that the cluster has keys for."""
        answer = self._call(self._stub.ListCircuits, messages.ListCircuitsRequest())
        return [_circuit_info(circuit) for circuit in answer.circuits]

    def circuit(self, name: str) -> tuple[CircuitInfo, str]:
        """Return a circuit and its verification key as snarkjs's JSON."""
        answer = self._call(self._stub.GetCircuit, messages.GetCircuitRequest(name=name))
        return _circuit_info(answer.circuit), answer.verification_key_json

    def verify(self, circuit: str, public_inputs: Sequence[int], proof: bytes, timeout: float = 60.0) -> bool:
        """Ask a worker whether a proof (256 bytes) is valid for these public inputs."""

        def ask() -> Any:
            request = messages.VerifyRequest(
                circuit=circuit,
                verification_key_digest=self._digest(circuit),
                public_inputs=_words(public_inputs),
                proof=proof,
            )
            return self._stub.Verify(request, timeout=timeout, metadata=self._metadata)

        return bool(self._with_fresh_keys(ask).valid)

    def cluster_key(self) -> ClusterKey:
        """Fetch the cluster's key; raises PinnedKeyError when it is not the pinned one."""
        answer = self._call(self._stub.GetClusterKey, messages.GetClusterKeyRequest())
        key = ClusterKey(answer.public_key, fingerprint(answer.public_key))
        if self._pin is not None and key.fingerprint != self._pin:
            raise PinnedKeyError(
                f"the cluster's key has the fingerprint {key.fingerprint.hex()}, not the pinned {self._pin.hex()}. "
                "Ask the cluster's operator whether the key was changed; do not send anything until you know"
            )
        with self._lock:
            self._key = key
        return key

    def _prove_request(
        self,
        circuit: str,
        public_inputs: Sequence[int],
        inputs: Mapping[str, InputValue],
        idempotency_key: str,
    ) -> messages.ProveRequest:
        digest = self._digest(circuit)
        key = self._key or self.cluster_key()
        try:
            words = _words(public_inputs)
            statement = statement_hash(circuit, digest, public_inputs)
            sealed = seal(key.public_key, encode_inputs(inputs), statement, self._tenant)
        except ProtocolError as error:
            raise RefusedError(str(error), name="invalid-inputs") from None
        return messages.ProveRequest(
            circuit=circuit,
            verification_key_digest=digest,
            public_inputs=words,
            sealed_inputs=messages.SealedInputs(
                key_fingerprint=key.fingerprint,
                encapsulated_key=sealed.encapsulated_key,
                ciphertext=sealed.ciphertext,
            ),
            idempotency_key=idempotency_key,
        )

    def _digest(self, circuit: str) -> bytes:
        with self._lock:
            known = self._digests.get(circuit)
        if known is None:
            digests = {info.name: info.verification_key_digest for info in self.circuits()}
            with self._lock:
                self._digests = digests
            known = digests.get(circuit)
        if known is None:
            names = ", ".join(sorted(digests)) or "none"
            raise RefusedError(f"the cluster has no circuit {circuit}; it has: {names}", name="unknown-circuit")
        return known

    def _with_fresh_keys(self, call: Callable[[], T]) -> T:
        """Make the call; if the gateway says that its keys have changed, forget the old ones and try once more."""
        try:
            return call()
        except grpc.RpcError as error:
            failure = from_rpc_error(error, self._target)
            if failure.name not in _STALE:
                raise failure from None
        with self._lock:
            self._key = None
            self._digests = {}
        try:
            return call()
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._target) from None

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=_SHORT_CALL, metadata=self._metadata)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._target) from None


def _words(public_inputs: Sequence[int]) -> list[bytes]:
    try:
        return [to_bytes32(value) for value in public_inputs]
    except ProtocolError as error:
        raise RefusedError(f"public inputs: {error}", name="invalid-inputs") from None


def _parse_pin(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        pin = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        pin = b""
    if len(pin) != 32:
        raise PinnedKeyError("a pinned key fingerprint is the SHA-256 of the cluster key: 64 hexadecimal digits")
    return pin


def _job_status(job: messages.Job) -> JobStatus:
    failed = job.HasField("error")
    return JobStatus(
        id=job.id,
        state=JobState(messages.JobState.Name(job.state)),
        circuit=job.circuit,
        statement_hash=job.statement_hash,
        attempts=job.attempts,
        created_ms=job.created_ms,
        ended_ms=job.ended_ms or None,
        cached=job.cached,
        proof=job.proof or None,
        failure=JobFailure(job.error.name, job.error.message, job.error.retry) if failed else None,
        seconds=dict(job.seconds),
    )


def _circuit_info(circuit: messages.Circuit) -> CircuitInfo:
    return CircuitInfo(
        name=circuit.name,
        public_inputs=circuit.public_inputs,
        verification_key_digest=circuit.verification_key_digest,
        development=circuit.development,
        workers=circuit.workers,
    )
