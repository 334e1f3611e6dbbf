"""Pairings of BN254, and membership of points in its groups: see `prover.kernels.cpu.pairing_kernels`."""

from functools import partial

import numpy as np

from protocol.field import Q
from prover.kernels.constants import FQ_ONE, Coordinate, montgomery
from prover.kernels.cpu.arrays import as_rows
from prover.kernels.cpu.threads import default_threads, run_all, run_ranges
from prover.kernels.native import entry, group_entries

# The parameter of the curve.
X = 4965661367192848881

_KERNELS = "prover.kernels.cpu.pairing_kernels"
_miller_loop = entry(_KERNELS, "miller_loop")
_finish = entry(_KERNELS, "finish")
_all_on_curve = group_entries(_KERNELS, "all_on_curve")
_all_in_subgroup = group_entries(_KERNELS, "all_in_subgroup")[16]

# A value of F_q12: see `prover.kernels.cpu.fq12`.
_SHAPE = (6, 8)
_ONE = np.zeros(_SHAPE, dtype=np.uint64)
_ONE[0, :4] = FQ_ONE
_B_G1 = montgomery(3, Q)
# 3 / xi = 3 (9 - i) / 82
_B_G2 = (montgomery(27 * pow(82, -1, Q), Q), montgomery(-3 * pow(82, -1, Q), Q))
# Pairs that a thread of its own is worth.
_LEAST_PAIRS = 8


def _pairs(g1: np.ndarray, g2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    g1, g2 = as_rows(g1, 8), as_rows(g2, 16)
    if len(g1) != len(g2):
        raise ValueError(f"{len(g1)} points of G1 but {len(g2)} of G2")
    return g1, g2


def _pairing_product(g1: np.ndarray, g2: np.ndarray, threads: int | None) -> np.ndarray:
    """The product of e(g1[i], g2[i]) as fq12 holds elements; many pairs are split among threads."""
    g1, g2 = _pairs(g1, g2)
    count = max(1, min(threads or default_threads(), len(g1) // _LEAST_PAIRS))
    parts = np.empty((count, *_SHAPE), dtype=np.uint64)

    def task(part: int) -> None:
        chosen = slice(len(g1) * part // count, len(g1) * (part + 1) // count)
        pairs = chosen.stop - chosen.start
        points, skipped = np.empty((pairs, 32), dtype=np.uint64), np.empty(pairs, dtype=np.bool_)
        _miller_loop(g1[chosen], g2[chosen], points, skipped, parts[part])

    run_all([partial(task, part) for part in range(count)], count)
    _finish(parts)
    return parts[0]


def pairing_product_is_one(g1: np.ndarray, g2: np.ndarray, threads: int | None = None) -> bool:
    """Is the product of e(g1[i], g2[i]) one? A pair with infinity counts as one.

    g1: uint64 (n, 8); g2: uint64 (n, 16); affine, Montgomery form. The points must be in their groups: check points
    from outside with `g1_on_curve`, `g2_on_curve` and `g2_in_subgroup` first. threads: default one a CPU.
    """
    return bool(np.array_equal(_pairing_product(g1, g2, threads), _ONE))


def pairing(g1: np.ndarray, g2: np.ndarray) -> np.ndarray:
    """e(g1, g2) for one point of each group, as uint64 (12, 4): the coordinates in F_q, Montgomery form.

    They are in the order of the tower F_q12 = F_q6[w], F_q6 = F_q2[v], F_q2 = F_q[i], the one of vk_alphabeta_12.
    """
    return _pairing_product(g1, g2, 1)[[0, 2, 4, 1, 3, 5]].reshape(12, 4)


def _on_curve(points: np.ndarray, b: Coordinate) -> bool:
    found: list[int] = []
    check = _all_on_curve[points.shape[1]]
    run_ranges(lambda start, stop: found.append(check(points[start:stop], b)), len(points))
    return all(found)


def g1_on_curve(points: np.ndarray) -> bool:
    """Do all points, uint64 (n, 8) in Montgomery form, lie on the curve? Infinity does. The whole curve is G1."""
    return _on_curve(as_rows(points, 8), _B_G1)


def g2_on_curve(points: np.ndarray) -> bool:
    """Do all points, uint64 (n, 16) in Montgomery form, lie on the twist? Infinity does. See also `g2_in_subgroup`."""
    return _on_curve(as_rows(points, 16), _B_G2)


def g2_in_subgroup(points: np.ndarray) -> bool:
    """Are all points of the twist, uint64 (n, 16) in Montgomery form, of order r or infinity?

    They must lie on the twist: see `g2_on_curve`.
    """
    return bool(_all_in_subgroup(as_rows(points, 16)))
