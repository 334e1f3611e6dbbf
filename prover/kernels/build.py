"""Makes sure that compiled kernels are there: finds their images, or has them compiled.

Kernels come in sets that are used together: when one image of a set is missing, the whole set is made. Of processes
that miss the same images one makes them and the others wait.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from prover.errors import KernelError
from prover.kernels.cache import kernel_folder, temporary_folder
from prover.kernels.image import file_name, is_intact
from prover.kernels.paths import cpu_path
from prover.progress import Reporter, silent

# Units that are used together; those that take longest to compile come first.
_PROOF = (
    "prover.kernels.cpu.pairing_kernels",
    "prover.kernels.cpu.pairing_kernels:g2",
    "prover.msm.cpu_kernels:g1",
    "prover.kernels.cpu.vector_kernels",
    "prover.msm.window_kernels:g2",
    "prover.msm.window_kernels:g1",
    "prover.msm.digit_kernels",
    "prover.witness.cpu_kernels",
    "prover.kernels.cpu.pairing_kernels:g1",
)
_PROOF_IN_LANES = (
    "prover.msm.lane_bucket_kernels:g2",
    "prover.ntt.lane_kernels",
    "prover.msm.lane_bucket_kernels:g1",
    "prover.kernels.ifma.vector_kernels",
    "prover.msm.lane_bucket_kernels",
    "prover.kernels.ifma.loading_kernels:g2",
    "prover.kernels.ifma.loading_kernels:g1",
    "prover.kernels.ifma.convert:g2",
    "prover.kernels.ifma.convert:g1",
)
_PROOF_PORTABLE = ("prover.msm.cpu_kernels:g2", "prover.ntt.cpu_kernels")
_SETUP = (
    "prover.msm.sparse_kernels:g2",
    "prover.msm.fixed_base_kernels:g2",
    "prover.msm.sparse_kernels:g1",
    "prover.msm.fixed_base_kernels:g1",
    "prover.ntt.cpu_kernels",
    "prover.msm.sparse_kernels",
)
_SETUP_IN_LANES = (
    "prover.msm.lane_scale_kernels:g2",
    "prover.msm.lane_scale_kernels:g1",
    "prover.msm.lane_sparse_kernels:g2",
    "prover.msm.lane_sparse_kernels:g1",
    "prover.msm.lane_sparse_kernels",
)


def proof_units() -> tuple[str, ...]:
    """The units that a proof, its witness and its verification need on this process's arithmetic path."""
    return (_PROOF_IN_LANES if cpu_path().name == "ifma" else _PROOF_PORTABLE) + _PROOF


def _set_of(unit: str) -> tuple[str, ...]:
    for units in (proof_units(), _SETUP + (_SETUP_IN_LANES if cpu_path().name == "ifma" else ())):
        if unit in units:
            return units
    return (unit,)


def provide(unit: str) -> bytes:
    """The image of a unit, compiled if it is not there or damaged. Raises KernelError when it cannot be made."""
    path = kernel_folder() / file_name(unit)
    with suppress(FileNotFoundError):
        content = path.read_bytes()
        if is_intact(content):
            return content
        with suppress(OSError):
            path.unlink()
    content = (build(_set_of(unit)) / file_name(unit)).read_bytes()
    if not is_intact(content):
        raise KernelError(f"{path} is damaged and cannot be replaced; remove it")
    return content


def missing(units: Sequence[str], folder: Path | None = None) -> list[str]:
    """Those of the units that have to be compiled; `folder`: of this version's images unless told otherwise."""
    folder = folder or kernel_folder()
    return [unit for unit in units if not (folder / file_name(unit)).exists()]


def build(units: Sequence[str], progress: Reporter = silent) -> Path:
    """Compile those units that are not there; returns the folder with all of them. Raises KernelError."""
    folder = kernel_folder()
    if not missing(units):
        return folder
    if not os.access(folder, os.W_OK):
        folder = temporary_folder(folder)
    # Seldom needed, and what it imports takes a while.
    from prover.kernels.compilers import compile_units, only_builder

    with only_builder(folder, progress):
        compile_units(folder, missing(units, folder), progress)
    return folder
