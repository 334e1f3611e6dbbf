"""The hash that ties a phase-2 ceremony to one circuit and one powers of tau.

snarkjs 0.7 (`zkey_new.js`) hashes the whole initial key, before any phase-2 contribution: the points of the header,
then each list of points after its length. `snarkjs zkey verify` computes it again, so every byte counts, including what
is hashed for the H points: not the Lagrange points the key holds but the differences tau^(i+n) G1 - tau^i G1.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from protocol.field import R
from prover.formats.ptau import PowersOfTau
from prover.groth16 import overrun
from prover.groth16.transcript import uncompressed
from prover.limbs import to_limbs
from prover.msm.fixed_base import sparse_combination_g1

# snarkjs hashes the H differences in chunks of this many points, and does not shorten the last one.
_H_CHUNK = 1 << 14
_ONE_AND_MINUS_ONE = to_limbs([1, R - 1])


def circuit_hash(
    header: Sequence[np.ndarray],
    ic: np.ndarray,
    ptau: PowersOfTau,
    domain_size: int,
    lists: Sequence[np.ndarray],
) -> bytes:
    """64 bytes. header: alpha1, beta1, beta2, gamma2, delta1, delta2; lists: C, A, B1, B2 of the initial key.

    All points are uint64 arrays of Montgomery limbs.
    """
    hasher = hashlib.blake2b(digest_size=64)
    for point in header:
        hasher.update(uncompressed(point[None]))
    hasher.update(len(ic).to_bytes(4, "big") + uncompressed(ic))
    hasher.update((domain_size - 1).to_bytes(4, "big") + _h_differences(ptau, domain_size))
    for points in lists:
        hasher.update(len(points).to_bytes(4, "big") + uncompressed(points))
    return hasher.digest()


def _h_differences(ptau: PowersOfTau, domain_size: int) -> bytes:
    """tau^(i+n) G1 - tau^i G1 for i < n-1, and one more when chunks are not shortened (n > 2^14)."""
    count = domain_size if domain_size > _H_CHUNK else domain_size - 1
    present = min(count, len(ptau.tau_g1) - domain_size)
    encoded = uncompressed(_subtract(ptau.tau_g1[domain_size : domain_size + present], ptau.tau_g1[:present]))
    if present < count:
        last = ptau.tau_g1[present].astype("<u8").tobytes()
        encoded += overrun.subtract(overrun.bytes_after_tau_g1(ptau.tau_g2), last)
    return encoded


def _subtract(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left - right, point by point: one sparse row [1, -1] for each pair."""
    count = len(left)
    row_ptr = np.arange(0, 2 * count + 1, 2, dtype=np.int64)
    index = np.arange(2 * count, dtype=np.uint32).reshape(2, count).T.reshape(-1).copy()
    return sparse_combination_g1(row_ptr, index, np.tile(_ONE_AND_MINUS_ONE, (count, 1)), np.concatenate([left, right]))
