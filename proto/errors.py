"""Everything a call to the proving cluster can end with.

ProverClientError
├── UnreachableError       no gateway answers, or it cannot reach its queue: try again later
├── UnauthenticatedError   the API key is missing or not accepted
├── RefusedError           the request is wrong; the same request will be refused again
├── BusyError              the queue is full or a limit is reached: try again after `retry_after` seconds
├── TimedOutError          the deadline passed first; the job may still be going on
├── JobCancelledError      the job was cancelled
├── ProvingFailedError     the cluster failed at it; `retry` says whether trying again can help
└── PinnedKeyError         the cluster's key is not the pinned one: nothing was sent to it
"""

import grpc

# Python's own parser recurses as deep as a text nests, and overflows the stack where a library raised the limit.
from pydantic_core import from_json


class ProverClientError(Exception):
    """Base of all errors of this package; the message says what to do next and never holds an input's value.

    `name` is the failure's stable name (`gelap-error` in the gRPC metadata), `retry` whether the same request may
    succeed later, `retry_after` the seconds to wait first if the cluster said so, `job_id` the job it is about.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str = "",
        retry: bool = False,
        retry_after: float | None = None,
        job_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.retry = retry
        self.retry_after = retry_after
        self.job_id = job_id


class UnreachableError(ProverClientError):
    pass


class UnauthenticatedError(ProverClientError):
    pass


class RefusedError(ProverClientError):
    pass


class BusyError(ProverClientError):
    pass


class TimedOutError(ProverClientError):
    pass


class JobCancelledError(ProverClientError):
    pass


class ProvingFailedError(ProverClientError):
    pass


class PinnedKeyError(ProverClientError):
    pass


BY_STATUS: dict[grpc.StatusCode, type[ProverClientError]] = {
    grpc.StatusCode.UNAVAILABLE: UnreachableError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: UnauthenticatedError,
    grpc.StatusCode.INVALID_ARGUMENT: RefusedError,
    grpc.StatusCode.NOT_FOUND: RefusedError,
    grpc.StatusCode.ALREADY_EXISTS: RefusedError,
    grpc.StatusCode.FAILED_PRECONDITION: RefusedError,
    grpc.StatusCode.OUT_OF_RANGE: RefusedError,
    grpc.StatusCode.UNIMPLEMENTED: RefusedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: BusyError,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimedOutError,
    grpc.StatusCode.CANCELLED: JobCancelledError,
    grpc.StatusCode.ABORTED: ProvingFailedError,
    grpc.StatusCode.INTERNAL: ProvingFailedError,
    grpc.StatusCode.DATA_LOSS: ProvingFailedError,
    grpc.StatusCode.UNKNOWN: ProvingFailedError,
}

_ADVICE = {
    grpc.StatusCode.UNAVAILABLE: "no gateway answers at {target}: is `gelap gateway` running there?",
    grpc.StatusCode.DEADLINE_EXCEEDED: "the gateway at {target} did not answer in time: ask again, or wait longer",
}


def from_rpc_error(error: grpc.RpcError, target: str) -> ProverClientError:
    """Turn what grpc raised into this tree, with what the gateway's metadata says about it."""
    status = error.code()
    metadata = dict(error.trailing_metadata() or ())
    pushback = metadata.get("grpc-retry-pushback-ms")
    name = metadata.get("gelap-error", "")
    message = error.details() or status.name
    if not name and status in _ADVICE:
        # It did not come from a gateway but from the connection; grpc's own words are for its developers.
        message = _ADVICE[status].format(target=target)
    kind = BY_STATUS[status]
    if not name and status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        # Not a full queue, which has a name, but a message over the gateway's limit.
        kind, message = RefusedError, "the request is larger than the gateway takes"
    retry = metadata.get("gelap-retry") == "yes" if name else status in _ADVICE
    return kind(
        message,
        name=name,
        retry=retry,
        retry_after=int(pushback) / 1000 if pushback else None,
        job_id=metadata.get("gelap-job"),
    )


_BY_HTTP: dict[int, type[ProverClientError]] = {
    401: UnauthenticatedError,
    403: UnauthenticatedError,
    407: UnreachableError,
    429: BusyError,
    502: UnreachableError,
    503: UnreachableError,
    504: TimedOutError,
}


def from_problem(status: int, content: bytes, target: str) -> ProverClientError:
    """Turn an HTTP failure into this tree: Problem Details of a gateway, or whatever a proxy before it says."""
    try:
        problem = from_json(content)
        code, name, message = grpc.StatusCode[problem["code"]], str(problem["name"]), str(problem["detail"])
        pushback = problem.get("retry_after_ms")
        return BY_STATUS[code](
            message,
            name=name,
            retry=problem["retry"] is True,
            retry_after=int(pushback) / 1000 if pushback is not None else None,
            job_id=problem.get("job"),
        )
    except (ValueError, KeyError, TypeError):
        # Not a gateway's own words.
        kind = _BY_HTTP.get(status, RefusedError if status < 500 else ProvingFailedError)
        again = kind in (UnreachableError, TimedOutError, BusyError)
        return kind(f"{target} answers with HTTP status {status}: is it the gateway's address?", retry=again)
