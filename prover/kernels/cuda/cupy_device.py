"""An NVIDIA GPU as a device, through CuPy, which is imported when the device is opened.

Kernels are compiled by `compile`, not by CuPy, whose part is memory, copies, streams, events, graphs and launches. What
it raises is translated here: its OutOfMemoryError is a MemoryError, which task queues treat as the end of the process,
and after a failed kernel every later call of CUDA fails, which only a new process cures.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from prover.errors import DeviceError, DeviceLost, DeviceOutOfMemory, DeviceUnavailable
from prover.kernels.cuda import compile as compiler
from prover.kernels.cuda.device import STREAMS, Array, Device, Graph, Kernel, Timer, as_triple, out_of_memory

# Codes of cudaError_t (CUDA Runtime API, "Data types used by CUDA Runtime"); the driver's CUresult has the same ones.
_OUT_OF_MEMORY = {2}
# After these the process cannot use the device any more, or the device is not there.
_LOST = {
    4,  # the driver is shutting down
    46,  # devices are busy or unavailable
    100,  # no device
    101,  # invalid device
    201,  # the context is gone
    214,  # an uncorrectable error in memory
    220,  # an uncorrectable error in NVLink
    226,  # a contained memory error
    *(set(range(700, 720)) - {701}),  # a kernel broke a rule or ran too long; 701 is a launch that asks for too much
    999,  # unknown
}


def translated(error: BaseException) -> DeviceError | None:
    """The error of ours for one that CuPy raised, or None for one that has nothing to do with the device."""
    status = getattr(error, "status", None)
    if isinstance(error, MemoryError) or status in _OUT_OF_MEMORY:
        return DeviceOutOfMemory(f"device memory is used up: {error}")
    if not isinstance(status, int):
        return None
    if status in _LOST:
        return DeviceLost(f"the GPU cannot be used by this process any more ({error}): start it again")
    return DeviceError(f"the GPU refused an operation: {error}")


class _CapturedGraph(Graph):
    def __init__(self, device: CupyDevice, graph: Any):
        self._device = device
        self._graph = graph

    def launch(self) -> None:
        with self._device.guarded():
            self._graph.launch(self._device.current)


class CupyDevice(Device):
    """GPU number `index` of this process (CUDA_VISIBLE_DEVICES counts).

    Arrays come from a pool of this device. What is freed may be given out again at once to the stream that was current
    when it was allocated: an array that another stream uses must be kept until that stream has been waited for.
    Raises DeviceUnavailable when there is no CuPy, driver or GPU.
    """

    def __init__(self, index: int = 0):
        try:
            import cupy
        except ImportError as error:
            raise DeviceUnavailable(
                f"a GPU is used through CuPy, which cannot be loaded ({error}): install it with "
                "`pip install 'gelap[cuda13]'`, or gelap[cuda12] for drivers of CUDA 12"
            ) from None
        self._cupy = cupy
        self._runtime = cupy.cuda.runtime
        self._lost: DeviceLost | None = None
        self._kernels: dict[tuple[str, str], Kernel] = {}
        self._modules: dict[str, tuple[Any, compiler.CompiledUnit]] = {}
        self._capturing = False
        try:
            count = self._runtime.getDeviceCount()
        except RuntimeError as error:
            raise DeviceUnavailable(f"no GPU can be used: {error}") from None
        if not 0 <= index < count:
            raise DeviceUnavailable(f"there is no GPU {index}: this process sees {count}")
        with self.guarded():
            self._device = cupy.cuda.Device(index)
            self._device.use()
            properties = self._runtime.getDeviceProperties(index)
            self.name = properties["name"].decode()
            self.arch = compiler.architecture(properties["major"], properties["minor"])
            self.multiprocessors = properties["multiProcessorCount"]
            self._shared_limit = properties["sharedMemPerBlockOptin"]
            self._total = properties["totalGlobalMem"]
            self._pool = cupy.cuda.MemoryPool()
            self._streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(STREAMS)]
            self.current = self._streams[0]
            self.current.use()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Translate what CuPy raises; once the device is lost, raise that and touch nothing."""
        if self._lost is not None:
            raise DeviceLost(str(self._lost))
        try:
            yield
        except DeviceError:
            raise
        except Exception as error:
            ours = translated(error)
            if ours is None:
                raise
            if isinstance(ours, DeviceLost):
                self._lost = ours
            raise ours from None

    # Memory

    def _allocate(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        if self._capturing:
            raise DeviceError("a sequence that is being captured cannot allocate arrays")
        dimensions = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
        size = int(np.prod(dimensions, dtype=object)) * np.dtype(dtype).itemsize
        with self.guarded():
            self._use()
            if size > self._total:
                raise out_of_memory(size, *self.memory())
            try:
                memory = self._malloc(size)
            except self._cupy.cuda.memory.OutOfMemoryError:
                raise out_of_memory(size, *self.memory()) from None
            return self._cupy.ndarray(dimensions, dtype, memory)

    def _malloc(self, size: int) -> Any:
        try:
            return self._pool.malloc(size)
        except self._cupy.cuda.memory.OutOfMemoryError:
            # Pieces that were freed count against the limit until they are given back, and none may be large enough.
            gc.collect()
            self._pool.free_all_blocks()
            return self._pool.malloc(size)

    def _use(self) -> None:
        """CuPy keeps the current device and stream by thread; this one follows the device object."""
        self._device.use()
        self.current.use()

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        return self._allocate(shape, dtype)

    def zeros(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        array = self._allocate(shape, dtype)
        self.fill_zero(array)
        return array

    def upload(self, array: np.ndarray) -> Array:
        source = np.ascontiguousarray(array)
        target = self._allocate(source.shape, source.dtype)
        with self.guarded():
            if source.nbytes:
                target.data.copy_from_host_async(source.ctypes.data, source.nbytes, self.current)
            self.current.synchronize()
        return target

    def download(self, array: Array) -> np.ndarray:
        self._not_while_capturing("download")
        target = np.empty(array.shape, array.dtype)
        with self.guarded():
            if target.nbytes:
                array.data.copy_to_host_async(target.ctypes.data, target.nbytes, self.current)
            self.current.synchronize()
        return target

    def pinned(self, shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
        size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        with self.guarded():
            self._use()
            memory = self._cupy.cuda.alloc_pinned_memory(max(size, 1))
        return np.frombuffer(memory, np.uint8, size).view(dtype).reshape(shape)

    def upload_async(self, target: Array, source: np.ndarray) -> None:
        self._same_size(target, source)
        if source.nbytes:
            with self.guarded():
                target.data.copy_from_host_async(source.ctypes.data, source.nbytes, self.current)

    def download_async(self, target: np.ndarray, source: Array) -> None:
        self._same_size(target, source)
        if source.nbytes:
            with self.guarded():
                source.data.copy_to_host_async(target.ctypes.data, source.nbytes, self.current)

    def copy(self, target: Array, source: Array) -> None:
        self._same_size(target, source)
        if source.nbytes:
            with self.guarded():
                target.data.copy_from_device_async(source.data, source.nbytes, self.current)

    @staticmethod
    def _same_size(target: Array, source: Array) -> None:
        if target.nbytes != source.nbytes:
            raise DeviceError(f"cannot copy {source.nbytes:,} bytes to an array of {target.nbytes:,} bytes")

    def fill_zero(self, array: Array) -> None:
        if array.nbytes:
            with self.guarded():
                array.data.memset_async(0, array.nbytes, self.current)

    def memory(self) -> tuple[int, int]:
        with self.guarded():
            self._device.use()
            free, total = self._runtime.memGetInfo()
            # The pool's limit counts what it holds, used or not.
            available = free + self._pool.free_bytes()
            limit = self._pool.get_limit()
            if limit:
                available = min(available, limit - self._pool.used_bytes())
                total = min(total, limit)
        return max(int(available), 0), int(total)

    def set_budget(self, budget: int | None) -> None:
        with self.guarded():
            self._device.use()
            # Zero means no limit to CuPy.
            self._pool.set_limit(size=0 if budget is None else max(int(budget), 1))

    def free_unused(self) -> None:
        with self.guarded():
            self._use()
            self._pool.free_all_blocks()

    # Kernels

    def _load(self, unit: str) -> tuple[Any, compiler.CompiledUnit]:
        if unit not in self._modules:
            compiled = compiler.compile_unit(unit, self.arch)
            with self.guarded():
                self._use()
                self._modules[unit] = self._cupy.RawModule(path=str(compiled.path)), compiled
        return self._modules[unit]

    def kernel(self, unit: str, name: str) -> Kernel:
        if (unit, name) not in self._kernels:
            module, compiled = self._load(unit)
            if name not in compiled.parameters:
                raise DeviceError(f"unit {unit} has no kernel {name}; it has: {', '.join(sorted(compiled.parameters))}")
            with self.guarded():
                function = module.get_function(name)
                # Loads the code now: a capture must not.
                _ = function.attributes
                self._kernels[unit, name] = Kernel(unit, name, compiled.parameters[name], function)
        return self._kernels[unit, name]

    def preload(self, chosen: Sequence[str] | None = None, progress: Callable[[str], None] | None = None) -> None:
        for unit in compiler.preload(self.arch, chosen, progress):
            self._load(unit.unit)

    def launch(
        self,
        kernel: Kernel,
        grid: int | tuple[int, ...],
        block: int | tuple[int, ...],
        args: Sequence[Any],
        shared_bytes: int = 0,
    ) -> None:
        kernel.check(args, lambda argument: isinstance(argument, self._cupy.ndarray))
        if shared_bytes > self._shared_limit:
            raise DeviceError(f"a block has at most {self._shared_limit:,} bytes of shared memory")
        with self.guarded():
            self.current.use()
            # What goes beyond 48 KiB has to be asked for.
            if shared_bytes > (48 << 10) and kernel.function.max_dynamic_shared_size_bytes < shared_bytes:
                kernel.function.max_dynamic_shared_size_bytes = shared_bytes
            kernel.function(as_triple(grid), as_triple(block), tuple(args), shared_mem=shared_bytes)

    # Order

    def _not_while_capturing(self, what: str) -> None:
        if self._capturing:
            raise DeviceError(f"a sequence that is being captured cannot {what}")

    def synchronize(self) -> None:
        self._not_while_capturing("synchronize")
        with self.guarded():
            for stream in self._streams:
                stream.synchronize()

    @contextmanager
    def timer(self) -> Iterator[Timer]:
        self._not_while_capturing("be timed")
        timer = Timer()
        stream = self.current
        with self.guarded():
            start, end = self._cupy.cuda.Event(), self._cupy.cuda.Event()
            start.record(stream)
        yield timer
        with self.guarded():
            end.record(stream)
            end.synchronize()
            timer.ms = float(self._cupy.cuda.get_elapsed_time(start, end))

    @contextmanager
    def stream(self, number: int) -> Iterator[None]:
        if not 0 <= number < STREAMS:
            raise ValueError(f"streams are numbered 0 to {STREAMS - 1}, got {number}")
        before, self.current = self.current, self._streams[number]
        try:
            with self.guarded():
                self.current.use()
            yield
        finally:
            self.current = before
            if self._lost is None:
                before.use()

    def record(self) -> Any:
        with self.guarded():
            event = self._cupy.cuda.Event(disable_timing=True)
            event.record(self.current)
        return event

    def wait(self, event: Any) -> None:
        with self.guarded():
            self.current.wait_event(event)

    def capture(self, fn: Callable[[], None]) -> Graph:
        self._not_while_capturing("capture another")
        stream = self.current
        with self.guarded():
            self._use()
            stream.begin_capture()
        self._capturing = True
        try:
            fn()
        except BaseException:
            # The capture must end for the stream to be usable again; what it gives is of no use.
            with suppress(Exception):
                stream.end_capture()
            raise
        finally:
            self._capturing = False
        with self.guarded():
            return _CapturedGraph(self, stream.end_capture())
