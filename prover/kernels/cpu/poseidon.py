"""Poseidon for many inputs at once: the hash of Merkle trees, at about 20 us a pair.

The permutation and its parameters are those of `protocol.poseidon`, which also names the specification.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from protocol.errors import EncodingError
from protocol.field import R
from protocol.poseidon import parameters
from prover.kernels.cpu.arrays import read_only
from prover.kernels.cpu.threads import run_ranges
from prover.kernels.cpu.vector import fr_to_mont
from prover.kernels.native import entry
from prover.limbs import from_limbs, to_limbs

_hash_rows = entry("prover.kernels.cpu.poseidon_kernels", "hash_rows")


@cache
def _constants(n_inputs: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Full rounds; round constants (rounds * t, 4) and the matrix (t * t, 4), row by row, in Montgomery form."""
    chosen = parameters(n_inputs)
    constants = to_limbs(constant for row in chosen.round_constants for constant in row)
    mds = to_limbs(weight for row in chosen.mds for weight in row)
    return chosen.full_rounds, read_only(fr_to_mont(constants)), read_only(fr_to_mont(mds))


def hash_rows(inputs: np.ndarray, threads: int | None = None) -> np.ndarray:
    """H_n of every row: uint64 (rows, 4 n) -> uint64 (rows, 4), plain and canonical, 1 <= n <= 16.

    The inputs must be below r, which is not checked here. threads: default one a CPU.
    """
    if inputs.dtype != np.uint64 or inputs.ndim != 2 or inputs.shape[1] % 4:
        raise ValueError(f"expected uint64 rows of whole field elements, got {inputs.dtype} {inputs.shape}")
    constants = _constants(inputs.shape[1] // 4)
    inputs = read_only(inputs)
    out = np.empty((len(inputs), 4), dtype=np.uint64)
    run_ranges(lambda start, stop: _hash_rows(inputs, out, *constants, start, stop), len(inputs), threads, least=64)
    return out


def hash_pairs(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """H_2 of every pair, as `protocol.poseidon.hash_pairs`; raises EncodingError for a value outside [0, r)."""
    values = [value for pair in pairs for value in pair]
    if not all(0 <= value < R for value in values):
        raise EncodingError("an input of Poseidon must be at least 0 and below the field's modulus")
    return from_limbs(hash_rows(to_limbs(values).reshape(-1, 8)))
