"""The memory of sums in eight lanes: see `prover.msm.lane_buckets`."""

import numpy as np

from prover.kernels.constants import SPILLED
from prover.kernels.cpu.arrays import aligned_rows
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.kernels.native import group_entries

points_to_lanes = group_entries("prover.kernels.ifma.convert", "points_to_lanes")

# Pairs that share an inversion, which costs as much as some 400 scalar multiplications.
BATCH = 4096
# Passes that halve any number of entries to one, each of which may waste up to 7 rows.
_PASSES = 32


class PairScratch:
    """What `add_batch` needs besides its operands; one for each thread. width: limbs of an affine point."""

    def __init__(self, width: int) -> None:
        spilled = SPILLED * (width // 8)
        self.gaps = aligned_rows(BATCH // 8, spilled)
        self.products = aligned_rows(BATCH // 8, spilled)
        self.careful = np.empty(BATCH, dtype=np.int64)
        self.row = aligned_rows(8, width)
        self.row_addresses = self.row.ctypes.data + np.arange(8, dtype=np.uint64) * np.uint64(8 * width)
        # The last row is where a sum is put together.
        self.care = np.empty((BATCH + 1, width), dtype=np.uint64)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        return self.gaps, self.products, self.careful, self.row, self.row_addresses, self.care


class Workspace:
    """Memory of one task: sums of up to `points` points in up to `buckets` buckets. width: limbs of an affine point."""

    def __init__(self, points: int, buckets: int, width: int) -> None:
        capacity = max(points, 2 * buckets)
        self.width = width
        self.pairs = PairScratch(width)
        self.entries = np.empty(capacity, dtype=np.uint64)
        self.ends = np.empty(2 * buckets + 1, dtype=np.int64)
        self.sizes = np.empty(buckets + 8, dtype=np.int64)
        self.left = np.empty(capacity // 2 + 8, dtype=np.uint64)
        self.right = np.empty(capacity // 2 + 8, dtype=np.uint64)
        self.sums = aligned_rows(capacity + 8 * _PASSES, width)
        self.buckets = aligned_rows(buckets + 8, width)
        self.groups = aligned_rows(_groups(buckets) + 8, width)
        # Infinity, then two points whose sum is computed to fill a vector and thrown away.
        self.fillers = aligned_rows(3, width)
        filler = pack_g1([G1_GENERATOR]) if width == 8 else pack_g2([G2_GENERATOR])
        self.fillers[0] = 0
        points_to_lanes[width](filler, self.fillers[1:2], 0, 1)
        # Not on the curve, which the formula does not mind.
        self.fillers[2] = self.fillers[1]
        self.fillers[2, 0] ^= np.uint64(2)

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What `sum_buckets` takes."""
        return self.left, self.right, self.sums, self.fillers, *self.pairs.arrays


def column_bits(buckets: int) -> int:
    return (buckets.bit_length() - 1) // 2


def _groups(buckets: int) -> int:
    """Columns and rows of a power of two buckets."""
    columns = 1 << column_bits(buckets)
    return columns + buckets // columns
