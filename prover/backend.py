"""The one place that chooses which implementation runs the heavy steps of a proof.

The prover takes these functions from here; their meaning is told where the portable ones are defined. On a CPU with
AVX-512 IFMA sums of points and transforms are computed in eight lanes (`prover.msm.lanes`, `prover.ntt.lanes`), else by
portable machine code (`prover.msm.cpu`, `prover.ntt.cpu`); `prover.kernels.paths` decides, and `GELAP_CPU_PATH`
overrides it.
"""

from collections.abc import Sequence

import numpy as np

from prover.kernels.build import build, proof_units
from prover.kernels.cpu import vector
from prover.kernels.cpu.vector import sparse_multiply
from prover.kernels.ifma import vector as lane_vector
from prover.kernels.native import load_unit
from prover.kernels.paths import cpu_path
from prover.msm import cpu, lanes
from prover.msm.lanes import LaneBases
from prover.ntt import cpu as portable_ntt
from prover.ntt import lanes as lane_ntt
from prover.progress import Reporter, silent

__all__ = [
    "NAME",
    "Bases",
    "cpu_path",
    "extend_to_odd_coset",
    "fr_mul_sub_plain",
    "fr_mul_vector",
    "msm_g1",
    "msm_g2",
    "prepare",
    "prepare_g1",
    "prepare_g2",
    "sparse_multiply",
    "warm_up",
]

NAME = "cpu"

# Points of a group, as an array or prepared by `prepare_g1` or `prepare_g2`.
Bases = np.ndarray | LaneBases

# Fewer points than this are summed one by one: eight lanes would be idle.
_LEAST_IN_LANES = 64


def _in_lanes() -> bool:
    return cpu_path().name == "ifma"


def prepare_g1(bases: np.ndarray, threads: int | None = None) -> Bases:
    """Bases, uint64 (n, 8), in the form `msm_g1` takes fastest; for those that are used more than once."""
    return prepare([(8, [bases])], threads)[0]


def prepare_g2(bases: np.ndarray, threads: int | None = None) -> Bases:
    """As `prepare_g1`, in G2: uint64 (n, 16)."""
    return prepare([(16, [bases])], threads)[0]


def prepare(sets: Sequence[tuple[int, Sequence[np.ndarray]]], threads: int | None = None) -> list[Bases]:
    """Several sets of bases at once. A set is a width, 8 for G1 and 16 for G2, and arrays whose rows are its bases.

    Arrays may be mapped from a file. Raises FormatError when a base is not on its curve.
    """
    prepared: list[Bases] = []
    prepared += lanes.prepare_all(sets, threads) if _in_lanes() else cpu.prepare_all(sets, threads)
    return prepared


def msm_g1(bases: Bases, scalars: np.ndarray, threads: int | None = None) -> np.ndarray:
    """The sum of scalars[i] * bases[i] in G1: see `prover.msm.cpu.msm_g1`. The bases are on the curve."""
    if isinstance(bases, LaneBases) or (_in_lanes() and len(bases) >= _LEAST_IN_LANES):
        return lanes.msm_g1(bases, scalars, threads)
    return cpu.msm_g1(bases, scalars, threads)


def msm_g2(bases: Bases, scalars: np.ndarray, threads: int | None = None) -> np.ndarray:
    """The sum of scalars[i] * bases[i] in G2: see `prover.msm.cpu.msm_g2`. The bases are on the curve."""
    if isinstance(bases, LaneBases) or (_in_lanes() and len(bases) >= _LEAST_IN_LANES):
        return lanes.msm_g2(bases, scalars, threads)
    return cpu.msm_g2(bases, scalars, threads)


def extend_to_odd_coset(values_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Values of a polynomial on the domain -> on the odd coset: see `prover.ntt.cpu.extend_to_odd_coset`."""
    if _in_lanes():
        return lane_ntt.extend_to_odd_coset(values_mont, threads)
    return portable_ntt.extend_to_odd_coset(values_mont, threads)


def fr_mul_vector(a_mont: np.ndarray, b_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Element by element a * b in F_r; (n, 4), Montgomery form in and out."""
    if _in_lanes() and len(a_mont) % 8 == 0:
        return lane_vector.fr_mul_vector(a_mont, b_mont, threads)
    return vector.fr_mul_vector(a_mont, b_mont, threads)


def fr_mul_sub_plain(
    a_mont: np.ndarray, b_mont: np.ndarray, c_mont: np.ndarray, threads: int | None = None
) -> np.ndarray:
    """Element by element a * b - c in F_r; (n, 4), Montgomery form in, plain out."""
    if _in_lanes() and len(a_mont) % 8 == 0:
        return lane_vector.fr_mul_sub_plain(a_mont, b_mont, c_mont, threads)
    return vector.fr_from_mont(vector.fr_mul_sub_vector(a_mont, b_mont, c_mont, threads), threads)


def warm_up(progress: Reporter = silent) -> None:
    """Compile every kernel that a proof, its witness and its verification need, and load those of the proof.

    With an empty cache this takes some 15 s on two cores, else a few milliseconds. Kernels are compiled on first
    use anyway: a warm-up moves the wait to a moment when nobody waits, and tells `progress` what is going on.
    """
    units = proof_units()
    build(units, progress)
    for unit in units:
        load_unit(unit)
    progress("kernels are ready", len(units), len(units))
