"""Gelap addresses: where to send a note. Valid on every chain.

Text: bech32m with the prefix `gelap` over 0x02 | owner(32) | X25519 public key(32), 116 characters.

The public key of each address has a base point of its own, `g(owner)`, hashed from the owner: `X25519(v, g(owner))`. So
all addresses of an account have one private key `v`, and nobody without it can tell that they belong together
(decisional Diffie-Hellman). The idea is that of Zcash Sapling's diversified addresses (Zcash protocol specification,
section 5.4.1.6), with the owner as diversifier.
"""

from dataclasses import dataclass
from functools import lru_cache

from protocol import bech32m
from protocol.curve25519 import encode_to_curve
from protocol.errors import AddressError, EncodingError
from protocol.field import R, from_bytes32, to_bytes32

PREFIX = "gelap"
VERSION = 2
VIEWING_PUBLIC_BYTES = 32

_BASE_POINT_DOMAIN = b"gelap/v2/address-with-curve25519_XMD:SHA-512_ELL2_NU_"
# Addresses of version 1 held one X25519 key for a whole account, which linked them.
_VERSION_WITHOUT_BASE_POINTS = 1


@lru_cache(maxsize=65_536)
def base_point(owner: int) -> bytes:
    """Return `g(owner)`, the base point of all X25519 keys that have to do with this owner: 32 bytes, little-endian.

    Kept for owners seen before: a wallet compares each memo that it opens with all addresses it has issued.
    """
    return encode_to_curve(to_bytes32(owner), _BASE_POINT_DOMAIN).to_bytes(32, "little")


@dataclass(frozen=True)
class Address:
    """`owner` is a plain integer in [0, r), `viewing_public` an X25519 public key to `base_point(owner)`, 32 bytes
    (RFC 7748).

    Raises AddressError for an owner out of range or a key of another length.
    """

    owner: int
    viewing_public: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.owner < R:
            raise AddressError("an address's owner must be at least 0 and below the field's modulus")
        if len(self.viewing_public) != VIEWING_PUBLIC_BYTES:
            raise AddressError(f"an address's viewing key is {VIEWING_PUBLIC_BYTES} bytes")

    def encode(self) -> str:
        """Return the address as lower-case text."""
        return bech32m.encode(PREFIX, bytes([VERSION]) + to_bytes32(self.owner) + self.viewing_public)

    @classmethod
    def decode(cls, text: str) -> "Address":
        """Read an address; raises AddressError, saying what is wrong, for any text that is not one."""
        try:
            prefix, payload = bech32m.decode(text)
        except EncodingError as error:
            raise AddressError(f"this is not a Gelap address: {error}") from error
        if prefix != PREFIX:
            raise AddressError(f"this is not a Gelap address: it must start with {PREFIX}1")
        if payload[:1] == bytes([_VERSION_WITHOUT_BASE_POINTS]):
            raise AddressError("this address was made by an older program; ask for a new one")
        if payload[:1] != bytes([VERSION]):
            raise AddressError("this address is of a version that this program does not know; update the program")
        if len(payload) != 1 + 32 + VIEWING_PUBLIC_BYTES:
            raise AddressError("this is not a Gelap address: it has a wrong length")
        try:
            owner = from_bytes32(payload[1:33])
        except EncodingError as error:
            raise AddressError("this is not a Gelap address: its owner is not a field element") from error
        return cls(owner, payload[33:])

    def __str__(self) -> str:
        return self.encode()
