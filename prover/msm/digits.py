"""Scalars in signed digits, the common first step of every multiplication by many scalars."""

import numpy as np

from prover.kernels.cpu import kernel
from prover.kernels.cpu.threads import run_ranges
from prover.msm.plan import SCALAR_BITS, windows_for


@kernel
def _recode(scalars, window_bits, digits, start, stop):
    base = np.int64(1) << window_bits
    half = base >> 1
    mask = np.uint64(base - 1)
    for i in range(start, stop):
        carry = np.int64(0)
        for window in range(digits.shape[0]):
            position = window * window_bits
            limb = position >> 6
            shift = np.uint64(position & 63)
            bits = np.uint64(0)
            if limb < 4:
                bits = scalars[i, limb] >> shift
                if limb < 3 and shift != np.uint64(0):
                    bits |= scalars[i, limb + 1] << (np.uint64(64) - shift)
            digit = np.int64(bits & mask) + carry
            carry = np.int64(0)
            # The last window has room: a scalar has one bit less than the windows, so its digit is at most 2^(c-1).
            if digit >= half and window + 1 < digits.shape[0]:
                digit -= base
                carry = np.int64(1)
            digits[window, i] = digit


def signed_digits(scalars: np.ndarray, window_bits: int, threads: int | None = None) -> np.ndarray:
    """int16 (windows, n): digits d with scalar_i = sum over j of d[j, i] * 2^(c*j) and |d| <= 2^(c-1), c = window_bits.

    `scalars` is uint64 (n, 4), plain, below 2^254 (else ValueError); window_bits is 2 to 16. Window-major, since a
    window is one task.
    """
    if len(scalars) and int(scalars[:, 3].max()) >> (SCALAR_BITS - 192):
        raise ValueError("a scalar is too large: scalars are plain and below r")
    digits = np.empty((windows_for(window_bits), len(scalars)), dtype=np.int16)
    run_ranges(lambda start, stop: _recode(scalars, window_bits, digits, start, stop), len(scalars), threads)
    return digits
