"""Arrays of affine points: the form in which points enter and leave the kernels.

G1: uint64 (n, 8) = x | y; G2: uint64 (n, 16) = x.c0 | x.c1 | y.c0 | y.c1; Montgomery form, infinity all zeros. As
Python integers a G1 point is (x, y), a G2 point ((x.c0, x.c1), (y.c0, y.c1)), plain, infinity all zeros too.
"""

from collections.abc import Iterable

import numpy as np

from protocol.field import Q
from prover.kernels.cpu.vector import fq_from_mont, fq_to_mont
from prover.limbs import from_limbs, to_limbs

G1Point = tuple[int, int]
G2Point = tuple[tuple[int, int], tuple[int, int]]

# The generators of EIP-197 (https://eips.ethereum.org/EIPS/eip-197).
G1_GENERATOR: G1Point = (1, 2)
G2_GENERATOR: G2Point = (
    (
        10857046999023057135944570762232829481370756359578518086990519993285655852781,
        11559732032986387107991004021392285783925812861821192530917403151452391805634,
    ),
    (
        8495653923123431417604973247489272438418190587263600148770280649306958101930,
        4082367875863433681332203403145435568316851327593401208105741076214120093531,
    ),
)


def _pack(coordinates: list[int], width: int) -> np.ndarray:
    if any(not 0 <= coordinate < Q for coordinate in coordinates):
        raise ValueError("a point's coordinates must be at least 0 and below q")
    return fq_to_mont(to_limbs(coordinates)).reshape(-1, width)


def pack_g1(points: Iterable[G1Point]) -> np.ndarray:
    """Integers -> uint64 (n, 8). Raises ValueError for a coordinate outside [0, q); curve membership is not checked."""
    return _pack([coordinate for point in points for coordinate in point], 8)


def pack_g2(points: Iterable[G2Point]) -> np.ndarray:
    """Integers -> uint64 (n, 16). Raises ValueError for a coordinate outside [0, q); membership is not checked."""
    return _pack([part for point in points for coordinate in point for part in coordinate], 16)


def unpack_g1(points: np.ndarray) -> list[G1Point]:
    """uint64 (n, 8), or one point (8,), -> integers."""
    values = from_limbs(fq_from_mont(np.ascontiguousarray(points).reshape(-1, 4)))
    return [(values[i], values[i + 1]) for i in range(0, len(values), 2)]


def unpack_g2(points: np.ndarray) -> list[G2Point]:
    """uint64 (n, 16), or one point (16,), -> integers."""
    values = from_limbs(fq_from_mont(np.ascontiguousarray(points).reshape(-1, 4)))
    return [((values[i], values[i + 1]), (values[i + 2], values[i + 3])) for i in range(0, len(values), 4)]
