"""The kernel behind `prover.msm.pointwise`."""

import numpy as np

from prover.kernels.cpu.coordinate import is_zero, load
from prover.kernels.cpu.curve import add_affine, double_point, infinity, store_point, to_affine
from prover.kernels.device import export


@export("u64[:,:], u64[:,:], u64[:,:], u64[:,:], like, i64, i64")
def multiply_each(points, scalars, out, scratch, like, start, stop):
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
