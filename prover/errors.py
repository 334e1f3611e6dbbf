"""Everything that can go wrong in the proving engine.

ProverError
├── FormatError            a file or JSON document that is malformed, truncated or for another curve
├── InputError             circuit inputs that are missing, unknown, misshapen or out of range
├── UnsatisfiedError       inputs that break a constraint: there is no proof for them
├── InvalidProofError      a proof that does not verify
├── KeyMismatchError       a witness, key or circuit that do not belong together
├── SetupError             a setup that cannot be carried out (powers of tau too small, ...)
├── KernelError            machine code that cannot be compiled or loaded
└── DeviceError            a GPU that cannot do what it was asked for
    ├── DeviceUnavailable  there is none, CuPy is missing, or another process owns it
    ├── DeviceOutOfMemory  its memory, or the part of it that may be used, is too small for the work: ask for less
    └── DeviceLost         it failed, and everything on it is gone: only another process can use it again
"""


class ProverError(Exception):
    """Base of all errors of this package; the message says what to do next and never holds a witness value."""


class FormatError(ProverError, ValueError):
    pass


class InputError(ProverError, ValueError):
    pass


class UnsatisfiedError(ProverError):
    pass


class InvalidProofError(ProverError):
    pass


class KeyMismatchError(ProverError, ValueError):
    pass


class SetupError(ProverError):
    pass


class KernelError(ProverError):
    pass


class DeviceError(ProverError):
    pass


class DeviceUnavailable(DeviceError):
    pass


class DeviceOutOfMemory(DeviceError):
    pass


class DeviceLost(DeviceError):
    pass
