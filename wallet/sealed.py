"""Seals the private rows of a wallet file, so that the file alone tells neither amounts nor which notes are whose.

A row is JSON, padded to a multiple of 1,024 bytes and encrypted with ChaCha20-Poly1305 (RFC 8439) under a random nonce;
the table's name and the row's tag are its associated data, so rows cannot be swapped. A row is looked up by its tag,
an HMAC-SHA256 of what it is looked up by: the file holds no position, nullifier or transaction hash of the account's.
What the file still tells: how many rows there are, how many addresses were issued, and how far the chain was read.
"""

import hmac
import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from protocol.derivation import derive
from protocol.field import to_bytes32
from protocol.keys import FullViewingKey
from wallet.errors import WalletFileError

KEY_BYTES = 64
_NONCE_BYTES = 12
_ROW_BYTES = 1024


def file_key(keys: FullViewingKey) -> bytes:
    """The 64 bytes that open an account's wallet files: whoever has the viewing key sees as much on the chain."""
    return derive(keys.viewing_key + to_bytes32(keys.nullifying_root), b"gelap/v1/wallet-file", KEY_BYTES)


class RowSealer:
    """Encrypts rows and makes their tags, both from one key of 64 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a wallet file's key is {KEY_BYTES} bytes, got {len(key)}")
        self._cipher = ChaCha20Poly1305(key[:32])
        self._tag_key = key[32:]

    def tag(self, kind: str, *values: int | str) -> bytes:
        """32 bytes that stand for these values; equal values of one kind have equal tags."""
        text = json.dumps([kind, *(hex(value) if isinstance(value, int) else value for value in values)])
        return hmac.digest(self._tag_key, text.encode(), "sha256")

    def seal(self, table: str, tag: bytes, row: dict[str, Any]) -> bytes:
        plain = json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()
        padded = plain.ljust(-(-len(plain) // _ROW_BYTES) * _ROW_BYTES)  # JSON may end in spaces
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, padded, table.encode() + tag)

    def open(self, table: str, tag: bytes, sealed: bytes) -> dict[str, Any]:
        """The row as it was sealed; raises WalletFileError when it is not this key's or was changed."""
        try:
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], table.encode() + tag)
        except (InvalidTag, ValueError) as error:
            raise WalletFileError(
                "a row of the wallet file cannot be opened: the file was damaged or changed; delete it and synchronise "
                "again, the mnemonic and the chain restore it"
            ) from error
        row: dict[str, Any] = json.loads(plain)
        return row
