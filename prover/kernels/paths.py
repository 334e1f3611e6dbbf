"""Which arithmetic the CPU's heavy kernels use: AVX-512 IFMA in eight lanes, or portable scalar code.

Both give the same results. `GELAP_CPU_PATH` chooses: `auto` (the default) takes the fastest the CPU has, `scalar` the
portable one, and `ifma` insists.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from prover.errors import ProverError
from prover.kernels.host import cpu_features

VARIABLE = "GELAP_CPU_PATH"
# What the compiled kernels use: 512-bit vectors of 64-bit integers, and the 52-bit multiply-add.
_NEEDED = ("avx512f", "avx512dq", "avx512ifma")


@dataclass(frozen=True)
class CpuPath:
    """name: "ifma" or "scalar"; reason: why, for people."""

    name: str
    reason: str


def choose(wish: str, features: Mapping[str, bool]) -> CpuPath:
    """The path for a wish (`auto`, `ifma` or `scalar`) and a CPU's features, by LLVM's names.

    Raises ProverError for another wish, and for `ifma` on a CPU without it.
    """
    missing = [name for name in _NEEDED if not features.get(name)]
    if wish == "scalar":
        return CpuPath("scalar", f"{VARIABLE}=scalar")
    if wish == "ifma":
        if missing:
            raise ProverError(f"this CPU has no {', '.join(missing)}: set {VARIABLE} to auto or scalar")
        return CpuPath("ifma", f"{VARIABLE}=ifma")
    if wish != "auto":
        raise ProverError(f"{VARIABLE} must be auto, ifma or scalar, not {wish!r}")
    if missing:
        return CpuPath("scalar", f"the CPU has no {', '.join(missing)}")
    return CpuPath("ifma", "the CPU has AVX-512 IFMA")


@cache
def cpu_path() -> CpuPath:
    """The path this process uses; chosen at the first call. Raises as `choose`."""
    return choose(os.environ.get(VARIABLE) or "auto", cpu_features())
