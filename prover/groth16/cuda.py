"""Groth16 proofs on a device: keys that stay there, batches, and a witness on its way while another is proved.

    with ProvingDevice(...) as device:
        prover = DeviceProver(device, read_zkey(path))
        proofs = prover.prove_many(witnesses)

A proof is the sums of `prover.groth16.prove`; what each step costs is told in `quotient_cuda`, `prover.msm.cuda_plan`
and kernels/cuda/finish.cu. Nothing returns to the host but the proofs, 256 bytes each. Every one of them is verified on
the CPU before it leaves, many by one equation, beside the next batch's work on the device.
"""

import os
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any, TypeVar

import numpy as np

from protocol.field import R
from prover.circuit.compile import Circuit
from prover.devices.opened import ProvingDevice
from prover.errors import DeviceError, DeviceLost, DeviceOutOfMemory, InputError, ProverError
from prover.formats.files import AnyPath
from prover.formats.proof import Proof
from prover.formats.verification_key import VerificationKey
from prover.formats.zkey import ZKey
from prover.groth16.batch_cuda import SLOTS, Batches, Begun
from prover.groth16.batches import BatchedProofs, Outcome, check
from prover.groth16.finish_cuda import unpack_proofs
from prover.groth16.key_cuda import DeviceKey, key_bases, key_shape
from prover.groth16.memory_cuda import MemoryPlan, plan_memory
from prover.groth16.prove import ProvingKey, check_witness, prove
from prover.groth16.statements_cuda import DeviceStatements
from prover.groth16.verify import Verifier
from prover.kernels.cuda.device import Device
from prover.limbs import from_limbs, to_limbs
from prover.witness.cpu import solve
from prover.witness.inputs import flatten_inputs

Item = TypeVar("Item")

# Verifying takes a thread under a millisecond a proof; two keep up with a GPU and leave the other CPUs to witnesses.
_VERIFIERS = 2

_numbers = count()


def _random_blinding() -> tuple[int, int]:
    return secrets.randbelow(R), secrets.randbelow(R)


@dataclass(frozen=True, eq=False)
class _Job:
    """values: a witness, uint64 (n_vars, 4), or a statement's inputs, uint64 (n_inputs, 4); both secret. public: its
    public inputs; statement: the inputs by name, None for a witness.
    """

    values: np.ndarray
    public: list[int]
    statement: Mapping[str, Any] | None = None


