"""A stand-in for a device: it takes a set time and can be told to fail, so that tests of the cluster need no prover.

What it returns is no proof. It is a tag bound to the statement, and begins with a byte that no proof begins with; only
`FakeCircuit` itself accepts it, the cluster marks jobs that have one as fake, and refuses to verify it for callers.

The inputs of a request name its public inputs, which here are their own witness, and what shall happen:

    {"public": [...], "milliseconds": 200, "trouble": 0}

`trouble` is one of the numbers below. Both may be missing: then nothing goes wrong, in GELAP_FAKE_MILLISECONDS.
"""

import hashlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from protocol.errors import EncodingError
from protocol.statements import InputValue, statement_hash
from prover.errors import DeviceLost, InputError, InvalidProofError, UnsatisfiedError
from worker.errors import ConfigurationError
from worker.jobs import FAKE_BYTE
from worker.manifest import CircuitEntry
from worker.registry import FAKE_DEVICE as DEVICE

MILLISECONDS_VARIABLE = "GELAP_FAKE_MILLISECONDS"
_DEFAULT_MILLISECONDS = 50
_TAG_BYTES = 256
# Slices of the time a batch takes, after each of which it can be cancelled.
_PHASES = ("quotient", "sums", "assembly", "verification")


class Trouble(IntEnum):
    """What may go wrong with a request."""

    NONE = 0
    WRONG_PROOF = 1  # what the device returns does not verify
    CRASH = 2  # the worker dies as by `kill -9` in the middle of the batch
    HANG = 3  # the device never comes back
    NO_MEMORY = 4
    UNPLANNED = 5  # an exception that nobody thought of, with a secret in its message
    UNSATISFIED = 6
    LOST = 7  # the device fails, and only another process can use it again


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is to have a fake device. Raises ConfigurationError when only one of two switches is set."""
    if environment.get("GELAP_DEVICE") != DEVICE:
        return False
    if environment.get("GELAP_ALLOW_FAKE") != "1":
        raise ConfigurationError(
            "GELAP_DEVICE=fake makes no proofs and is for tests of the cluster only: set GELAP_ALLOW_FAKE=1 too if "
            "that is what you want, or GELAP_DEVICE=auto"
        )
    return True


@dataclass(frozen=True)
class _Witness:
    public: list[int]
    milliseconds: int
    trouble: Trouble


class FakeCircuit:
    """A circuit of the manifest without its proving key."""

    def __init__(self, entry: CircuitEntry, milliseconds: int) -> None:
        self._entry = entry
        self._milliseconds = milliseconds

    @property
    def verification_key_digest(self) -> bytes:
        return self._entry.verification_key_digest

    @property
    def device(self) -> str:
        return DEVICE

    @property
    def batch(self) -> int:
        return 1

    def solve(self, inputs: Mapping[str, InputValue]) -> _Witness:
        public = inputs.get("public")
        milliseconds, trouble = inputs.get("milliseconds", self._milliseconds), inputs.get("trouble", 0)
        if not isinstance(public, list) or not all(isinstance(value, int) for value in public):
            raise InputError("a fake device needs the public inputs in an input named public, as a list of numbers")
        if not isinstance(milliseconds, int) or not isinstance(trouble, int) or trouble not in list(Trouble):
            raise InputError("milliseconds is a number, and trouble one of those that a fake device knows")
        if trouble == Trouble.UNSATISFIED:
            raise UnsatisfiedError("a constraint does not hold, as was asked for")
        return _Witness([int(value) for value in public if isinstance(value, int)], milliseconds, Trouble(trouble))

    def public_inputs(self, witness: _Witness) -> list[int]:
        return witness.public

    def prove(
        self, witnesses: Sequence[_Witness], phase_done: Callable[[str], None] = lambda phase: None
    ) -> list[bytes | Exception]:
        """Take the time of the slowest, as a device does that proves all at once."""
        troubles = {witness.trouble for witness in witnesses}
        slowest = max(witness.milliseconds for witness in witnesses) / 1000
        for number, phase in enumerate(_PHASES):
            time.sleep(slowest / len(_PHASES))
            if number == 0 and Trouble.CRASH in troubles:
                os.kill(os.getpid(), signal.SIGKILL)
            if number == 0 and Trouble.HANG in troubles:
                time.sleep(1e6)
            if number == 0 and Trouble.NO_MEMORY in troubles:
                raise MemoryError
            if number == 0 and Trouble.LOST in troubles:
                raise DeviceLost("the device is gone, as was asked for")
            phase_done(phase)
        return [self._outcome(witness) for witness in witnesses]

    def verify(self, public_inputs: list[int], proof: bytes) -> bool:
        """Accepts what `prove` returned for these public inputs and nothing else."""
        try:
            return proof == self._tag(public_inputs)
        except EncodingError:
            return False

    def _outcome(self, witness: _Witness) -> bytes | Exception:
        tag = self._tag(witness.public)
        if witness.trouble == Trouble.UNPLANNED:
            return RuntimeError(f"the public inputs were {witness.public}")
        if witness.trouble == Trouble.WRONG_PROOF:
            tag = tag[:-1] + bytes([tag[-1] ^ 1])
        if not self.verify(witness.public, tag):
            return InvalidProofError("the tag does not verify, as was asked for")
        return tag

    def _tag(self, public_inputs: list[int]) -> bytes:
        statement = statement_hash(self._entry.name, self.verification_key_digest, public_inputs)
        digest = hashlib.shake_256(b"gelap/v1/fake-proof" + statement).digest(_TAG_BYTES - 1)
        return bytes([FAKE_BYTE]) + digest


def load_fake_circuits(entries: Mapping[str, CircuitEntry]) -> dict[str, FakeCircuit]:
    """Have every circuit of the manifest on the fake device. Raises ConfigurationError."""
    text = os.environ.get(MILLISECONDS_VARIABLE, str(_DEFAULT_MILLISECONDS))
    if not text.isdigit():
        raise ConfigurationError(f"{MILLISECONDS_VARIABLE} is {text!r}, not a number of milliseconds")
    return {name: FakeCircuit(entry, int(text)) for name, entry in entries.items()}
