"""Kernels for the tests of how kernels are compiled and called; compiled, never imported by the product."""

import math

import numpy as np

from prover.kernels.cpu.field import fq_add
from prover.kernels.device import export, stack_rows


@export("u64[:,:], i16[:], bool[:], i64, u64, u8, bool, fq, fq2", "i64")
def mix(rows, shorts, flags, signed, unsigned, byte, flag, element, pair):
    """Every kind of argument leaves its mark: flags are written, the rest is told in row 0 or returned."""
    flags[0] = flag
    rows[0, 0] = unsigned
    rows[0, 1] = np.uint64(byte)
    rows[0, 2] = element[3]
    rows[0, 3] = pair[1][0]
    rows[rows.shape[0] - 1, rows.shape[1] - 1] = np.uint64(shorts.shape[0])
    return signed + shorts[shorts.shape[0] - 1]


@export("u64[:,:,:]", "bool")
def is_wide(cube):
    return cube.shape[2] > cube.shape[0]


@export("coordinate, u64[:,:], like")
def twice(a, out, like):
    both = a
    scratch = stack_rows(2, 4)
    scratch[:] = 7
    for row in range(out.shape[0]):
        for column in range(4):
            out[row, column] = scratch[1, column]
    out[0, 0] = len(both) + len(like)


@export("fq, fq, u64[:,:]")
def add(a, b, out):
    out[0, 0], out[0, 1], out[0, 2], out[0, 3] = fq_add(a, b)


@export("i64", "i64")
def fail_at_zero(value):
    if value == 0:
        raise ValueError("zero")
    return value


@export("u64[:], i64")
def count_up(counter, times):
    """Work that takes as long as one likes."""
    for i in range(times):
        counter[0] = counter[0] * np.uint64(6364136223846793005) + np.uint64(i)


def allocating(rows):
    rows[0, 0] = np.empty(3, dtype=np.uint64).shape[0]


def calling(rows):
    rows[0, 0] = np.uint64(math.gamma(rows[0, 1]))
