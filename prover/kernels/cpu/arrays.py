"""What kernels are given: contiguous, aligned arrays. Those mapped from files are often misaligned."""

import numpy as np


def as_rows(array: np.ndarray, width: int) -> np.ndarray:
    """A read-only, aligned, contiguous uint64 array of shape (n, width) with the values of `array`.

    A view where possible, else a copy. A one-dimensional array of `width` limbs is one row. Raises ValueError for
    another shape and TypeError for another type.
    """
    array = np.asarray(array)
    if array.dtype != np.uint64:
        raise TypeError(f"expected an array of uint64 limbs, got {array.dtype}")
    if array.ndim == 1 and len(array) == width:
        array = array.reshape(1, width)
    if array.ndim != 2 or array.shape[1] != width:
        raise ValueError(f"expected an array of shape (n, {width}), got {array.shape}")
    return read_only(array)


def read_only(array: np.ndarray) -> np.ndarray:
    """A read-only, aligned, contiguous view of `array`, or a copy where it is not aligned or contiguous."""
    view = np.require(array, requirements=["C", "A"]).view(np.ndarray)
    view.flags.writeable = False
    return view


def aligned_rows(count: int, width: int) -> np.ndarray:
    """An uninitialised uint64 array (count, width) that begins at a cache line."""
    buffer = np.empty(count * width + 8, dtype=np.uint64)
    start = -(buffer.ctypes.data // 8) % 8
    return buffer[start : start + count * width].reshape(count, width)
