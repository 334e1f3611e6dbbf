"""Field arithmetic over whole vectors in F_r."""

import secrets
from collections.abc import Callable

import numpy as np

from bench.inputs import field_elements
from bench.result import Result
from bench.timing import timed_runs
from protocol.field import R
from prover.kernels.cpu import vector
from prover.limbs import from_limbs
from prover.progress import Reporter

_TO_MONT = 2**256 % R
_FROM_MONT = pow(_TO_MONT, -1, R)
# Elements of each output that are computed again with Python's integers.
_CHECKED = 32

# Each operation with the same on plain integers; all take and give Montgomery form where they say so.
_OPERATIONS: dict[str, tuple[int, Callable[..., np.ndarray], Callable[..., int]]] = {
    "multiply": (2, vector.fr_mul_vector, lambda a, b: a * b * _FROM_MONT),
    "multiply_subtract": (3, vector.fr_mul_sub_vector, lambda a, b, c: a * b * _FROM_MONT - c),
    "to_montgomery": (1, vector.fr_to_mont, lambda a: a * _TO_MONT),
    "invert": (1, vector.fr_inverse_vector, lambda a: pow(a, -1, R) * _TO_MONT**2),
}


def measure(sizes: list[int], runs: int, progress: Reporter) -> list[Result]:
    """Each operation on vectors of each size."""
    cases = [(name, size) for name in _OPERATIONS for size in sizes]
    results = []
    for done, (name, size) in enumerate(cases):
        progress(f"{name}, {size:,} elements", done, len(cases))
        results.append(Result(f"field_{name}", size, "elements", _runs(name, size, runs)))
    return results


def _runs(name: str, size: int, runs: int) -> list[float]:
    operands, compute, expected = _OPERATIONS[name]

    def is_right(inputs: list[np.ndarray], output: np.ndarray) -> bool:
        rows = [secrets.randbelow(size) for _ in range(_CHECKED)]
        columns = [from_limbs(vector_in[rows]) for vector_in in inputs]
        return from_limbs(output[rows]) == [expected(*values) % R for values in zip(*columns, strict=True)]

    return timed_runs(
        lambda: [field_elements(size) for _ in range(operands)], lambda inputs: compute(*inputs), is_right, runs
    )
