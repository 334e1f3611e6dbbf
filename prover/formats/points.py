"""Points between Montgomery limbs, plain integers and the byte order of the EVM.

Limbs (as in `.zkey` and `.ptau`): G1 uint64[8] = x | y, G2 uint64[16] = x.c0 | x.c1 | y.c0 | y.c1, Montgomery form with
R = 2^256. EVM order (EIP-197): 32-byte big-endian plain words, G1 = x, y and G2 = x.c1, x.c0, y.c1, y.c0.
Infinity is all zero in each of them. Nothing here asks whether a point lies on its curve.
"""

import numpy as np

from protocol.field import Q
from prover.errors import FormatError
from prover.limbs import from_limbs, to_limbs

G1Point = tuple[int, int]
G2Point = tuple[tuple[int, int], tuple[int, int]]

G1_WORDS = 8
G2_WORDS = 16

_MONTGOMERY = (1 << 256) % Q
_MONTGOMERY_INVERSE = pow(_MONTGOMERY, -1, Q)


def g1_from_mont(limbs: np.ndarray) -> G1Point:
    """uint64[8] Montgomery limbs to plain coordinates."""
    x, y = _from_mont(limbs, G1_WORDS)
    return x, y


def g2_from_mont(limbs: np.ndarray) -> G2Point:
    """uint64[16] Montgomery limbs to plain coordinates ((x.c0, x.c1), (y.c0, y.c1))."""
    x0, x1, y0, y1 = _from_mont(limbs, G2_WORDS)
    return (x0, x1), (y0, y1)


def g1_to_mont(point: G1Point) -> np.ndarray:
    """Plain coordinates to uint64[8] Montgomery limbs."""
    return _to_mont(point)


def g2_to_mont(point: G2Point) -> np.ndarray:
    """Plain coordinates to uint64[16] Montgomery limbs."""
    return _to_mont((*point[0], *point[1]))


def g1_to_evm(point: G1Point) -> bytes:
    return _words(point)


def g2_to_evm(point: G2Point) -> bytes:
    (x0, x1), (y0, y1) = point
    return _words((x1, x0, y1, y0))


def g1_from_evm(data: bytes) -> G1Point:
    """64 bytes to plain coordinates; FormatError when one is not below q."""
    x, y = _coordinates(data, 2)
    return x, y


def g2_from_evm(data: bytes) -> G2Point:
    """128 bytes to plain coordinates; FormatError when one is not below q."""
    x1, x0, y1, y0 = _coordinates(data, 4)
    return (x0, x1), (y0, y1)


def _from_mont(limbs: np.ndarray, words: int) -> list[int]:
    return [value * _MONTGOMERY_INVERSE % Q for value in from_limbs(np.asarray(limbs).reshape(words))]


def _to_mont(coordinates: tuple[int, ...]) -> np.ndarray:
    return to_limbs(value * _MONTGOMERY % Q for value in coordinates).reshape(-1)


def _words(coordinates: tuple[int, ...]) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in coordinates)


def _coordinates(data: bytes, count: int) -> list[int]:
    if len(data) != 32 * count:
        raise FormatError(f"a point of {32 * count} bytes was expected, got {len(data)}")
    values = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
    if any(value >= Q for value in values):
        raise FormatError("a point has a coordinate outside the field; ask for it again from its source")
    return values
