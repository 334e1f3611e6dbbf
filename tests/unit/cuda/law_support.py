"""Field elements and points as the device holds them, and the units of law tests built both ways for the CPU."""

import random
from collections.abc import Sequence

import numpy as np
from py_ecc import bn128
from py_ecc.fields import bn128_FQ, bn128_FQ2

from protocol.field import Q
from prover.kernels.cuda.shim_device import ShimDevice

MONTGOMERY = 1 << 256

# The twin with 64-bit limbs, and the GPU's chains of 32-bit instructions with an emulated carry flag.
ARITHMETIC = {"portable": (), "chains": ("-DGELAP_CHAINS",)}

G1 = bn128.G1
G2 = bn128.G2


def law_device(arithmetic: str) -> ShimDevice:
    return ShimDevice(compiler_flags=ARITHMETIC[arithmetic])


def limbs(values: Sequence[int]) -> np.ndarray:
    """Integers below 2^256 as (n, 8) uint32."""
    return np.frombuffer(b"".join(value.to_bytes(32, "little") for value in values), np.uint32).reshape(-1, 8)


def integers(array: np.ndarray) -> list[int]:
    """The inverse of `limbs`, for (..., 8) arrays of any shape."""
    return [int.from_bytes(row.tobytes(), "little") for row in np.ascontiguousarray(array).reshape(-1, 8)]


def field_edges(modulus: int) -> list[int]:
    """Where carries, borrows and conditional subtractions change sides."""
    edges = [0, 1, 2, modulus - 1, modulus - 2, modulus - 3, (modulus - 1) // 2, (modulus + 1) // 2]
    edges += [MONTGOMERY % modulus, -MONTGOMERY % modulus, 2**32 - 1, 2**128 - 1, 2**224, 2**253, 2**253 - 1]
    # Every limb full but the highest.
    return [*edges, 2**224 - 1, modulus - 2**32, modulus & ~(2**128 - 1)]


def field_pairs(modulus: int, seed: int, count: int) -> tuple[list[int], list[int]]:
    """All pairs of edges, then random pairs."""
    generator = random.Random(seed)
    edges = field_edges(modulus)
    pairs = [(a, b) for a in edges for b in edges]
    pairs += [(generator.randrange(modulus), generator.randrange(modulus)) for _ in range(count)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def to_montgomery(value: int) -> int:
    return value * MONTGOMERY % Q


def from_montgomery(value: int) -> int:
    return value * pow(MONTGOMERY, -1, Q) % Q


def coordinates(value) -> list[int]:
    """A coordinate of py-ecc as its one or two plain integers."""
    if isinstance(value, bn128_FQ):
        return [int(value.n)]
    return [int(part) for part in value.coeffs]


def affine_limbs(points: Sequence) -> np.ndarray:
    """Points of py-ecc (None: infinity) as the bytes of a .zkey file: (n, 16 or 32) uint32, Montgomery."""
    width = next(len(coordinates(point[0])) for point in points if point is not None)
    rows = []
    for point in points:
        parts = [0] * (2 * width) if point is None else [part for value in point for part in coordinates(value)]
        rows.append(limbs([to_montgomery(part) for part in parts]).reshape(-1))
    return np.array(rows)


def xyzz_limbs(points: Sequence, seed: int) -> np.ndarray:
    """The same points in XYZZ coordinates with random denominators: (n, 32 or 64) uint32, Montgomery."""
    generator = random.Random(seed)
    kind = next(type(point[0]) for point in points if point is not None)
    width = 1 if kind is bn128_FQ else 2
    rows = []
    for point in points:
        if point is None:
            # Whatever X, Y and ZZZ are: infinity is ZZ = 0.
            parts = [generator.randrange(Q) for _ in range(2 * width)] + [0] * (2 * width)
        else:
            scale = _random_element(kind, generator)
            x, y = point
            values = (x * scale**2, y * scale**3, scale**2, scale**3)
            parts = [part for value in values for part in coordinates(value)]
        rows.append(limbs([to_montgomery(part) for part in parts]).reshape(-1))
    return np.array(rows)


def points_of_xyzz(array: np.ndarray) -> list:
    """Device XYZZ points as points of py-ecc; fails where ZZ^3 is not ZZZ^2."""
    width = array.shape[-1] // 32
    points = []
    for row in array.reshape(-1, 4, width, 8):
        x, y, zz, zzz = (_element([from_montgomery(part) for part in integers(value)]) for value in row)
        if zz == zz.zero():
            points.append(None)
            continue
        assert zz**3 == zzz**2
        points.append((x / zz, y / zzz))
    return points


def points_of_affine(array: np.ndarray) -> list:
    """Device affine points as points of py-ecc."""
    width = array.shape[-1] // 16
    points = []
    for row in array.reshape(-1, 2, width, 8):
        x, y = (_element([from_montgomery(part) for part in integers(value)]) for value in row)
        points.append(None if x == x.zero() and y == y.zero() else (x, y))
    return points


def _element(parts: list[int]):
    return bn128_FQ(parts[0]) if len(parts) == 1 else bn128_FQ2(parts)


def _random_element(kind, generator: random.Random):
    parts = [generator.randrange(1, Q) for _ in range(1 if kind is bn128_FQ else 2)]
    return _element(parts)
