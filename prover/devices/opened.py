"""A device that this process owns: its lock, its budget, and the one thread that talks to it.

CUDA's state belongs to threads and `Device` is not thread-safe, so whatever touches the device runs on one thread of
this object. Callers may be many; they wait for their turn there and nowhere else.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from prover.devices.budget import MemoryBudget, allowed_bytes
from prover.devices.choice import DeviceChoice, choose
from prover.devices.ownership import DeviceLock
from prover.errors import DeviceUnavailable
from prover.kernels.cuda.device import Device

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class ProvingDevice:
    """Use `open_device`. `device` may be touched by what `run` runs, and by nothing else. Thread-safe."""

    def __init__(self, choice: DeviceChoice, make: Callable[[], Device], lock: DeviceLock | None = None) -> None:
        """make: opens the device; called on its thread. lock: released by `close`."""
        self.choice = choice
        self._lock = lock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=choice.name)
        try:
            self.device, self.budget = self._thread.submit(_open, make).result()
        except BaseException:
            self.close()
            raise

    def run(self, work: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        """Call work(*args, **kwargs) on the device's thread, after what was asked for before, and return its result."""
        return self._thread.submit(work, *args, **kwargs).result()

    def close(self) -> None:
        """End the thread after the work in hand, and let other processes have the device."""
        self._thread.shutdown(cancel_futures=True)
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "ProvingDevice":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(make: Callable[[], Device]) -> tuple[Device, MemoryBudget]:
    device = make()
    limit = allowed_bytes(*device.memory())
    device.set_budget(limit)
    return device, MemoryBudget(limit)


def open_device(wish: str | None = None) -> tuple[DeviceChoice, ProvingDevice | None]:
    """The device for a wish as `choice.choose` takes it, opened; None stands for the CPU.

    With `auto`, a GPU that another process owns is left to it: the choice is the CPU then, and says why. Raises
    DeviceUnavailable for a device that was asked for by name and cannot be had, and as `allowed_bytes` does.
    """
    choice = choose(wish)
    if choice.kind == "cpu":
        return choice, None
    if choice.kind == "shim":
        from prover.kernels.cuda.shim_device import ShimDevice

        return choice, ProvingDevice(choice, ShimDevice)
    try:
        lock = DeviceLock(choice.name)
    except DeviceUnavailable as error:
        if not choice.automatic:
            raise
        return DeviceChoice("cpu", str(error)), None
    from prover.kernels.cuda.cupy_device import CupyDevice

    return choice, ProvingDevice(choice, lambda: CupyDevice(choice.index), lock)