class DeviceProver:
    """One proving key on a device. Thread-safe; `close` gives its memory back.

    Raises FormatError for a key that cannot be trusted, and DeviceOutOfMemory for one that does not fit.
    """

    def __init__(
        self,
        owner: ProvingDevice,
        zkey: ZKey,
        fallback: Callable[[np.ndarray], Proof] | None = None,
        batch: int | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        """fallback: proves a witness without the device when that fails; None where it should be an error. batch: the
        most proofs at once; default what fills a GPU. circuit: the key's, for `prove_statements`.
        """
        self.verifier = Verifier(VerificationKey.from_zkey(zkey))
        self.n_vars = zkey.n_vars
        self.n_public = zkey.n_public
        self.fallback = fallback
        self.blinding = _random_blinding
        self._circuit = circuit
        self._owner = owner
        self._name = f"proving key {next(_numbers)}"
        bases = key_bases(zkey)
        shape = key_shape(zkey, bases)
        self._on_device: Batches | None = None
        self._statements: DeviceStatements | None = None
        while self._on_device is None:
            self.plan = plan_memory(shape, owner.budget.free, owner.device.multiprocessors, batch)
            owner.budget.reserve(self._name, self.plan.total)
            try:
                self._on_device = owner.run(_upload, owner.device, zkey, bases, self.plan)
            except DeviceOutOfMemory:
                # Somebody else took what was free when the budget was made.
                owner.budget.release(self._name)
                owner.run(owner.device.free_unused)
                if self.plan.batch == 1:
                    raise
                batch = self.plan.batch // 2
        self._pool = ThreadPoolExecutor(min(_VERIFIERS, os.cpu_count() or 1), thread_name_prefix="verify")
        self._batches = BatchedProofs(
            self.plan.batch, self._make, self._check, self._pool, None if fallback is None else self._without_device
        )

    @property
    def verification_key(self) -> VerificationKey:
        return self.verifier.key

    @property
    def batch(self) -> int:
        """Proofs made at once: what a caller should gather. Shrinks when the device ran out of memory."""
        return self._batches.size

    @property
    def lost(self) -> DeviceLost | None:
        """Why the device is not asked any more, if so."""
        return self._batches.lost

    def prove(self, witness: np.ndarray) -> Proof:
        """As `prover.groth16.prove.prove`, and raises DeviceError when neither device nor fallback made a proof."""
        (outcome,) = self.prove_many([witness])
        if isinstance(outcome, ProverError):
            raise outcome
        return outcome

    def prove_many(self, witnesses: Sequence[np.ndarray]) -> list[Outcome]:
        """For each witness, uint64 (n_vars, 4), plain, a proof that was verified, or the error that stands for it.

        KeyMismatchError: the witness is not one of this circuit; InvalidProofError: its proof does not verify;
        DeviceError: the device failed and there is no fallback.
        """
        return self._prove_each(witnesses, self._witness_job)

    def prove_statements(self, statements: Sequence[Mapping[str, Any]]) -> list[Outcome]:
        """As `prove_many`, for statements by their inputs, whose witnesses the device computes and checks.

        InputError: inputs that are missing, unknown, misshapen or out of range; UnsatisfiedError: there is no proof.
        """
        return self._prove_each(statements, self._statement_job)

    def _prove_each(self, items: Sequence[Item], job_of: Callable[[Item], _Job]) -> list[Outcome]:
        jobs: list[_Job | ProverError] = []
        for item in items:
            try:
                jobs.append(job_of(item))
            except ProverError as error:
                jobs.append(error)
        proved = iter(self._batches.prove([job for job in jobs if isinstance(job, _Job)]))
        return [next(proved) if isinstance(job, _Job) else job for job in jobs]

    def _witness_job(self, witness: np.ndarray) -> _Job:
        check_witness(self.n_vars, witness)
        return _Job(np.ascontiguousarray(witness), from_limbs(witness[1 : self.n_public + 1]))

    def _statement_job(self, inputs: Mapping[str, Any]) -> _Job:
        if self._circuit is None:
            raise InputError("this prover knows no circuit: give it witnesses")
        flat = flatten_inputs(self._circuit, inputs)
        # The public inputs are the first, as they are the first wires.
        return _Job(to_limbs(flat), flat[: self.n_public], inputs)

    def warm_up(self, witness: np.ndarray) -> None:
        """Load kernels and capture what is launched, for single proofs and for full batches; a few proofs' time.

        witness: any of the right form, the proofs made of it are dropped.
        """
        job = self._witness_job(witness)
        for size in {1, self.batch}:
            for _ in range(2):
                self._owner.run(self._keep_busy, [[job] * size] * SLOTS, lambda proofs: None)

    def device_milliseconds(self, runs: int) -> list[float]:
        """What a batch of the present size takes on the device, `runs` times; for benchmarks, after a first proof."""
        assert self._on_device is not None
        return [self._owner.run(self._on_device.milliseconds, self.batch) for _ in range(runs)]

    def steps_milliseconds(self) -> dict[str, float]:
        """The same of each step alone."""
        assert self._on_device is not None
        return self._owner.run(self._on_device.steps, self.batch)

    def close(self) -> None:
        """Give the device's memory back; proofs in hand are finished first. Afterwards only the fallback proves."""
        self._owner.run(self._forget)
        self._pool.shutdown()
        self._owner.budget.release(self._name)
        self._owner.budget.release(self._statements_name)

    def _forget(self) -> None:
        self._on_device = self._statements = None
        self._owner.device.free_unused()

    def _check(self, jobs: Sequence[_Job], made: Sequence[Outcome]) -> list[Outcome]:
        """Verify the proofs among what was made."""
        proofs = [(job.public, each) for job, each in zip(jobs, made, strict=True) if isinstance(each, Proof)]
        checked = iter(check(self.verifier, proofs))
        return [next(checked) if isinstance(each, Proof) else each for each in made]

    def _without_device(self, job: _Job) -> Proof:
        assert self.fallback is not None
        if job.statement is None:
            return self.fallback(job.values)
        assert self._circuit is not None
        return self.fallback(solve(self._circuit, job.statement)[0])

    def _make(self, batches: Sequence[Sequence[_Job]], hand_over: Callable[[Sequence[Outcome]], None]) -> None:
        self._owner.run(self._keep_busy, batches, hand_over)

    def _keep_busy(self, batches: Sequence[Sequence[_Job]], hand_over: Callable[[Sequence[Outcome]], None]) -> None:
        """Prove on the device's thread; a batch is begun before the one before it is waited for."""
        begun: deque[Begun] = deque()
        try:
            for jobs in batches:
                begun.append(self._begin(jobs))
                if len(begun) == SLOTS:
                    hand_over(self._take(begun.popleft()))
        finally:
            while begun:
                hand_over(self._take(begun.popleft()))

    def _begin(self, jobs: Sequence[_Job]) -> Begun:
        if self._on_device is None:
            raise DeviceError("this proving key was taken off its device")
        values = [job.values for job in jobs]
        blindings = [self.blinding() for _ in jobs]
        if jobs[0].statement is None:
            return self._on_device.begin(values, blindings)
        if self._statements is None:
            self._statements = self._make_statements()
        return self._on_device.begin_statements(self._statements, values, blindings)

    @property
    def _statements_name(self) -> str:
        return f"witnesses of {self._name}"

    def _make_statements(self) -> DeviceStatements:
        """What computing witnesses needs, when that is first asked for; where it does not fit, smaller batches may."""
        assert self._circuit is not None
        most = self.batch
        self._owner.budget.reserve(self._statements_name, DeviceStatements.bytes_needed(self._circuit, most))
        return DeviceStatements(self._owner.device, self._circuit, most, SLOTS)

    def _take(self, begun: Begun) -> list[Outcome]:
        points, failures = begun.take()
        proofs: list[Outcome] = list(unpack_proofs(points))
        if failures is None or self._statements is None:
            return proofs
        wrong = self._statements.outcomes(failures)
        return [error or proof for proof, error in zip(proofs, wrong, strict=False)]


def _upload(device: Device, zkey: ZKey, bases: dict[str, np.ndarray], plan: MemoryPlan) -> Batches:
    key = DeviceKey.upload(device, zkey, bases, plan)
    device.free_unused()
    return Batches(device, key, plan.batch)


class CpuFallback:
    """Proves on the CPU with a key that is read when it is first needed."""

    def __init__(self, zkey_path: AnyPath) -> None:
        self._path = zkey_path
        self._key: ProvingKey | None = None
        self._lock = Lock()

    def prove(self, witness: np.ndarray) -> Proof:
        """As `prover.groth16.prove.prove`, and raises FormatError when the key cannot be read."""
        with self._lock:
            if self._key is None:
                self._key = ProvingKey.load(self._path)
        return prove(self._key, witness)
