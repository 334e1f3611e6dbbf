"""Multi-scalar multiplication on CPUs: Pippenger's bucket method (see `prover.msm.plan`), one task a window.

Most additions into buckets are affine ones that share inversions (see `prover.msm.pairwise`).
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from prover.errors import FormatError
from prover.kernels.cpu import kernel
from prover.kernels.cpu.arrays import as_rows
from prover.kernels.cpu.coordinate import group_marker, is_zero, load, store, zero
from prover.kernels.cpu.curve import (
    add_points,
    double_point,
    infinity,
    load_point,
    store_point,
    to_affine,
)
from prover.kernels.cpu.pairing import g1_on_curve, g2_on_curve
from prover.kernels.cpu.threads import default_threads, run_all
from prover.msm.digits import signed_digits
from prover.msm.pairwise import fill_buckets
from prover.msm.plan import Plan, make_plan

# Bases copied and checked in one task: few enough for a core's cache, and for `g1_on_curve` to stay in one thread.
_CHUNK = 1 << 11


@kernel
def _window_sum(bases, digits, buckets, sums, row, like, start, stop):
    """Row `row` of `sums` = sum of digits[i] * bases[i] over start <= i < stop; `buckets` is scratch."""
    for bucket in range(buckets.shape[0]):
        store(buckets, bucket, 2, zero(like))
    fill_buckets(bases, digits, buckets, like, start, stop)
    # sum of (b + 1) * bucket_b: `running` has the buckets from b up, and is counted once for each b.
    running = infinity(like)
    total = infinity(like)
    for bucket in range(buckets.shape[0] - 1, -1, -1):
        if not is_zero(load(buckets, bucket, 2, like)):
            running = add_points(running, load_point(buckets, bucket, like))
        total = add_points(total, running)
    store_point(sums, row, total)


@kernel
def combine_windows(sums, windows, parts, window_bits, like, result):
    """Row 0 of `result` = the affine sum over windows j of 2^(window_bits * j) * (sum of the parts of window j)."""
    total = infinity(like)
    for window in range(windows - 1, -1, -1):
        for _ in range(window_bits):
            total = double_point(total)
        for part in range(parts):
            total = add_points(total, load_point(sums, window * parts + part, like))
    store_point(sums, 0, total)
    to_affine(sums, result, like, 0, 1)


def _window_task(
    bases: np.ndarray, digits: np.ndarray, plan: Plan, sums: np.ndarray, window: int, part: int
) -> Callable[[], None]:
    count, width = bases.shape
    start, stop = count * part // plan.parts, count * (part + 1) // plan.parts

    def task() -> None:
        buckets = np.empty((plan.buckets, 2 * width), dtype=np.uint64)
        row = window * plan.parts + part
        _window_sum(bases, digits[window], buckets, sums, row, group_marker(width), start, stop)

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
    combine_windows(sums, plan.windows, plan.parts, plan.window_bits, group_marker(width), result)
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
