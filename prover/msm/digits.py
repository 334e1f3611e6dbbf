"""Scalars in signed digits, the common first step of every multiplication by many scalars."""

import numpy as np

from prover.kernels.cpu import kernel
from prover.kernels.cpu.threads import run_ranges
from prover.limbs import to_limbs
from prover.msm.plan import SCALAR_BITS, windows_for

# Scalars recoded at a time: their words stay in the first-level cache.
_BLOCK = 256


@kernel
def _recode(scalars, offset, window_bits, digits, start, stop):
    """Columns start .. stop-1 of `digits`; offset: uint64 (4,), half a window's range in every window but the last.

    The windows of scalar + offset are the digits plus that half, so no carry goes from window to window.
    """
    half = np.int64(1) << (window_bits - 1)
    mask = np.uint64((np.int64(1) << window_bits) - 1)
    words = np.zeros((5, _BLOCK), dtype=np.uint64)
    for first in range(start, stop, _BLOCK):
        count = min(_BLOCK, stop - first)
        for i in range(count):
            carry = np.uint64(0)
            for limb in range(4):
                partial_sum = scalars[first + i, limb] + carry
                carry = np.uint64(partial_sum < carry)
                total = partial_sum + offset[limb]
                carry += np.uint64(total < partial_sum)
                words[limb, i] = total
        for window in range(digits.shape[0]):
            limb = (window * window_bits) >> 6
            shift = np.uint64((window * window_bits) & 63)
            rest = half if window + 1 < digits.shape[0] else np.int64(0)
            # Shifted in two steps, since a shift by 64 means nothing.
            up = np.uint64(63) - shift
            for i in range(count):
                bits = (words[limb, i] >> shift) | ((words[limb + 1, i] << np.uint64(1)) << up)
                digits[window, first + i] = np.int64(bits & mask) - rest


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
