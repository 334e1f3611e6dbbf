"""Sealing a circuit's inputs to the proving cluster: only a worker that holds the cluster key can read them.

HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305, info
`gelap/v1/inputs`. The associated data are the statement hash and the tenant: sealed inputs lifted from one request
cannot be opened as part of another statement's or another caller's request.

An encapsulated key seals one message here, so HPKE's key schedule is written out here for sequence number 0, over the
X25519 of `cryptography`: every job waits for its opening, which takes 0.15 ms, and with pycryptodome's X25519 1.0 ms.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from protocol.errors import SealingError

PUBLIC_KEY_BYTES = 32
ENCAPSULATED_KEY_BYTES = 32
TAG_BYTES = 16
TENANT_CHARACTERS = 32

_REGISTERED_KEY = re.compile(r"gelap_([0-9a-f]{32})_[A-Za-z0-9_-]{43}")
_INFO = b"gelap/v1/inputs"
# RFC 9180, sections 4.1 and 5.1, with the numbers of section 7: DHKEM(X25519) 0x0020, HKDF-SHA256 1, ChaCha20 3.
_KEM_SUITE = b"KEM\x00\x20"
_HPKE_SUITE = b"HPKE\x00\x20\x00\x01\x00\x03"
_BASE_MODE = b"\x00"


@dataclass(frozen=True)
class SealedInputs:
    """The encapsulated key (32 bytes) and the ciphertext with its tag (16 bytes longer than the inputs)."""

    encapsulated_key: bytes
    ciphertext: bytes


def tenant_of(api_key: str) -> str:
    """Return the tenant an API key stands for, 32 hexadecimal characters.

    A registered key (`gelap_<tenant>_<secret>`) names it, so that a tenant can have several keys and change them; of
    any other it is the beginning of a SHA-256. Only the gateway knows whether the key is one: a tenant is no secret.
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
    ephemeral = X25519PrivateKey.generate()
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        raise SealingError("the cluster key is not a usable X25519 public key: ask the cluster's operator") from None
    encapsulated = ephemeral.public_key().public_bytes_raw()
    cipher, nonce = _cipher(shared, encapsulated, public_key, _INFO)
    return SealedInputs(encapsulated, cipher.encrypt(nonce, inputs, associated))


class ClusterPrivateKey:
    """The workers' X25519 private key. Neither `repr` nor pickling shows it."""

    def __init__(self, key: X25519PrivateKey) -> None:
        self._key = key
        self.public_key: bytes = key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> "ClusterPrivateKey":
        return cls(X25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, text: str) -> "ClusterPrivateKey":
        """Read an unencrypted PKCS #8 key, as `openssl genpkey -algorithm x25519` writes it. Raises SealingError."""
        try:
            key = serialization.load_pem_private_key(text.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, X25519PrivateKey):
            raise SealingError("the cluster key is not an X25519 private key in PEM (PKCS #8)")
        return cls(key)

    def to_pem(self) -> str:
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

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
            shared = self._key.exchange(X25519PublicKey.from_public_bytes(sealed.encapsulated_key))
            cipher, nonce = _cipher(shared, sealed.encapsulated_key, self.public_key, info)
            return cipher.decrypt(nonce, sealed.ciphertext, associated)
        except (ValueError, InvalidTag):
            raise SealingError(
                "the sealed inputs do not open: seal them to the cluster's present key, for this statement and API key"
            ) from None


def _cipher(shared: bytes, encapsulated: bytes, receiver: bytes, info: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    """Return the AEAD and its nonce for the first message: ExtractAndExpand and KeySchedule of RFC 9180, base mode.

    `shared` is the X25519 result, `encapsulated` and `receiver` the public keys it came from.
    """
    pseudorandom = _extract(_KEM_SUITE, b"", b"eae_prk", shared)
    secret = _expand(_KEM_SUITE, pseudorandom, b"shared_secret", encapsulated + receiver, 32)
    context = _BASE_MODE + _extract(_HPKE_SUITE, b"", b"psk_id_hash", b"")
    context += _extract(_HPKE_SUITE, b"", b"info_hash", info)
    schedule = _extract(_HPKE_SUITE, secret, b"secret", b"")
    key = _expand(_HPKE_SUITE, schedule, b"key", context, 32)
    return ChaCha20Poly1305(key), _expand(_HPKE_SUITE, schedule, b"base_nonce", context, 12)


def _extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + material, "sha256")


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    # No output here is longer than one hash, so HKDF-Expand has a single block.
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, labeled + b"\x01", "sha256")[:length]


def _associated_data(statement: bytes, tenant: str) -> bytes:
    # Both lengths are fixed, so the concatenation can be read in one way only.
    if len(statement) != 32 or len(tenant) != TENANT_CHARACTERS or not tenant.isascii():
        raise SealingError("sealing needs a statement hash of 32 bytes and a tenant of 32 hexadecimal characters")
    return statement + tenant.encode("ascii")
