"""One hash input of snarkjs 0.7 that is not a point, computed as snarkjs computes it.

Where a circuit fills its powers of tau (a 2^n domain, n >= 15, from a file of power n), the last chunk that snarkjs
hashes for the H points reads one power of tau more than the file holds: 64 bytes that are the next section's header and
the beginning of its first point. WebAssembly then subtracts tau^(n-1) G1 from "coordinates" of up to 2^256, without
reducing them first. Only exact integer arithmetic, carries included, gives the same bytes; `snarkjs zkey verify`
insists on them.
"""

import numpy as np

from protocol.field import Q

_LIMIT = 1 << 256
_MINUS_INVERSE = -pow(Q, -1, _LIMIT) % _LIMIT
_MONTGOMERY_INVERSE = pow(_LIMIT, -1, Q)


def bytes_after_tau_g1(tau_g2: np.ndarray) -> bytes:
    """The 64 bytes that follow the tau_g1 section in a file of snarkjs's layout: section 3's header and first bytes."""
    header = (3).to_bytes(4, "little") + tau_g2.nbytes.to_bytes(8, "little")
    return header + tau_g2[0].astype("<u8").tobytes()[: 64 - len(header)]


def subtract(left: bytes, right: bytes) -> bytes:
    """left - right as snarkjs encodes it for hashing (64 bytes, big-endian, plain).

    left: 64 arbitrary bytes; right: a G1 point. Both little-endian, Montgomery form.
    """
    x1, y1 = _coordinates(left)
    x2, y2 = _coordinates(right)
    y2 = _sub(0, y2)
    # Mixed Jacobian addition of two affine points ("madd-2007-bl" with Z1 = 1) in the order of wasmcurves.
    h = _sub(x2, x1)
    i = _mul(h, h)
    i = _add(i, i)
    i = _add(i, i)
    j = _mul(h, i)
    slope = _sub(y2, y1)
    slope = _add(slope, slope)
    v = _mul(x1, i)
    x3 = _sub(_sub(_mul(slope, slope), j), _add(v, v))
    y1_j = _mul(y1, j)
    y3 = _sub(_mul(_sub(v, x3), slope), _add(y1_j, y1_j))
    z3 = _add(h, h)
    z_inverse = pow(z3 * _MONTGOMERY_INVERSE, -1, Q)
    x = x3 * _MONTGOMERY_INVERSE * z_inverse**2 % Q
    y = y3 * _MONTGOMERY_INVERSE * z_inverse**3 % Q
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


def _coordinates(point: bytes) -> tuple[int, int]:
    return int.from_bytes(point[:32], "little"), int.from_bytes(point[32:], "little")


def _add(a: int, b: int) -> int:
    total = a + b
    return (total - Q) % _LIMIT if total >= Q else total


def _sub(a: int, b: int) -> int:
    difference = a - b
    return (difference + Q) % _LIMIT if difference < 0 else difference


def _mul(a: int, b: int) -> int:
    product = a * b
    reduced = (product + product * _MINUS_INVERSE % _LIMIT * Q) >> 256
    return (reduced - Q) % _LIMIT if reduced >= Q else reduced
