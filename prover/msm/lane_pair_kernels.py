"""Additions of many independent pairs of points in eight lanes, with one inversion for thousands of them.

An affine addition needs the inverse of x2 - x1. Montgomery's trick turns the inversions of a batch into one and three
multiplications each, so an addition costs six. Lane i multiplies up its own eighth of the batch, and the eight products
share the one inversion. Pairs that the formula does not cover, namely those with infinity, with equal and with opposite
points, are found on the way and added again by `_add_with_care`.
"""

import numpy as np

from prover.kernels.cpu.coordinate import inverse, load, mul, neg, one, store
from prover.kernels.device import kernel
from prover.kernels.ifma import coordinate as lanes
from prover.kernels.ifma.convert import from_lanes, to_lanes
from prover.kernels.ifma.coordinate import difference, lanes_like, negate_where, one_where, small_difference, sum_x
from prover.kernels.ifma.lanes import (
    load_both_x,
    load_points,
    load_words,
    prefetch_points,
    signs,
    spill,
    store_points,
    unspill,
    write_words,
)
from prover.msm.lane_workspace import BATCH
from prover.msm.pairwise import affine_sum, denominator

# Pairs between the one that is worked on and the one that is asked for from memory.
_AHEAD = 32


@kernel
def invert_lanes(product, row, addresses, like):
    """1 / product in every lane, by one inversion for the eight."""
    store_points(addresses[0], product, product)
    running = one(like)
    for lane in range(8):
        store(row, lane, 1, running)
        value = from_lanes(load(row, lane, 0, like))
        store(row, lane, 0, value)
        running = mul(running, value)
    running = inverse(running)
    for lane in range(7, -1, -1):
        value = load(row, lane, 0, like)
        store(row, lane, 0, to_lanes(mul(running, load(row, lane, 1, like))))
        running = mul(running, value)
    inverted, _ = load_points(addresses, 0, like)
    return inverted


@kernel
def _load_signed(address, like):
    """The point at `address`, or its opposite, in the portable form."""
    x, y = from_lanes(load_words(address, 0, like)), from_lanes(load_words(address, 1, like))
    return x, neg(y) if address & np.uint64(1) else y


@kernel
def _add_with_care(left, right, careful, count, sums, stride, care, like):
    """Write left[j] + right[j] to the address sums + j * stride for j in careful[:count], whatever the points are."""
    out = care[BATCH : BATCH + 1]
    words = out[0]
    product = one(like)
    for k in range(count):
        x1, y1 = _load_signed(left[careful[k]], like)
        x2, y2 = _load_signed(right[careful[k]], like)
        gap = denominator(x1, y1, x2, y2)
        store(care, k, 0, gap)
        store(care, k, 1, product)
        product = mul(product, gap)
    shared = inverse(product)
    for k in range(count - 1, -1, -1):
        j = careful[k]
        x1, y1 = _load_signed(left[j], like)
        x2, y2 = _load_signed(right[j], like)
        x3, y3 = affine_sum(x1, y1, x2, y2, mul(shared, load(care, k, 1, like)))
        shared = mul(shared, load(care, k, 0, like))
        store(out, 0, 0, to_lanes(x3))
        store(out, 0, 1, to_lanes(y3))
        write_words(sums + np.uint64(j * stride), words)


@kernel
def add_batch(left, right, start, stop, sums, scratch, like):
    """Write left[j] + right[j] to row j of the points at address `sums`, for start <= j < stop.

    left, right: addresses of points (see `prover.kernels.ifma.lanes`); start and stop are multiples of 8, at most BATCH
    apart.
    """
    gaps, products, careful, row, row_addresses, care = scratch
    stride = 8 * row.shape[1]
    kind = lanes_like(like)
    product = one_where(np.uint8(255), kind)
    count = 0
    for j in range(start, stop, 8):
        prefetch_points(left, min(j + _AHEAD, stop - 8), like)
        prefetch_points(right, min(j + _AHEAD, stop - 8), like)
        x1, x2 = load_both_x(left, right, j, like)
        gap = difference(x2, x1)
        lanes_with_care = lanes.unusual(x1, x2, gap)
        if lanes_with_care:
            gap = one_where(lanes_with_care, gap)
            for lane in range(8):
                if (lanes_with_care >> np.uint8(lane)) & np.uint8(1):
                    careful[count] = j + lane
                    count += 1
        group = (j - start) >> 3
        spill(gaps, group, gap)
        spill(products, group, product)
        product = lanes.mul(product, gap)
    shared = invert_lanes(product, row, row_addresses, like)
    for j in range(stop - 8, start - 1, -8):
        group = (j - start) >> 3
        inverted = lanes.mul(shared, unspill(products, group, kind))
        shared = lanes.mul(shared, unspill(gaps, group, kind))
        x1, y1 = load_points(left, j, like)
        x2, y2 = load_points(right, j, like)
        y1, y2 = negate_where(signs(left, j), y1), negate_where(signs(right, j), y2)
        slope = lanes.mul(difference(y2, y1), inverted)
        x3 = sum_x(lanes.square(slope), x1, x2)
        y3 = small_difference(lanes.mul(slope, difference(x1, x3)), y1)
        store_points(sums + np.uint64(j * stride), x3, y3)
    if count:
        _add_with_care(left, right, careful, count, sums, stride, care, like)
