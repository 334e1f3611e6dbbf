"""Memos: the opening of a note, encrypted to its recipient, 224 bytes on chain.

`view tag(1) | ephemeral X25519 public key(32) | ciphertext(175) | Poly1305 tag(16)`

The plaintext is `version 2(1) | token(20) | amount(16) | blinding(32) | seed(16) | text(90)`. With `g` the base point
of the recipient's owner (`protocol.address`), the sender makes `ephemeral = X25519(e, g)` and the shared secret
`X25519(e, recipient's public key)`, which the recipient computes as `X25519(v, ephemeral)`: one exchange, whichever of
its addresses was paid. 33 bytes of `HKDF(shared secret; "gelap/v2/memo" | ephemeral)` are the ChaCha20-Poly1305 key and
the view tag, which lets a scan drop 255 of 256 foreign memos without decrypting. The nonce is zero, since no key is
used twice; the associated data is the commitment.

The sender does not choose `e` freely: it is 32 bytes of `HKDF(seed | blinding; "gelap/v2/ephemeral")`, and a recipient
ignores a memo whose ephemeral key is not `X25519(e, g)` for the note's owner. Else whoever holds two addresses could
encrypt to one, commit to the owner of the other, and see by the reaction whether both are of one account: the attack
that ZIP 212 ends in Zcash. The seed is fresh and nowhere but here, so that a prover, who is shown blinding and owner,
cannot find `e` and read the text.

Specifications: RFC 7748 (X25519), RFC 8439 (ChaCha20-Poly1305), RFC 5869 (HKDF), RFC 9380 (base points).
"""

import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from protocol.address import Address, base_point
from protocol.derivation import derive
from protocol.errors import AddressError, MemoError
from protocol.field import R, to_bytes32
from protocol.note import MEMO_BYTES, Note

__all__ = ["MEMO_BYTES", "TEXT_BYTES", "MemoOpener", "Opened", "SentRecord", "decrypt", "encrypt"]

TEXT_BYTES = 90

_VERSION = 2
_NONCE = bytes(12)
_SEED_BYTES = 16
_PLAINTEXT_BYTES = 1 + 20 + 16 + 32 + _SEED_BYTES + TEXT_BYTES
_EPHEMERAL_END = 1 + 32


@dataclass(frozen=True)
class Opened:
    """What a memo says; nothing of it is true before `note` has found the commitment in it.

    `token`, `amount` and `blinding` are plain integers, `seed` (16 bytes) and `blinding` make the private half of
    `ephemeral_public` (32 bytes), the key that the memo came with. `text` is the 90 bytes as sent, padding included.
    """

    token: int
    amount: int
    blinding: int = field(repr=False)
    seed: bytes = field(repr=False)
    ephemeral_public: bytes = field(repr=False)
    text: bytes = field(repr=False)

    def note(self, owners: Iterable[int], commitment: int) -> Note | None:
        """Return the note if both the ephemeral key and the commitment are those for one of these owners.

        Else None: ignore the memo then. The key is compared first, since an exchange costs a twentieth of a commitment.
        """
        ephemeral = _ephemeral_key(self.seed, self.blinding)
        for owner in owners:
            if _exchange(ephemeral, base_point(owner)) == self.ephemeral_public:
                note = Note(self.token, self.amount, owner, self.blinding)
                return note if note.commitment == commitment else None
        return None

    def message(self) -> str:
        """Return the text for showing to people: a stranger wrote it, so control characters are taken out."""
        decoded = self.text.rstrip(b"\0").decode("utf-8", errors="replace")
        return "".join(character for character in decoded if unicodedata.category(character)[0] != "C")


@dataclass(frozen=True)
class SentRecord:
    """What the text of a spend's note to oneself says about the payment beside it: to whom, and how much.

    Trust it only in a note whose owner is one of the account's own owners for notes to itself: anybody can write
    anything into the text of a payment.
    """

    recipient: Address
    amount: int

    def to_text(self) -> bytes:
        """Encode as recipient owner(32) | recipient X25519(32) | amount(16); raises MemoError from 2^128 on."""
        if not 0 <= self.amount < 1 << 128:
            raise MemoError("the amount sent must be at least 0 and below 2^128")
        return to_bytes32(self.recipient.owner) + self.recipient.viewing_public + self.amount.to_bytes(16, "big")

    @classmethod
    def from_text(cls, text: bytes) -> "SentRecord | None":
        """Read a memo's text; None if it holds no record."""
        record, padding = text[:80], text[80:]
        if len(record) != 80 or not any(record) or any(padding):
            return None
        try:
            recipient = Address(int.from_bytes(record[:32], "big"), record[32:64])
        except AddressError:
            return None
        return cls(recipient, int.from_bytes(record[64:], "big"))


