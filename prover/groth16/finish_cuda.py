"""From the four sums of a batch of proofs on a device to the proofs' points; see kernels/cuda/finish.cu."""

from collections.abc import Sequence

import numpy as np

from prover.formats.proof import Proof
from prover.kernels.cpu.points import unpack_g1, unpack_g2
from prover.kernels.cuda.device import Array, Device
from prover.limbs import to_limbs
from prover.msm.endomorphism import split

# As in finish.cu.
_HALVES = 4
_SIGN = 7
_PROOF_WORDS = 32

_BLOCK = 64


def halves(blindings: Sequence[tuple[int, int]]) -> np.ndarray:
    """The scalars s and r of each (r, s), split by the endomorphism: uint32 (batch, 4, 8), halves of s, then of r."""
    parts = [part for r, s in blindings for part in (*split(s), *split(r))]
    result = to_limbs(map(abs, parts)).view(np.uint32)
    result[:, _SIGN] = [part < 0 for part in parts]
    return result.reshape(-1, _HALVES, 8)


class Finish:
    """For batches of at most `most` proofs. Everything but the inputs is made here: the launches can be captured."""

    def __init__(self, device: Device, most: int) -> None:
        self._device = device
        self._products = device.empty((most, _HALVES, 4, 8), np.uint32)
        self.proofs: Array = device.empty((most, _PROOF_WORDS), np.uint64)
        """uint64 (batch, 32): A, B and C of each proof, affine, Montgomery form."""
        self._kernels = [device.kernel("finish", name) for name in ("blinding_products", "finish_g1", "finish_g2")]

    def launch(self, count: int, sum_a: Array, sum_b1: Array, sum_b2: Array, sum_c: Array, halves: Array) -> None:
        """Queue the computation of the first `count` of `proofs`.

        The sums: points in XYZZ coordinates, of G2 for sum_b2. halves: as the function of this name.
        """
        products, g1, g2 = self._kernels
        batch = np.uint32(count)
        lanes = _HALVES * count
        blocks = -(-count // _BLOCK)
        self._device.launch(products, -(-lanes // _BLOCK), _BLOCK, (sum_a, sum_b1, halves, self._products, batch))
        self._device.launch(g1, (blocks, 2), _BLOCK, (sum_a, sum_c, self._products, self.proofs, batch))
        self._device.launch(g2, blocks, _BLOCK, (sum_b2, self.proofs, batch))


def unpack_proofs(points: np.ndarray) -> list[Proof]:
    """uint64 (batch, 32), as `Finish.proofs` -> proofs."""
    a, b, c = unpack_g1(points[:, :8]), unpack_g2(points[:, 8:24]), unpack_g1(points[:, 24:])
    return [Proof(*each) for each in zip(a, b, c, strict=True)]
