"""Random inputs: field elements, scalars of two distributions, and points whose discrete logarithms are known."""

from typing import NamedTuple

import numpy as np

from protocol.field import R
from prover.kernels.cpu.points import G1_GENERATOR, G2_GENERATOR, pack_g1, pack_g2
from prover.limbs import from_limbs, to_limbs
from prover.msm.fixed_base import fixed_base_g1, fixed_base_g2

UNIFORM, WITNESS_LIKE = "uniform", "witness-like"
DISTRIBUTIONS = (UNIFORM, WITNESS_LIKE)
# Shares of a witness-like vector: zeros and ones in equal numbers, then numbers below 2^64; the rest is uniform.
_BITS, _SHORT = 0.6, 0.2


def field_elements(count: int) -> np.ndarray:
    """uint64 (count, 4): uniform below r (but for the topmost 2^-61 of the range), canonical."""
    generator = np.random.default_rng()
    limbs = generator.integers(0, 1 << 64, (count, 4), dtype=np.uint64)
    limbs[:, 3] = generator.integers(0, R >> 192, count, dtype=np.uint64)
    return limbs


def scalars(count: int, distribution: str) -> np.ndarray:
    """uint64 (count, 4), plain: field elements, or `witness-like`: 60 % bits, 20 % below 2^64, 20 % uniform, mixed."""
    values = field_elements(count)
    if distribution == WITNESS_LIKE:
        generator = np.random.default_rng()
        order = generator.permutation(count)
        bits, short = np.split(order, [int(_BITS * count), int((_BITS + _SHORT) * count)])[:2]
        values[short, 1:] = 0
        values[bits] = 0
        values[bits, 0] = generator.integers(0, 2, len(bits), dtype=np.uint64)
    return values


class KnownPoints(NamedTuple):
    """points: uint64 (n, 8) or (n, 16), affine, Montgomery form; logarithms: their multiples of the generator."""

    points: np.ndarray
    logarithms: list[int]

    def sum_of_multiples(self, multiples: np.ndarray) -> np.ndarray:
        """sum of multiples[i] * points[i], as one multiple of the generator; multiples: uint64 (n, 4), plain."""
        logarithm = sum(a * b for a, b in zip(self.logarithms, from_limbs(multiples), strict=True)) % R
        return _multiples_of_generator(to_limbs([logarithm]), self.points.shape[1])[0]


def known_points(count: int, width: int) -> KnownPoints:
    """Random points of G1 (width 8) or G2 (width 16)."""
    logarithms = field_elements(count)
    return KnownPoints(_multiples_of_generator(logarithms, width), from_limbs(logarithms))


def _multiples_of_generator(factors: np.ndarray, width: int) -> np.ndarray:
    if width == 8:
        return fixed_base_g1(pack_g1([G1_GENERATOR])[0], factors)
    return fixed_base_g2(pack_g2([G2_GENERATOR])[0], factors)
