"""Hashing to Curve25519: the suite `curve25519_XMD:SHA-512_ELL2_NU_` of RFC 9380, for the base points of addresses.

The curve is `v^2 = u^3 + 486662 u^2 + u` over the field of p = 2^255 - 19. X25519 (RFC 7748) takes and gives
u-coordinates alone, and so does this module; they are plain integers in [0, p).

Section numbers below are RFC 9380's. Not constant-time: what is hashed here stands in addresses and is no secret.
"""

from hashlib import sha512

from protocol.errors import EncodingError

P = 2**255 - 19
A = 486662
# A non-square of the field: section 6.7.1 wants one, and the suite names this.
_NON_SQUARE = 2
# Bytes hashed for one field element: 255 bits, and 128 more that make the remainder modulo p as good as uniform.
_ELEMENT_BYTES = 48
_HASH_BLOCK_BYTES = 128


def encode_to_curve(message: bytes, domain: bytes) -> int:
    """Return the u-coordinate of a point of prime order that follows from the message (section 3).

    Nobody knows its discrete logarithm to any other base. `domain` separates uses of the suite: 1 to 255 bytes
    (section 3.1), else EncodingError. Some points are likelier than others (NU stands for nonuniform).
    """
    return clear_cofactor(map_to_curve(hash_to_field(message, domain)))


def hash_to_field(message: bytes, domain: bytes) -> int:
    """Return one field element in [0, p), by `expand_message_xmd` with SHA-512 (sections 5.2 and 5.3.1)."""
    if not 1 <= len(domain) <= 255:
        raise EncodingError("a domain separation tag has 1 to 255 bytes")
    suffix = domain + bytes([len(domain)])
    first = sha512(bytes(_HASH_BLOCK_BYTES) + message + _ELEMENT_BYTES.to_bytes(2, "big") + b"\x00" + suffix).digest()
    # One block of SHA-512 is longer than the 48 bytes, so the expansion ends here.
    return int.from_bytes(sha512(first + b"\x01" + suffix).digest()[:_ELEMENT_BYTES], "big") % P


def map_to_curve(element: int) -> int:
    """Return the u-coordinate of a point on the curve: Elligator 2 (section 6.7.1).

    Of the two candidates `-A / (1 + 2 t^2)` and its counterpart exactly one has a square on the curve equation's right
    side. The division has no exception: -1/2 is no square of this field.
    """
    candidate = -A * pow(1 + _NON_SQUARE * element * element, -1, P) % P
    right_side = candidate * (candidate * (candidate + A) + 1) % P
    is_square = right_side == 0 or pow(right_side, (P - 1) // 2, P) == 1
    return candidate if is_square else (-candidate - A) % P


def clear_cofactor(u: int) -> int:
    """Return the u-coordinate of 8 times the point, which has prime order or is the identity, written 0 (section 7).

    Three doublings without the other coordinate: P. Montgomery, "Speeding the Pollard and elliptic curve methods of
    factorization" (1987), section 10.3.1.
    """
    x, z = u, 1
    for _ in range(3):
        difference, product = (x * x - z * z) % P, x * z % P
        x, z = difference * difference % P, 4 * product * (x * x + A * product + z * z) % P
    return x * pow(z, -1, P) % P if z else 0
