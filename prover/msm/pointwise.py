"""Each point times a scalar of its own: n products, not their sum."""

import numpy as np

from prover.kernels.cpu import kernel
from prover.kernels.cpu.arrays import as_rows
from prover.kernels.cpu.coordinate import group_marker, is_zero, load
from prover.kernels.cpu.curve import add_affine, double_point, infinity, store_point, to_affine
from prover.kernels.cpu.threads import run_ranges

# A product costs some 50 us, much more than handing it to a thread.
_LEAST_SHARED = 8


@kernel
def _multiply_each(points, scalars, out, scratch, like, start, stop):
    """Rows start .. stop-1 of `out` = scalars[i] * points[i]; rows of `scratch` are XYZZ points."""
    for i in range(start, stop):
        x, y = load(points, i, 0, like), load(points, i, 1, like)
        total = infinity(like)
        for bit in range(255, -1, -1):
            if not is_zero(total[2]):
                total = double_point(total)
            if (scalars[i, bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1):
                total = add_affine(total, x, y)
        store_point(scratch, i, total)
    to_affine(scratch, out, like, start, stop)


def multiply_each_g1(points: np.ndarray, scalars: np.ndarray, threads: int | None = None) -> np.ndarray:
    """scalars[i] * points[i] in G1: uint64 (n, 8), affine. Short scalars take less time.

    points: uint64 (n, 8), affine, Montgomery form; scalars: uint64 (n, 4), plain. threads: default one a CPU.
    """
    points, scalars = as_rows(points, 8), as_rows(scalars, 4)
    if len(points) != len(scalars):
        raise ValueError(f"{len(points)} points but {len(scalars)} scalars")
    out, scratch = np.empty_like(points), np.empty((len(points), 16), dtype=np.uint64)
    run_ranges(
        lambda start, stop: _multiply_each(points, scalars, out, scratch, group_marker(8), start, stop),
        len(points),
        threads,
        least=_LEAST_SHARED,
    )
    return out
