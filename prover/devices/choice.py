"""Which device makes the proofs. Every command that proves asks here, and nowhere else.

`--device`, or else `GELAP_DEVICE`, says what is wanted:

| wish | device |
|---|---|
| `auto` (the default) | the first GPU if there is one that can be used, else the CPU |
| `cuda`, `cuda:N` | GPU 0, or GPU N; an error where there is none |
| `cpu` | the CPU |
| `shim` | for development: the GPU's code on the CPU, thousands of times slower |
"""

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec

from prover.errors import DeviceUnavailable

VARIABLE = "GELAP_DEVICE"
FALLBACK_VARIABLE = "GELAP_DEVICE_FALLBACK"
NAMES = ("auto", "cuda", "cuda:N", "cpu")
_INSTALL = "run `pip install 'gelap[cuda13]'` for a driver of CUDA 13, 'gelap[cuda12]' for an older one"


@dataclass(frozen=True)
class DeviceChoice:
    """kind: "cuda", "cpu" or "shim"; reason: why, for people; index: the GPU's number; automatic: nobody asked for it
    by name.
    """

    kind: str
    reason: str
    index: int = 0
    automatic: bool = False

    @property
    def name(self) -> str:
        """As `--device` takes it."""
        return f"{self.kind}:{self.index}" if self.kind == "cuda" else self.kind


def choose(wish: str | None = None) -> DeviceChoice:
    """The device for a wish as above; None, or nothing at all, stands for GELAP_DEVICE.

    Raises DeviceUnavailable for a wish of another form, and for a GPU that is not there; the message says what to do.
    """
    source = f"--device {wish}"
    if not wish:
        wish = os.environ.get(VARIABLE) or "auto"
        source = f"{VARIABLE}={wish}"
    if wish in ("cpu", "shim"):
        return DeviceChoice(wish, source)
    if wish == "auto":
        problem = gpu_problem(0)
        kind, reason = ("cpu", problem) if problem else ("cuda", "a GPU is there")
        return DeviceChoice(kind, reason, automatic=True)
    match = re.fullmatch(r"cuda(?::([0-9]{1,3}))?", wish)
    if match is None:
        raise DeviceUnavailable(f"there is no device {wish!r}; choose one of: {', '.join(NAMES)}")
    index = int(match[1] or 0)
    problem = gpu_problem(index)
    if problem:
        raise DeviceUnavailable(f"{wish} cannot be used: {problem}; choose the CPU with --device cpu")
    return DeviceChoice("cuda", source, index)


def gpu_problem(index: int = 0) -> str | None:
    """Why GPU number `index` cannot be used, and what to install; None when it can."""
    if find_spec("cupy") is None:
        return f"CuPy is not installed ({_INSTALL})"
    try:
        from cupy.cuda import runtime

        count = runtime.getDeviceCount()
    except Exception as error:  # CuPy raises errors of its own, and ImportError where CUDA's libraries are missing.
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return f"CuPy finds no GPU ({reason[0]}); check with `nvidia-smi` that the driver runs; {_INSTALL}"
    if index >= count:
        return f"this machine has {count} GPU{'s' if count != 1 else ''}, numbered from 0"
    return None


def fallback_to_cpu() -> bool:
    """May the CPU prove what a GPU could not? `GELAP_DEVICE_FALLBACK`: `cpu` (the default) or `error`.

    Raises DeviceUnavailable for another value.
    """
    wish = os.environ.get(FALLBACK_VARIABLE) or "cpu"
    if wish not in ("cpu", "error"):
        raise DeviceUnavailable(f"{FALLBACK_VARIABLE} must be cpu or error, not {wish!r}")
    return wish == "cpu"
