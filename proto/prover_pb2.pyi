from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_NORMAL: _ClassVar[Priority]
    PRIORITY_BULK: _ClassVar[Priority]

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    QUEUED: _ClassVar[JobState]
    RUNNING: _ClassVar[JobState]
    SUCCEEDED: _ClassVar[JobState]
    FAILED: _ClassVar[JobState]
    CANCELLED: _ClassVar[JobState]
    EXPIRED: _ClassVar[JobState]
PRIORITY_UNSPECIFIED: Priority
PRIORITY_NORMAL: Priority
PRIORITY_BULK: Priority
JOB_STATE_UNSPECIFIED: JobState
QUEUED: JobState
RUNNING: JobState
SUCCEEDED: JobState
FAILED: JobState
CANCELLED: JobState
EXPIRED: JobState

class ProveRequest(_message.Message):
    __slots__ = ("circuit", "verification_key_digest", "public_inputs", "sealed_inputs", "idempotency_key", "priority")
    CIRCUIT_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_KEY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_INPUTS_FIELD_NUMBER: _ClassVar[int]
    SEALED_INPUTS_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    circuit: str
    verification_key_digest: bytes
    public_inputs: _containers.RepeatedScalarFieldContainer[bytes]
    sealed_inputs: SealedInputs
    idempotency_key: str
    priority: Priority
    def __init__(self, circuit: _Optional[str] = ..., verification_key_digest: _Optional[bytes] = ..., public_inputs: _Optional[_Iterable[bytes]] = ..., sealed_inputs: _Optional[_Union[SealedInputs, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class SealedInputs(_message.Message):
    __slots__ = ("key_fingerprint", "encapsulated_key", "ciphertext")
    KEY_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ENCAPSULATED_KEY_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    key_fingerprint: bytes
    encapsulated_key: bytes
    ciphertext: bytes
    def __init__(self, key_fingerprint: _Optional[bytes] = ..., encapsulated_key: _Optional[bytes] = ..., ciphertext: _Optional[bytes] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "state", "circuit", "proof", "cached", "error", "seconds", "attempts", "statement_hash", "created_ms", "ended_ms", "fake")
    class SecondsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CIRCUIT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_HASH_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    FAKE_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: JobState
    circuit: str
    proof: bytes
    cached: bool
    error: JobError
    seconds: _containers.ScalarMap[str, float]
    attempts: int
    statement_hash: bytes
    created_ms: int
    ended_ms: int
    fake: bool
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., circuit: _Optional[str] = ..., proof: _Optional[bytes] = ..., cached: _Optional[bool] = ..., error: _Optional[_Union[JobError, _Mapping]] = ..., seconds: _Optional[_Mapping[str, float]] = ..., attempts: _Optional[int] = ..., statement_hash: _Optional[bytes] = ..., created_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ..., fake: _Optional[bool] = ...) -> None: ...

class JobError(_message.Message):
    __slots__ = ("name", "message", "retry")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    name: str
    message: str
    retry: bool
    def __init__(self, name: _Optional[str] = ..., message: _Optional[str] = ..., retry: _Optional[bool] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListCircuitsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCircuitsResponse(_message.Message):
    __slots__ = ("circuits",)
    CIRCUITS_FIELD_NUMBER: _ClassVar[int]
    circuits: _containers.RepeatedCompositeFieldContainer[Circuit]
    def __init__(self, circuits: _Optional[_Iterable[_Union[Circuit, _Mapping]]] = ...) -> None: ...

class Circuit(_message.Message):
    __slots__ = ("name", "public_inputs", "verification_key_digest", "development", "workers", "proving_key_sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_INPUTS_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_KEY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DEVELOPMENT_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    PROVING_KEY_SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    public_inputs: int
    verification_key_digest: bytes
    development: bool
    workers: int
    proving_key_sha256: bytes
    def __init__(self, name: _Optional[str] = ..., public_inputs: _Optional[int] = ..., verification_key_digest: _Optional[bytes] = ..., development: _Optional[bool] = ..., workers: _Optional[int] = ..., proving_key_sha256: _Optional[bytes] = ...) -> None: ...

class GetCircuitRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetCircuitResponse(_message.Message):
    __slots__ = ("circuit", "verification_key_json")
    CIRCUIT_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_KEY_JSON_FIELD_NUMBER: _ClassVar[int]
    circuit: Circuit
    verification_key_json: str
    def __init__(self, circuit: _Optional[_Union[Circuit, _Mapping]] = ..., verification_key_json: _Optional[str] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("circuit", "verification_key_digest", "public_inputs", "proof")
    CIRCUIT_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_KEY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_INPUTS_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    circuit: str
    verification_key_digest: bytes
    public_inputs: _containers.RepeatedScalarFieldContainer[bytes]
    proof: bytes
    def __init__(self, circuit: _Optional[str] = ..., verification_key_digest: _Optional[bytes] = ..., public_inputs: _Optional[_Iterable[bytes]] = ..., proof: _Optional[bytes] = ...) -> None: ...

class VerifyResponse(_message.Message):
    __slots__ = ("valid",)
    VALID_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    def __init__(self, valid: _Optional[bool] = ...) -> None: ...

class GetClusterKeyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClusterKey(_message.Message):
    __slots__ = ("public_key", "fingerprint")
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    public_key: bytes
    fingerprint: bytes
    def __init__(self, public_key: _Optional[bytes] = ..., fingerprint: _Optional[bytes] = ...) -> None: ...
