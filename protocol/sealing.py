"""Sealing a circuit's inputs to the proving cluster: only a worker that holds the cluster key can read them.

HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305, info
`gelap/v1/inputs`. The associated data are the statement hash and the tenant: sealed inputs lifted from one request
cannot be opened as part of another statement's or another caller's request.
"""

import hashlib
import re
from dataclasses import dataclass

from Crypto.Protocol import DH, HPKE
from Crypto.PublicKey import ECC

from protocol.errors import SealingError

PUBLIC_KEY_BYTES = 32
ENCAPSULATED_KEY_BYTES = 32
TAG_BYTES = 16
TENANT_CHARACTERS = 32

_REGISTERED_KEY = re.compile(r"gelap_([0-9a-f]{32})_[A-Za-z0-9_-]{43}")
_INFO = b"gelap/v1/inputs"
_CURVE = "Curve25519"


@dataclass(frozen=True)
class SealedInputs:
    """The encapsulated key (32 bytes) and the ciphertext with its tag (16 bytes longer than the inputs)."""

    encapsulated_key: bytes
    ciphertext: bytes


def tenant_of(api_key: str) -> str:
    """Return the tenant an API key stands for, 32 hexadecimal characters.

    A registered key (`gelap_<tenant>_<secret>`) names it, so that a tenant can have several keys and change them; of any
    other it is the beginning of a SHA-256. Only the gateway knows whether the key is one: a tenant is no secret.
    """
    registered = _REGISTERED_KEY.fullmatch(api_key)
    if registered:
        return registered[1]
    return hashlib.sha256(b"gelap/v1/tenant" + api_key.encode()).hexdigest()[:TENANT_CHARACTERS]


def is_registered_key(api_key: str) -> bool:
    """Whether an API key has the form of those that `gelap apikey add` makes."""
    return _REGISTERED_KEY.fullmatch(api_key) is not None


def fingerprint(public_key: bytes) -> bytes:
    """Return the SHA-256 of a cluster's public key, which wallets pin."""
    return hashlib.sha256(public_key).digest()


def seal(public_key: bytes, inputs: bytes, statement: bytes, tenant: str) -> SealedInputs:
    """Seal encoded inputs to a cluster's X25519 public key; a fresh encapsulated key each time.

    `statement` is the statement hash (32 bytes), `tenant` what `tenant_of` returns. Raises SealingError for a key that
    is not an X25519 public key of large order.
    """
    associated = _associated_data(statement, tenant)
    try:
        receiver = DH.import_x25519_public_key(public_key)
    except ValueError:
        raise SealingError("the cluster key is not a usable X25519 public key: ask the cluster's operator") from None
    context = HPKE.new(receiver_key=receiver, aead_id=HPKE.AEAD.CHACHA20_POLY1305, info=_INFO)
    return SealedInputs(context.enc, context.seal(inputs, associated))


class ClusterPrivateKey:
    """The workers' X25519 private key. Neither `repr` nor pickling shows it."""

    def __init__(self, key: ECC.EccKey) -> None:
        if key.curve != _CURVE or not key.has_private():
            raise SealingError("the cluster key must be an X25519 private key")
        self._key = key
        self.public_key: bytes = key.public_key().export_key(format="raw")

    @classmethod
    def generate(cls) -> "ClusterPrivateKey":
        return cls(ECC.generate(curve=_CURVE))

    @classmethod
    def from_pem(cls, text: str) -> "ClusterPrivateKey":
        """Read an unencrypted PKCS #8 key, as `openssl genpkey -algorithm x25519` writes it. Raises SealingError."""
        try:
            return cls(ECC.import_key(text))
        except (ValueError, IndexError, TypeError):
            raise SealingError("the cluster key is not an X25519 private key in PEM (PKCS #8)") from None

    def to_pem(self) -> str:
        return self._key.export_key(format="PEM", use_pkcs8=True) + "\n"

    def __repr__(self) -> str:
        return f"ClusterPrivateKey(fingerprint={fingerprint(self.public_key).hex()})"

    def __reduce__(self) -> str:
        raise TypeError("the cluster key is not to be pickled")

    def open(self, sealed: SealedInputs, statement: bytes, tenant: str) -> bytes:
        """Open inputs sealed to this key for this statement and tenant.

        Raises SealingError when they were sealed to another key, for another statement or tenant, or were altered.
        """
        return self._open(sealed, _INFO, _associated_data(statement, tenant))

    def _open(self, sealed: SealedInputs, info: bytes, associated: bytes) -> bytes:
        try:
            context = HPKE.new(
                receiver_key=self._key,
                aead_id=HPKE.AEAD.CHACHA20_POLY1305,
                enc=sealed.encapsulated_key,
                info=info,
            )
            return context.unseal(sealed.ciphertext, associated)
        except ValueError:
            raise SealingError(
                "the sealed inputs do not open: seal them to the cluster's present key, for this statement and API key"
            ) from None


def _associated_data(statement: bytes, tenant: str) -> bytes:
    # Both lengths are fixed, so the concatenation can be read in one way only.
    if len(statement) != 32 or len(tenant) != TENANT_CHARACTERS or not tenant.isascii():
        raise SealingError("sealing needs a statement hash of 32 bytes and a tenant of 32 hexadecimal characters")
    return statement + tenant.encode("ascii")
