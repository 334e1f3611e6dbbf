"""The shim as a device: kernels built with a C++ compiler, arrays in host memory.

New arrays and the shared memory of a block hold 0xA5 bytes, so that reading what no kernel wrote shows. Kernels run
without the GIL. Launches are carried out at once, one after another; streams and events are checked and otherwise have
no effect, and a captured sequence runs its function again.

GELAP_SHIM_ORDER says in which order the blocks of a launch, the warps of a block and the lanes of a warp run:
`forward` (the default), `reverse`, or `random:SEED` with a number. A right kernel gives the same results in all.
"""

import ctypes
import os
import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from prover.errors import DeviceError, DeviceUnavailable
from prover.kernels.cuda import shim_build
from prover.kernels.cuda.device import STREAMS, Array, Device, Graph, Kernel, Timer, as_triple, out_of_memory
from prover.kernels.cuda.sources import unit_path, units

_ALIGNMENT = 64
_POISON = 0xA5
# What a block may have on a GPU of compute capability 9.0.
_MAXIMUM_SHARED_BYTES = 227 << 10
_DEFAULT_TOTAL = 8 << 30
ORDER_VARIABLE = "GELAP_SHIM_ORDER"


def order_number(order: str) -> int:
    """An order as the runtime takes it: 0 is forward, 1 reverse, 2 + seed random."""
    match = re.fullmatch(r"(forward)|(reverse)|random:([0-9]{1,18})", order)
    if match is None:
        raise DeviceUnavailable(f"{ORDER_VARIABLE} must be forward, reverse or random:NUMBER, not {order!r}")
    return int(match[3]) + 2 if match[3] else int(match[1] is None)


class _Unit:
    """A loaded shared library."""

    def __init__(self, source: Path, flags: tuple[str, ...]):
        self.library = ctypes.CDLL(str(shim_build.build_source(source, flags)))
        self.parameters = shim_build.kernel_parameters(source, flags)
        self.launch = self.library.gelap_shim_launch
        self.launch.restype = ctypes.c_char_p
        pointer = ctypes.c_void_p
        self.launch.argtypes = [pointer, pointer, pointer, ctypes.c_size_t, pointer, ctypes.c_int, ctypes.c_uint64]

    def address(self, name: str) -> int:
        address = ctypes.cast(getattr(self.library, name), ctypes.c_void_p).value
        assert address is not None
        return address


class _ShimGraph(Graph):
    def __init__(self, fn: Callable[[], None]):
        self._fn = fn

    def launch(self) -> None:
        self._fn()


