"""HKDF as the protocol uses it everywhere: HKDF-SHA512 (RFC 5869) with the salt `gelap/v1`."""

import hmac

from protocol.errors import EncodingError

_SALT = b"gelap/v1"
_MAX_BYTES = 64


def derive(key: bytes, info: bytes, length: int = _MAX_BYTES) -> bytes:
    """Return `length` bytes of HKDF(key; info).

    At most 64 bytes, the first block of HKDF's expansion, and nothing of the protocol needs more. Raises EncodingError
    outside [1, 64].
    """
    if not 1 <= length <= _MAX_BYTES:
        raise EncodingError(f"one derivation gives 1 to {_MAX_BYTES} bytes, not {length}")
    pseudorandom_key = hmac.digest(_SALT, key, "sha512")
    return hmac.digest(pseudorandom_key, info + b"\x01", "sha512")[:length]


def derive_below(key: bytes, info: bytes, modulus: int) -> int:
    """Return 64 bytes of HKDF(key; info), read big-endian, modulo `modulus`: as good as uniform for 254-bit moduli."""
    return int.from_bytes(derive(key, info), "big") % modulus


def u32(value: int) -> bytes:
    """Encode a number as 4 bytes, big-endian; raises EncodingError outside [0, 2^32)."""
    if not 0 <= value < 1 << 32:
        raise EncodingError("an index must be at least 0 and below 2^32")
    return value.to_bytes(4, "big")
