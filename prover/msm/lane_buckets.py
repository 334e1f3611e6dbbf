"""Sums of many buckets of points in eight lanes.

Entries are addresses of points, sorted by bucket. Neighbours in one bucket are added in pairs, all pairs of a pass
being independent; their sums and the points left over are the entries of the next pass, until a bucket has one. Since a
left over point stays where it is and only its address moves on, nothing is copied. Buckets are worked on in tiles whose
points fit in a core's cache, and only a tile's first pass reads points at random.

The window sum, the sum of (b + 1) * bucket_b, is done the same way: with b = r * columns + c it is the sum of
columns * r * (sum of row r) and (c + 1) * (sum of column c). The sums of rows and columns are sums of buckets again,
and only some square roots as many points are left for additions one by one.
"""

import numpy as np

from prover.kernels.cpu import kernel
from prover.kernels.cpu.coordinate import group_marker, load
from prover.kernels.cpu.curve import add_affine, add_points, double_point, infinity, store_point
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.kernels.ifma.convert import from_lanes, points_to_lanes
from prover.kernels.ifma.coordinate import negate_where
from prover.kernels.ifma.lanes import aligned_rows, load_points, signs, store_points
from prover.msm.lane_pairs import BATCH, PairScratch, add_batch

# Points of a tile, but for a bucket that has more.
_TILE = 1 << 15
# Passes that halve any number of entries to one, each of which may waste up to 7 rows.
_PASSES = 32


class Workspace:
    """Memory of one task: sums of up to `points` points in up to `buckets` buckets. width: limbs of an affine point."""

    def __init__(self, points: int, buckets: int, width: int) -> None:
        capacity = max(points, 2 * buckets)
        self.like = group_marker(width)
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
        points_to_lanes(filler, self.fillers[1:2], self.like, 0, 1)
        # Not on the curve, which the formula does not mind.
        self.fillers[2] = self.fillers[1]
        self.fillers[2, 0] ^= np.uint64(2)

    @property
    def arrays(self) -> tuple[object, ...]:
        """What `sum_buckets` takes."""
        return self.left, self.right, self.sums, self.fillers, self.pairs.arrays, self.like


def _column_bits(buckets: int) -> int:
    return (buckets.bit_length() - 1) // 2


def _groups(buckets: int) -> int:
    """Columns and rows of a power of two buckets."""
    columns = 1 << _column_bits(buckets)
    return columns + buckets // columns


@kernel
def sort_digits(digits, start, stop, address, stride, entries, ends):
    """Write the signed address of base i, for start <= i < stop with a nonzero digit, sorted by bucket |digit| - 1.

    Base i lies at address + i * stride. ends: int64 (buckets + 1,): the entries of bucket b are entries[ends[b - 1] :
    ends[b]], from 0 for the first. Returns their number.
    """
    ends[:] = 0
    for i in range(start, stop):
        ends[abs(np.int64(digits[i]))] += 1
    ends[0] = 0
    for bucket in range(1, ends.shape[0]):
        ends[bucket] += ends[bucket - 1]
    for i in range(start, stop):
        digit = np.int64(digits[i])
        if digit != 0:
            own = abs(digit) - 1
            entries[ends[own]] = np.uint64(address + i * stride) | np.uint64(digit < 0)
            ends[own] += 1


