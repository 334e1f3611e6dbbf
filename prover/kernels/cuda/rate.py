"""The multiply ceiling of a device: how many multiplications a second it does when nothing else is in the way.

Every figure of a kernel is read against it. The rates are medians of device times over a grid that fills the GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from protocol.field import Q, R
from prover.kernels.cuda.device import Device

_MODULI = {"fq": Q, "fr": R, "fq2": Q}
# Limbs of an element, and chains a thread, by kernel.
_KERNELS = {
    "fq_multiply_1": ("fq", 8, 1),
    "fq_multiply_2": ("fq", 8, 2),
    "fr_multiply_1": ("fr", 8, 1),
    "fr_multiply_2": ("fr", 8, 2),
    "fq_square_1": ("fq", 8, 1),
    "fq2_multiply_1": ("fq2", 16, 1),
    "fq2_square_1": ("fq2", 16, 1),
}
_WIDE_PER_ROUND = 32
_WIDE_CHAINS = 8


@dataclass(frozen=True)
class Rate:
    """`per_second` operations of `kernel`, with `block` threads a block; the fastest of the launch shapes tried."""

    kernel: str
    block: int
    per_second: float
    milliseconds: float


def multiply_rate(device: Device, rounds: int = 2000, waves: int = 8) -> float:
    """Multiplications a second in F_q: the ceiling. `rounds` a thread, `waves` times 1,024 threads a multiprocessor."""
    return max(rate(device, name, rounds, waves).per_second for name in ("fq_multiply_1", "fq_multiply_2"))


def rate(device: Device, kernel: str, rounds: int = 2000, waves: int = 8, repeats: int = 5) -> Rate:
    """The rate of one of the kernels of rate.cu, by name."""
    field, limbs, chains = _KERNELS[kernel]
    return _fastest(
        device,
        kernel,
        lambda threads: (_elements(threads * chains, limbs, field), _elements(threads, limbs, field)),
        chains,
        rounds,
        waves,
        repeats,
    )


def wide_multiply_add_rate(device: Device, rounds: int = 8000, waves: int = 8, repeats: int = 5) -> Rate:
    """32 x 32 + 64 bit multiply-adds a second: the instruction that multiplications are made of."""
    generator = np.random.default_rng(1)
    return _fastest(
        device,
        "wide_multiply_add",
        lambda threads: (
            generator.integers(1, 1 << 63, threads * _WIDE_CHAINS, np.uint64),
            generator.integers(1, 1 << 32, threads, np.uint32),
        ),
        _WIDE_PER_ROUND,
        rounds,
        waves,
        repeats,
    )


def rate_kernels() -> list[str]:
    """Names that `rate` takes."""
    return list(_KERNELS)


def _fastest(
    device: Device,
    name: str,
    inputs: Callable[[int], tuple[np.ndarray, np.ndarray]],
    per_round: int,
    rounds: int,
    waves: int,
    repeats: int,
) -> Rate:
    kernel = device.kernel("rate", name)
    found = []
    threads = device.multiprocessors * 1024 * waves
    for block in (128, 256):
        values, factors = (device.upload(array) for array in inputs(threads))
        arguments = [values, factors, np.uint32(rounds)]
        device.launch(kernel, threads // block, block, arguments)
        times = []
        for _ in range(repeats):
            with device.timer() as timer:
                device.launch(kernel, threads // block, block, arguments)
            times.append(timer.ms)
        time = median(times)
        found.append(Rate(name, block, threads * rounds * per_round / (1e-3 * time), time))
    return max(found, key=lambda each: each.per_second)


def _elements(count: int, limbs: int, field: str) -> np.ndarray:
    """Random canonical elements, (count, limbs) uint32."""
    generator = np.random.default_rng(count)
    elements = generator.integers(0, 1 << 32, (count * limbs // 8, 8), np.uint32)
    top = (_MODULI[field] >> 224) & 0xFFFFFFFF
    # Below the modulus because the highest limb is.
    elements[:, 7] = generator.integers(0, top, len(elements), np.uint32)
    return elements.reshape(count, limbs)
