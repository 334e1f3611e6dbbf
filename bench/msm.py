"""Multi-scalar multiplication in G1 and G2, with uniform and with witness-like scalars."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.inputs import DISTRIBUTIONS, KnownPoints, known_points, scalars
from bench.result import Result
from bench.timing import timed_runs
from prover.backend import msm_g1, msm_g2, prepare_g1, prepare_g2
from prover.progress import Reporter

_GROUPS: dict[str, tuple[int, Callable[..., Any], Callable[..., np.ndarray]]] = {
    "g1": (8, prepare_g1, msm_g1),
    "g2": (16, prepare_g2, msm_g2),
}


def measure(sizes: list[int], groups: list[str], runs: int, progress: Reporter) -> list[Result]:
    """Each group, size and distribution.

    The points are the same for all runs of a size and prepared before, as those of a loaded key; the scalars are new.
    """
    steps = len(groups) * len(sizes) * len(DISTRIBUTIONS)
    results: list[Result] = []
    for group in groups:
        width, prepare, multiply = _GROUPS[group]
        for size in sizes:
            progress(f"making {size:,} points in {group.upper()}", len(results), steps)
            bases = known_points(size, width)
            for distribution in DISTRIBUTIONS:
                progress(f"{group.upper()}, {size:,} points, {distribution} scalars", len(results), steps)
                seconds = _runs(multiply, prepare(bases.points), bases, distribution, runs)
                results.append(Result(f"msm_{group}", size, "points", seconds, {"scalars": distribution}))
    return results


def _runs(
    multiply: Callable[..., np.ndarray], prepared: Any, bases: KnownPoints, distribution: str, runs: int
) -> list[float]:
    def is_right(multiples: np.ndarray, total: np.ndarray) -> bool:
        return np.array_equal(total, bases.sum_of_multiples(multiples))

    return timed_runs(
        lambda: scalars(len(bases.points), distribution),
        lambda multiples: multiply(prepared, multiples),
        is_right,
        runs,
    )
