"""Multiples of one point on a device; see kernels/cuda/fixed_base.cu for the method.

What a setup computes most of a key's points with. 32 mixed additions and an inversion a scalar are about 700
multiplications in G1 and three times that in G2: 10 million points of G1 take 0.11 s at 61 * 10^9 multiplications/s.
"""

import numpy as np

from protocol.field import R
from prover.kernels.cuda.device import Array, Device
from prover.limbs import to_limbs
from prover.msm.fixed_base import fixed_base_g1, fixed_base_g2

# As in fixed_base.cu.
_WINDOW_BITS = 8
_WINDOWS = 256 // _WINDOW_BITS

_BLOCK = 128
# Scalars that are on the device at once; with their points they take 96 and 160 MiB.
_CHUNK = 1 << 20


class FixedBase:
    """One point of G1 or G2 with its table on a device.

    base: uint64 (8,) or (16,), affine, Montgomery form. The table takes 510 KiB in G1 and 1020 KiB in G2.
    """

    def __init__(self, device: Device, base: np.ndarray) -> None:
        self._device = device
        self._width = len(base)
        multiples = [
            (digit << (_WINDOW_BITS * window)) % R
            for window in range(_WINDOWS)
            for digit in range(1, 1 << _WINDOW_BITS)
        ]
        on_cpu, name = {8: (fixed_base_g1, "fixed_base_g1"), 16: (fixed_base_g2, "fixed_base_g2")}[self._width]
        self._table: Array = device.upload(on_cpu(base, to_limbs(multiples)))
        self._kernel = device.kernel("fixed_base", name)

    def multiply(self, scalars: np.ndarray) -> np.ndarray:
        """scalars[i] * base: uint64 (n, 8) or (n, 16), affine, Montgomery form.

        scalars: uint64 (n, 4), plain and below r. Raises DeviceError.
        """
        points = np.empty((len(scalars), self._width), dtype=np.uint64)
        for start in range(0, len(scalars), _CHUNK):
            points[start : start + _CHUNK] = self._multiply(scalars[start : start + _CHUNK])
        return points

    def _multiply(self, scalars: np.ndarray) -> np.ndarray:
        device, count = self._device, len(scalars)
        result = device.empty((count, self._width), np.uint64)
        arguments = (self._table, device.upload(np.ascontiguousarray(scalars)), result, np.uint32(count))
        device.launch(self._kernel, -(-count // _BLOCK), _BLOCK, arguments)
        return device.download(result)
