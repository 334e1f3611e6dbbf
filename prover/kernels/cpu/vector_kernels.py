"""Kernels over whole arrays of field elements: see `prover.kernels.cpu.vector`."""

from prover.kernels.cpu import field
from prover.kernels.cpu.field import load, store
from prover.kernels.device import export


@export("u64[:,:], fq, u64[:,:], i64, i64")
def fr_scale(values, factor, out, start, stop):
    for i in range(start, stop):
        store(out, i, field.fr_mul(load(values, i), factor))


@export("u64[:,:], fq, u64[:,:], i64, i64")
def fq_scale(values, factor, out, start, stop):
    for i in range(start, stop):
        store(out, i, field.fq_mul(load(values, i), factor))


@export("u64[:,:], u64[:,:], u64[:,:], i64, i64")
def fr_multiply(a, b, out, start, stop):
    for i in range(start, stop):
        store(out, i, field.fr_mul(load(a, i), load(b, i)))


@export("u64[:,:], u64[:,:], u64[:,:], u64[:,:], i64, i64")
def fr_multiply_subtract(a, b, c, out, start, stop):
    for i in range(start, stop):
        product = field.fr_mul(load(a, i), load(b, i))
        store(out, i, field.fr_sub(product, load(c, i)))


@export("u64[:,:], u64[:,:], i64, i64")
def fr_invert(values, out, start, stop):
    """Montgomery's trick: one inversion and three multiplications an element; zeros are left out of the product."""
    product = field.FR_ONE
    for i in range(start, stop):
        store(out, i, product)
        value = load(values, i)
        if not field.is_zero(value):
            product = field.fr_mul(product, value)
    inverse = field.fr_inverse(product)
    for i in range(stop - 1, start - 1, -1):
        value = load(values, i)
        if field.is_zero(value):
            store(out, i, field.ZERO)
        else:
            store(out, i, field.fr_mul(inverse, load(out, i)))
            inverse = field.fr_mul(inverse, value)


@export("fq, fq, u64[:,:]")
def fr_powers(base, first, out):
    power = first
    for i in range(out.shape[0]):
        store(out, i, power)
        power = field.fr_mul(power, base)


@export("i64[:], u32[:], u64[:,:], u64[:,:], u64[:,:], i64, i64")
def sparse_multiply(row_ptr, col, value, vector, out, start, stop):
    for row in range(start, stop):
        total = field.ZERO
        for k in range(row_ptr[row], row_ptr[row + 1]):
            total = field.fr_add(total, field.fr_mul(load(value, k), load(vector, col[k])))
        store(out, row, total)
