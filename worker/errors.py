"""Everything that a request to the proving cluster, or a job in it, can end with besides a proof.

ClusterError
├── UnauthenticatedError         no API key
├── InvalidRequestError          counts, lengths or numbers that cannot be right
├── UnknownCircuitError          no such circuit here
├── UnknownJobError              no such job of this caller
├── WrongVerificationKeyError    made for another verification key than the cluster's
├── StaleClusterKeyError         sealed to another key than the cluster's
├── IdempotencyConflictError     an idempotency key used again for another statement
├── QueueFullError               more jobs wait than the cluster takes
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
    """Base of the tree; the message says what to do next and never holds an input's value."""

    name: str
    explanation: str

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.explanation)


class UnauthenticatedError(ClusterError):
    name = "unauthenticated"
    explanation = "send your API key in the metadata `authorization: Bearer <key>`"


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
