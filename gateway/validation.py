"""What a request must be before anything is queued for it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.errors import EncodingError
from protocol.field import from_bytes32
from protocol.sealing import ENCAPSULATED_KEY_BYTES, TAG_BYTES, SealedInputs
from protocol.statements import statement_hash
from worker.errors import (
    InvalidRequestError,
    StaleClusterKeyError,
    UnknownCircuitError,
    UnknownJobError,
    WrongVerificationKeyError,
)
from worker.jobs import Kind, Priority, Request, is_fake
from worker.manifest import CircuitEntry

PROOF_BYTES = 256
DIGEST_BYTES = 32
MAX_REQUEST_BYTES = 1 << 20
# `spend` needs about 12 KB, `insert` about 8 KB.
MAX_SEALED_BYTES = MAX_REQUEST_BYTES // 2
MAX_IDEMPOTENCY_CHARACTERS = 128

_JOB_ID = re.compile(r"[0-9a-f]{32}")
# The shortest inputs are an empty JSON object.
_MIN_SEALED_BYTES = len(b"{}") + TAG_BYTES


@dataclass(frozen=True)
class Statement:
    """A circuit of the cluster with public inputs that it can have."""

    circuit: CircuitEntry
    words: tuple[bytes, ...]
    hash: bytes


def circuit_of(name: str, circuits: Mapping[str, CircuitEntry]) -> CircuitEntry:
    """Raises UnknownCircuitError."""
    try:
        return circuits[name]
    except KeyError:
        known = ", ".join(sorted(circuits))
        raise UnknownCircuitError(f"the cluster has no circuit {name[:64]!r}; it has: {known}") from None


def job_id_of(text: str) -> str:
    """Raises UnknownJobError for what can be no job's id; it becomes part of a key in Redis."""
    if not _JOB_ID.fullmatch(text):
        raise UnknownJobError
    return text


def prove_request(
    message: Any, circuits: Mapping[str, CircuitEntry], cluster_key: bytes, tenant: str, wait: float
) -> Request:
    """Check a ProveRequest; `cluster_key` is the fingerprint of the present one.

    Raises InvalidRequestError, UnknownCircuitError, WrongVerificationKeyError and StaleClusterKeyError.
    """
    statement = _statement(message, circuits)
    if not message.HasField("sealed_inputs"):
        raise InvalidRequestError("sealed_inputs is missing: seal the circuit's inputs to the cluster's key")
    sealed = message.sealed_inputs
    if len(sealed.key_fingerprint) != DIGEST_BYTES:
        raise InvalidRequestError("sealed_inputs.key_fingerprint is the SHA-256 of the cluster's key, 32 bytes")
    if sealed.key_fingerprint != cluster_key:
        raise StaleClusterKeyError
    if len(sealed.encapsulated_key) != ENCAPSULATED_KEY_BYTES:
        raise InvalidRequestError(f"sealed_inputs.encapsulated_key is {ENCAPSULATED_KEY_BYTES} bytes")
    if not _MIN_SEALED_BYTES <= len(sealed.ciphertext) <= MAX_SEALED_BYTES:
        raise InvalidRequestError(
            f"sealed_inputs.ciphertext is {len(sealed.ciphertext)} bytes, "
            f"not between {_MIN_SEALED_BYTES} and {MAX_SEALED_BYTES}"
        )
    if len(message.idempotency_key) > MAX_IDEMPOTENCY_CHARACTERS:
        raise InvalidRequestError(f"an idempotency key has at most {MAX_IDEMPOTENCY_CHARACTERS} characters")
    return Request(
        kind=Kind.PROVE,
        tenant=tenant,
        circuit=statement.circuit.name,
        key=statement.circuit.verification_key_digest,
        statement=statement.hash,
        public_inputs=statement.words,
        wait=wait,
        sealed=SealedInputs(sealed.encapsulated_key, sealed.ciphertext),
        idempotency_key=message.idempotency_key,
        priority=_priority(message.priority),
    )


def verify_request(message: Any, circuits: Mapping[str, CircuitEntry], tenant: str, wait: float) -> Request:
    """Check a VerifyRequest. Raises InvalidRequestError, UnknownCircuitError and WrongVerificationKeyError."""
    statement = _statement(message, circuits)
    if len(message.proof) != PROOF_BYTES:
        raise InvalidRequestError(f"a proof is {PROOF_BYTES} bytes, got {len(message.proof)}")
    if is_fake(message.proof):
        raise InvalidRequestError("this is no proof: it comes from a stand-in for a device, and nobody verifies it")
    return Request(
        kind=Kind.VERIFY,
        tenant=tenant,
        circuit=statement.circuit.name,
        key=statement.circuit.verification_key_digest,
        statement=statement.hash,
        public_inputs=statement.words,
        wait=wait,
        proof=message.proof,
    )


def _priority(number: int) -> Priority:
    if number == 0:
        return Priority.NORMAL
    try:
        return Priority(number)
    except ValueError:
        raise InvalidRequestError(f"there is no priority {number}: normal jobs have 1, bulk jobs 2") from None


def _statement(message: Any, circuits: Mapping[str, CircuitEntry]) -> Statement:
    circuit = circuit_of(message.circuit, circuits)
    if len(message.verification_key_digest) != DIGEST_BYTES:
        raise InvalidRequestError("verification_key_digest is the SHA-256 of the verification key, 32 bytes")
    if message.verification_key_digest != circuit.verification_key_digest:
        raise WrongVerificationKeyError
    words: Sequence[bytes] = message.public_inputs
    if len(words) != circuit.public_inputs:
        raise InvalidRequestError(f"{circuit.name} has {circuit.public_inputs} public inputs, got {len(words)}")
    values = []
    for place, word in enumerate(words):
        try:
            values.append(from_bytes32(word))
        except EncodingError as error:
            raise InvalidRequestError(f"public input {place}: {error}") from None
    return Statement(circuit, tuple(words), statement_hash(circuit.name, circuit.verification_key_digest, values))
