"""The kernels behind `prover.msm.lane_buckets`."""

import numpy as np

from prover.kernels.cpu.coordinate import load
from prover.kernels.cpu.curve import add_affine, add_points, double_point, infinity, store_point
from prover.kernels.device import export, kernel
from prover.kernels.ifma.convert import from_lanes
from prover.kernels.ifma.coordinate import negate_where
from prover.kernels.ifma.lanes import load_points, signs, store_points
from prover.msm.lane_pair_kernels import add_batch
from prover.msm.lane_workspace import BATCH

# Points of a tile, but for a bucket that has more.
_TILE = 1 << 15


@export("i16[:], i64, i64, i64, i64, u64[:], i64[:]")
def sort_digits(digits, start, stop, address, stride, entries, ends):
    """Write the signed address of base i, for start <= i < stop with a nonzero digit, sorted by bucket |digit| - 1.

    Base i lies at address + i * stride. ends: int64 (buckets + 1,): the entries of bucket b are entries[ends[b - 1] :
    ends[b]], from 0 for the first.
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


@export(
    "u64[:], i64[:], i64[:], i64, u64[:,:], u64[:], u64[:], u64[:,:], u64[:,:], "
    "u64[:,:], u64[:,:], i64[:], u64[:,:], u64[:], u64[:,:], like"
)
def sum_buckets(
    entries, ends, sizes, buckets, out, left, right, sums, fillers_array,
    gaps, products, careful, row, row_addresses, care, like,
):  # fmt: skip
    """Row b of `out` = the sum of the entries of bucket b < buckets; entries and ends as `sort_digits` makes them.

    Zeros for an empty bucket; sizes[b] becomes 0 or 1. `entries` is overwritten.
    """
    scratch = (gaps, products, careful, row, row_addresses, care)
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


@export("i64, i64[:], i64, u64, i64, u64[:], i64[:]")
def group_entries(buckets, sizes, column_bits, address, stride, entries, ends):
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


@export("u64[:,:], i64, i64, i64, u64[:,:], i64, like")
def weigh_groups(groups, columns, column_bits, rows, window_sums, window, like):
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
