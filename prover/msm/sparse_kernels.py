"""The kernels behind `prover.msm.sparse`."""

import numpy as np

from protocol.field import R
from prover.kernels.cpu import field
from prover.kernels.cpu.coordinate import is_zero, load, neg, store, zero
from prover.kernels.cpu.curve import (
    add_affine,
    add_points,
    double_point,
    infinity,
    load_point,
    store_point,
    to_affine,
)
from prover.kernels.device import export

_HALF_R = field.limb_tuple((R - 1) // 2)


@export("u64[:,:], bool[:]")
def make_short(values, negated):
    """Replace each value above (r - 1) / 2 by r - value, and tell which."""
    for i in range(values.shape[0]):
        value = field.load(values, i)
        limb = 3
        while limb > 0 and value[limb] == _HALF_R[limb]:
            limb -= 1
        negated[i] = value[limb] > _HALF_R[limb]
        if negated[i]:
            field.store(values, i, field.fr_neg(value))


@export("u64[:,:], i64, u64[:,:], u64[:,:], like, i64, i64")
def double_bases(bases, times, out, scratch, like, start, stop):
    """Rows start .. stop-1 of `out` = 2^times * bases."""
    for i in range(start, stop):
        point = add_affine(infinity(like), load(bases, i, 0, like), load(bases, i, 1, like))
        for _ in range(times):
            point = double_point(point)
        store_point(scratch, i, point)
    to_affine(scratch, out, like, start, stop)


@export("i64[:], u32[:], i16[:,:], u64[:,:], u64[:,:], u64[:,:], like, i64, i64")
def add_rows(row_ptr, index, digits, multiples, sums, buckets, like, start, stop):
    """Add to rows start .. stop-1 of `sums` the terms of some windows.

    digits: int16 (windows, nnz); multiples: row window * bases + i holds base i's multiple for that window;
    buckets: scratch, 2^(window_bits - 1) rows like those of `sums`.
    """
    bases = multiples.shape[0] // digits.shape[0]
    for bucket in range(buckets.shape[0]):
        store(buckets, bucket, 2, zero(like))
    for row in range(start, stop):
        highest = np.int64(0)
        for k in range(row_ptr[row], row_ptr[row + 1]):
            for window in range(digits.shape[0]):
                digit = np.int64(digits[window, k])
                if digit == 0:
                    continue
                place = window * bases + np.int64(index[k])
                x, y = load(multiples, place, 0, like), load(multiples, place, 1, like)
                chosen = abs(digit) - 1
                if chosen >= highest:
                    highest = chosen + 1
                point = add_affine(load_point(buckets, chosen, like), x, neg(y) if digit < 0 else y)
                store_point(buckets, chosen, point)
        running = infinity(like)
        total = load_point(sums, row, like)
        for bucket in range(highest - 1, -1, -1):
            if not is_zero(load(buckets, bucket, 2, like)):
                running = add_points(running, load_point(buckets, bucket, like))
                store(buckets, bucket, 2, zero(like))
            total = add_points(total, running)
        store_point(sums, row, total)


@export("u64[:,:], u64[:,:], like, i64, i64")
def all_to_affine(points, out, like, start, stop):
    """Rows start .. stop-1 of `points` (XYZZ) as affine points."""
    to_affine(points, out, like, start, stop)
