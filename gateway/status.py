"""The one table from what went wrong to what a caller is told: a gRPC status, and whether to try again."""

from typing import NamedTuple

from grpc import StatusCode

from worker import errors


class Status(NamedTuple):
    """`retry`: the same request may succeed later, after `pushback_ms` if the gateway has an idea."""

    code: StatusCode
    retry: bool
    pushback_ms: int | None = None


STATUS: dict[type[errors.ClusterError], Status] = {
    errors.UnauthenticatedError: Status(StatusCode.UNAUTHENTICATED, retry=False),
    errors.InvalidRequestError: Status(StatusCode.INVALID_ARGUMENT, retry=False),
    errors.UnknownCircuitError: Status(StatusCode.NOT_FOUND, retry=False),
    errors.UnknownJobError: Status(StatusCode.NOT_FOUND, retry=False),
    errors.WrongVerificationKeyError: Status(StatusCode.FAILED_PRECONDITION, retry=False),
    errors.StaleClusterKeyError: Status(StatusCode.FAILED_PRECONDITION, retry=False),
    errors.IdempotencyConflictError: Status(StatusCode.ALREADY_EXISTS, retry=False),
    errors.QueueFullError: Status(StatusCode.RESOURCE_EXHAUSTED, retry=True, pushback_ms=1000),
    errors.SealBrokenError: Status(StatusCode.INVALID_ARGUMENT, retry=False),
    errors.InvalidInputsError: Status(StatusCode.INVALID_ARGUMENT, retry=False),
    errors.StatementMismatchError: Status(StatusCode.INVALID_ARGUMENT, retry=False),
    errors.UnsatisfiedInputsError: Status(StatusCode.INVALID_ARGUMENT, retry=False),
    errors.JobCancelledError: Status(StatusCode.CANCELLED, retry=False),
    errors.JobExpiredError: Status(StatusCode.DEADLINE_EXCEEDED, retry=True, pushback_ms=1000),
    errors.WaitTimedOutError: Status(StatusCode.DEADLINE_EXCEEDED, retry=True),
    errors.WorkerLostError: Status(StatusCode.INTERNAL, retry=False),
    errors.ProvingFailedError: Status(StatusCode.INTERNAL, retry=True, pushback_ms=1000),
    errors.NoClusterKeyError: Status(StatusCode.UNAVAILABLE, retry=True, pushback_ms=1000),
    errors.StoreUnavailableError: Status(StatusCode.UNAVAILABLE, retry=True, pushback_ms=1000),
    errors.InternalError: Status(StatusCode.INTERNAL, retry=True, pushback_ms=1000),
}


def metadata_of(error: errors.ClusterError, job_id: str | None = None) -> tuple[tuple[str, str], ...]:
    """Return the trailing metadata that go with an error; prover.proto describes them."""
    status = STATUS[type(error)]
    metadata = [("gelap-error", error.name), ("gelap-retry", "yes" if status.retry else "no")]
    if status.pushback_ms is not None:
        metadata.append(("grpc-retry-pushback-ms", str(status.pushback_ms)))
    if job_id is not None:
        metadata.append(("gelap-job", job_id))
    return tuple(metadata)
