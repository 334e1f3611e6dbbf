"""What an exception of the prover or the protocol layer means for a job: how it ends, and whether to try it again."""

from typing import NamedTuple

from protocol.errors import EncodingError, SealingError
from prover import errors as prover
from worker import errors


class Failure(NamedTuple):
    """`again`: the cluster itself tries it again, on whichever worker takes it."""

    error: errors.ClusterError
    again: bool


class _Meaning(NamedTuple):
    kind: type[errors.ClusterError]
    again: bool
    # Whether the exception's own words are for the caller; they name signals and constraints, never values.
    tell: bool


# The first that fits counts, so a base stands after its kinds.
MEANINGS: dict[type[Exception], _Meaning] = {
    SealingError: _Meaning(errors.SealBrokenError, again=False, tell=False),
    EncodingError: _Meaning(errors.InvalidInputsError, again=False, tell=True),
    prover.InputError: _Meaning(errors.InvalidInputsError, again=False, tell=True),
    prover.UnsatisfiedError: _Meaning(errors.UnsatisfiedInputsError, again=False, tell=True),
    prover.InvalidProofError: _Meaning(errors.ProvingFailedError, again=True, tell=False),
    prover.FormatError: _Meaning(errors.ProvingFailedError, again=False, tell=False),
    prover.KeyMismatchError: _Meaning(errors.ProvingFailedError, again=False, tell=False),
    # DeviceLost is none of them: the runner hands its jobs back.
    prover.DeviceError: _Meaning(errors.ProvingFailedError, again=True, tell=False),
    prover.KernelError: _Meaning(errors.ProvingFailedError, again=True, tell=False),
    prover.SetupError: _Meaning(errors.ProvingFailedError, again=False, tell=False),
    prover.ProverError: _Meaning(errors.ProvingFailedError, again=False, tell=False),
    MemoryError: _Meaning(errors.ProvingFailedError, again=True, tell=False),
}


def failure_of(error: Exception) -> Failure:
    """Return what a job ends with. An exception nobody planned for is tried again, and its message is not kept."""
    if isinstance(error, errors.ClusterError):
        return Failure(error, again=isinstance(error, errors.ProvingFailedError))
    for kind, meaning in MEANINGS.items():
        if isinstance(error, kind):
            return Failure(meaning.kind(str(error) if meaning.tell else None), meaning.again)
    return Failure(errors.InternalError(), again=True)
