"""How a ceremony writes points and hashes into its transcripts.

The encodings are those of snarkjs 0.7 (`toRprUncompressed`, `toRprCompressed`): big-endian plain coordinates, for G2
the c1 part of a coordinate before c0, infinity all zeros; a compressed point is its x with two flags in the top bits.
All transcript hashes are BLAKE2b-512.
"""

import hashlib

import numpy as np

from protocol.field import Q
from prover.kernels.cpu import blake2b
from prover.kernels.cpu.vector import fq_from_mont
from prover.limbs import to_limbs

_GREATER_Y = 0x80
_INFINITY = 0x40
_LARGEST_SMALLER_Y = to_limbs([(Q - 1) // 2])[0]


def uncompressed(points: np.ndarray) -> bytes:
    """Points of G1 (n, 8) or G2 (n, 16), uint64 Montgomery limbs, as 64 or 128 bytes each."""
    count, limbs = points.shape
    return _big_endian_coordinates(points).reshape(count, limbs * 8).tobytes()


def compressed(points: np.ndarray) -> bytes:
    """Points of G1 (n, 8) or G2 (n, 16), uint64 Montgomery limbs, as 32 or 64 bytes each."""
    count, limbs = points.shape
    plain = fq_from_mont(np.ascontiguousarray(points).reshape(-1, 4)).reshape(count, limbs)
    encoded = np.ascontiguousarray(plain[:, : limbs // 2]).view(np.uint8)[:, ::-1].copy()
    y = plain[:, limbs // 2 :]
    # The sign of a G2 coordinate is that of c1, or of c0 when c1 is zero.
    deciding = y[:, -4:]
    if limbs == 16:
        deciding = np.where(y[:, 4:].any(axis=1, keepdims=True), y[:, 4:], y[:, :4])
    encoded[:, 0] |= np.where(_exceeds(deciding, _LARGEST_SMALLER_Y), _GREATER_Y, 0).astype(np.uint8)
    encoded[:, 0] |= np.where(plain.any(axis=1), 0, _INFINITY).astype(np.uint8)
    return encoded.tobytes()


def digest(*parts: bytes) -> bytes:
    """BLAKE2b-512 of the concatenated parts."""
    hasher = hashlib.blake2b(digest_size=64)
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def partial_digest(message: bytes) -> bytes:
    """The 216-byte state of BLAKE2b-512 after a non-empty `message`, as a powers-of-tau contribution records it.

    Unprocessed block (128 bytes) | chaining value (64) | bytes processed (8) | bytes waiting in the block (8) | zeros
    (8), all little-endian. A full last block waits too, since BLAKE2b marks the final one.
    """
    waiting = len(message) % blake2b.BLOCK_BYTES or blake2b.BLOCK_BYTES
    processed = len(message) - waiting
    state = blake2b.IV.copy()
    state[0] ^= np.uint64(0x01010000 ^ 64)
    blocks = np.frombuffer(message, dtype="<u8", count=processed // 8).reshape(-1, 16)
    blake2b.compress(state, blocks, 0)
    block = message[processed:].ljust(blake2b.BLOCK_BYTES, b"\0")
    lengths = processed.to_bytes(8, "little") + waiting.to_bytes(8, "little") + bytes(8)
    return block + state.astype("<u8").tobytes() + lengths


def _big_endian_coordinates(points: np.ndarray) -> np.ndarray:
    """Plain coordinates as bytes (n, 2, bytes of a coordinate), each coordinate reversed as a whole."""
    count, limbs = points.shape
    plain = fq_from_mont(np.ascontiguousarray(points).reshape(-1, 4))
    return plain.reshape(count, 2, limbs // 2).view(np.uint8).reshape(count, 2, limbs * 4)[:, :, ::-1]


def _exceeds(values: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """values > bound, row by row, for limbs (n, 4)."""
    result: np.ndarray = np.zeros(len(values), dtype=bool)
    undecided: np.ndarray = np.ones(len(values), dtype=bool)
    for limb in range(3, -1, -1):
        result |= undecided & (values[:, limb] > bound[limb])
        undecided &= values[:, limb] == bound[limb]
    return result
