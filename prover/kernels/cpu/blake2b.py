"""The compression function of BLAKE2b (RFC 7693), for callers that need the hash's inner state.

`hashlib` computes digests but never shows the state between blocks, which powers-of-tau files record.
"""

import numpy as np

from prover.kernels.cpu.arrays import read_only
from prover.kernels.native import entry

BLOCK_BYTES = 128
IV = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)

_compress = entry("prover.kernels.cpu.blake2b_kernels", "compress")


def compress(state: np.ndarray, blocks: np.ndarray, length_before: int) -> None:
    """Absorb whole blocks, none of them the last, into `state` in place.

    state: uint64 (8,); blocks: uint64 (n, 16), the message as little-endian words; length_before: the number of message
    bytes absorbed before. Messages stay below 2^64 bytes.
    """
    if state.shape != (8,) or blocks.shape[1] != 16:
        raise ValueError("BLAKE2b has a state of 8 words and blocks of 16")
    _compress(state, read_only(blocks), length_before)
