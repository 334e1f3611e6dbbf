"""Keys at rest: a file that holds an account's mnemonic, or a viewing key, under a passphrase.

    {"format": "gelap-keystore", "version": 1,
     "kdf": {"name": "scrypt", "n": 131072, "r": 8, "p": 1, "salt": hex},
     "cipher": {"name": "chacha20-poly1305", "nonce": hex},
     "ciphertext": hex}

scrypt (RFC 7914) stretches the passphrase (Unicode NFKC, UTF-8) to the 32 bytes of a ChaCha20-Poly1305 key (RFC 8439);
everything but the ciphertext is associated data, so the parameters cannot be changed unnoticed. The plaintext is JSON,
padded, that says which kind of keys it holds: the file does not. With the default parameters a guess takes 128 MiB of
memory.
"""

import json
import os
import secrets
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from protocol.keys import Account, FullViewingKey
from wallet import viewing_key
from wallet.errors import KeystoreError, PassphraseError, ViewOnlyError

FORMAT, VERSION = "gelap-keystore", 1
SHORTEST_PASSPHRASE = 8
_PADDED = 512
# What a file from elsewhere may make this machine compute: 1 GiB at most.
_MOST_N, _MOST_R, _MOST_P = 1 << 20, 8, 4


@dataclass(frozen=True)
class Cost:
    """scrypt's parameters: `n` a power of two; it takes 128 * n * r bytes of memory, p times."""

    n: int = 1 << 17
    r: int = 8
    p: int = 1


@dataclass(frozen=True)
class Secrets:
    """What a keystore holds: a mnemonic with its BIP-39 passphrase and account number, or a viewing key as text."""

    mnemonic: str | None = field(default=None, repr=False)
    bip39_passphrase: str = field(default="", repr=False)
    account: int = 0
    viewing: str | None = field(default=None, repr=False)

    def keys(self) -> FullViewingKey:
        """An Account, or a FullViewingKey when only that is known."""
        if self.mnemonic is not None:
            return Account.from_mnemonic(self.mnemonic, self.account, self.bip39_passphrase)
        return viewing_key.decode(self.viewing or "")

    def words(self) -> str:
        """The mnemonic; raises ViewOnlyError when there is none."""
        if self.mnemonic is None:
            raise ViewOnlyError("this wallet was made from a viewing key: it has no mnemonic")
        return self.mnemonic


def create(path: Path, content: Secrets, passphrase: str, cost: Cost | None = None) -> None:
    """Write a new keystore (mode 600); KeystoreError when there is one, PassphraseError for a short passphrase."""
    write_private(path, _sealed(content, passphrase, cost))


def replace(path: Path, content: Secrets, passphrase: str, cost: Cost | None = None) -> None:
    """Put the keystore at `path` under another passphrase; PassphraseError for a short one.

    The new file is written beside it and opened once before it takes the old one's place, so that after a crash at any
    moment the keystore opens with one of the two passphrases.
    """
    beside = path.with_name(path.name + ".new")
    text = _sealed(content, passphrase, cost)
    try:
        beside.unlink(missing_ok=True)  # of an attempt that was cut short
        write_private(beside, text)
        if read(beside, passphrase) != content:
            raise KeystoreError(f"{beside} does not hold what was written: check the disk")
        os.replace(beside, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise KeystoreError(f"{path} cannot be replaced: {error.strerror}") from None


def _sealed(content: Secrets, passphrase: str, cost: Cost | None) -> str:
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise PassphraseError(
            f"a passphrase has at least {SHORTEST_PASSPHRASE} characters; several random words are good"
        )
    content.keys()  # nothing is stored that could not be opened again
    cost = cost or Cost()
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "kdf": {"name": "scrypt", "n": cost.n, "r": cost.r, "p": cost.p, "salt": secrets.token_hex(32)},
        "cipher": {"name": "chacha20-poly1305", "nonce": secrets.token_hex(12)},
    }
    plain = json.dumps(
        {
            "mnemonic": content.mnemonic,
            "bip39_passphrase": content.bip39_passphrase,
            "account": content.account,
            "viewing": content.viewing,
        }
    ).encode()
    padded = plain.ljust(-(-len(plain) // _PADDED) * _PADDED)
    document["ciphertext"] = _cipher(document, passphrase).encrypt(_nonce(document), padded, _header(document)).hex()
    return json.dumps(document, indent=2) + "\n"


def read(path: Path, passphrase: str) -> Secrets:
    """Open a keystore; raises PassphraseError for a wrong passphrase, KeystoreError for a file that is none."""
    document = _load(path)
    try:
        ciphertext = bytes.fromhex(document["ciphertext"])
        plain = _cipher(document, passphrase).decrypt(_nonce(document), ciphertext, _header(document))
    except InvalidTag:
        raise PassphraseError(f"the passphrase of {path} is wrong, or the file was changed") from None
    except (KeyError, TypeError, ValueError) as error:
        raise KeystoreError(f"{path} is a damaged keystore: restore it from the mnemonic or a backup") from error
    return Secrets(**json.loads(plain))


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner may read, and have it on the disk; KeystoreError when there is one."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError:
        raise KeystoreError(f"{path} exists already and is not overwritten: choose another path") from None
    except OSError as error:
        raise KeystoreError(f"{path} cannot be written: {error.strerror}") from None


def _load(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KeystoreError(f"there is no wallet at {path}: make one with `gelap wallet init` or `import`") from None
    except (OSError, ValueError):
        raise KeystoreError(f"{path} cannot be read as a keystore") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise KeystoreError(f"{path} is no keystore of a Gelap wallet")
    if document.get("version") != VERSION:
        raise KeystoreError(f"the keystore {path} is of another version than {VERSION}: update this program")
    return document


def _cipher(document: dict[str, Any], passphrase: str) -> ChaCha20Poly1305:
    kdf = document["kdf"]
    n, r, p = kdf["n"], kdf["r"], kdf["p"]
    known = kdf["name"] == "scrypt" and document["cipher"]["name"] == "chacha20-poly1305"
    if not known or not 2 <= n <= _MOST_N or n & (n - 1) or not 1 <= r <= _MOST_R or not 1 <= p <= _MOST_P:
        raise ValueError("unknown algorithms, or parameters out of range")
    normal = unicodedata.normalize("NFKC", passphrase).encode()
    return ChaCha20Poly1305(Scrypt(bytes.fromhex(kdf["salt"]), 32, n, r, p).derive(normal))


def _nonce(document: dict[str, Any]) -> bytes:
    return bytes.fromhex(document["cipher"]["nonce"])


def _header(document: dict[str, Any]) -> bytes:
    public = {name: value for name, value in document.items() if name != "ciphertext"}
    return json.dumps(public, sort_keys=True, separators=(",", ":")).encode()
