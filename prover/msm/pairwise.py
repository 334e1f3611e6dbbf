"""Adding up the points of many buckets in affine coordinates, with one inversion for thousands of additions.

An affine addition needs the inverse of x2 - x1. Sorted by bucket, neighbours can be added in pairs, all pairs at once,
so Montgomery's trick shares one inversion among them: six multiplications an addition instead of ten in XYZZ
coordinates. Each pass halves the buckets' contents. What is left when a pass would hold too few pairs goes into XYZZ
buckets one by one.
"""

import numpy as np

from prover.kernels.cpu.coordinate import add, equal, inverse, is_zero, load, mul, neg, one, square, store, sub, zero
from prover.kernels.cpu.curve import add_affine, load_point, store_point
from prover.kernels.device import kernel

# An inversion costs as much as some 400 multiplications.
_LEAST_PAIRS = 128


@kernel
def _sort_by_bucket(bases, digits, start, stop, points, bucket_of, place, like):
    """Write sign(digit) * base for every nonzero digit to `points`, sorted by bucket |digit| - 1; their number.

    `place` is scratch, an element longer than there are buckets.
    """
    bucket_count = place.shape[0] - 1
    place[:] = 0
    for i in range(start, stop):
        digit = np.int64(digits[i])
        if digit != 0:
            place[abs(digit)] += 1
    for bucket in range(bucket_count):
        place[bucket + 1] += place[bucket]
    for i in range(start, stop):
        digit = np.int64(digits[i])
        if digit != 0:
            k = place[abs(digit) - 1]
            place[abs(digit) - 1] += 1
            y = load(bases, i, 1, like)
            store(points, k, 0, load(bases, i, 0, like))
            store(points, k, 1, neg(y) if digit < 0 else y)
            bucket_of[k] = abs(digit) - 1
    return place[bucket_count]


@kernel
def _count_pairs(bucket_of, count):
    pairs = 0
    i = 0
    while i + 1 < count:
        same = bucket_of[i] == bucket_of[i + 1]
        pairs += same
        i += 1 + same
    return pairs


@kernel
def denominator(x1, y1, x2, y2):
    """What the sum of two points has to be divided by; one where nothing is divided."""
    first_is_infinity = is_zero(x1) and is_zero(y1)
    second_is_infinity = is_zero(x2) and is_zero(y2)
    if first_is_infinity or second_is_infinity:
        return one(x1)
    difference = sub(x2, x1)
    if not is_zero(difference):
        return difference
    return add(y1, y1) if equal(y1, y2) else one(x1)


@kernel
def affine_sum(x1, y1, x2, y2, inverse_denominator):
    """(x1, y1) + (x2, y2), whatever the two are, given the inverse of their denominator."""
    if is_zero(x1) and is_zero(y1):
        return x2, y2
    if is_zero(x2) and is_zero(y2):
        return x1, y1
    if not equal(x1, x2):
        numerator = sub(y2, y1)
    elif equal(y1, y2):
        xx = square(x1)
        numerator = add(add(xx, xx), xx)
    else:
        return zero(x1), zero(x1)
    slope = mul(numerator, inverse_denominator)
    x3 = sub(sub(square(slope), x1), x2)
    return x3, sub(mul(slope, sub(x1, x3)), y1)


@kernel
def _add_pairs(points, bucket_of, count, sums, starts, scratch, like):
    """One pass: neighbours in one bucket are added, the others copied; returns the number of points in `sums`.

    `bucket_of` is overwritten with the buckets of the sums. Sum j is made of points starts[j] .. starts[j+1]-1; row j
    of `scratch` holds its denominator and the product of those before.
    """
    product = one(like)
    i = 0
    total = 0
    while i < count:
        starts[total] = i
        bucket = bucket_of[i]
        x, y = load(points, i, 0, like), load(points, i, 1, like)
        i += 1
        if i < count and bucket_of[i] == bucket:
            gap = denominator(x, y, load(points, i, 0, like), load(points, i, 1, like))
            store(scratch, total, 0, gap)
            store(scratch, total, 1, product)
            product = mul(product, gap)
            i += 1
        else:
            store(sums, total, 0, x)
            store(sums, total, 1, y)
        bucket_of[total] = bucket
        total += 1
    starts[total] = count
    shared = inverse(product)
    for j in range(total - 1, -1, -1):
        i = starts[j]
        if starts[j + 1] - i == 2:
            x1, y1 = load(points, i, 0, like), load(points, i, 1, like)
            x2, y2 = load(points, i + 1, 0, like), load(points, i + 1, 1, like)
            x3, y3 = affine_sum(x1, y1, x2, y2, mul(shared, load(scratch, j, 1, like)))
            shared = mul(shared, load(scratch, j, 0, like))
            store(sums, j, 0, x3)
            store(sums, j, 1, y3)
    return total


@kernel
def fill_buckets(bases, digits, buckets, like, start, stop, points, sums, scratch, bucket_of, starts, place):
    """Add base i, negated when its digit is negative, to XYZZ bucket |digit| - 1 for start <= i < stop.

    Zero digits are skipped. `buckets` must hold points: set them to infinity first. Scratch for `size` points at a
    time: points, sums, scratch (size, width); int32 bucket_of (size,), starts (size + 1,); int64 place (buckets + 1,).
    """
    size = points.shape[0]
    for first in range(start, stop, size):
        after = min(first + size, stop)
        count = _sort_by_bucket(bases, digits, first, after, points, bucket_of, place, like)
        while _count_pairs(bucket_of, count) >= _LEAST_PAIRS:
            count = _add_pairs(points, bucket_of, count, sums, starts, scratch, like)
            points, sums = sums, points
        for i in range(count):
            bucket = bucket_of[i]
            x, y = load(points, i, 0, like), load(points, i, 1, like)
            store_point(buckets, bucket, add_affine(load_point(buckets, bucket, like), x, y))
