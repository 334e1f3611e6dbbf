"""The full viewing key as text, for wallets that see everything and can spend nothing.

`gelapview1:` and the hexadecimal digits of A.x(32) | A.y(32) | nullifying root(32) | viewing key(32) | checksum(4), the
first bytes of the SHA-256 of all before. It is a secret: whoever has it sees every payment of the account, past and
future.
"""

import hashlib

from protocol.babyjubjub import Point
from protocol.errors import EncodingError, KeyDerivationError
from protocol.field import from_bytes32, to_bytes32
from protocol.keys import FullViewingKey
from wallet.errors import RequestError

PREFIX = "gelapview1:"
_KEY_BYTES = 4 * 32
_CHECKSUM_BYTES = 4


def encode(keys: FullViewingKey) -> str:
    """The key as text of one line."""
    key = b"".join(map(to_bytes32, (keys.public.x, keys.public.y, keys.nullifying_root))) + keys.viewing_key
    return PREFIX + (key + _checksum(key)).hex()


def decode(text: str) -> FullViewingKey:
    """Read an exported viewing key; raises RequestError, which never repeats the text, for one that is none."""
    text = text.strip()
    try:
        content = bytes.fromhex(text.removeprefix(PREFIX))
    except ValueError:
        content = b""
    key, checksum = content[:_KEY_BYTES], content[_KEY_BYTES:]
    if not text.startswith(PREFIX) or len(content) != _KEY_BYTES + _CHECKSUM_BYTES or checksum != _checksum(key):
        raise RequestError(f"this is not a viewing key: it starts with {PREFIX} and must be copied whole")
    try:
        x, y, root = (from_bytes32(key[start : start + 32]) for start in (0, 32, 64))
        return FullViewingKey(Point(x, y), root, key[96:])
    except (EncodingError, KeyDerivationError) as error:
        raise RequestError(f"this is not a viewing key: {error}") from None


def _checksum(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_CHECKSUM_BYTES]
