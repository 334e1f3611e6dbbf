"""Range checks on arrays of 256-bit numbers."""

import numpy as np

from prover.limbs import LIMBS, to_limbs

_CHUNK = 1 << 18


def first_not_below(words: np.ndarray, modulus: int) -> int | None:
    """Index of the first 256-bit number that is not below `modulus`, or None when all are.

    words: uint64, little-endian limbs; its size is a multiple of 4 and numbers are counted in memory order.
    """
    numbers = words.reshape(-1, LIMBS)
    limit = to_limbs([modulus])[0]
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        # Few canonical numbers share the modulus's top limb, so the full comparison runs on almost nothing.
        suspects = np.flatnonzero(chunk[:, 3] >= limit[3])
        if len(suspects) == 0:
            continue
        wrong = suspects[~_below(chunk[suspects], limit)]
        if len(wrong):
            return start + int(wrong[0])
    return None


def _below(numbers: np.ndarray, limit: np.ndarray) -> np.ndarray:
    less = np.zeros(len(numbers), dtype=bool)
    equal = np.ones(len(numbers), dtype=bool)
    for limb in reversed(range(LIMBS)):
        less |= equal & (numbers[:, limb] < limit[limb])
        equal &= numbers[:, limb] == limit[limb]
    return less
