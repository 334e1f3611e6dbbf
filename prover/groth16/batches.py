"""Many proofs at once: split into batches, verified before they leave, and made all the same when a device fails.

- Every proof is verified, a batch at a time. Where a batch does not verify it is halved until the bad proofs are named:
  they become errors, and the good ones leave.
- A batch that does not fit the device's memory is made again in halves; the smaller size is kept.
- What a device cannot prove at all goes to the fallback, if there is one.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Generic, TypeVar

from prover.errors import DeviceError, DeviceLost, DeviceOutOfMemory, InvalidProofError, ProverError
from prover.formats.proof import Proof
from prover.groth16.verify import Statement, Verifier

Job = TypeVar("Job")

# A proof that was verified, or why there is none.
Outcome = Proof | ProverError

# Prove batches, one after another, and hand over what became of each before the next one's is handed over: proofs that
# were not verified yet, or errors, in order. Raises DeviceError, and then what was handed over counts.
MakeBatches = Callable[[Sequence[Sequence[Job]], Callable[[Sequence[Outcome]], None]], None]


def invalid_proof() -> InvalidProofError:
    """What is said of a proof that does not verify."""
    return InvalidProofError(
        "the proof does not verify: the witness does not satisfy the circuit, the proving key is damaged, or the "
        "device computed wrongly; compute the witness again, then fetch or make the key again"
    )


def check(verifier: Verifier, statements: Sequence[Statement]) -> list[Outcome]:
    """Each statement's proof if it is valid, else InvalidProofError. One equation where all are valid."""
    if not statements:
        return []
    if len(statements) == 1:
        return [statements[0][1] if verifier.verify(*statements[0]) else invalid_proof()]
    if verifier.verify_batch(statements):
        return [proof for _, proof in statements]
    half = len(statements) // 2
    return check(verifier, statements[:half]) + check(verifier, statements[half:])


class BatchedProofs(Generic[Job]):
    """Proves jobs in batches of at most `size`, with the policy above.

    make: proves on the device. check: verifies what was made, in `pool`, while the device goes on. fallback: proves one
    job without the device; None where it should fail instead. A device that was lost stays lost: `lost` is its error,
    and every further job goes to the fallback. As thread-safe as these are.
    """

    def __init__(
        self,
        size: int,
        make: MakeBatches[Job],
        check: Callable[[Sequence[Job], Sequence[Outcome]], list[Outcome]],
        pool: Executor,
        fallback: Callable[[Job], Proof] | None = None,
    ) -> None:
        self.size = size
        self.lost: DeviceLost | None = None
        self._make = make
        self._check = check
        self._pool = pool
        self._fallback = fallback

    def prove(self, jobs: Sequence[Job]) -> list[Outcome]:
        """The outcome of each job, in order. Errors other than the prover's own pass through."""
        checked: list[Future[list[Outcome]]] = []
        begun = 0
        error: DeviceError | None = self.lost
        while begun < len(jobs) and error is None:
            rest = jobs[begun:]
            batches = [rest[start : start + self.size] for start in range(0, len(rest), self.size)]
            done = 0

            def hand_over(made: Sequence[Outcome], batches: Sequence[Sequence[Job]] = batches) -> None:
                nonlocal done
                checked.append(self._pool.submit(self._check, batches[done], made))
                done += 1

            try:
                self._make(batches, hand_over)
            except DeviceOutOfMemory as found:
                if self.size == 1:
                    error = found
                self.size = max(1, self.size // 2)
            except DeviceError as found:
                error = found
                if isinstance(found, DeviceLost):
                    self.lost = found
            begun += sum(map(len, batches[:done]))
        outcomes = [outcome for future in checked for outcome in future.result()]
        return outcomes + [self._without_device(job, error) for job in jobs[begun:]]

    def _without_device(self, job: Job, error: DeviceError | None) -> Outcome:
        if self._fallback is None:
            return error or DeviceError("the device made no proof")
        try:
            return self._fallback(job)
        except ProverError as found:
            return found