def encrypt(note: Note, recipient: Address, text: bytes = b"") -> bytes:
    """Return the 224-byte memo that lets `recipient` spend `note`, with a fresh ephemeral key.

    `text` is at most 90 bytes, UTF-8 for people or a `SentRecord`. Raises MemoError for longer text, a note that
    belongs to another owner, or a recipient whose viewing key makes the shared secret zero.
    """
    if len(text) > TEXT_BYTES:
        raise MemoError(f"the text of a memo is at most {TEXT_BYTES} bytes, got {len(text)}")
    if note.owner != recipient.owner:
        raise MemoError("the note belongs to another owner than the memo's recipient")
    seed = secrets.token_bytes(_SEED_BYTES)
    ephemeral = _ephemeral_key(seed, note.blinding)
    ephemeral_public = _exchange(ephemeral, base_point(recipient.owner))
    shared = _exchange(ephemeral, recipient.viewing_public)
    if ephemeral_public is None or shared is None:
        raise MemoError("the recipient's viewing key is unusable; ask for another address")
    key, tag = _memo_key(shared, ephemeral_public)
    plaintext = (
        bytes([_VERSION])
        + note.token.to_bytes(20, "big")
        + note.amount.to_bytes(16, "big")
        + to_bytes32(note.blinding)
        + seed
        + text.ljust(TEXT_BYTES, b"\0")
    )
    return tag + ephemeral_public + ChaCha20Poly1305(key).encrypt(_NONCE, plaintext, to_bytes32(note.commitment))


class MemoOpener:
    """Tries one recipient's viewing key (X25519, 32 bytes) on many memos; MemoError for a key of another length."""

    def __init__(self, viewing_key: bytes) -> None:
        if len(viewing_key) != 32:
            raise MemoError(f"a viewing key is 32 bytes, got {len(viewing_key)}")
        self._private = X25519PrivateKey.from_private_bytes(viewing_key)

    def open(self, memo: bytes, commitment: int) -> Opened | None:
        """Open a memo with the commitment it came with.

        Returns None for a memo that is for somebody else, damaged, or garbage; no memo makes it raise.
        """
        if len(memo) != MEMO_BYTES or not 0 <= commitment < R:
            return None
        ephemeral_public = memo[1:_EPHEMERAL_END]
        shared = _exchange(self._private, ephemeral_public)
        if shared is None:
            return None
        key, tag = _memo_key(shared, ephemeral_public)
        if memo[:1] != tag:
            return None
        try:
            plaintext = ChaCha20Poly1305(key).decrypt(_NONCE, memo[_EPHEMERAL_END:], to_bytes32(commitment))
        except InvalidTag:
            return None
        return _parse(plaintext, ephemeral_public)


def decrypt(memo: bytes, viewing_key: bytes, commitment: int) -> Opened | None:
    """Open one memo; see `MemoOpener`."""
    return MemoOpener(viewing_key).open(memo, commitment)


def _ephemeral_key(seed: bytes, blinding: int) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(derive(seed + to_bytes32(blinding), b"gelap/v2/ephemeral", 32))


def _exchange(private: X25519PrivateKey, public: bytes) -> bytes | None:
    """Return `X25519(private, public)`, or None where it would be all zero (RFC 7748, section 6.1)."""
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return None


def _memo_key(shared: bytes, ephemeral_public: bytes) -> tuple[bytes, bytes]:
    derived = derive(shared, b"gelap/v2/memo" + ephemeral_public, 33)
    return derived[:32], derived[32:]


def _parse(plaintext: bytes, ephemeral_public: bytes) -> Opened | None:
    if len(plaintext) != _PLAINTEXT_BYTES or plaintext[0] != _VERSION:
        return None
    blinding = int.from_bytes(plaintext[37:69], "big")
    if blinding >= R:
        return None
    return Opened(
        token=int.from_bytes(plaintext[1:21], "big"),
        amount=int.from_bytes(plaintext[21:37], "big"),
        blinding=blinding,
        seed=plaintext[69:85],
        ephemeral_public=ephemeral_public,
        text=plaintext[85:],
    )
