"""Kernels that look at the bits of scalars: see `prover.msm.digits` and `prover.msm.lanes`."""

import numpy as np

from prover.kernels.device import export, stack_rows

# Scalars recoded at a time: their words stay in the first-level cache.
_BLOCK = 256


@export("u64[:,:], u64[:], i64, i16[:,:], i64, i64")
def recode(scalars, offset, window_bits, digits, start, stop):
    """Columns start .. stop-1 of `digits`; offset: uint64 (4,), half a window's range in every window but the last.

    The windows of scalar + offset are the digits plus that half, so no carry goes from window to window.
    """
    half = np.int64(1) << (window_bits - 1)
    mask = np.uint64((np.int64(1) << window_bits) - 1)
    words = stack_rows(5, _BLOCK)
    words[4] = 0
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


@export("u64[:,:], i64[:]")
def count_bit_lengths(scalars, counts):
    """Count how many scalars have each bit length, 0 to 256."""
    for i in range(scalars.shape[0]):
        length = 0
        for limb in range(3, -1, -1):
            word = scalars[i, limb]
            if word:
                length = 64 * limb + 1
                for shift in (32, 16, 8, 4, 2, 1):
                    if word >> np.uint64(shift):
                        word >>= np.uint64(shift)
                        length += shift
                break
        counts[length] += 1
