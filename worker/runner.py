"""Attempts at jobs, from claiming them to their end."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import redis
import structlog

from gelap.logs import where
from gelap.tracing import AttemptSpan, Traces
from protocol.field import to_bytes32
from protocol.sealing import ClusterPrivateKey
from protocol.statements import decode_inputs, statement_hash
from prover.errors import DeviceLost, InvalidProofError
from worker.errors import (
    InternalError,
    ProvingFailedError,
    SealBrokenError,
    StatementMismatchError,
    WrongVerificationKeyError,
)
from worker.executor import Executor, HandedBackError, LoadedCircuit
from worker.failures import failure_of
from worker.jobs import Attempt, JobStore, Kind
from worker.leases import AttemptLostError, Lease, LeaseKeeper
from worker.metrics import Metrics

log = structlog.get_logger("gelap.worker")

# How long a finished proof is held on to while Redis does not answer; by then its lease has ended anyway.
_REPORT_SECONDS = 30.0


class JobRunner:
    """Carries out jobs, `concurrency` at once; `tell` has the workers with a proving key told of so many jobs."""

    def __init__(
        self,
        store: JobStore,
        executor: Executor,
        key: ClusterPrivateKey,
        leases: LeaseKeeper,
        metrics: Metrics,
        worker: str,
        tell: Callable[[bytes, int], None],
        concurrency: int,
        traces: Traces | None = None,
    ) -> None:
        self._store = store
        self._executor = executor
        self._key = key
        self._leases = leases
        self._metrics = metrics
        self._worker = worker
        self._tell = tell
        self._traces = traces or Traces()
        self._slots = _Slots(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="job")
        self._draining = threading.Event()
        self._drained_by = float("inf")
        self.done = 0

    def drain(self, seconds: float) -> None:
        """Take no more jobs and hand back those that the device has not begun; the rest has so many seconds to end."""
        self._drained_by = time.monotonic() + seconds
        self._draining.set()
        self._executor.drain()

    def run(self, key_hex: str, jobs: int = 1) -> None:
        """Carry out as many jobs of this proving key, fewer when fewer wait: a message too many does no harm."""
        key = bytes.fromhex(key_hex)
        while jobs > 0:
            if self._draining.is_set():
                self._tell(key, jobs)
                return
            with self._slots.take(jobs) as slots:
                attempts = self._store.claim(key, self._worker, slots)
                if len(attempts) == 1:
                    self._attempt(attempts[0])
                elif attempts:
                    wait([self._threads.submit(self._attempt, attempt) for attempt in attempts])
            if len(attempts) < slots:
                return
            jobs -= slots

    def close(self) -> None:
        self._threads.shutdown()

    def _attempt(self, attempt: Attempt) -> None:
        job = attempt.job
        told = log.bind(job=job.id, circuit=job.circuit, kind=job.kind.value, attempt=job.attempts)
        told.debug("job taken up")
        seconds: dict[str, float] = {"queue": job.seconds.get("queue", 0.0)}
        outcome, started = "failed", time.time()
        with self._leases.hold(attempt) as lease:
            try:
                outcome = self._carry_out(lease, seconds, told)
            except AttemptLostError:
                outcome = "dropped"
                told.info("job dropped: cancelled, or another worker has it")
            except (HandedBackError, DeviceLost) as error:
                outcome = "handed back"
                self._hand_back(attempt, told, lost=isinstance(error, DeviceLost))
            except Exception as error:
                outcome = self._fail(attempt, error, told)
        self.done += 1
        self._metrics.attempt_ended(job.circuit, outcome, seconds)
        attributes: dict[str, str | int] = {"job": job.id, "attempt": job.attempts, "outcome": outcome}
        failed = outcome in ("failed", "tried again")
        name = f"{job.kind.value} {job.circuit}"
        self._traces.attempt(AttemptSpan(name, job.traceparent, started, seconds, attributes, failed))

    def _carry_out(self, lease: Lease, seconds: dict[str, float], told: structlog.typing.FilteringBoundLogger) -> str:
        attempt, job = lease.attempt, lease.attempt.job
        circuit = self._executor.circuit(job.circuit, job.key)
        public_inputs = [int.from_bytes(word, "big") for word in job.public_inputs]
        if statement_hash(job.circuit, circuit.verification_key_digest, public_inputs) != job.statement:
            raise WrongVerificationKeyError
        if job.kind is Kind.VERIFY:
            with _timed(seconds, "verify"):
                valid = circuit.verify(public_inputs, job.proof or b"")
            kept = self._report(lambda: self._store.succeed(attempt, seconds, valid=valid))
        else:
            proof, device_seconds = self._prove(circuit, lease, seconds)
            kept = self._report(
                lambda: self._store.succeed(attempt, seconds, proof=proof, device_seconds=device_seconds)
            )
        told.info("job done" if kept else "result refused: the job was no longer this attempt's", **seconds)
        return "done" if kept else "dropped"

    def _prove(self, circuit: LoadedCircuit, lease: Lease, seconds: dict[str, float]) -> tuple[bytes, float]:
        attempt = lease.attempt
        with _timed(seconds, "witness"):
            witness = circuit.solve(decode_inputs(self._open(attempt)))
            # Whoever shows a witness gets the proof of its own statement only, and only that may enter the cache.
            if tuple(map(to_bytes32, circuit.public_inputs(witness))) != attempt.job.public_inputs:
                raise StatementMismatchError
        proved = self._executor.prove(circuit, witness, lambda: self._check(lease)).result()
        seconds["wait"], seconds["prove"] = proved.waited, proved.seconds
        return proved.proof, proved.seconds / proved.batch

    def _check(self, lease: Lease) -> None:
        """Called at the phase boundaries of a proof."""
        lease.check()
        if time.monotonic() > self._drained_by:
            raise HandedBackError

    def _open(self, attempt: Attempt) -> bytes:
        if attempt.sealed is None:
            raise SealBrokenError("the sealed inputs were kept too long and are gone: send the request again")
        return self._key.open(attempt.sealed, attempt.job.statement, attempt.job.tenant)

    def _hand_back(self, attempt: Attempt, told: structlog.typing.FilteringBoundLogger, *, lost: bool) -> None:
        if self._report(lambda: self._store.release(attempt, lost=lost)):
            told.info("job handed back: this worker is stopping")
            self._tell(attempt.job.key, 1)

    def _fail(self, attempt: Attempt, error: Exception, told: structlog.typing.FilteringBoundLogger) -> str:
        failure = failure_of(error)
        wrong_proof = isinstance(error, InvalidProofError)
        if wrong_proof:
            self._metrics.wrong_proof(attempt.job.circuit)
        if isinstance(failure.error, InternalError | ProvingFailedError):
            told.error("attempt failed", error=failure.error.name, exception=type(error).__name__, where=where(error))
        else:
            told.info("attempt failed", error=failure.error.name)
        again = self._report(
            lambda: self._store.fail(attempt, failure.error, retry=failure.again, wrong_proof=wrong_proof)
        )
        if again:
            self._tell(attempt.job.key, 1)
        return "tried again" if again else "failed"

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


class _Slots:
    """How many jobs may be in hand: a task gets those that are free, one at least."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._changed = threading.Condition()

    @contextmanager
    def take(self, most: int) -> Iterator[int]:
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0)
            taken = min(most, self._free)
            self._free -= taken
        try:
            yield taken
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - started
