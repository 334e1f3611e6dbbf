"""The kernels behind `prover.msm.lane_sparse`; the additions between them are those of `prover.msm.lane_sums`."""

import numpy as np

from prover.kernels.cpu.coordinate import load
from prover.kernels.cpu.curve import add_affine, add_points, infinity, load_point, store_point
from prover.kernels.device import export
from prover.kernels.ifma.convert import from_lanes


@export("i64[:], u32[:], i16[:,:], u64[:], i64, i64, u64[:], i64[:], i64, i64")
def list_terms(row_ptr, index, digits, addresses, stride, buckets, entries, ends, start, stop):
    """Write the terms of rows start .. stop-1 as signed addresses, row by row and sorted by |digit|.

    digits: int16 (windows, nnz); the multiple of base i for window w lies at addresses[w] + i * stride. ends: int64,
    where the terms of row start + r with |digit| = b + 1 end is ends[r * buckets + b].
    """
    total = 0
    for row in range(start, stop):
        first = (row - start) * buckets
        for bucket in range(buckets):
            ends[first + bucket] = 0
        for window in range(digits.shape[0]):
            for k in range(row_ptr[row], row_ptr[row + 1]):
                digit = np.int64(digits[window, k])
                if digit != 0:
                    ends[first + abs(digit) - 1] += 1
        for bucket in range(buckets):
            count = ends[first + bucket]
            ends[first + bucket] = total
            total += count
        for window in range(digits.shape[0]):
            for k in range(row_ptr[row], row_ptr[row + 1]):
                digit = np.int64(digits[window, k])
                if digit != 0:
                    own = first + abs(digit) - 1
                    address = addresses[window] + np.uint64(np.int64(index[k]) * stride)
                    entries[ends[own]] = address | np.uint64(digit < 0)
                    ends[own] += 1


@export("u64[:,:], i64[:], i64, i64[:], u64[:,:], like, i64, i64")
def weigh_rows(points, sizes, buckets, places, sums, like, start, stop):
    """Add to the rows places[start:stop] of `sums` (XYZZ) the sums of (b + 1) * bucket b.

    points: in the lanes' form; bucket b of the row start + r is in row r * buckets + b, and empty where its size is 0.
    """
    for row in range(start, stop):
        running = infinity(like)
        total = load_point(sums, places[row], like)
        for bucket in range((row - start + 1) * buckets - 1, (row - start) * buckets - 1, -1):
            if sizes[bucket] != 0:
                x, y = from_lanes(load(points, bucket, 0, like)), from_lanes(load(points, bucket, 1, like))
                running = add_affine(running, x, y)
            total = add_points(total, running)
        store_point(sums, places[row], total)
