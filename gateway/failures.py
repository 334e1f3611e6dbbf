"""From whatever an operation raises to the failure that its caller is told of."""

import redis
import structlog

from gelap.logs import where
from worker.errors import ClusterError, InternalError, StoreUnavailableError

log = structlog.get_logger("gelap.gateway")


class AboutJobError(Exception):
    """A failure that belongs to a job: its own, or that of a wait for it."""

    def __init__(self, failure: ClusterError, job_id: str) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.job_id = job_id


def failure_of(error: Exception) -> tuple[ClusterError, str | None]:
    """Return the failure and the id of the job that it belongs to; what nobody planned for is logged and internal."""
    if isinstance(error, AboutJobError):
        return error.failure, error.job_id
    if isinstance(error, ClusterError):
        return error, None
    if isinstance(error, redis.RedisError):
        log.warning("call failed: Redis does not answer", reason=str(error))
        return StoreUnavailableError(), None
    # Neither its message nor its traceback's values: what a caller sent may be in them.
    log.error("call failed", exception=type(error).__name__, where=where(error))
    return InternalError(), None
