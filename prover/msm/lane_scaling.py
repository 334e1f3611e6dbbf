"""One multiple of many points with AVX-512 IFMA: the same points as `scale_points_*`, eight at a time.

All points take the same steps, so a vector of them never diverges, and what happens to one is known before: its sum is
a known multiple of it. `steps_of` walks through these multiples and refuses a scalar with which an addition would meet
equal or opposite points, or infinity.
"""

from functools import partial

import numpy as np

from protocol.field import Q, R
from prover.kernels.constants import LANE_R_BITS, LANES, SPILLED, lane_limbs_of
from prover.kernels.cpu.arrays import aligned_rows
from prover.kernels.cpu.threads import run_all
from prover.kernels.native import group_entries
from prover.msm.endomorphism import BETA, LAMBDA
from prover.msm.lane_sums import from_lanes
from prover.msm.lanes import prepare

_scale_batch = group_entries("prover.msm.lane_scale_kernels", "scale_batch")

# Points that share an inversion; what is kept of them until then fits in a core's cache.
_BATCH = 1024
_CONSTANTS = np.array([lane_limbs_of((value << LANE_R_BITS) % Q) for value in (BETA, 3 * pow(2, -1, Q))], np.uint64)
_DOUBLE = 0
# By sign and by whether the image is added: see the kernel.
_ADD = {(0, 1): 1, (0, -1): 2, (1, 1): 3, (1, -1): 4}
_MULTIPLES = {1: 1, 2: -1, 3: LAMBDA, 4: -LAMBDA}


def steps_of(signs: np.ndarray) -> np.ndarray | None:
    """The kernel's steps for signed bits (digits, 2), highest first, or None where they meet a special case.

    The points must have order r.
    """
    steps: list[int] = []
    multiple = 0
    for digits in signs.tolist():
        if steps:
            steps.append(_DOUBLE)
            multiple = 2 * multiple % R
        for image, digit in enumerate(digits):
            if digit == 0:
                continue
            step = _ADD[image, digit]
            if steps and (multiple == 0 or (multiple - _MULTIPLES[step]) * (multiple + _MULTIPLES[step]) % R == 0):
                return None
            steps.append(step)
            multiple = (multiple + _MULTIPLES[step]) % R
    return np.array(steps, dtype=np.int8) if multiple else None


def scale_points(points: np.ndarray, steps: np.ndarray, threads: int) -> np.ndarray:
    """Take `steps` with every point: uint64 (n, width), affine, portable form; infinity stays what it is.

    Raises FormatError when a point is not on its curve.
    """
    bases = prepare(points, points.shape[1], threads)
    out = np.zeros_like(points)
    if bases.places is None:
        from_lanes(scale(bases.points, steps, threads), out, threads)
    elif len(bases.points):
        finite = np.empty_like(bases.points)
        from_lanes(scale(bases.points, steps, threads), finite, threads)
        out[bases.places] = finite
    return out


def scale(points: np.ndarray, steps: np.ndarray, threads: int) -> np.ndarray:
    """Take `steps` with every point: uint64 (n, width) in the lanes' form, from `aligned_rows`, none at infinity."""
    count, width = points.shape
    stride = points.strides[0]
    padded = count + -count % LANES
    addresses = points.ctypes.data + np.minimum(np.arange(padded), count - 1).astype(np.uint64) * np.uint64(stride)
    out = aligned_rows(padded, width)

    def task(start: int) -> None:
        stop = min(start + _BATCH, padded)
        scratch = [aligned_rows((stop - start) // LANES, SPILLED * (width // 8)) for _ in range(4)]
        row = aligned_rows(LANES, width)
        row_addresses = row.ctypes.data + np.arange(LANES, dtype=np.uint64) * np.uint64(stride)
        target = out.ctypes.data
        _scale_batch[width](addresses, start, stop, steps, _CONSTANTS, target, stride, *scratch, row, row_addresses)

    run_all([partial(task, start) for start in range(0, padded, _BATCH)], threads)
    return out[:count]
