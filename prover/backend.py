"""The one place that chooses which implementation runs the heavy steps of a proof.

The prover takes these functions from here; their meaning is told where the portable ones are defined. On a CPU with
AVX-512 IFMA sums of points and transforms are computed in eight lanes (`prover.msm.lanes`, `prover.ntt.lanes`), else by
portable machine code (`prover.msm.cpu`, `prover.ntt.cpu`); `prover.kernels.paths` decides, and `GELAP_CPU_PATH`
overrides it.
"""

from collections.abc import Sequence

import numpy as np

from prover.kernels.cpu import vector
from prover.kernels.cpu.pairing import g1_on_curve, g2_in_subgroup, g2_on_curve, pairing_product_is_one
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2, unpack_g1
from prover.kernels.cpu.vector import fr_to_mont, sparse_multiply
from prover.kernels.ifma import vector as lane_vector
from prover.kernels.paths import cpu_path
from prover.limbs import to_limbs
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
    """Compile, or load from the cache, every kernel that a proof and its verification need.

    With an empty cache this takes some 20 s on one core, else about a second. Kernels compile on first use anyway: a
    warm-up moves the wait to a moment when nobody waits, and tells `progress` what is going on.
    """
    g1, g2 = pack_g1([G1_GENERATOR]), pack_g2([G2_GENERATOR])
    one = to_limbs([1])

    def vectors() -> None:
        value = fr_to_mont(one)
        many = np.repeat(value, 8, axis=0)
        sparse_multiply(np.array([0, 1]), np.array([0]), value, one)
        fr_mul_sub_plain(many, fr_mul_vector(many, many), many)
        unpack_g1(g1)

    def membership() -> None:
        g1_on_curve(g1)
        g2_on_curve(g2)
        g2_in_subgroup(g2)

    steps = [
        ("vectors", vectors),
        ("transforms", lambda: extend_to_odd_coset(np.zeros((2 * lane_ntt.LEAST, 4), dtype=np.uint64))),
        ("sums in G1", lambda: msm_g1(prepare_g1(g1), one)),
        ("sums in G2", lambda: msm_g2(prepare_g2(g2), one)),
        ("small sums", lambda: cpu.msm_g1(g1, one)),
        ("points", membership),
        ("pairing", lambda: pairing_product_is_one(g1, g2)),
    ]
    for done, (name, step) in enumerate(steps):
        progress(f"compiling {name}", done, len(steps))
        step()
    progress("compiled", len(steps), len(steps))
