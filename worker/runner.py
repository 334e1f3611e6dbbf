"""One attempt at one job, from claiming it to its end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis
import structlog

from gelap.logs import where
from protocol.field import to_bytes32
from protocol.sealing import ClusterPrivateKey
from protocol.statements import decode_inputs, statement_hash
from worker.errors import (
    InternalError,
    ProvingFailedError,
    SealBrokenError,
    StatementMismatchError,
    WrongVerificationKeyError,
)
from worker.executor import Executor, LoadedCircuit
from worker.failures import failure_of
from worker.jobs import Attempt, JobStore, Kind
from worker.leases import AttemptLostError, Lease, LeaseKeeper

log = structlog.get_logger("gelap.worker")

# How long a finished proof is held on to while Redis does not answer; by then its lease has ended anyway.
_REPORT_SECONDS = 30.0


class JobRunner:
    """Carries out jobs, many at once; `send` puts a job's id into the queue again."""

    def __init__(
        self,
        store: JobStore,
        executor: Executor,
        key: ClusterPrivateKey,
        leases: LeaseKeeper,
        worker: str,
        send: Callable[[str], None],
    ) -> None:
        self._store = store
        self._executor = executor
        self._key = key
        self._leases = leases
        self._worker = worker
        self._send = send

    def run(self, job_id: str) -> None:
        """Carry out a job if it still waits; a message for a job that is taken or has ended is one too many."""
        attempt = self._store.claim(job_id, self._worker)
        if attempt is None:
            return
        job = attempt.job
        told = log.bind(job=job.id, circuit=job.circuit, kind=job.kind.value, attempt=job.attempts)
        seconds: dict[str, float] = {}
        with self._leases.hold(attempt) as lease:
            try:
                result = self._carry_out(lease, seconds)
            except AttemptLostError:
                told.info("job dropped: cancelled, or another worker has it")
            except Exception as error:
                self._fail(attempt, error, told)
            else:
                kept = self._report(lambda: self._store.succeed(attempt, seconds, **result))
                told.info("job done" if kept else "result refused: the job was no longer this attempt's", **seconds)

    def _carry_out(self, lease: Lease, seconds: dict[str, float]) -> dict[str, bytes] | dict[str, bool]:
        job = lease.attempt.job
        circuit = self._executor.circuit(job.circuit)
        public_inputs = [int.from_bytes(word, "big") for word in job.public_inputs]
        if statement_hash(job.circuit, circuit.verification_key_digest, public_inputs) != job.statement:
            raise WrongVerificationKeyError
        if job.kind is Kind.VERIFY:
            with _timed(seconds, "verify"):
                return {"valid": circuit.verify(public_inputs, job.proof or b"")}
        return {"proof": self._prove(circuit, lease, seconds)}

    def _prove(self, circuit: LoadedCircuit, lease: Lease, seconds: dict[str, float]) -> bytes:
        attempt = lease.attempt
        with _timed(seconds, "witness"):
            witness = circuit.solve(decode_inputs(self._open(attempt)))
            # Whoever shows a witness gets the proof of its own statement only, and only that may enter the cache.
            if tuple(map(to_bytes32, circuit.public_inputs(witness))) != attempt.job.public_inputs:
                raise StatementMismatchError
        lease.check()
        with _timed(seconds, "prove"):
            return self._executor.prove(circuit, witness).result()

    def _open(self, attempt: Attempt) -> bytes:
        if attempt.sealed is None:
            raise SealBrokenError("the sealed inputs were kept too long and are gone: send the request again")
        return self._key.open(attempt.sealed, attempt.job.statement, attempt.job.tenant)

    def _fail(self, attempt: Attempt, error: Exception, told: structlog.typing.FilteringBoundLogger) -> None:
        failure = failure_of(error)
        if isinstance(failure.error, InternalError | ProvingFailedError):
            told.error("attempt failed", error=failure.error.name, exception=type(error).__name__, where=where(error))
        else:
            told.info("attempt failed", error=failure.error.name)
        if self._report(lambda: self._store.fail(attempt, failure.error, retry=failure.again)):
            self._send(attempt.job.id)

    def _report(self, say: Callable[[], bool]) -> bool:
        """Tell the store how an attempt ended, for a while again and again if Redis does not answer."""
        deadline = time.monotonic() + _REPORT_SECONDS
        while True:
            try:
                return say()
            except redis.RedisError as error:
                if time.monotonic() >= deadline:
                    raise
                log.warning("the end of an attempt is not told yet: Redis does not answer", reason=str(error))
                time.sleep(1.0)


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - started
