"""Everything that a request to the proving cluster, or a job in it, can end with besides a proof.

ClusterError
├── UnauthenticatedError         no API key, or one that nobody registered
├── NotAllowedError              the API key is not for this
├── RateLimitedError             the tenant calls too often
├── QuotaExceededError           the tenant had its jobs for today
├── RequestTooLargeError         more bytes than any request needs
├── InvalidRequestError          counts, lengths or numbers that cannot be right
├── UnknownCircuitError          no such circuit here
├── UnknownJobError              no such job of this caller
├── WrongVerificationKeyError    made for another verification key than the cluster's
├── StaleClusterKeyError         sealed to another key than the cluster's
├── IdempotencyConflictError     an idempotency key used again for another statement
├── UnknownKeyFileError          no such proving key here
├── QueueFullError               more jobs wait than the cluster takes
├── OverloadedError              jobs wait longer than they should
├── CircuitStoppedError          proofs of the circuit did not verify lately
├── StoreFullError               Redis has no memory left for another job
├── GatewayStoppingError         it goes on, but this gateway does not
├── SealBrokenError              sealed inputs that do not open
├── InvalidInputsError           sealed inputs that are not this circuit's
├── StatementMismatchError       inputs that belong to other public inputs than the request's
├── UnsatisfiedInputsError       inputs that break a constraint: there is no proof for them
├── JobCancelledError            the caller cancelled it
├── JobExpiredError              nobody could start it in time
├── WaitTimedOutError            it goes on, but the call that waited for it has to end
├── WorkerLostError              worker after worker was lost with it
├── ProvingFailedError           the worker failed at it
├── NoClusterKeyError            no worker has been here yet to publish a key
├── StoreUnavailableError        Redis does not answer
└── InternalError                a mistake of ours

Each has a stable `name`, under which a job keeps it and callers see it.
`ConfigurationError` stands apart: it ends a command before it serves anybody.
"""


class ClusterError(Exception):
    """Base of the tree; the message says what to do next and never holds an input's value.

    `retry_after` is how many seconds to wait before trying again, where this one failure knows better than its kind.
    """

    name: str
    explanation: str

    def __init__(self, message: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message or self.explanation)
        self.retry_after = retry_after


class UnauthenticatedError(ClusterError):
    name = "unauthenticated"
    explanation = "send your API key as `authorization: Bearer <key>`"


class NotAllowedError(ClusterError):
    name = "not-allowed"
    explanation = "this API key is not for such calls: ask the cluster's operator to allow them"


class RateLimitedError(ClusterError):
    name = "rate-limited"
    explanation = "too many calls with this API key: slow down"


class QuotaExceededError(ClusterError):
    name = "quota-exceeded"
    explanation = "this API key's jobs of today are used up: come back tomorrow (UTC), or ask the cluster's operator"


class RequestTooLargeError(ClusterError):
    name = "request-too-large"
    explanation = "the request is larger than the gateway takes"


class InvalidRequestError(ClusterError):
    name = "invalid-request"
    explanation = "the request is malformed"


class UnknownCircuitError(ClusterError):
    name = "unknown-circuit"
    explanation = "the cluster has no such circuit: ListCircuits names those it has"


class UnknownJobError(ClusterError):
    name = "unknown-job"
    explanation = "there is no such job of yours: its id may be wrong, or it ended too long ago"


class WrongVerificationKeyError(ClusterError):
    name = "wrong-verification-key"
    explanation = "the cluster proves this circuit with another key: ask GetCircuit for its verification key again"


class StaleClusterKeyError(ClusterError):
    name = "stale-cluster-key"
    explanation = "the inputs are sealed to another key than the cluster's: ask GetClusterKey and seal them again"


class IdempotencyConflictError(ClusterError):
    name = "idempotency-conflict"
    explanation = "this idempotency key was used for another statement: use a new key for a new statement"


class QueueFullError(ClusterError):
    name = "queue-full"
    explanation = "the cluster's queue is full: try again in a moment"


class UnknownKeyFileError(ClusterError):
    name = "unknown-proving-key"
    explanation = "the gateway has no proving key of this digest: GET /v1/manifest names those it has"


class OverloadedError(ClusterError):
    name = "overloaded"
    explanation = "jobs wait too long for a worker already: try again later"


class CircuitStoppedError(ClusterError):
    name = "circuit-stopped"
    explanation = (
        "proofs of this circuit did not verify lately, so it is stopped: its operator has been told, try later"
    )


class StoreFullError(ClusterError):
    name = "store-full"
    explanation = "the cluster's job store is full: try again in a moment"


class GatewayStoppingError(ClusterError):
    name = "gateway-stopping"
    explanation = "this gateway is stopping: ask again, another one answers; jobs go on"


class SealBrokenError(ClusterError):
    name = "seal-broken"
    explanation = "the sealed inputs do not open: seal them to the cluster's key, for this statement and API key"


class InvalidInputsError(ClusterError):
    name = "invalid-inputs"
    explanation = "the inputs are not what the circuit expects"


class StatementMismatchError(ClusterError):
    name = "statement-mismatch"
    explanation = "the inputs lead to other public inputs than the request's: send the public inputs they belong to"


class UnsatisfiedInputsError(ClusterError):
    name = "unsatisfied"
    explanation = "the inputs break a constraint of the circuit: there is no proof for them"


class JobCancelledError(ClusterError):
    name = "cancelled"
    explanation = "the job was cancelled"


class JobExpiredError(ClusterError):
    name = "expired"
    explanation = "no worker could start the job in time: try again, or wait longer"


class WaitTimedOutError(ClusterError):
    name = "wait-timed-out"
    explanation = "the job is still going on: ask GetJob or WatchJob for it"


class WorkerLostError(ClusterError):
    name = "worker-lost"
    explanation = "several workers were lost while they had the job: report it to the cluster's operator"


class ProvingFailedError(ClusterError):
    name = "proving-failed"
    explanation = "the worker failed at the proof: try again, and report it if it stays so"


class NoClusterKeyError(ClusterError):
    name = "no-cluster-key"
    explanation = "no worker has joined the cluster yet: try again once one runs"


class StoreUnavailableError(ClusterError):
    name = "store-unavailable"
    explanation = "the cluster cannot reach its job store: try again in a moment"


class InternalError(ClusterError):
    name = "internal"
    explanation = "the cluster made a mistake: report it, with the time of your request"


def by_name(name: str) -> type[ClusterError]:
    """Return the error that a job keeps under this name; a name from a newer release counts as internal."""
    return next((kind for kind in ClusterError.__subclasses__() if kind.name == name), InternalError)


class ConfigurationError(Exception):
    """A gateway or worker cannot start as it is set up; the message says what to change."""
