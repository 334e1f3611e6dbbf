"""Phase 2 of the setup: contributions that make delta of one circuit's key, in snarkjs 0.7's records
(`zkey_contribute.js`).

The initial key has delta = gamma = 1, with which anyone can forge proofs. Each contribution multiplies delta by a
secret and divides the C and H points by it; one honest contributor is enough. See Bowe, Gabizon, Miers, eprint
2017/1050.
"""

import hashlib
import secrets
from dataclasses import replace

import numpy as np

from protocol.field import R
from prover.formats.contribution import Contributor
from prover.formats.zkey import Contribution, MpcParameters, ZKey
from prover.groth16.hash_to_g2 import hash_to_g2, multiply_point
from prover.groth16.transcript import uncompressed
from prover.kernels.cpu.points import G1_GENERATOR, pack_g1, pack_g2
from prover.limbs import to_limbs
from prover.msm.fixed_base import fixed_base_g1, scale_points_g1, scale_points_g2


def contribute(zkey: ZKey, name: str) -> ZKey:
    """The key after one contribution with a secret from the operating system's random source, dropped on return.

    name: who contributes, at most 64 characters.
    """
    secret = 1 + secrets.randbelow(R - 1)
    start = 1 + secrets.randbelow(R - 1)
    g1_s, g1_sx = fixed_base_g1(pack_g1([G1_GENERATOR])[0], to_limbs([start, start * secret % R]))
    transcript = _transcript(zkey.mpc, g1_s, g1_sx)
    g2_spx = pack_g2([multiply_point(hash_to_g2(transcript), secret)])[0]
    delta_g1 = scale_points_g1(zkey.delta_g1[None], secret)[0]
    contribution = Contribution(
        delta_after=delta_g1,
        g1_s=g1_s,
        g1_sx=g1_sx,
        g2_spx=g2_spx,
        transcript=transcript,
        contributor=Contributor(name=name[:64]),
    )
    inverse = pow(secret, -1, R)
    return replace(
        zkey,
        delta_g1=delta_g1,
        delta_g2=scale_points_g2(zkey.delta_g2[None], secret)[0],
        points_c=scale_points_g1(zkey.points_c, inverse),
        points_h=scale_points_g1(zkey.points_h, inverse),
        mpc=MpcParameters(zkey.mpc.cs_hash, [*zkey.mpc.contributions, contribution]),
    )


def _transcript(mpc: MpcParameters, g1_s: np.ndarray, g1_sx: np.ndarray) -> bytes:
    """BLAKE2b-512 of the circuit hash, the public keys of all contributions so far, and the new pair in G1."""
    hasher = hashlib.blake2b(mpc.cs_hash, digest_size=64)
    for earlier in mpc.contributions:
        hasher.update(uncompressed(np.stack([earlier.delta_after, earlier.g1_s, earlier.g1_sx])))
        hasher.update(uncompressed(earlier.g2_spx[None]))
        hasher.update(earlier.transcript)
    hasher.update(uncompressed(np.stack([g1_s, g1_sx])))
    return hasher.digest()
