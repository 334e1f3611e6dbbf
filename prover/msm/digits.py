"""Scalars in signed digits, the common first step of every multiplication by many scalars."""

import numpy as np

from prover.kernels.cpu.threads import run_ranges
from prover.kernels.native import entry
from prover.limbs import to_limbs
from prover.msm.plan import SCALAR_BITS, windows_for

_recode = entry("prover.msm.digit_kernels", "recode")


def signed_digits(scalars: np.ndarray, window_bits: int, threads: int | None = None) -> np.ndarray:
    """int16 (windows, n): digits d with scalar_i = sum over j of d[j, i] * 2^(c*j) and |d| <= 2^(c-1), c = window_bits.

    `scalars` is uint64 (n, 4), plain, below 2^254 (else ValueError); window_bits is 2 to 16. Window-major, since a
    window is one task.
    """
    if len(scalars) and int(scalars[:, 3].max()) >> (SCALAR_BITS - 192):
        raise ValueError("a scalar is too large: scalars are plain and below r")
    digits = np.empty((windows_for(window_bits), len(scalars)), dtype=np.int16)
    half = 1 << (window_bits - 1)
    offset = to_limbs([sum(half << (window_bits * window) for window in range(len(digits) - 1))])[0]
    run_ranges(lambda start, stop: _recode(scalars, offset, window_bits, digits, start, stop), len(scalars), threads)
    return digits
