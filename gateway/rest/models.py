"""The JSON of the REST interface: the messages of prover.proto, with bytes in hexadecimal.

Only types are checked here, while JSON is read; what a request has to be is for `gateway.validation`, as for gRPC.
"""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from proto import prover_pb2 as messages

# 2^256 has 78 digits; longer texts are no words, and reading them as numbers takes time.
_MAX_DIGITS = 80


def _unhex(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError("bytes are a string of hexadecimal digits")
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except ValueError:
        raise ValueError("bytes are a string of hexadecimal digits") from None


def _word(value: Any) -> bytes:
    """A number, decimal or hexadecimal after 0x, as 32 bytes big-endian."""
    if not isinstance(value, str) or not value.isascii() or len(value) > _MAX_DIGITS:
        raise ValueError("a public input is a string: decimal digits, or hexadecimal ones after 0x")
    try:
        number = int(value, 16) if value.startswith("0x") else int(value) if value.isdigit() else -1
        return number.to_bytes(32, "big")
    except (ValueError, OverflowError):
        raise ValueError("a public input is below 2^256: decimal digits, or hexadecimal ones after 0x") from None


Hex = Annotated[
    bytes, BeforeValidator(_unhex), WithJsonSchema({"type": "string", "pattern": "^(0x)?([0-9a-fA-F]{2})*$"})
]
HexText = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^([0-9a-f]{2})*$"})]
Word = Annotated[
    bytes,
    BeforeValidator(_word),
    WithJsonSchema({"type": "string", "pattern": "^([0-9]{1,78}|0x[0-9a-fA-F]{1,64})$"}),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SealedInputs(_Strict):
    """HPKE (RFC 9180), as prover.proto describes it; `gelap seal` and the clients make it."""

    key_fingerprint: Hex = Field(description="Fingerprint of the cluster key it is sealed to, 32 bytes.")
    encapsulated_key: Hex = Field(description="32 bytes.")
    ciphertext: Hex


class ProveRequest(_Strict):
    circuit: str
    verification_key_digest: Hex = Field(description="SHA-256 of the verification key's bytes, 32 bytes.")
    public_inputs: list[Word] = Field(description="In the circuit's order, each below the scalar field's order.")
    sealed_inputs: SealedInputs
    idempotency_key: str = Field(
        default="",
        description="A second request with the same key gets the first one's job; so does the header Idempotency-Key.",
    )
    priority: int = Field(default=0, description="1 normal, 2 bulk; 0 is normal.")

    def message(self) -> messages.ProveRequest:
        return messages.ProveRequest(
            circuit=self.circuit,
            verification_key_digest=self.verification_key_digest,
            public_inputs=self.public_inputs,
            sealed_inputs=messages.SealedInputs(**self.sealed_inputs.__dict__),
            idempotency_key=self.idempotency_key,
            priority=_enumerated(self.priority),
        )


class VerifyRequest(_Strict):
    circuit: str
    verification_key_digest: Hex = Field(description="SHA-256 of the verification key's bytes, 32 bytes.")
    public_inputs: list[Word]
    proof: Hex = Field(description="256 bytes: A, B, C in EIP-197 order.")

    def message(self) -> messages.VerifyRequest:
        return messages.VerifyRequest(**self.__dict__)


class JobFailure(BaseModel):
    name: str
    message: str
    retry: bool


class Job(BaseModel):
    id: str
    state: str = Field(
        description="QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED or EXPIRED; the last four are for good."
    )
    circuit: str
    statement_hash: HexText
    proof: HexText | None = Field(description="When SUCCEEDED: 256 bytes, A, B, C in EIP-197 order.")
    cached: bool = Field(description="The proof was made for an earlier request of the same caller.")
    fake: bool = Field(description="It comes from a stand-in for a device and is no proof.")
    error: JobFailure | None
    seconds: dict[str, float] = Field(description="Time in each phase: queue, witness, wait, prove, verify, total.")
    attempts: int
    created_ms: int
    ended_ms: int | None

    @classmethod
    def of(cls, message: messages.Job) -> "Job":
        error = message.error
        return cls(
            id=message.id,
            state=messages.JobState.Name(message.state),
            circuit=message.circuit,
            statement_hash=message.statement_hash.hex(),
            proof=message.proof.hex() if message.proof else None,
            cached=message.cached,
            fake=message.fake,
            error=JobFailure(name=error.name, message=error.message, retry=error.retry)
            if message.HasField("error")
            else None,
            seconds=dict(message.seconds),
            attempts=message.attempts,
            created_ms=message.created_ms,
            ended_ms=message.ended_ms or None,
        )


class Circuit(BaseModel):
    name: str
    public_inputs: int
    verification_key_digest: HexText
    development: bool = Field(description="Made on one machine: whoever made the key can forge proofs.")
    workers: int = Field(description="Workers that prove it, seen in the last seconds.")
    proving_key_sha256: HexText

    @classmethod
    def of(cls, message: messages.Circuit) -> "Circuit":
        return cls(
            name=message.name,
            public_inputs=message.public_inputs,
            verification_key_digest=message.verification_key_digest.hex(),
            development=message.development,
            workers=message.workers,
            proving_key_sha256=message.proving_key_sha256.hex(),
        )


class Circuits(BaseModel):
    circuits: list[Circuit]


class CircuitDetails(BaseModel):
    circuit: Circuit
    verification_key: dict[str, Any] = Field(description="snarkjs's verification key.")


class Verification(BaseModel):
    valid: bool


class ClusterKey(BaseModel):
    public_key: HexText = Field(description="X25519, 32 bytes.")
    fingerprint: HexText = Field(description="SHA-256 of it: compare it with what the cluster's operator told you.")


class Problem(BaseModel):
    """Problem Details (RFC 9457), with the stable name of the failure."""

    type: str
    title: str
    status: int
    detail: str
    name: str
    code: str = Field(description="The gRPC status of the same failure.")
    retry: bool = Field(description="The same request may succeed later.")
    retry_after_ms: int | None = None
    job: str | None = None


def _enumerated(number: int) -> Any:
    # A number outside of int32 would be protobuf's error; no priority is near it.
    return max(-1, min(number, 99))
