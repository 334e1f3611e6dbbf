"""The number-theoretic transform over F_r on CPUs.

Two in-place transforms without a permutation between them: `_to_bit_reversed` (Gentleman-Sande, decimation in
frequency) takes natural order to bit-reversed order, `_from_bit_reversed` (Cooley-Tukey, decimation in time) goes back.
An inverse followed by a forward transform, as Groth16 needs it, never permutes anything. For threads, the stages with
the longest blocks are split by butterflies and the rest by blocks.
"""

from functools import partial
from typing import Any

import numpy as np

from protocol.field import R
from prover.kernels.constants import montgomery
from prover.kernels.cpu.arrays import as_rows
from prover.kernels.cpu.threads import default_threads, run_all, run_ranges
from prover.kernels.native import entry
from prover.ntt.domain import bit_reversal, coset_factors, root_of_unity, twiddles

# Below this a transform takes less time than sharing it.
_LEAST_SHARED = 1 << 12

_KERNELS = "prover.ntt.cpu_kernels"
_frequency_stage = entry(_KERNELS, "frequency_stage")
_time_stage = entry(_KERNELS, "time_stage")
_frequency_block = entry(_KERNELS, "frequency_block")
_time_block = entry(_KERNELS, "time_block")
_scale_all = entry(_KERNELS, "scale_all")
_scale_each = entry(_KERNELS, "scale_each")


def _shared_stages(size: int, threads: int) -> list[int]:
    """Half block lengths of the stages that are split by butterflies, longest first."""
    if threads == 1 or size < _LEAST_SHARED:
        return []
    return [size >> (level + 1) for level in range((threads - 1).bit_length())]


def _run_stage(stage: Any, values: np.ndarray, table: np.ndarray, half: int, threads: int) -> None:
    for first in range(0, len(values), 2 * half):
        run_ranges(partial(stage, values, table, half, first), half, threads, least=1)


def _run_blocks(block: Any, values: np.ndarray, table: np.ndarray, count: int, threads: int) -> None:
    size = len(values) // count
    run_all([partial(block, values, table, size, i * size) for i in range(count)], threads)


def _to_bit_reversed(values: np.ndarray, inverse: bool, threads: int) -> None:
    table = twiddles(len(values), inverse)
    shared = _shared_stages(len(values), threads)
    for half in shared:
        _run_stage(_frequency_stage, values, table, half, threads)
    _run_blocks(_frequency_block, values, table, 1 << len(shared), threads)


def _from_bit_reversed(values: np.ndarray, inverse: bool, threads: int) -> None:
    table = twiddles(len(values), inverse)
    shared = _shared_stages(len(values), threads)
    _run_blocks(_time_block, values, table, 1 << len(shared), threads)
    for half in reversed(shared):
        _run_stage(_time_stage, values, table, half, threads)


def _working_copy(values_mont: np.ndarray) -> np.ndarray:
    values = np.array(as_rows(values_mont, 4))
    root_of_unity(len(values))
    return values


def ntt(values_mont: np.ndarray, inverse: bool = False, threads: int | None = None) -> np.ndarray:
    """Coefficients -> values of a polynomial on the domain, or back with `inverse`; natural order on both sides.

    values_mont: uint64 (n, 4), Montgomery form, n = 2^k with k <= 28 (else ValueError); row i of the result is the
    value at w_n^i (see `prover.ntt.domain`). Returns a new array.
    """
    values = _working_copy(values_mont)
    threads = threads or default_threads()
    _to_bit_reversed(values, inverse, threads)
    if inverse:
        factor = montgomery(pow(len(values), -1, R), R)
        run_ranges(lambda start, stop: _scale_all(values, factor, start, stop), len(values), threads)
    return values[bit_reversal(len(values))]


def extend_to_odd_coset(values_mont: np.ndarray, threads: int | None = None) -> np.ndarray:
    """Values of a polynomial on the domain -> its values on the odd coset: row i is the value at w_2n^(2i+1).

    values_mont: uint64 (n, 4), Montgomery form, n = 2^k with k <= 27 (else ValueError), a polynomial of degree below n.
    Returns a new array in natural order. This is the step between a Groth16 constraint system's rows and its quotient
    in the convention of a .zkey, whose H bases are the odd coset's Lagrange basis.
    """
    values = _working_copy(values_mont)
    factors = coset_factors(len(values))
    threads = threads or default_threads()
    _to_bit_reversed(values, True, threads)
    run_ranges(lambda start, stop: _scale_each(values, factors, start, stop), len(values), threads)
    _from_bit_reversed(values, False, threads)
    return values
