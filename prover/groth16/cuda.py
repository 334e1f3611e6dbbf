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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Lock

import numpy as np

from protocol.field import R
from prover.devices.opened import ProvingDevice
from prover.errors import DeviceError, DeviceOutOfMemory, ProverError
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
from prover.groth16.verify import Verifier
from prover.kernels.cuda.device import Device
from prover.limbs import from_limbs

# Verifying takes a thread under a millisecond a proof; two keep up with a GPU and leave the other CPUs to witnesses.
_VERIFIERS = 2

_numbers = count()


def _random_blinding() -> tuple[int, int]:
    return secrets.randbelow(R), secrets.randbelow(R)


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
    ) -> None:
        """fallback: proves a witness without the device when that fails; None where it should be an error. batch: the
        most proofs at once; default what fills a GPU.
        """
        self.verifier = Verifier(VerificationKey.from_zkey(zkey))
        self.n_vars = zkey.n_vars
        self.n_public = zkey.n_public
        self.fallback = fallback
        self.blinding = _random_blinding
        self._owner = owner
        self._name = f"proving key {next(_numbers)}"
        bases = key_bases(zkey)
        shape = key_shape(zkey, bases)
        self._on_device: Batches | None = None
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
        self._batches = BatchedProofs(self.plan.batch, self._make, self._check, self._pool, fallback)

    @property
    def verification_key(self) -> VerificationKey:
        return self.verifier.key

    @property
    def batch(self) -> int:
        """Proofs made at once: what a caller should gather. Shrinks when the device ran out of memory."""
        return self._batches.size

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
        refused: dict[int, ProverError] = {}
        for place, witness in enumerate(witnesses):
            try:
                check_witness(self.n_vars, witness)
            except ProverError as error:
                refused[place] = error
        proved = iter(self._batches.prove([each for place, each in enumerate(witnesses) if place not in refused]))
        return [refused[place] if place in refused else next(proved) for place in range(len(witnesses))]

    def warm_up(self, witness: np.ndarray) -> None:
        """Load kernels and capture what is launched, for single proofs and for full batches; a few proofs' time.

        witness: any of the right form, the proofs made of it are dropped.
        """
        for size in {1, self.batch}:
            for _ in range(2):
                self._owner.run(self._keep_busy, [[witness] * size] * SLOTS, lambda proofs: None)

    def close(self) -> None:
        """Give the device's memory back; proofs in hand are finished first. Afterwards only the fallback proves."""
        self._owner.run(self._forget)
        self._pool.shutdown()
        self._owner.budget.release(self._name)

    def _forget(self) -> None:
        self._on_device = None
        self._owner.device.free_unused()

    def _check(self, witnesses: Sequence[np.ndarray], proofs: Sequence[Proof]) -> list[Outcome]:
        public = (from_limbs(witness[1 : self.n_public + 1]) for witness in witnesses)
        return check(self.verifier, list(zip(public, proofs, strict=True)))

    def _make(self, batches: Sequence[Sequence[np.ndarray]], hand_over: Callable[[Sequence[Proof]], None]) -> None:
        self._owner.run(self._keep_busy, batches, hand_over)

    def _keep_busy(self, batches: Sequence[Sequence[np.ndarray]], hand_over: Callable[[Sequence[Proof]], None]) -> None:
        """Prove on the device's thread; a batch is begun before the one before it is waited for."""
        if self._on_device is None:
            raise DeviceError("this proving key was taken off its device")
        begun: deque[Begun] = deque()
        try:
            for witnesses in batches:
                begun.append(self._on_device.begin(witnesses, [self.blinding() for _ in witnesses]))
                if len(begun) == SLOTS:
                    hand_over(unpack_proofs(begun.popleft().take()))
        finally:
            while begun:
                hand_over(unpack_proofs(begun.popleft().take()))


def _upload(device: Device, zkey: ZKey, bases: dict[str, np.ndarray], plan: MemoryPlan) -> Batches:
    return Batches(device, DeviceKey.upload(device, zkey, bases, plan), plan.batch)


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
