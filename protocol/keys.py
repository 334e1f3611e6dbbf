"""Accounts: every key of a wallet, derived from one BIP-39 mnemonic.

- spending key `s`, public `A = s*B8`: signs spends; never leaves the wallet and never enters a witness.
- nullifying root `nk`: gives each note its own nullifying key. Whoever holds a nullifying key recognises every spend
  made with it, so a prover is handed only the keys of the notes it proves.
- viewing key `v` (X25519): opens memos. Its public key is another one in each address, see `protocol.address`.

`(A, nk, v)` is the full viewing key: it sees everything and can spend nothing.

Scalars are plain integers. Not constant-time: derive keys on a machine of your own.
"""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from mnemonic import Mnemonic

from protocol import eddsa
from protocol.address import Address, base_point
from protocol.babyjubjub import SUBGROUP_ORDER, Point, is_on_curve
from protocol.derivation import derive, derive_below, u32
from protocol.errors import KeyDerivationError
from protocol.field import R, to_bytes32
from protocol.poseidon import poseidon

SEED_BYTES = 64
VIEWING_KEY_BYTES = 32
_LANGUAGE = "english"


def new_mnemonic(words: int = 24) -> str:
    """Return a fresh BIP-39 mnemonic of 12, 15, 18, 21 or 24 English words; raises KeyDerivationError otherwise."""
    if words not in (12, 15, 18, 21, 24):
        raise KeyDerivationError(f"a mnemonic has 12, 15, 18, 21 or 24 words, not {words}")
    return Mnemonic(_LANGUAGE).generate(strength=words // 3 * 32)


def owner_of(public: Point, nullifying_key: int) -> int:
    """Return `owner = H3(A.x, A.y, H1(nullifying key))`, the owner of notes spent with these two keys."""
    return poseidon([public.x, public.y, poseidon([nullifying_key])])


@dataclass(frozen=True)
class FullViewingKey:
    """`(A, nk, v)`: issues addresses, opens memos and recognises spends, but cannot spend.

    `viewing_key` is 32 bytes, clamped on use as RFC 7748 says. Secrets are kept out of `repr`; A is left out too,
    since it links all addresses of the account. Raises KeyDerivationError for parts that are not keys.
    """

    public: Point = field(repr=False)
    nullifying_root: int = field(repr=False)
    viewing_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not is_on_curve(self.public) or not 0 <= self.nullifying_root < R:
            raise KeyDerivationError("the public key is not on the curve or the nullifying root is out of range")
        if len(self.viewing_key) != VIEWING_KEY_BYTES:
            raise KeyDerivationError(f"a viewing key is {VIEWING_KEY_BYTES} bytes, got {len(self.viewing_key)}")

    def nullifying_key_for_address(self, index: int) -> int:
        """Return the nullifying key of notes received at address number `index`, an integer in [0, 2^32)."""
        return derive_below(to_bytes32(self.nullifying_root), b"address" + u32(index), R)

    def nullifying_key_for_note(self, blinding: int) -> int:
        """Return the nullifying key of a note to oneself (deposit, change) with this blinding."""
        return derive_below(to_bytes32(self.nullifying_root), b"note" + to_bytes32(blinding), R)

    def owner(self, nullifying_key: int) -> int:
        """Return the owner field of this account's notes with the given nullifying key."""
        return owner_of(self.public, nullifying_key)

    def address(self, index: int) -> Address:
        """Return address number `index`. Hand every payer another one: a prover who learns the nullifying key of one
        recognises no spend of the others, and payers who compare theirs cannot tell that they are of one account.
        """
        return self._address_of(self.nullifying_key_for_address(index))

    def address_for_note(self, blinding: int) -> Address:
        """Return where a note to oneself with this blinding goes."""
        return self._address_of(self.nullifying_key_for_note(blinding))

    def _address_of(self, nullifying_key: int) -> Address:
        owner = self.owner(nullifying_key)
        base = X25519PublicKey.from_public_bytes(base_point(owner))
        return Address(owner, X25519PrivateKey.from_private_bytes(self.viewing_key).exchange(base))


@dataclass(frozen=True)
class Account(FullViewingKey):
    """A full viewing key together with the spending key `s` in [1, l)."""

    spending_key: int = field(repr=False)

    @classmethod
    def from_mnemonic(cls, words: str, index: int = 0, passphrase: str = "") -> "Account":
        """Derive account number `index` from an English BIP-39 mnemonic and its optional passphrase.

        Raises KeyDerivationError for an unknown word, a wrong number of words or a wrong checksum.
        """
        words = " ".join(words.lower().split())
        if not Mnemonic(_LANGUAGE).check(words):
            raise KeyDerivationError("this is not a BIP-39 mnemonic: check the spelling and the order of the words")
        return cls.from_seed(Mnemonic.to_seed(words, passphrase), index)

    @classmethod
    def from_seed(cls, seed: bytes, index: int = 0) -> "Account":
        """Derive account number `index` in [0, 2^32) from the 64-byte BIP-39 seed; raises KeyDerivationError."""
        if len(seed) != SEED_BYTES:
            raise KeyDerivationError(f"a BIP-39 seed is {SEED_BYTES} bytes, got {len(seed)}")
        if not 0 <= index < 1 << 32:
            raise KeyDerivationError("an account number must be at least 0 and below 2^32")
        spending_key = 1 + derive_below(seed, b"gelap/v1/spend" + u32(index), SUBGROUP_ORDER - 1)
        return cls(
            public=eddsa.public_key(spending_key),
            nullifying_root=derive_below(seed, b"gelap/v1/nullify" + u32(index), R),
            viewing_key=derive(seed, b"gelap/v1/view" + u32(index), VIEWING_KEY_BYTES),
            spending_key=spending_key,
        )

    def viewing(self) -> FullViewingKey:
        """Return the part of the keys that sees everything and can spend nothing."""
        return FullViewingKey(self.public, self.nullifying_root, self.viewing_key)

    def sign(self, message: int, entropy: bytes | None = None) -> eddsa.Signature:
        """Sign a spend's message; see `eddsa.sign`."""
        return eddsa.sign(self.spending_key, message, entropy)
