"""The parts of a GPU measurement as a child process runs them for `gelap bench ... --device`."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from bench.errors import BenchError
from bench.gpu import proofs, sums, transforms
from bench.gpu.timing import gpu_facts
from bench.result import Result
from prover.devices.opened import ProvingDevice, open_device
from prover.progress import Reporter

Part = Callable[..., list[Result]]


def measure(part: str, device: str, arguments: dict[str, Any], progress: Reporter) -> dict[str, Any]:
    """part: ntt, msm, prove or batch; arguments: as its `measure` takes them. {"gpu": facts, "results": [...]}

    Raises DeviceUnavailable as `open_device` does, and BenchError for the CPU.
    """
    choice, owner = open_device(device)
    if owner is None:
        raise BenchError(f"no GPU was chosen ({choice.reason}); measure the CPU without --device")
    with owner:
        compile_kernels(owner, progress)
        results = _part(part, owner)(**arguments, progress=progress)
        facts = owner.run(gpu_facts, owner.device)
    return {"gpu": facts, "results": [asdict(result) | {"path": choice.name} for result in results]}


def compile_kernels(owner: ProvingDevice, progress: Reporter) -> None:
    """All at once, on all CPUs; the shim, where nothing waits, builds what is used."""
    if owner.choice.kind == "cuda":
        progress("compiling kernels", 0, 1)
        owner.run(owner.device.preload)


def _part(name: str, owner: ProvingDevice) -> Part:
    parts: dict[str, Part] = {
        "ntt": lambda **arguments: owner.run(transforms.measure, owner.device, **arguments),
        "msm": lambda **arguments: owner.run(sums.measure, owner.device, **arguments),
        "prove": lambda **arguments: proofs.measure_single(owner, **arguments),
        "batch": lambda **arguments: proofs.measure_batches(owner, **arguments),
    }
    return parts[name]
