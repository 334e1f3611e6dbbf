"""The compression function of BLAKE2b (RFC 7693): see `prover.kernels.cpu.blake2b`."""

import numpy as np

from prover.kernels.cpu.blake2b import BLOCK_BYTES, IV
from prover.kernels.device import export, kernel, stack_rows

_SIGMA = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ],
    dtype=np.uint8,
)
# The eight quarter mixes of a round: four columns, then four diagonals.
_MIXES = np.array(
    [
        [0, 4, 8, 12],
        [1, 5, 9, 13],
        [2, 6, 10, 14],
        [3, 7, 11, 15],
        [0, 5, 10, 15],
        [1, 6, 11, 12],
        [2, 7, 8, 13],
        [3, 4, 9, 14],
    ],
    dtype=np.uint8,
)


@kernel
def _rotate_right(word, distance):
    return (word >> np.uint64(distance)) | (word << np.uint64(64 - distance))


@export("u64[:], u64[:,:], u64")
def compress(state, blocks, length_before):
    """Absorb whole blocks, none of them the last, into `state` in place.

    state: uint64 (8,); blocks: uint64 (n, 16), the message as little-endian words; length_before: the number of message
    bytes absorbed before. Messages stay below 2^64 bytes.
    """
    v = stack_rows(1, 16)[0]
    length = np.uint64(length_before)
    for index in range(blocks.shape[0]):
        length += np.uint64(BLOCK_BYTES)
        for i in range(8):
            v[i] = state[i]
            v[8 + i] = IV[i]
        v[12] ^= length
        for turn in range(12):
            for mix in range(8):
                a, b, c, d = _MIXES[mix, 0], _MIXES[mix, 1], _MIXES[mix, 2], _MIXES[mix, 3]
                v[a] = v[a] + v[b] + blocks[index, _SIGMA[turn % 10, 2 * mix]]
                v[d] = _rotate_right(v[d] ^ v[a], 32)
                v[c] = v[c] + v[d]
                v[b] = _rotate_right(v[b] ^ v[c], 24)
                v[a] = v[a] + v[b] + blocks[index, _SIGMA[turn % 10, 2 * mix + 1]]
                v[d] = _rotate_right(v[d] ^ v[a], 16)
                v[c] = v[c] + v[d]
                v[b] = _rotate_right(v[b] ^ v[c], 63)
        for i in range(8):
            state[i] ^= v[i] ^ v[8 + i]
