"""Times by device events, of work whose output is checked, read against the rate of multiplications alone."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from bench.errors import WrongResultError
from bench.result import Result
from prover.devices.facts import cupy_version, driver_version
from prover.kernels.cuda.device import Device
from prover.kernels.cuda.rate import multiply_rate, rate, rate_kernels, wide_multiply_add_rate


def device_runs(
    device: Device,
    prepare: Callable[[], Any],
    work: Callable[[Any], Any],
    is_right: Callable[[Any, Any], bool],
    runs: int,
) -> list[float]:
    """Seconds on the device of `runs` calls of `work`, each on new inputs from `prepare`, after one not counted.

    work queues launches and returns what is_right is given once they are done. Raises WrongResultError at the first
    output that it refuses.
    """
    seconds = []
    for _ in range(runs + 1):
        inputs = prepare()
        device.synchronize()
        _occupy(device)
        with device.timer() as timer:
            output = work(inputs)
        seconds.append(timer.ms / 1000)
        if not is_right(inputs, output):
            raise WrongResultError("an output of the device is wrong, so its time means nothing; run tests/gpu")
    return seconds[1:]


# A few milliseconds of an H100.
_BUSY_ROUNDS = 5000


@lru_cache(maxsize=4)
def _busy_work(device: Device) -> tuple[Any, ...]:
    threads = device.multiprocessors * 1024
    arrays = device.zeros(8 * threads, np.uint64), device.zeros(threads, np.uint32)
    return device.kernel("rate", "wide_multiply_add"), threads // 256, 256, [*arrays, np.uint32(_BUSY_ROUNDS)]


def _occupy(device: Device) -> None:
    """Keep the device busy while what is to be timed is queued behind: launching takes the host longer than small
    kernels run, and that is not what device events should measure.
    """
    if device.arch != "shim":
        device.launch(*_busy_work(device))


@lru_cache(maxsize=4)
def ceiling(device: Device) -> float:
    """Multiplications in F_q a second when nothing else is in the way; measured once a process."""
    # The shim would take minutes for a GPU's number of rounds.
    return multiply_rate(device, rounds=2, waves=1) if device.arch == "shim" else multiply_rate(device)


def against_ceiling(device: Device, result: Result, multiplications: float) -> Result:
    """The result with its multiplications a second, and what share of the ceiling that is."""
    rate = multiplications / result.median
    result.details.update(
        multiplications=multiplications, multiplications_per_second=rate, share_of_ceiling=rate / ceiling(device)
    )
    return result


def rates(device: Device) -> dict[str, float]:
    """Operations a second of every kernel that does nothing else."""
    found = {name: rate(device, name).per_second for name in rate_kernels()}
    return {**found, "wide_multiply_add": wide_multiply_add_rate(device).per_second}


def gpu_facts(device: Device) -> dict[str, Any]:
    """The GPU, what drives it and its ceiling, for the JSON document."""
    return {**description(device), "multiplications_per_second": ceiling(device)}


def description(device: Device) -> dict[str, Any]:
    """The GPU and what drives it."""
    return {
        "name": device.name,
        "architecture": device.arch,
        "multiprocessors": device.multiprocessors,
        "memory_bytes": device.memory()[1],
        "driver": driver_version(),
        "cupy": cupy_version(),
    }
