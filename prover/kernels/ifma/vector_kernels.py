"""Kernels over whole arrays of F_r elements in eight lanes: see `prover.kernels.ifma.vector`."""

from prover.kernels.device import export
from prover.kernels.ifma.scalars import broadcast, load_elements, mul, small_difference, store_elements


@export("u64[:,:], u64[:,:], u64[:,:], u64[:,:], i64, i64")
def multiply(a, b, factors, out, start, stop):
    for row in range(8 * start, 8 * stop, 8):
        product = mul(load_elements(a, row), load_elements(b, row))
        store_elements(out, row, mul(product, broadcast(factors, 0)))


@export("u64[:,:], u64[:,:], u64[:,:], u64[:,:], u64[:,:], i64, i64")
def multiply_subtract(a, b, c, factors, out, start, stop):
    for row in range(8 * start, 8 * stop, 8):
        product = mul(mul(load_elements(a, row), load_elements(b, row)), broadcast(factors, 1))
        subtracted = mul(load_elements(c, row), broadcast(factors, 2))
        store_elements(out, row, small_difference(product, subtracted))
