"""A typed client of the proving cluster: seals the inputs, asks the gateway, turns failures into clear errors.

What is the same over gRPC (`client.py`) and over REST (`rest_client.py`) is here.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self, TypeVar

from proto import prover_pb2 as messages
from proto.errors import PinnedKeyError, ProverClientError, RefusedError, UnauthenticatedError
from proto.results import CircuitInfo, ClusterKey, JobStatus, Priority, ProofResult
from protocol.errors import ProtocolError
from protocol.field import to_bytes32
from protocol.sealing import fingerprint, seal, tenant_of
from protocol.statements import InputValue, encode_inputs, statement_hash

# A gateway with a new cluster key or new proving keys refuses what was made for the old ones: learn them and try again.
_STALE = frozenset({"stale-cluster-key", "wrong-verification-key"})

T = TypeVar("T")


class ClusterClient(ABC):
    """A connection to one gateway, made on first use; safe to share between threads; close it or use it in `with`.

    Every call raises `proto.errors.ProverClientError` or one of its kinds. `pinned_key_fingerprint` is the SHA-256 of
    the cluster key in hexadecimal, learned from the cluster's operator: without it whoever controls the gateway or its
    Redis could put a key of their own in its place and read the inputs.
    """

    def __init__(self, api_key: str, pinned_key_fingerprint: str | None) -> None:
        if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
            raise UnauthenticatedError("an API key is printable ASCII without spaces", name="unauthenticated")
        self._tenant = tenant_of(api_key)
        self._pin = _parse_pin(pinned_key_fingerprint)
        self._lock = threading.Lock()
        self._key: ClusterKey | None = None
        self._digests: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None: ...

    def prove(
        self,
        circuit: str,
        public_inputs: Sequence[int],
        inputs: Mapping[str, InputValue],
        timeout: float = 120.0,
        *,
        idempotency_key: str = "",
        priority: Priority = Priority.NORMAL,
    ) -> ProofResult:
        """Prove a statement and wait for the proof, `timeout` seconds at most.

        `inputs` are all the circuit's inputs by name, public ones included; they leave this process sealed only.
        """

        def ask() -> JobStatus:
            request = self.sealed_request(circuit, public_inputs, inputs, idempotency_key, priority)
            return self._prove(request, timeout)

        job = self._with_fresh_keys(ask)
        return ProofResult(job.proof or b"", job.cached, job.id, job.seconds, job.fake)

    def submit(
        self,
        circuit: str,
        public_inputs: Sequence[int],
        inputs: Mapping[str, InputValue],
        *,
        idempotency_key: str = "",
        priority: Priority = Priority.NORMAL,
    ) -> JobStatus:
        """Queue a statement for proving and return its job at once."""
        return self._with_fresh_keys(
            lambda: self._submit(self.sealed_request(circuit, public_inputs, inputs, idempotency_key, priority))
        )

    @abstractmethod
    def job(self, job_id: str) -> JobStatus:
        """Return a job as it is now."""

    @abstractmethod
    def watch(self, job_id: str, timeout: float = 120.0) -> Iterator[JobStatus]:
        """Yield the job now and after every change of its state, until it has ended."""

    @abstractmethod
    def cancel(self, job_id: str) -> JobStatus:
        """End a job that has not ended yet; returns the job as it then is."""

    @abstractmethod
    def circuits(self) -> list[CircuitInfo]:
        """List the circuits that the cluster has keys for."""

    @abstractmethod
    def circuit(self, name: str) -> tuple[CircuitInfo, str]:
        """Return a circuit and its verification key as snarkjs's JSON."""

    def verify(self, circuit: str, public_inputs: Sequence[int], proof: bytes, timeout: float = 60.0) -> bool:
        """Ask a worker whether a proof (256 bytes) is valid for these public inputs."""

        def ask() -> bool:
            request = messages.VerifyRequest(
                circuit=circuit,
                verification_key_digest=self._digest(circuit),
                public_inputs=_words(public_inputs),
                proof=proof,
            )
            return self._verify(request, timeout)

        return self._with_fresh_keys(ask)

    def cluster_key(self) -> ClusterKey:
        """Fetch the cluster's key; raises PinnedKeyError when it is not the pinned one."""
        public_key = self._fetch_cluster_key()
        key = ClusterKey(public_key, fingerprint(public_key))
        if self._pin is not None and key.fingerprint != self._pin:
            raise PinnedKeyError(
                f"the cluster's key has the fingerprint {key.fingerprint.hex()}, not the pinned {self._pin.hex()}. "
                "Ask the cluster's operator whether the key was changed; do not send anything until you know"
            )
        with self._lock:
            self._key = key
        return key

    def sealed_request(
        self,
        circuit: str,
        public_inputs: Sequence[int],
        inputs: Mapping[str, InputValue],
        idempotency_key: str = "",
        priority: Priority = Priority.NORMAL,
    ) -> messages.ProveRequest:
        """Seal a request without sending it: whoever has it can have exactly this statement proved for this tenant."""
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
            priority=priority.value,
        )

    @abstractmethod
    def _prove(self, request: messages.ProveRequest, timeout: float) -> JobStatus: ...

    @abstractmethod
    def _submit(self, request: messages.ProveRequest) -> JobStatus: ...

    @abstractmethod
    def _verify(self, request: messages.VerifyRequest, timeout: float) -> bool: ...

    @abstractmethod
    def _fetch_cluster_key(self) -> bytes: ...

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
        except ProverClientError as failure:
            if failure.name not in _STALE:
                raise
        with self._lock:
            self._key = None
            self._digests = {}
        return call()


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
