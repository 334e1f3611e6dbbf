"""The kernels behind `prover.ntt.cpu`."""

from prover.kernels.cpu.field import fr_add, fr_mul, fr_sub, load, store
from prover.kernels.device import export


@export("u64[:,:], u64[:,:], i64, i64, i64, i64")
def frequency_stage(values, table, half, first, start, stop):
    """Butterflies start .. stop-1 of the block of 2 * half values at `first`: (a, b) -> (a + b, (a - b) w)."""
    for j in range(start, stop):
        a, b = load(values, first + j), load(values, first + half + j)
        store(values, first + j, fr_add(a, b))
        store(values, first + half + j, fr_mul(fr_sub(a, b), load(table, half + j)))


@export("u64[:,:], u64[:,:], i64, i64, i64, i64")
def time_stage(values, table, half, first, start, stop):
    """Butterflies start .. stop-1 of the block of 2 * half values at `first`: (a, b) -> (a + b w, a - b w)."""
    for j in range(start, stop):
        a, b = load(values, first + j), fr_mul(load(values, first + half + j), load(table, half + j))
        store(values, first + j, fr_add(a, b))
        store(values, first + half + j, fr_sub(a, b))


@export("u64[:,:], u64[:,:], i64, i64")
def frequency_block(values, table, size, first):
    """Every stage of the block of `size` values at `first`, natural to bit-reversed order."""
    half = size // 2
    while half:
        for block in range(first, first + size, 2 * half):
            frequency_stage(values, table, half, block, 0, half)
        half //= 2


@export("u64[:,:], u64[:,:], i64, i64")
def time_block(values, table, size, first):
    """Every stage of the block of `size` values at `first`, bit-reversed to natural order."""
    half = 1
    while half < size:
        for block in range(first, first + size, 2 * half):
            time_stage(values, table, half, block, 0, half)
        half *= 2


@export("u64[:,:], fq, i64, i64")
def scale_all(values, factor, start, stop):
    for i in range(start, stop):
        store(values, i, fr_mul(load(values, i), factor))


@export("u64[:,:], u64[:,:], i64, i64")
def scale_each(values, factors, start, stop):
    for i in range(start, stop):
        store(values, i, fr_mul(load(values, i), load(factors, i)))