@kernel
def _pair_up(entries, start, sizes, first, last, left, right, next_sum, stride, fillers):
    """One pass over buckets first .. last-1, whose entries begin at `start`: the number of pairs, filled up to eights.

    The pairs go to left and right, the addresses of their sums and the points left over become the buckets' entries.
    """
    pairs = 0
    read = start
    write = start
    for bucket in range(first, last):
        size = sizes[bucket]
        for k in range(size // 2):
            left[pairs] = entries[read + 2 * k]
            right[pairs] = entries[read + 2 * k + 1]
            entries[write + k] = next_sum + np.uint64(pairs * stride)
            pairs += 1
        if size & 1:
            entries[write + size // 2] = entries[read + size - 1]
        read += size
        sizes[bucket] = (size + 1) // 2
        write += sizes[bucket]
    while pairs & 7:
        left[pairs] = fillers + np.uint64(stride)
        right[pairs] = fillers + np.uint64(2 * stride)
        pairs += 1
    return pairs


@kernel
def _copy_points(addresses, count, out, stride, like):
    """Write the points at `addresses`, or their opposites, to the rows at address `out`; eight at a time."""
    for i in range(0, count, 8):
        x, y = load_points(addresses, i, like)
        store_points(out + np.uint64(i * stride), x, negate_where(signs(addresses, i), y))


@kernel
def sum_buckets(entries, ends, sizes, buckets, out, left, right, sums, fillers_array, scratch, like):
    """Row b of `out` = the sum of the entries of bucket b < buckets; entries and ends as `sort_digits` makes them.

    Zeros for an empty bucket; sizes[b] becomes 0 or 1. `entries` is overwritten.
    """
    stride = 8 * out.shape[1]
    fillers = np.uint64(fillers_array.ctypes.data)
    sums_address = np.uint64(sums.ctypes.data)
    out_address = np.uint64(out.ctypes.data)
    previous = 0
    for bucket in range(buckets):
        sizes[bucket] = ends[bucket] - previous
        previous = ends[bucket]
    first = 0
    start = 0
    while first < buckets:
        last = first + 1
        while last < buckets and ends[last] - start <= _TILE:
            last += 1
        next_sum = sums_address
        while True:
            pairs = _pair_up(entries, start, sizes, first, last, left, right, next_sum, stride, fillers)
            for batch in range(0, pairs, BATCH):
                add_batch(left, right, batch, min(batch + BATCH, pairs), next_sum, scratch, like)
            next_sum += np.uint64(pairs * stride)
            if pairs == 0:
                break
        # One entry is left of every bucket that is not empty.
        position = start
        for piece in range(first, last, 8):
            for i in range(8):
                left[i] = fillers
                if piece + i < last and sizes[piece + i]:
                    left[i] = entries[position]
                    position += 1
            _copy_points(left, 8, out_address + np.uint64(piece * stride), stride, like)
        first = last
        start = ends[last - 1]


@kernel
def _group_entries(buckets, sizes, column_bits, address, stride, entries, ends):
    """Entries of the columns, then of the rows, of a window's buckets, those that are not empty."""
    columns = 1 << column_bits
    rows = buckets >> column_bits
    count = 0
    for column in range(columns):
        for bucket in range(column, buckets, columns):
            if sizes[bucket]:
                entries[count] = address + np.uint64(bucket * stride)
                count += 1
        ends[column] = count
    for row in range(rows):
        for bucket in range(row * columns, (row + 1) * columns):
            if sizes[bucket]:
                entries[count] = address + np.uint64(bucket * stride)
                count += 1
        ends[columns + row] = count


@kernel
def _add_row(point, rows, row, like):
    x, y = from_lanes(load(rows, row, 0, like)), from_lanes(load(rows, row, 1, like))
    return add_affine(point, x, y)


@kernel
def _weigh_groups(groups, columns, column_bits, rows, window_sums, window, like):
    """Row `window` of `window_sums` = the sum of (c + 1) * column c and columns * r * row r."""
    running = infinity(like)
    total = infinity(like)
    for row in range(rows - 1, 0, -1):
        running = _add_row(running, groups, columns + row, like)
        total = add_points(total, running)
    for _ in range(column_bits):
        total = double_point(total)
    running = infinity(like)
    for column in range(columns - 1, -1, -1):
        running = _add_row(running, groups, column, like)
        total = add_points(total, running)
    store_point(window_sums, window, total)


def window_sum(
    digits: np.ndarray, start: int, stop: int, bases: np.ndarray, work: Workspace, window_sums: np.ndarray, window: int
) -> None:
    """Row `window` of window_sums (XYZZ, portable form) = the sum of digits[i] * bases[i] over start <= i < stop.

    digits: int16, |digit| at most 2^k, the number of buckets `work` was made for; bases: in the lanes' form, in an
    array from `aligned_rows`.
    """
    buckets = len(work.buckets) - 8
    stride = 8 * bases.shape[1]
    sort_digits(digits, start, stop, bases.ctypes.data, stride, work.entries, work.ends[: buckets + 1])
    sum_buckets(work.entries, work.ends, work.sizes, buckets, work.buckets, *work.arrays)
    column_bits = _column_bits(buckets)
    columns, rows = 1 << column_bits, buckets >> column_bits
    address = np.uint64(work.buckets.ctypes.data)
    _group_entries(buckets, work.sizes, column_bits, address, stride, work.entries, work.ends)
    sum_buckets(work.entries, work.ends, work.sizes, columns + rows, work.groups, *work.arrays)
    _weigh_groups(work.groups, columns, column_bits, rows, window_sums, window, work.like)
