"""Keys follow from the mnemonic alone, by the specification's formulas; a viewing key sees all and cannot spend."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocol.address import Address, base_point
from protocol.babyjubjub import BASE8, SUBGROUP_ORDER, Point, multiply
from protocol.eddsa import verify
from protocol.errors import EncodingError, KeyDerivationError
from protocol.field import R
from protocol.keys import Account, FullViewingKey, new_mnemonic, owner_of
from protocol.poseidon import poseidon

# trezor/python-mnemonic, vectors.json, first English vector: BIP-39's own, with the passphrase TREZOR.
MNEMONIC = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
PASSPHRASE = "TREZOR"
SEED = bytes.fromhex(
    "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e5349553"
    "1f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04"
)
ACCOUNT = Account.from_seed(SEED)


def hkdf(key, info, length=64):
    return HKDF(hashes.SHA512(), length, b"gelap/v1", info).derive(key)


def number(data):
    return int.from_bytes(data, "big")


def test_a_mnemonic_gives_the_seed_of_bip_39():
    assert Account.from_mnemonic(MNEMONIC, passphrase=PASSPHRASE) == ACCOUNT
    assert Account.from_mnemonic(MNEMONIC) != ACCOUNT
    assert Account.from_mnemonic(MNEMONIC, index=1, passphrase=PASSPHRASE) == Account.from_seed(SEED, 1)


def test_spacing_and_case_of_a_mnemonic_do_not_matter():
    assert Account.from_mnemonic("  " + MNEMONIC.upper().replace(" ", "\n "), passphrase=PASSPHRASE) == ACCOUNT


@pytest.mark.parametrize("index", [0, 1, 2**32 - 1])
def test_keys_are_those_of_the_specification(index):
    account = Account.from_seed(SEED, index)
    suffix = index.to_bytes(4, "big")
    spending_key = 1 + number(hkdf(SEED, b"gelap/v1/spend" + suffix)) % (SUBGROUP_ORDER - 1)
    assert account.spending_key == spending_key
    assert account.public == multiply(BASE8, spending_key)
    assert account.nullifying_root == number(hkdf(SEED, b"gelap/v1/nullify" + suffix)) % R
    assert account.viewing_key == hkdf(SEED, b"gelap/v1/view" + suffix, 32)


def test_nullifying_keys_are_those_of_the_specification():
    root = ACCOUNT.nullifying_root.to_bytes(32, "big")
    assert ACCOUNT.nullifying_key_for_address(7) == number(hkdf(root, b"address" + bytes([0, 0, 0, 7]))) % R
    assert ACCOUNT.nullifying_key_for_note(9) == number(hkdf(root, b"note" + (9).to_bytes(32, "big"))) % R


def test_an_owner_binds_the_public_key_and_the_nullifying_key():
    key = ACCOUNT.nullifying_key_for_address(3)
    owner = poseidon([ACCOUNT.public.x, ACCOUNT.public.y, poseidon([key])])
    assert owner_of(ACCOUNT.public, key) == ACCOUNT.owner(key) == owner
    private = X25519PrivateKey.from_private_bytes(ACCOUNT.viewing_key)
    viewing_public = private.exchange(X25519PublicKey.from_public_bytes(base_point(owner)))
    assert ACCOUNT.address(3) == Address(owner, viewing_public)


def test_addresses_and_notes_to_oneself_all_have_an_owner_and_a_public_key_of_their_own():
    addresses = [ACCOUNT.address(i) for i in range(4)] + [ACCOUNT.address_for_note(i) for i in range(4)]
    assert len({address.owner for address in addresses}) == 8
    assert len({address.viewing_public for address in addresses}) == 8


def test_an_account_is_pinned_for_good():
    """Recorded from this implementation: if this changes, people lose sight of their money."""
    assert ACCOUNT.address(0).encode() == (
        "gelap1qgsq0rpx0y6zmn70mmvycejd2zpygxnc0mpptfaavcvmgxlmhn84ca8eay6h63s9pjlw700u3rq0tgcnxckuh3r5k7u9jy0jf28pqtm4aflwc9"
    )


def test_a_viewing_key_sees_what_the_account_sees_and_cannot_spend():
    viewing = ACCOUNT.viewing()
    assert viewing.address(5) == ACCOUNT.address(5)
    assert viewing.address_for_note(6) == ACCOUNT.address_for_note(6)
    assert viewing.nullifying_key_for_note(6) == ACCOUNT.nullifying_key_for_note(6)
    assert not hasattr(viewing, "spending_key")
    assert not hasattr(viewing, "sign")


def test_an_account_signs_for_its_public_key():
    assert verify(ACCOUNT.public, 5, ACCOUNT.sign(5))


def test_no_secret_is_in_repr():
    text = repr(ACCOUNT) + repr(ACCOUNT.viewing())
    for secret in (ACCOUNT.spending_key, ACCOUNT.nullifying_root, ACCOUNT.viewing_key, ACCOUNT.viewing_key.hex()):
        assert str(secret) not in text


@pytest.mark.parametrize(
    "words", ["", "abandon", MNEMONIC.replace("about", "abandon"), MNEMONIC.replace("about", "zzz"), "é " * 12]
)
def test_what_is_not_a_mnemonic_is_refused_without_repeating_it(words):
    with pytest.raises(KeyDerivationError) as raised:
        Account.from_mnemonic(words)
    assert "abandon" not in str(raised.value)


def test_seeds_and_account_numbers_out_of_range_are_refused():
    with pytest.raises(KeyDerivationError, match="64 bytes"):
        Account.from_seed(bytes(32))
    for index in (-1, 2**32):
        with pytest.raises(KeyDerivationError, match="account number"):
            Account.from_seed(SEED, index)
        with pytest.raises(EncodingError):
            ACCOUNT.address(index)


@pytest.mark.parametrize(
    "parts", [(Point(1, 1), 0, bytes(32)), (BASE8, R, bytes(32)), (BASE8, 0, bytes(31)), (BASE8, -1, bytes(32))]
)
def test_a_viewing_key_of_impossible_parts_is_refused(parts):
    with pytest.raises(KeyDerivationError):
        FullViewingKey(*parts)


@pytest.mark.parametrize("words", [12, 24])
def test_new_mnemonics_are_fresh_and_valid(words):
    first, second = new_mnemonic(words), new_mnemonic(words)
    assert first != second
    assert len(first.split()) == words
    assert Account.from_mnemonic(first) != Account.from_mnemonic(second)


def test_a_mnemonic_of_another_length_is_refused():
    with pytest.raises(KeyDerivationError):
        new_mnemonic(13)
