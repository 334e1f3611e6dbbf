"""EdDSA over BabyJubJub with Poseidon: the signature that authorises a spend.

`h = H5(R8.x, R8.y, A.x, A.y, M)` and a signature `(R8, S)` is valid if `S*B8 = R8 + 8h*A`. Verifiers, the circuit
included, are those of circomlib's EdDSA-Poseidon; the signer derives its nonce with HKDF from the key, the message
and fresh randomness, so neither a repeated random value nor a broken generator reveals the key.

Scalars and messages are plain integers. Not constant-time: sign on a machine of your own.
"""

import secrets
from typing import NamedTuple

from protocol.babyjubjub import BASE8, COFACTOR, IDENTITY, SUBGROUP_ORDER, Point, add, is_on_curve, multiply
from protocol.derivation import derive_below
from protocol.errors import EncodingError, KeyDerivationError
from protocol.field import R, to_bytes32
from protocol.poseidon import poseidon

ENTROPY_BYTES = 32


class Signature(NamedTuple):
    """`r8` is the nonce point, `s` a scalar in [0, l)."""

    r8: Point
    s: int


def public_key(secret: int) -> Point:
    """Return `A = secret * B8`; raises KeyDerivationError unless 1 <= secret < l."""
    if not 1 <= secret < SUBGROUP_ORDER:
        raise KeyDerivationError("a spending key must be at least 1 and below the order of the curve's subgroup")
    return multiply(BASE8, secret)


def sign(secret: int, message: int, entropy: bytes | None = None) -> Signature:
    """Sign a field element. `entropy` is 32 bytes, fresh from the operating system if left out.

    Raises KeyDerivationError for a secret outside [1, l), EncodingError for a message outside [0, r) or entropy of
    another length.
    """
    public = public_key(secret)
    if entropy is None:
        entropy = secrets.token_bytes(ENTROPY_BYTES)
    if len(entropy) != ENTROPY_BYTES:
        raise EncodingError(f"signing takes {ENTROPY_BYTES} bytes of entropy, got {len(entropy)}")
    nonce = derive_below(to_bytes32(secret), to_bytes32(message) + entropy, SUBGROUP_ORDER)
    if nonce == 0:
        raise EncodingError("this entropy gives no usable nonce; sign again with other entropy")
    r8 = multiply(BASE8, nonce)
    challenge = poseidon([*r8, *public, message])
    return Signature(r8, (nonce + COFACTOR * challenge * secret) % SUBGROUP_ORDER)


def verify(public: Point, message: int, signature: Signature) -> bool:
    """Say whether the signature is valid, by the very conditions of the circuit `spend`.

    A and R8 must be on the curve, 8A not the identity, S < l; anything malformed is simply not valid.
    """
    r8, s = signature
    if not (0 <= s < SUBGROUP_ORDER and 0 <= message < R and is_on_curve(public) and is_on_curve(r8)):
        return False
    if multiply(public, COFACTOR) == IDENTITY:
        return False
    challenge = poseidon([*r8, *public, message])
    return multiply(BASE8, s) == add(r8, multiply(public, COFACTOR * challenge))
