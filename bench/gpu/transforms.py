"""Number-theoretic transforms on a device: one, and the step to the odd coset that a proof takes three times."""

from collections.abc import Callable
from functools import partial

import numpy as np

from bench.gpu.timing import against_ceiling, device_runs
from bench.inputs import field_elements
from bench.result import Result
from prover.backend import extend_to_odd_coset
from prover.kernels.cuda.device import Array, Device
from prover.ntt.cpu import ntt
from prover.ntt.cuda import Transforms
from prover.ntt.domain import bit_reversal
from prover.progress import Reporter

# Polynomials on the device, which the transform overwrites, and their values before.
_Inputs = tuple[Array, np.ndarray]


def measure(device: Device, sizes: list[int], batches: list[int], runs: int, progress: Reporter) -> list[Result]:
    """Both at each size, a power of two, and each number of polynomials. Every value is checked against the CPU's."""
    cases = [(size, batch) for size in sizes for batch in batches]
    results = []
    for done, (size, batch) in enumerate(cases):
        progress(f"transforms of {batch} x {size:,} elements", done, len(cases))
        transforms = Transforms(device, size.bit_length() - 1)
        transforms.prepare()
        plan = transforms.plan(batch)
        for name, transform, is_right, multiplications in (
            ("ntt_forward", transforms.to_bit_reversed, _is_forward, plan.transform_multiplications),
            ("ntt_odd_coset", transforms.extend_to_odd_coset, _is_extension, plan.extension_multiplications),
        ):
            seconds = device_runs(
                device,
                partial(_fresh, device, batch, size),
                partial(_in_place, transform),
                partial(_agree, device, is_right),
                runs,
            )
            result = Result(name, size, "elements", seconds, {"polynomials": str(batch)})
            results.append(against_ceiling(device, result, multiplications))
    return results


def _fresh(device: Device, batch: int, size: int) -> _Inputs:
    values = field_elements(batch * size).view(np.uint32).reshape(batch, size, 8)
    return device.upload(values), values


def _in_place(transform: Callable[[Array], None], inputs: _Inputs) -> Array:
    transform(inputs[0])
    return inputs[0]


def _agree(device: Device, is_right: Callable[[np.ndarray, np.ndarray], bool], inputs: _Inputs, output: Array) -> bool:
    return is_right(inputs[1], device.download(output))


def _rows(polynomials: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(each).view(np.uint64) for each in polynomials]


def _is_forward(before: np.ndarray, after: np.ndarray) -> bool:
    return all(
        np.array_equal(ntt(coefficients), values[bit_reversal(len(values))])
        for coefficients, values in zip(_rows(before), _rows(after), strict=True)
    )


def _is_extension(before: np.ndarray, after: np.ndarray) -> bool:
    return all(
        np.array_equal(extend_to_odd_coset(values), extended)
        for values, extended in zip(_rows(before), _rows(after), strict=True)
    )
