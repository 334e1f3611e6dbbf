"""Number-theoretic transforms: one forward, and the extension to the odd coset that a proof needs three times."""

import secrets
from collections.abc import Callable

import numpy as np

from bench.inputs import field_elements
from bench.result import PORTABLE, Result
from bench.timing import timed_runs
from protocol.field import R
from prover.backend import extend_to_odd_coset
from prover.kernels.cpu.vector import fr_from_mont
from prover.limbs import from_limbs
from prover.ntt.cpu import ntt
from prover.ntt.domain import root_of_unity
from prover.progress import Reporter

Transform = Callable[[np.ndarray], np.ndarray]
Check = Callable[[np.ndarray, np.ndarray], bool]


def measure(sizes: list[int], runs: int, progress: Reporter) -> list[Result]:
    """Both transforms at each size, a power of two."""
    transforms: dict[str, tuple[Transform, Check, dict[str, str]]] = {
        "ntt_forward": (ntt, _is_forward, PORTABLE),
        "ntt_odd_coset": (extend_to_odd_coset, _is_extension, {}),
    }
    cases = [(name, size) for name in transforms for size in sizes]
    results = []
    for done, (name, size) in enumerate(cases):
        progress(f"{name}, {size:,} elements", done, len(cases))
        transform, is_right, case = transforms[name]
        results.append(Result(name, size, "elements", _runs(transform, is_right, size, runs), case))
    return results


def _runs(transform: Transform, is_right: Check, size: int, runs: int) -> list[float]:
    return timed_runs(lambda: field_elements(size), transform, is_right, runs)


def _is_forward(coefficients: np.ndarray, values: np.ndarray) -> bool:
    """The way back leads to the start, and one value is the polynomial's."""
    size = len(coefficients)
    row = secrets.randbelow(size)
    return np.array_equal(ntt(values, inverse=True), coefficients) and _agrees(
        coefficients, pow(root_of_unity(size), row, R), values[row]
    )


def _is_extension(values: np.ndarray, extended: np.ndarray) -> bool:
    """One value on the coset is that of the polynomial through `values`."""
    row = secrets.randbelow(len(values))
    return _agrees(ntt(values, inverse=True), pow(root_of_unity(2 * len(values)), 2 * row + 1, R), extended[row])


def _agrees(coefficients_mont: np.ndarray, point: int, value_mont: np.ndarray) -> bool:
    """Does the polynomial have this value at `point`? By Horner's rule, in Python's integers."""
    total = 0
    for coefficient in reversed(from_limbs(fr_from_mont(coefficients_mont))):
        total = (total * point + coefficient) % R
    return [total] == from_limbs(fr_from_mont(value_mont[None]))
