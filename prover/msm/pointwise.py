"""Each point times a scalar of its own: n products, not their sum."""

from functools import partial

import numpy as np

from prover.kernels.cpu.arrays import as_rows
from prover.kernels.cpu.threads import run_ranges
from prover.kernels.native import group_entries

_multiply_each = group_entries("prover.msm.pointwise_kernels", "multiply_each")[8]

# A product costs some 50 us, much more than handing it to a thread.
_LEAST_SHARED = 8


def multiply_each_g1(points: np.ndarray, scalars: np.ndarray, threads: int | None = None) -> np.ndarray:
    """scalars[i] * points[i] in G1: uint64 (n, 8), affine. Short scalars take less time.

    points: uint64 (n, 8), affine, Montgomery form; scalars: uint64 (n, 4), plain. threads: default one a CPU.
    """
    points, scalars = as_rows(points, 8), as_rows(scalars, 4)
    if len(points) != len(scalars):
        raise ValueError(f"{len(points)} points but {len(scalars)} scalars")
    out, scratch = np.empty_like(points), np.empty((len(points), 16), dtype=np.uint64)
    run_ranges(partial(_multiply_each, points, scalars, out, scratch), len(points), threads, least=_LEAST_SHARED)
    return out
