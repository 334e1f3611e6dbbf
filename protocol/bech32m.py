"""Bech32m (BIP-350) for texts of up to 116 characters.

BIP-350 stops at 90 characters, where its checksum is guaranteed to find any four wrong ones. Gelap's addresses need
116: the checksum still misses a random error with probability 2^-30 only, and the guarantee that holds at this length
is weaker.
"""

from collections.abc import Iterable

from protocol.errors import EncodingError

MAX_LENGTH = 116

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_CONSTANT = 0x2BC830A3
_CHECKSUM_LENGTH = 6


def encode(prefix: str, data: bytes) -> str:
    """Encode bytes under a lower-case ASCII prefix; raises EncodingError beyond 116 characters."""
    groups = _to_groups(data)
    remainder = _polymod([*_expand(prefix), *groups, *[0] * _CHECKSUM_LENGTH]) ^ _CHECKSUM_CONSTANT
    checksum = [remainder >> 5 * (_CHECKSUM_LENGTH - 1 - i) & 31 for i in range(_CHECKSUM_LENGTH)]
    text = prefix + "1" + "".join(_ALPHABET[group] for group in [*groups, *checksum])
    if len(text) > MAX_LENGTH:
        raise EncodingError(f"bech32m text is at most {MAX_LENGTH} characters")
    return text


def decode(text: str) -> tuple[str, bytes]:
    """Return the lower-case prefix and the bytes.

    Raises EncodingError for mixed case, a foreign character, no prefix, a wrong length or checksum, or padding bits
    that are not zero: every text but one (and its upper-case form) fails to decode to given bytes.
    """
    if len(text) > MAX_LENGTH:
        raise EncodingError(f"it is longer than {MAX_LENGTH} characters")
    if not text.isascii():
        # Letters that only turn into ASCII when their case changes must not slip through.
        raise EncodingError("it contains a character that is never used")
    if text not in (text.lower(), text.upper()):
        raise EncodingError("it mixes upper and lower case")
    prefix, separator, payload = text.lower().rpartition("1")
    if not separator or not prefix or not all(33 <= ord(character) <= 126 for character in prefix):
        raise EncodingError("it has no prefix")
    if len(payload) < _CHECKSUM_LENGTH:
        raise EncodingError("it is too short")
    if not all(character in _VALUE for character in payload):
        raise EncodingError("it contains a character that is never used")
    groups = [_VALUE[character] for character in payload]
    if _polymod([*_expand(prefix), *groups]) != _CHECKSUM_CONSTANT:
        raise EncodingError("its checksum is wrong")
    return prefix, _from_groups(groups[:-_CHECKSUM_LENGTH])


def _polymod(values: Iterable[int]) -> int:
    remainder = 1
    for value in values:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                remainder ^= generator
    return remainder


def _expand(prefix: str) -> list[int]:
    codes = prefix.encode("ascii")
    return [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes)]


def _to_groups(data: bytes) -> list[int]:
    """Split bytes into groups of 5 bits, the last one padded with zeros."""
    count = -(-len(data) * 8 // 5)
    number = int.from_bytes(data, "big") << (count * 5 - len(data) * 8)
    return [number >> 5 * (count - 1 - i) & 31 for i in range(count)]


def _from_groups(groups: list[int]) -> bytes:
    padding = len(groups) * 5 % 8
    number = 0
    for group in groups:
        number = number << 5 | group
    if padding > 4 or number & (1 << padding) - 1:
        raise EncodingError("its padding is wrong")
    return (number >> padding).to_bytes(len(groups) * 5 // 8, "big")
