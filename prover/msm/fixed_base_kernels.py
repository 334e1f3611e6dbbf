"""The kernels behind `prover.msm.fixed_base`."""

import numpy as np

from prover.kernels.cpu.coordinate import is_zero, load, mul, neg
from prover.kernels.cpu.curve import add_affine, double_point, infinity, store_point, to_affine
from prover.kernels.device import export


@export("u64[:,:], u64[:,:], u64[:,:], i64, i64, like")
def fill_table(base, table, scratch, windows, window_bits, like):
    """Row j * half + d - 1 of `table` = d * 2^(window_bits * j) * base for 1 <= d <= half = 2^(window_bits - 1)."""
    half = 1 << (window_bits - 1)
    power = add_affine(infinity(like), load(base, 0, 0, like), load(base, 0, 1, like))
    for window in range(windows):
        first = window * half
        store_point(scratch, first, power)
        to_affine(scratch, table, like, first, first + 1)
        x, y = load(table, first, 0, like), load(table, first, 1, like)
        multiple = power
        for d in range(1, half):
            multiple = add_affine(multiple, x, y)
            store_point(scratch, first + d, multiple)
        power = double_point(multiple)
    to_affine(scratch, table, like, 0, windows * half)


@export("u64[:,:], i16[:,:], u64[:,:], u64[:,:], like, i64, i64")
def multiply_base(table, digits, out, scratch, like, start, stop):
    """Rows start .. stop-1 of `out`: the sums of the table's entries that each scalar's digits select."""
    half = table.shape[0] // digits.shape[0]
    for i in range(start, stop):
        total = infinity(like)
        for window in range(digits.shape[0]):
            digit = np.int64(digits[window, i])
            if digit == 0:
                continue
            row = window * half + abs(digit) - 1
            x, y = load(table, row, 0, like), load(table, row, 1, like)
            total = add_affine(total, x, neg(y) if digit < 0 else y)
        store_point(scratch, i - start, total)
    to_affine(scratch, out[start:stop], like, 0, stop - start)


@export("u64[:,:], i8[:,:], coordinate, u64[:,:], u64[:,:], like, i64, i64")
def multiply_points(points, signs, root, out, scratch, like, start, stop):
    """Rows start .. stop-1 of `out`: each point times the scalar that `signs` stands for.

    signs: int8 (digits, 2), signed bits, highest first: how often to add (x, y) and its image (root * x, y).
    """
    for i in range(start, stop):
        x, y = load(points, i, 0, like), load(points, i, 1, like)
        image_x = mul(root, x)
        minus_y = neg(y)
        total = infinity(like)
        for k in range(signs.shape[0]):
            if not is_zero(total[2]):
                total = double_point(total)
            if signs[k, 0] != 0:
                total = add_affine(total, x, y if signs[k, 0] > 0 else minus_y)
            if signs[k, 1] != 0:
                total = add_affine(total, image_x, y if signs[k, 1] > 0 else minus_y)
        store_point(scratch, i - start, total)
    to_affine(scratch, out[start:stop], like, 0, stop - start)
