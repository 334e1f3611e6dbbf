"""What runs kernels: a GPU, or the shim on a CPU.

The code around kernels (plans, offsets, budgets, retries) is written against `Device` and imports neither CuPy nor a
compiler. Arrays are C-contiguous `cupy.ndarray` or `numpy.ndarray`; that code may slice them along axis 0, reshape them
and view them as another dtype, and read `.nbytes`, `.shape`, `.dtype`, nothing else.

A device belongs to one process and is not thread-safe. Work is queued on the current stream; streams run side by side
on a GPU and one after another on the shim.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from prover.errors import DeviceError, DeviceOutOfMemory

Array = Any
"""A C-contiguous array on the device."""

STREAMS = 4

_SCALARS = (np.uint32, np.int32, np.uint64, np.int64)


@dataclass(frozen=True)
class Parameter:
    """A kernel's parameter: its size, 4 or 8 bytes, and whether it is a pointer (None: the code does not say)."""

    size: int
    is_pointer: bool | None = None

    def accepts(self, argument: Any, is_array: bool) -> bool:
        if is_array:
            return self.size == 8 and self.is_pointer is not False
        return isinstance(argument, _SCALARS) and argument.itemsize == self.size and self.is_pointer is not True

    def __str__(self) -> str:
        if self.is_pointer:
            return "an array"
        integer = f"a numpy integer of {self.size} bytes"
        return integer if self.is_pointer is False or self.size == 4 else f"an array or {integer}"


@dataclass(frozen=True)
class Kernel:
    """A kernel that is ready to be launched; `function` is the device's own handle."""

    unit: str
    name: str
    parameters: tuple[Parameter, ...]
    function: Any

    def check(self, arguments: Sequence[Any], is_array: Callable[[Any], bool]) -> None:
        """Raise TypeError where `arguments` do not fit the parameters: a GPU would not notice."""
        if len(arguments) != len(self.parameters):
            raise TypeError(
                f"kernel {self.unit}.{self.name} takes {len(self.parameters)} arguments, {len(arguments)} given"
            )
        for number, (argument, parameter) in enumerate(zip(arguments, self.parameters, strict=True)):
            if not parameter.accepts(argument, is_array(argument)):
                raise TypeError(
                    f"argument {number} of kernel {self.unit}.{self.name} must be {parameter}, not a "
                    f"{type(argument).__name__}"
                )


class Timer:
    """Milliseconds between entering and leaving a `with device.timer() as timer:` block, in `.ms` after it."""

    ms: float = 0.0


class Graph(ABC):
    """A captured sequence of launches."""

    @abstractmethod
    def launch(self) -> None:
        """Queue the whole sequence on the current stream."""


class Device(ABC):
    """One GPU, or the shim. Every method may raise DeviceLost; allocations may raise DeviceOutOfMemory."""

    name: str
    arch: str
    """"sm_90" for a GPU of compute capability 9.0; "shim"."""
    multiprocessors: int

    @abstractmethod
    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        """An array with arbitrary content."""

    @abstractmethod
    def zeros(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        """An array of zeros; the filling is queued on the current stream."""

    @abstractmethod
    def upload(self, array: np.ndarray) -> Array:
        """A copy of a host array on the device, complete on return."""

    @abstractmethod
    def download(self, array: Array) -> np.ndarray:
        """A copy of a device array on the host, after the work queued on the current stream; complete on return."""

    @abstractmethod
    def pinned(self, shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
        """A host array that asynchronous copies may use."""

    @abstractmethod
    def upload_async(self, target: Array, source: np.ndarray) -> None:
        """Queue a copy of the pinned array `source` to `target` (same shape and dtype); keep `source` unchanged."""

    @abstractmethod
    def download_async(self, target: np.ndarray, source: Array) -> None:
        """Queue a copy of `source` to the pinned array `target` (same shape and dtype)."""

    @abstractmethod
    def copy(self, target: Array, source: Array) -> None:
        """Queue a copy between two arrays of the device, of the same number of bytes."""

    @abstractmethod
    def fill_zero(self, array: Array) -> None:
        """Queue filling an array with zero bytes."""

    @abstractmethod
    def kernel(self, unit: str, name: str) -> Kernel:
        """The kernel `name` of `unit`, compiled and loaded on first use."""

    @abstractmethod
    def preload(self, chosen: Sequence[str] | None = None, progress: Callable[[str], None] | None = None) -> None:
        """Compile and load units (None: all), side by side; `progress` is told each unit's name when it is there."""

    @abstractmethod
    def launch(
        self,
        kernel: Kernel,
        grid: int | tuple[int, ...],
        block: int | tuple[int, ...],
        args: Sequence[Any],
        shared_bytes: int = 0,
    ) -> None:
        """Queue a launch on the current stream.

        Arguments are arrays and numpy scalars (uint32, int32, uint64, int64) of the parameters' sizes; raises TypeError
        for others. `shared_bytes` of dynamic shared memory may be as many as the GPU has, 227 KiB on an H100.
        """

    @abstractmethod
    def synchronize(self) -> None:
        """Wait for all queued work; errors of kernels that ran appear here at the latest."""

    @abstractmethod
    def timer(self) -> AbstractContextManager[Timer]:
        """Time what the block queues on the current stream; leaving the block waits for it."""

    @abstractmethod
    def stream(self, number: int) -> AbstractContextManager[None]:
        """Make stream 0 .. STREAMS-1 the current one within the block; 0 is current outside."""

    @abstractmethod
    def record(self) -> Any:
        """An event that marks the work queued so far on the current stream."""

    @abstractmethod
    def wait(self, event: Any) -> None:
        """Let later work on the current stream wait for an event."""

    @abstractmethod
    def capture(self, fn: Callable[[], None]) -> Graph:
        """Record what `fn` queues on the current stream into a graph, without running it.

        `fn` only launches and copies on the device with arrays that live as long as the graph: no allocation, download
        or synchronisation. Kernels it uses must be loaded before.
        """

    @abstractmethod
    def memory(self) -> tuple[int, int]:
        """Bytes (free, total) for arrays, within the budget."""

    @abstractmethod
    def set_budget(self, budget: int | None) -> None:
        """Limit all arrays together to `budget` bytes (None: no limit of our own)."""

    @abstractmethod
    def free_unused(self) -> None:
        """Give memory that no array uses any more back to the driver."""


def as_triple(size: int | tuple[int, ...]) -> tuple[int, int, int]:
    """A grid's or block's size with all three dimensions; raises DeviceError for one below 1."""
    dimensions = (size,) if isinstance(size, int | np.integer) else tuple(size)
    if not 1 <= len(dimensions) <= 3 or any(dimension < 1 for dimension in dimensions):
        raise DeviceError(f"a launch needs one to three sizes of at least 1, got {size}")
    x, y, z = (*dimensions, 1, 1)[:3]
    return int(x), int(y), int(z)


def out_of_memory(wanted: int, free: int, total: int) -> DeviceOutOfMemory:
    """The error for an array of `wanted` bytes that does not fit."""
    return DeviceOutOfMemory(
        f"an array of {wanted:,} bytes does not fit: {free:,} of {total:,} bytes of device memory are free"
    )
