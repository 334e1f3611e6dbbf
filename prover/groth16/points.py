"""Points of G1 and G2 between the two forms this package meets.

Files of keys and kernels hold Montgomery limbs (uint64 rows of 8 for G1, 16 for G2); proofs and verification keys hold
plain integers. Infinity is all zeros in both.
"""

from collections.abc import Sequence

import numpy as np

from protocol.field import Q
from prover.limbs import from_limbs, to_limbs

G1Point = tuple[int, int]
G2Point = tuple[tuple[int, int], tuple[int, int]]

_MONTGOMERY_INVERSE = pow(1 << 256, -1, Q)

# The generators of EIP-196 and EIP-197.
GENERATOR_G1: G1Point = (1, 2)
GENERATOR_G2: G2Point = (
    (
        10857046999023057135944570762232829481370756359578518086990519993285655852781,
        11559732032986387107991004021392285783925812861821192530917403151452391805634,
    ),
    (
        8495653923123431417604973247489272438418190587263600148770280649306958101930,
        4082367875863433681332203403145435568316851327593401208105741076214120093531,
    ),
)


def g1_array(points: Sequence[G1Point]) -> np.ndarray:
    """Plain coordinates -> uint64 (n, 8), Montgomery form."""
    return _to_mont([coordinate for point in points for coordinate in point]).reshape(-1, 8)


def g2_array(points: Sequence[G2Point]) -> np.ndarray:
    """Plain coordinates -> uint64 (n, 16), Montgomery form."""
    return _to_mont([part for point in points for coordinate in point for part in coordinate]).reshape(-1, 16)


def g1_point(point: np.ndarray) -> G1Point:
    """uint64 (8,), Montgomery form -> plain coordinates."""
    x, y = _from_mont(point)
    return x, y


def g2_point(point: np.ndarray) -> G2Point:
    """uint64 (16,), Montgomery form -> plain coordinates."""
    x0, x1, y0, y1 = _from_mont(point)
    return (x0, x1), (y0, y1)


def _to_mont(values: Sequence[int]) -> np.ndarray:
    return to_limbs([(value << 256) % Q for value in values])


def _from_mont(limbs: np.ndarray) -> list[int]:
    return [value * _MONTGOMERY_INVERSE % Q for value in from_limbs(limbs.reshape(-1, 4))]
