"""Python integers <-> arrays of 64-bit limbs.

A field element is four little-endian uint64 limbs, the byte layout of snarkjs's files. Whether the integer is plain
or in Montgomery form (R = 2^256) is said by the name that holds it: `..._mont`, or a docstring.
"""

from collections.abc import Iterable

import numpy as np

LIMBS = 4
MASK64 = (1 << 64) - 1


def to_limbs(values: Iterable[int]) -> np.ndarray:
    """Pack integers 0 <= v < 2^256 into a uint64 array of shape (n, 4)."""
    packed = b"".join(value.to_bytes(32, "little") for value in values)
    return np.frombuffer(packed, dtype="<u8").reshape(-1, LIMBS).copy()


def from_limbs(limbs: np.ndarray) -> list[int]:
    """Unpack a uint64 array of shape (n, 4) into n Python integers."""
    data = np.ascontiguousarray(limbs, dtype="<u8").tobytes()
    return [int.from_bytes(data[i : i + 32], "little") for i in range(0, len(data), 32)]