class ShimDevice(Device):
    """Runs units of the source folder, and other source files given by path, on this CPU.

    `total_bytes` is the memory the device says it has; `compiler_flags` are added to every build; `order` is by default
    that of GELAP_SHIM_ORDER. Raises DeviceUnavailable for an order of another form.
    """

    name = "CPU shim"
    arch = "shim"
    multiprocessors = 2

    def __init__(
        self,
        total_bytes: int = _DEFAULT_TOTAL,
        compiler_flags: tuple[str, ...] = (),
        sources: dict[str, Path] | None = None,
        order: str | None = None,
    ):
        self._order = order_number(order or os.environ.get(ORDER_VARIABLE) or "forward")
        self._total = total_bytes
        self._budget = total_bytes
        self._used = 0
        self._flags = compiler_flags
        self._sources = dict(sources or {})
        self._units: dict[str, _Unit] = {}
        self._kernels: dict[tuple[str, str], Kernel] = {}
        self._capturing = False

    # Memory

    def _allocate(self, shape: int | tuple[int, ...], dtype: Any, byte: int) -> np.ndarray:
        if self._capturing:
            raise DeviceError("a sequence that is being captured cannot allocate arrays")
        dimensions = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
        size = int(np.prod(dimensions, dtype=object)) * np.dtype(dtype).itemsize
        if self._used + size > self._budget:
            raise out_of_memory(size, *self.memory())
        self._used += size
        # The buffer, not the views of it, counts: it lives as long as any of them.
        buffer = np.full(size + _ALIGNMENT, byte, np.uint8)
        weakref.finalize(buffer, self._release, size)
        start = -buffer.ctypes.data % _ALIGNMENT
        return buffer[start : start + size].view(dtype).reshape(dimensions)

    def _release(self, size: int) -> None:
        self._used -= size

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        return self._allocate(shape, dtype, _POISON)

    def zeros(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        return self._allocate(shape, dtype, 0)

    def upload(self, array: np.ndarray) -> Array:
        target = self.empty(array.shape, array.dtype)
        target[...] = array
        return target

    def download(self, array: Array) -> np.ndarray:
        self._not_while_capturing("download")
        return np.array(array, order="C")

    def pinned(self, shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.zeros(shape, dtype)

    def upload_async(self, target: Array, source: np.ndarray) -> None:
        self.copy(target, source)

    def download_async(self, target: np.ndarray, source: Array) -> None:
        self.copy(target, source)

    def copy(self, target: Array, source: Array) -> None:
        if target.nbytes != source.nbytes:
            raise DeviceError(f"cannot copy {source.nbytes:,} bytes to an array of {target.nbytes:,} bytes")
        if not self._capturing:
            target.reshape(-1).view(np.uint8)[:] = source.reshape(-1).view(np.uint8)

    def fill_zero(self, array: Array) -> None:
        if not self._capturing:
            array.reshape(-1).view(np.uint8)[:] = 0

    def memory(self) -> tuple[int, int]:
        return max(self._budget - self._used, 0), self._budget

    def set_budget(self, budget: int | None) -> None:
        self._budget = self._total if budget is None else min(budget, self._total)

    def free_unused(self) -> None:
        pass

    # Kernels

    def _load(self, unit: str) -> _Unit:
        if unit not in self._units:
            source = self._sources[unit] if unit in self._sources else unit_path(unit)
            self._units[unit] = _Unit(source, self._flags)
        return self._units[unit]

    def kernel(self, unit: str, name: str) -> Kernel:
        if (unit, name) not in self._kernels:
            loaded = self._load(unit)
            if name not in loaded.parameters:
                raise DeviceError(f"unit {unit} has no kernel {name}; it has: {', '.join(loaded.parameters)}")
            function = partial(loaded.launch, loaded.address(name))
            self._kernels[unit, name] = Kernel(unit, name, loaded.parameters[name], function)
        return self._kernels[unit, name]

    def preload(self, chosen: Sequence[str] | None = None, progress: Callable[[str], None] | None = None) -> None:
        names = units() if chosen is None else list(chosen)
        with ThreadPoolExecutor(4) as pool:
            for unit, _ in zip(names, pool.map(self._load, names), strict=True):
                if progress is not None:
                    progress(unit)

    def launch(
        self,
        kernel: Kernel,
        grid: int | tuple[int, ...],
        block: int | tuple[int, ...],
        args: Sequence[Any],
        shared_bytes: int = 0,
    ) -> None:
        kernel.check(args, lambda argument: isinstance(argument, np.ndarray))
        if shared_bytes > _MAXIMUM_SHARED_BYTES:
            raise DeviceError(f"a block has at most {_MAXIMUM_SHARED_BYTES:,} bytes of shared memory")
        sizes = (ctypes.c_uint32 * 3)(*as_triple(grid)), (ctypes.c_uint32 * 3)(*as_triple(block))
        slots = (ctypes.c_uint64 * max(len(args), 1))(*(self._slot(kernel, argument) for argument in args))
        if self._capturing:
            return
        error = kernel.function(*sizes, shared_bytes, slots, len(args), self._order)
        if error is not None:
            raise DeviceError(f"kernel {kernel.unit}.{kernel.name}: {error.decode()}")

    @staticmethod
    def _slot(kernel: Kernel, argument: Any) -> int:
        if not isinstance(argument, np.ndarray):
            return int(argument) & 0xFFFFFFFFFFFFFFFF
        if not argument.flags.c_contiguous:
            raise TypeError(f"an array given to kernel {kernel.unit}.{kernel.name} is not contiguous")
        return argument.ctypes.data

    # Order

    def _not_while_capturing(self, what: str) -> None:
        if self._capturing:
            raise DeviceError(f"a sequence that is being captured cannot {what}")

    def synchronize(self) -> None:
        self._not_while_capturing("synchronize")

    @contextmanager
    def timer(self) -> Iterator[Timer]:
        self._not_while_capturing("be timed")
        timer = Timer()
        start = perf_counter()
        yield timer
        timer.ms = 1e3 * (perf_counter() - start)

    @contextmanager
    def stream(self, number: int) -> Iterator[None]:
        if not 0 <= number < STREAMS:
            raise ValueError(f"streams are numbered 0 to {STREAMS - 1}, got {number}")
        yield

    def record(self) -> Any:
        return object()

    def wait(self, event: Any) -> None:
        pass

    def capture(self, fn: Callable[[], None]) -> Graph:
        self._not_while_capturing("capture another")
        self._capturing = True
        try:
            fn()
        finally:
            self._capturing = False
        return _ShimGraph(fn)
