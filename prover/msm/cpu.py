"""Multi-scalar multiplication on CPUs: Pippenger's bucket method (see `prover.msm.plan`), one task a window.

Most additions into buckets are affine ones that share inversions (see `prover.msm.pairwise`).
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from prover.errors import FormatError
from prover.kernels.cpu.arrays import as_rows
from prover.kernels.cpu.pairing import g1_on_curve, g2_on_curve
from prover.kernels.cpu.threads import default_threads, run_all
from prover.kernels.native import group_entries
from prover.msm.digits import signed_digits
from prover.msm.plan import Plan, make_plan

_window_sum = group_entries("prover.msm.cpu_kernels", "window_sum")
combine_windows = group_entries("prover.msm.window_kernels", "combine_windows")

# Bases copied and checked in one task: few enough for a core's cache, and for `g1_on_curve` to stay in one thread.
_CHUNK = 1 << 11


# Points sorted at a time, and at least so many a bucket: enough to pair up, and few enough for a core's cache.
_SORTED = 1 << 15
_SORTED_PER_BUCKET = 16


def _scratch(count: int, buckets: int, width: int) -> tuple[np.ndarray, ...]:
    """What `prover.msm.pairwise.fill_buckets` needs to put `count` points into buckets."""
    size = min(max(_SORTED, _SORTED_PER_BUCKET * buckets), count)
    rows = [np.empty((size, width), dtype=np.uint64) for _ in range(3)]
    numbers = [np.empty(size + extra, dtype=np.int32) for extra in (0, 1)]
    return *rows, *numbers, np.empty(buckets + 1, dtype=np.int64)


def _window_task(
    bases: np.ndarray, digits: np.ndarray, plan: Plan, sums: np.ndarray, window: int, part: int
) -> Callable[[], None]:
    count, width = bases.shape
    start, stop = count * part // plan.parts, count * (part + 1) // plan.parts

    def task() -> None:
        buckets = np.empty((plan.buckets, 2 * width), dtype=np.uint64)
        row = window * plan.parts + part
        scratch = _scratch(stop - start, plan.buckets, width)
        _window_sum[width](bases, digits[window], buckets, sums, row, start, stop, *scratch)

    return task


def _msm(
    bases: np.ndarray, scalars: np.ndarray, width: int, threads: int | None, window_bits: int | None
) -> np.ndarray:
    bases, scalars = as_rows(bases, width), as_rows(scalars, 4)
    if len(bases) != len(scalars):
        raise ValueError(f"{len(bases)} bases but {len(scalars)} scalars")
    threads = threads or default_threads()
    result = np.zeros((1, width), dtype=np.uint64)
    if not len(bases):
        return result[0]
    plan = make_plan(len(bases), threads, window_bits)
    digits = signed_digits(scalars, plan.window_bits, threads)
    sums = np.empty((plan.windows * plan.parts, 2 * width), dtype=np.uint64)
    # The low windows come first: small scalars make them the longest.
    run_all(
        [
            _window_task(bases, digits, plan, sums, window, part)
            for window in range(plan.windows)
            for part in range(plan.parts)
        ],
        threads,
    )
    combine_windows[width](sums, plan.windows, plan.parts, plan.window_bits, result)
    return result[0]


def prepare_all(sets: Sequence[tuple[int, Sequence[np.ndarray]]], threads: int | None = None) -> list[np.ndarray]:
    """Join and check sets of bases, and align them in memory.

    A set is a width, 8 for G1 and 16 for G2, and the arrays, uint64 (n, width), affine in Montgomery form, whose rows
    are its bases one after the other. Raises FormatError when a base is not on its curve.
    """
    tasks = []
    joined = []
    right: list[bool] = []
    for width, arrays in sets:
        bases = np.empty((sum(map(len, arrays)), width), dtype=np.uint64)
        joined.append(bases)
        first = 0
        for array in arrays:
            for start in range(0, len(array), _CHUNK):
                part = array[start : start + _CHUNK]
                tasks.append(partial(_copy_and_check, part, bases[first : first + len(part)], right))
                first += len(part)
    run_all(tasks, threads)
    if not all(right):
        raise FormatError("a base is not on its curve")
    return joined


def _copy_and_check(source: np.ndarray, target: np.ndarray, right: list[bool]) -> None:
    target[:] = source
    right.append(g1_on_curve(target) if target.shape[1] == 8 else g2_on_curve(target))


def msm_g1(
    bases: np.ndarray, scalars: np.ndarray, threads: int | None = None, window_bits: int | None = None
) -> np.ndarray:
    """The sum of scalars[i] * bases[i] in G1, as uint64 (8,): affine, Montgomery form, zeros for infinity.

    bases: uint64 (n, 8), affine in Montgomery form; scalars: uint64 (n, 4), plain and below r. Any bases, also infinity
    and equal or opposite points. threads: default one a CPU; window_bits: 2 to 16, chosen by cost when None.
    """
    return _msm(bases, scalars, 8, threads, window_bits)


def msm_g2(
    bases: np.ndarray, scalars: np.ndarray, threads: int | None = None, window_bits: int | None = None
) -> np.ndarray:
    """As `msm_g1`, in G2: bases uint64 (n, 16), result uint64 (16,)."""
    return _msm(bases, scalars, 16, threads, window_bits)
