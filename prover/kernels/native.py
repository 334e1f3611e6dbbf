"""Calling compiled kernels: machine code from the disk cache, no compiler in the process.

`entry("prover.msm.digit_kernels", "recode")` names a kernel that a module exports with `prover.kernels.device.export`.
The module itself imports Numba and is imported only by the process that compiles it (`prover.kernels.compile`). On the
first call the module's image is copied into memory, compiled before if it is not in the cache (`prover.kernels.build`).

A call packs its arguments into 64-bit words and calls the machine code with the GIL released. An array is one word, the
address of its NumPy object: the stub in front of the kernel checks its type and reads data and shape from there.
"""

import ctypes
from struct import Struct
from threading import Lock
from typing import Any, NoReturn

import numpy as np

from prover.kernels.build import provide
from prover.kernels.constants import LIMBS
from prover.kernels.image import UNSUITABLE, Image, load_image

_ARRAY_TYPE = id(np.ndarray)
_PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_char_p, ctypes.c_void_p)
# Words of an argument in the notation of `struct`; those not named here are one unsigned word.
_LAYOUT = {"i64": "q", "fq": "4Q", "fq2": "8Q"}

_images: dict[str, Image] = {}
_loading = Lock()


def load_unit(unit: str) -> Image:
    """The kernels of a unit in memory, compiled if they have to be. Raises KernelError when that fails."""
    with _loading:
        if unit not in _images:
            _images[unit] = load_image(provide(unit))
        return _images[unit]


class Entry:
    """One kernel with one signature. Thread-safe."""

    def __init__(self, unit: str, name: str) -> None:
        self.unit = unit
        self.name = name
        self._signature = "not loaded"
        self._is_array: list[bool] = []
        # Where arguments that are tuples stand, last first.
        self._tuples: list[int] = []
        self._result: Any = None
        self._function: Any = None
        self._pack: Any = None

    def __repr__(self) -> str:
        return f"<kernel {self.unit}.{self.name}({self._signature})>"

    def load(self) -> None:
        """Make the machine code ready, compiled if it has to be. Raises KernelError when that fails."""
        address, parameters, result = load_unit(self.unit).find(self.name)
        given = [kind for kind in parameters if kind != "like"]
        self._signature = ", ".join(given)
        self._is_array = ["[" in kind for kind in given]
        self._tuples = [place for place, kind in enumerate(given) if kind in ("fq", "fq2")][::-1]
        self._result = {"": None, "i64": ctypes.c_int64}.get(result, ctypes.c_uint64)
        self._function = _PROTOTYPE(address)
        # Last, since other threads take it for a sign that all is there.
        self._pack = Struct("=Q" + "".join(_LAYOUT.get(kind, "Q") for kind in given)).pack

    def __call__(self, *args: Any) -> Any:
        """Call the kernel. Its arrays must be C-contiguous and aligned; they are not checked for size.

        Raises TypeError for an argument of another kind.
        """
        if self._pack is None:
            self.load()
        if len(args) != len(self._is_array):
            raise TypeError(f"{self!r} was given {len(args)} arguments")
        words = [id(arg) if is_array else arg for is_array, arg in zip(self._is_array, args, strict=True)]
        for place in self._tuples:
            words[place : place + 1] = _flat(args[place])
        packed = self._pack(_ARRAY_TYPE, *words)
        if self._result is None:
            status = self._function(packed, None)
            if status:
                self._fail(status, args)
            return None
        out = self._result()
        status = self._function(packed, ctypes.byref(out))
        if status:
            self._fail(status, args)
        return out.value

    def _fail(self, status: int, args: tuple[Any, ...]) -> NoReturn:
        if status <= UNSUITABLE:
            raise TypeError(f"{self!r} was given {_describe(args[UNSUITABLE - status])}")
        raise RuntimeError(f"{self!r} failed with status {status}")


def _flat(element: tuple[Any, ...]) -> tuple[int, ...]:
    """The limbs of an element of F_q, or of F_q2."""
    return element if len(element) == LIMBS else element[0] + element[1]


def _describe(arg: Any) -> str:
    if not isinstance(arg, np.ndarray):
        return repr(type(arg).__name__)
    usable = "" if arg.flags.c_contiguous and arg.flags.aligned else ", not contiguous or not aligned"
    return f"an array of {arg.dtype}, {arg.ndim} dimensions{usable}"


def entry(module: str, name: str) -> Entry:
    """The kernel `name` of `module`; nothing is loaded before its first call."""
    return Entry(module, name)


def group_entries(module: str, name: str) -> dict[int, Entry]:
    """The kernel `name` for G1 and G2, by the number of limbs of an affine point: 8 and 16."""
    return {8: Entry(f"{module}:g1", name), 16: Entry(f"{module}:g2", name)}
