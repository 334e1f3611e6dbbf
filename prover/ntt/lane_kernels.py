"""The kernels behind `prover.ntt.lanes`."""

from prover.kernels.constants import SPILLED
from prover.kernels.device import export, kernel, stack_rows
from prover.kernels.ifma.lanes import spill, unspill
from prover.kernels.ifma.scalars import (
    any_lanes,
    broadcast,
    difference,
    load_elements,
    mul,
    small_difference,
    small_sum,
    store_elements,
    transpose_rows,
)


@kernel
def _frequency_stages(values, first, count, spacing, offset, table):
    """Gentleman-Sande stages over rows first .. first + count - 1, which lie `spacing` apart in their transform."""
    kind = any_lanes()
    half = count // 2
    while half:
        for block in range(first, first + count, 2 * half):
            for j in range(half):
                low, high = block + j, block + half + j
                a, b = unspill(values, low, kind), unspill(values, high, kind)
                factor = broadcast(table, (half + j) * spacing + offset)
                spill(values, low, small_sum(a, b))
                spill(values, high, mul(difference(a, b), factor))
        half //= 2


@kernel
def _time_stages(values, first, count, spacing, offset, table):
    """Cooley-Tukey stages, the way back."""
    kind = any_lanes()
    half = 1
    while half < count:
        for block in range(first, first + count, 2 * half):
            for j in range(half):
                low, high = block + j, block + half + j
                a = unspill(values, low, kind)
                b = mul(unspill(values, high, kind), broadcast(table, (half + j) * spacing + offset))
                spill(values, low, small_sum(a, b))
                spill(values, high, small_difference(a, b))
        half *= 2


@export("u64[:,:], u64[:,:], u64[:,:], i64, i64")
def split(values, work, wide_table, start, stop):
    """Three stages across the eight blocks and the exchange, for columns 8 * start .. 8 * stop - 1."""
    kind = any_lanes()
    columns = values.shape[0] // 8
    eight = stack_rows(8, SPILLED)
    for piece in range(start, stop):
        column = 8 * piece
        for block in range(8):
            spill(eight, block, load_elements(values, block * columns + column))
        half = 4
        while half:
            for low in range(8):
                if low & half == 0:
                    a, b = unspill(eight, low, kind), unspill(eight, low + half, kind)
                    row = ((half + low % half) * columns + column) // 8
                    spill(eight, low, small_sum(a, b))
                    spill(eight, low + half, mul(difference(a, b), unspill(wide_table, row, kind)))
            half //= 2
        transpose_rows(eight, 0, work, column)


@export("u64[:,:], u64[:,:], u64[:,:], i64, i64")
def merge(work, values, wide_table, start, stop):
    """The way back of `_split`, to canonical values."""
    kind = any_lanes()
    columns = values.shape[0] // 8
    eight = stack_rows(8, SPILLED)
    for piece in range(start, stop):
        column = 8 * piece
        transpose_rows(work, column, eight, 0)
        half = 1
        while half < 8:
            for low in range(8):
                if low & half == 0:
                    row = ((half + low % half) * columns + column) // 8
                    a = unspill(eight, low, kind)
                    b = mul(unspill(eight, low + half, kind), unspill(wide_table, row, kind))
                    spill(eight, low, small_sum(a, b))
                    spill(eight, low + half, small_difference(a, b))
            half *= 2
        for block in range(8):
            store_elements(values, block * columns + column, unspill(eight, block, kind))


@export("u64[:,:], i64, i64, u64[:,:], bool, u64[:,:], i64, i64")
def columns(work, first, spacing, table, forward, column, start, stop):
    """Stages over rows `spacing` apart, from row first + offset, for start <= offset < stop.

    There are as many rows as `column` has, which is scratch.
    """
    kind = any_lanes()
    count = column.shape[0]
    for offset in range(start, stop):
        for i in range(count):
            spill(column, i, unspill(work, first + i * spacing + offset, kind))
        if forward:
            _time_stages(column, 0, count, spacing, offset, table)
        else:
            _frequency_stages(column, 0, count, spacing, offset, table)
        for i in range(count):
            spill(work, first + i * spacing + offset, unspill(column, i, kind))


@export("u64[:,:], i64, u64[:,:], u64[:,:], u64[:,:], i64, i64")
def blocks(work, size, inverse_table, factors, forward_table, start, stop):
    """The last stages of the inverse transform, the factors, and the first stages of the forward one."""
    kind = any_lanes()
    for block in range(start, stop):
        first = block * size
        _frequency_stages(work, first, size, 1, 0, inverse_table)
        for row in range(first, first + size):
            spill(work, row, mul(unspill(work, row, kind), unspill(factors, row, kind)))
        _time_stages(work, first, size, 1, 0, forward_table)


@export("u64[:,:], u64[:,:], u64[:,:], i64, i64")
def to_lane_form(values, factor, out, start, stop):
    """Rows start .. stop-1 of `out` = eight values each, times a factor."""
    for row in range(start, stop):
        spill(out, row, mul(load_elements(values, 8 * row), broadcast(factor, 0)))
