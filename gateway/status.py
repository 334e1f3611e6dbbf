"""The one table from what went wrong to what a caller is told: a gRPC status, an HTTP status, whether to try again."""

import math
from typing import Any, NamedTuple

from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from worker import errors

DOMAIN = "gelap"


class Status(NamedTuple):
    """`retry`: the same request may succeed later, after `pushback_ms` if the gateway has an idea."""

    code: StatusCode
    http: int
    retry: bool
    pushback_ms: int | None = None


STATUS: dict[type[errors.ClusterError], Status] = {
    errors.UnauthenticatedError: Status(StatusCode.UNAUTHENTICATED, 401, retry=False),
    errors.NotAllowedError: Status(StatusCode.PERMISSION_DENIED, 403, retry=False),
    errors.InvalidRequestError: Status(StatusCode.INVALID_ARGUMENT, 400, retry=False),
    errors.RequestTooLargeError: Status(StatusCode.INVALID_ARGUMENT, 413, retry=False),
    errors.UnknownCircuitError: Status(StatusCode.NOT_FOUND, 404, retry=False),
    errors.UnknownJobError: Status(StatusCode.NOT_FOUND, 404, retry=False),
    errors.UnknownKeyFileError: Status(StatusCode.NOT_FOUND, 404, retry=False),
    errors.WrongVerificationKeyError: Status(StatusCode.FAILED_PRECONDITION, 409, retry=False),
    errors.StaleClusterKeyError: Status(StatusCode.FAILED_PRECONDITION, 409, retry=False),
    errors.IdempotencyConflictError: Status(StatusCode.ALREADY_EXISTS, 409, retry=False),
    errors.RateLimitedError: Status(StatusCode.RESOURCE_EXHAUSTED, 429, retry=True, pushback_ms=1000),
    errors.QuotaExceededError: Status(StatusCode.RESOURCE_EXHAUSTED, 429, retry=True, pushback_ms=3_600_000),
    errors.QueueFullError: Status(StatusCode.RESOURCE_EXHAUSTED, 429, retry=True, pushback_ms=1000),
    errors.OverloadedError: Status(StatusCode.RESOURCE_EXHAUSTED, 429, retry=True, pushback_ms=5000),
    errors.CircuitStoppedError: Status(StatusCode.UNAVAILABLE, 503, retry=True, pushback_ms=30_000),
    errors.StoreFullError: Status(StatusCode.RESOURCE_EXHAUSTED, 429, retry=True, pushback_ms=5000),
    errors.SealBrokenError: Status(StatusCode.INVALID_ARGUMENT, 422, retry=False),
    errors.InvalidInputsError: Status(StatusCode.INVALID_ARGUMENT, 422, retry=False),
    errors.StatementMismatchError: Status(StatusCode.INVALID_ARGUMENT, 422, retry=False),
    errors.UnsatisfiedInputsError: Status(StatusCode.INVALID_ARGUMENT, 422, retry=False),
    errors.JobCancelledError: Status(StatusCode.CANCELLED, 409, retry=False),
    errors.JobExpiredError: Status(StatusCode.DEADLINE_EXCEEDED, 504, retry=True, pushback_ms=1000),
    errors.WaitTimedOutError: Status(StatusCode.DEADLINE_EXCEEDED, 504, retry=True),
    errors.WorkerLostError: Status(StatusCode.INTERNAL, 500, retry=False),
    errors.ProvingFailedError: Status(StatusCode.INTERNAL, 500, retry=True, pushback_ms=1000),
    errors.NoClusterKeyError: Status(StatusCode.UNAVAILABLE, 503, retry=True, pushback_ms=1000),
    errors.StoreUnavailableError: Status(StatusCode.UNAVAILABLE, 503, retry=True, pushback_ms=1000),
    errors.GatewayStoppingError: Status(StatusCode.UNAVAILABLE, 503, retry=True, pushback_ms=1000),
    errors.InternalError: Status(StatusCode.INTERNAL, 500, retry=True, pushback_ms=1000),
}


def retry_ms(error: errors.ClusterError) -> int | None:
    """How many milliseconds to wait before trying again; None when nobody can say, or when it would not help."""
    if error.retry_after is not None:
        return math.ceil(error.retry_after * 1000)
    return STATUS[type(error)].pushback_ms


def metadata_of(error: errors.ClusterError, job_id: str | None = None) -> tuple[tuple[str, str | bytes], ...]:
    """Return the trailing metadata that go with an error; prover.proto describes them."""
    status = STATUS[type(error)]
    pushback = retry_ms(error)
    metadata: list[tuple[str, str | bytes]] = [
        ("gelap-error", error.name),
        ("gelap-retry", "yes" if status.retry else "no"),
        ("grpc-status-details-bin", _details(error, status, pushback, job_id)),
    ]
    if pushback is not None:
        metadata.append(("grpc-retry-pushback-ms", str(pushback)))
    if job_id is not None:
        metadata.append(("gelap-job", job_id))
    return tuple(metadata)


def problem_of(error: errors.ClusterError, job_id: str | None = None) -> dict[str, Any]:
    """Return the Problem Details (RFC 9457) of an error, with what gRPC callers get in the metadata."""
    status = STATUS[type(error)]
    pushback = retry_ms(error)
    problem: dict[str, Any] = {
        "type": f"urn:gelap:error:{error.name}",
        "title": error.explanation,
        "status": status.http,
        "detail": str(error),
        "name": error.name,
        "code": status.code.name,
        "retry": status.retry,
    }
    if pushback is not None:
        problem["retry_after_ms"] = pushback
    if job_id is not None:
        problem["job"] = job_id
    return problem


def _details(error: errors.ClusterError, status: Status, pushback: int | None, job_id: str | None) -> bytes:
    """Return a serialised google.rpc.Status (the richer error model of gRPC)."""
    info = error_details_pb2.ErrorInfo(reason=error.name.upper().replace("-", "_"), domain=DOMAIN)
    if job_id is not None:
        info.metadata["job"] = job_id
    details = [any_pb2.Any(), any_pb2.Any()]
    details[0].Pack(info)
    if pushback is None:
        details.pop()
    else:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(pushback)
        details[1].Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    number: int = status.code.value[0]
    message = status_pb2.Status(code=number, message=str(error), details=details)
    return message.SerializeToString()
