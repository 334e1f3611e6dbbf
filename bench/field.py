"""Field arithmetic over whole vectors in F_r."""

import secrets
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bench.inputs import field_elements
from bench.result import PORTABLE, Result
from bench.timing import timed_runs
from protocol.field import R
from prover import backend
from prover.kernels.cpu import vector
from prover.limbs import from_limbs
from prover.progress import Reporter

_TO_MONT = 2**256 % R
_FROM_MONT = pow(_TO_MONT, -1, R)
# Elements of each output that are computed again with Python's integers.
_CHECKED = 32


class Operation(NamedTuple):
    """expected: the same on Python's integers, modulo r; case: what sets it apart (see PORTABLE)."""

    operands: int
    compute: Callable[..., np.ndarray]
    expected: Callable[..., int]
    case: dict[str, str]


_OPERATIONS = {
    "multiply": Operation(2, backend.fr_mul_vector, lambda a, b: a * b * _FROM_MONT, {}),
    "multiply_subtract": Operation(
        3, backend.fr_mul_sub_plain, lambda a, b, c: (a * b * _FROM_MONT - c) * _FROM_MONT, {}
    ),
    "to_montgomery": Operation(1, vector.fr_to_mont, lambda a: a * _TO_MONT, PORTABLE),
    "invert": Operation(1, vector.fr_inverse_vector, lambda a: pow(a, -1, R) * _TO_MONT**2, PORTABLE),
}


def measure(sizes: list[int], runs: int, progress: Reporter) -> list[Result]:
    """Each operation on vectors of each size."""
    cases = [(name, size) for name in _OPERATIONS for size in sizes]
    results = []
    for done, (name, size) in enumerate(cases):
        progress(f"{name}, {size:,} elements", done, len(cases))
        operation = _OPERATIONS[name]
        results.append(Result(f"field_{name}", size, "elements", _runs(operation, size, runs), operation.case))
    return results


def _runs(operation: Operation, size: int, runs: int) -> list[float]:
    def is_right(inputs: list[np.ndarray], output: np.ndarray) -> bool:
        rows = [secrets.randbelow(size) for _ in range(_CHECKED)]
        columns = [from_limbs(vector_in[rows]) for vector_in in inputs]
        return from_limbs(output[rows]) == [operation.expected(*values) % R for values in zip(*columns, strict=True)]

    return timed_runs(
        lambda: [field_elements(size) for _ in range(operation.operands)],
        lambda inputs: operation.compute(*inputs),
        is_right,
        runs,
    )
