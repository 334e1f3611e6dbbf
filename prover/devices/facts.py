"""What an operator is asked for first when a GPU is slow or not used: the facts of `gelap info`."""

from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from prover.devices.budget import allowed_bytes, readable
from prover.devices.choice import choose, fallback_to_cpu, gpu_problem
from prover.errors import ProverError

_DRIVER_FILE = Path("/proc/driver/nvidia/version")


def facts() -> dict[str, Any]:
    """By name, for people; an empty answer is never a reason for an error."""
    try:
        choice = choose()
        chosen = f"{choice.name}: {choice.reason}"
    except ProverError as error:
        chosen = f"none: {error}"
    found: dict[str, Any] = {"device": chosen}
    problem = gpu_problem()
    if problem:
        return {**found, "gpu": f"none: {problem}"}
    return {**found, **_gpu()}


def _gpu() -> dict[str, Any]:
    from cupy.cuda import Device, runtime

    from prover.kernels.cuda.compile import architecture, compiler_version, is_compiled
    from prover.kernels.cuda.sources import units

    properties = runtime.getDeviceProperties(0)
    capability = properties["major"], properties["minor"]
    with Device(0):
        free, total = runtime.memGetInfo()
    names = units()
    try:
        arch = architecture(*capability)
        compiled = f"{sum(is_compiled(name, arch) for name in names)} of {len(names)} units for {arch}"
        compiler = compiler_version()
        fallback = "CPU" if fallback_to_cpu() else "an error"
        budget = readable(allowed_bytes(free, total))
    except ProverError as error:
        return {"gpu": f"{properties['name'].decode()}: {error}"}
    return {
        "gpu": (
            f"{properties['name'].decode()}, compute capability {capability[0]}.{capability[1]}, "
            f"{properties['multiProcessorCount']} multiprocessors, {readable(total)}, {readable(free)} free"
        ),
        "gpus": runtime.getDeviceCount(),
        "gpu memory to use": budget,
        "cuda": f"driver {_cuda_version(runtime.driverGetVersion())}, runtime "
        f"{_cuda_version(runtime.runtimeGetVersion())}, NVRTC {compiler}",
        "driver": driver_version() or "unknown",
        "cupy": cupy_version(),
        "compiled GPU kernels": compiled,
        "where a GPU fails": fallback,
    }


def _cuda_version(number: int) -> str:
    """13000 -> "13.0"."""
    return f"{number // 1000}.{number % 1000 // 10}"


def cupy_version() -> str | None:
    """`cupy-cuda13x 14.2.0`; None when CuPy is not installed."""
    for distribution in distributions():
        name = distribution.metadata["Name"] or ""
        if name == "cupy" or name.startswith("cupy-cuda"):
            return f"{name} {distribution.version}"
    return None


def driver_version() -> str | None:
    """NVIDIA's driver, like "580.65.06"; None where the kernel does not tell."""
    try:
        words = _DRIVER_FILE.read_text(encoding="ascii", errors="replace").split("\n")[0].split()
    except OSError:
        return None
    return next((word for word in words if word[0].isdigit() and "." in word), None)
