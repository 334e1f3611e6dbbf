"""Memos: the recipient opens them, nobody else does, and no bytes from the chain stop a scan."""

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.address import Address, base_point
from protocol.derivation import derive
from protocol.errors import MemoError
from protocol.field import R
from protocol.keys import Account
from protocol.memo import MEMO_BYTES, TEXT_BYTES, Opened, SentRecord, decrypt, encrypt
from protocol.note import Note

ALICE = Account.from_seed(bytes(64))
BOB = Account.from_seed(bytes([1]) * 64)
ADDRESS = BOB.address(0)
NOTE = Note(token=0xA11CE, amount=500, owner=ADDRESS.owner, blinding=31337)
MEMO = encrypt(NOTE, ADDRESS, b"rent")
SEED = bytes(range(16))
few = settings(max_examples=25, deadline=None)

# Points of small order on Curve25519 (https://cr.yp.to/ecdh.html): every shared secret with them is zero.
SMALL_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    (325606250916557431795983626356110631294008115727848805560023387167927233504).to_bytes(32, "little"),
    (39382357235489614581723060781553021112529911719440698176882885853963445705823).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]


def open_memo(memo, commitment=NOTE.commitment, account=BOB):
    return decrypt(memo, account.viewing_key, commitment)


def x25519(key, public):
    return X25519PrivateKey.from_private_bytes(key).exchange(X25519PublicKey.from_public_bytes(public))


def ephemeral_key(note, seed=SEED):
    return derive(seed + note.blinding.to_bytes(32, "big"), b"gelap/v2/ephemeral", 32)


def sealed(plaintext, key, address=ADDRESS, commitment=NOTE.commitment):
    """Encrypt an arbitrary plaintext to an address, step by step as the specification tells it."""
    public, shared = x25519(key, base_point(address.owner)), x25519(key, address.viewing_public)
    keys = derive(shared, b"gelap/v2/memo" + public, 33)
    body = ChaCha20Poly1305(keys[:32]).encrypt(bytes(12), plaintext, commitment.to_bytes(32, "big"))
    return keys[32:] + public + body


def plaintext_of(note, text=b"", version=2, seed=SEED):
    return (
        bytes([version])
        + note.token.to_bytes(20, "big")
        + note.amount.to_bytes(16, "big")
        + note.blinding.to_bytes(32, "big")
        + seed
        + text.ljust(90, b"\0")
    )


@given(
    st.integers(0, 2**160 - 1),
    st.integers(0, 2**128 - 1),
    st.integers(0, R - 1),
    st.binary(max_size=TEXT_BYTES),
    st.integers(0, 2**32 - 1),
)
@few
def test_the_recipient_opens_what_the_payer_wrote_to_any_of_its_addresses(token, amount, blinding, text, index):
    address = BOB.address(index)
    note = Note(token, amount, address.owner, blinding)
    memo = encrypt(note, address, text)
    assert len(memo) == MEMO_BYTES == 224
    opened = open_memo(memo, note.commitment)
    assert (opened.token, opened.amount, opened.blinding) == (token, amount, blinding)
    assert opened.text == text.ljust(TEXT_BYTES, b"\0")
    assert opened.note([1, address.owner], note.commitment) == note
    assert open_memo(memo, note.commitment, account=ALICE) is None, "nobody else opens it"


def test_a_memo_has_the_layout_of_the_specification():
    """Both ways: a memo built here step by step opens, and one of the program is rebuilt from what it says."""
    memo = sealed(plaintext_of(NOTE, b"rent"), ephemeral_key(NOTE))
    assert len(memo) == MEMO_BYTES
    opened = open_memo(memo)
    assert (opened.token, opened.amount, opened.blinding) == (NOTE.token, NOTE.amount, NOTE.blinding)
    assert (opened.seed, opened.message()) == (SEED, "rent")
    assert opened.note([ADDRESS.owner], NOTE.commitment) == NOTE
    seed = open_memo(MEMO).seed
    assert sealed(plaintext_of(NOTE, b"rent", seed=seed), ephemeral_key(NOTE, seed)) == MEMO


@given(st.integers(0, 3), st.integers(0, 3))
@few
def test_a_memo_to_one_address_with_a_note_to_another_is_ignored(first, second):
    """The sender holds two addresses, and would see by the reaction whether they are of one account: ZIP 212.

    The memo opens and its commitment is right; all that fits one address only is the ephemeral key.
    """
    encrypted_to, paid = BOB.address(first), BOB.address(second)
    note = Note(NOTE.token, NOTE.amount, paid.owner, NOTE.blinding)
    memo = sealed(plaintext_of(note), ephemeral_key(note), encrypted_to, note.commitment)
    opened = open_memo(memo, note.commitment)
    assert Note(opened.token, opened.amount, paid.owner, opened.blinding).commitment == note.commitment
    owners = [BOB.address(index).owner for index in range(4)]
    assert opened.note(owners, note.commitment) == (note if first == second else None)


@pytest.mark.parametrize("changed", ["key", "seed", "base"])
def test_a_memo_whose_ephemeral_key_does_not_follow_from_what_it_says_is_ignored(changed):
    key, seed = ephemeral_key(NOTE), SEED
    if changed == "key":
        key = os.urandom(32)
    elif changed == "seed":
        seed = bytes(16)
    memo = sealed(plaintext_of(NOTE, seed=seed), key)
    if changed == "base":
        # As with one key for all addresses: to the base point of X25519, and with Bob's public key there.
        nine = (9).to_bytes(32, "little")
        public, shared = x25519(key, nine), x25519(key, x25519(BOB.viewing_key, nine))
        keys = derive(shared, b"gelap/v2/memo" + public, 33)
        body = ChaCha20Poly1305(keys[:32]).encrypt(bytes(12), plaintext_of(NOTE), NOTE.commitment.to_bytes(32, "big"))
        memo = keys[32:] + public + body
    opened = open_memo(memo)
    assert opened is not None
    assert opened.note([ADDRESS.owner], NOTE.commitment) is None


def test_another_encoding_of_an_ephemeral_key_is_ignored():
    """X25519 ignores the top bit of a point; the bytes on the chain are compared, so a memo has one form."""
    key = ephemeral_key(NOTE)
    public = x25519(key, base_point(ADDRESS.owner))
    other = public[:31] + bytes([public[31] | 0x80])
    keys = derive(x25519(key, ADDRESS.viewing_public), b"gelap/v2/memo" + other, 33)
    body = ChaCha20Poly1305(keys[:32]).encrypt(bytes(12), plaintext_of(NOTE), NOTE.commitment.to_bytes(32, "big"))
    opened = open_memo(keys[32:] + other + body)
    assert opened is not None
    assert opened.note([ADDRESS.owner], NOTE.commitment) is None


def test_a_memo_opens_with_its_own_commitment_only():
    """The commitment is authenticated: a memo cannot be moved to another note."""
    assert open_memo(MEMO, NOTE.commitment + 1) is None
    assert open_memo(MEMO, NOTE.commitment + R) is None


def test_every_memo_has_a_fresh_ephemeral_key():
    """The nonce is always zero, so a repeated key would reuse the keystream.

    And a prover, who knows the whole note and maybe the address, would find the key again and read the text.
    """
    memos = [encrypt(NOTE, ADDRESS) for _ in range(5)]
    assert len({memo[1:33] for memo in memos}) == 5


@given(st.integers(0, MEMO_BYTES * 8 - 1))
@few
def test_a_memo_with_one_bit_changed_does_not_open(bit):
    # RFC 7748 has receivers ignore the top bit of a public key; the key derivation still covers it.
    changed = bytearray(MEMO)
    changed[bit // 8] ^= 1 << bit % 8
    assert open_memo(bytes(changed)) is None


@given(st.binary(min_size=MEMO_BYTES, max_size=MEMO_BYTES) | st.binary(max_size=300))
@few
def test_garbage_from_the_chain_opens_to_nothing_and_raises_nothing(memo):
    """Attack 18."""
    assert open_memo(memo) is None


@given(st.binary(max_size=175) | st.binary(min_size=175, max_size=175))
@few
def test_an_authentic_memo_with_a_garbled_plaintext_is_harmless(plaintext):
    """Attacks 18 and 19: the payer holds the key, so anything may be inside."""
    opened = open_memo(sealed(plaintext.ljust(175, b"\xff"), ephemeral_key(NOTE)))
    if opened is not None:
        opened.message()
        assert opened.note([ADDRESS.owner], NOTE.commitment) in (None, NOTE)


@pytest.mark.parametrize(
    "plaintext",
    [
        plaintext_of(NOTE, version=0),
        plaintext_of(NOTE, version=1),
        plaintext_of(NOTE, version=3),
        plaintext_of(NOTE)[:37] + R.to_bytes(32, "big") + SEED + bytes(90),
    ],
)
def test_an_unknown_version_or_an_aliased_blinding_is_ignored(plaintext):
    assert open_memo(sealed(plaintext, ephemeral_key(NOTE))) is None


@pytest.mark.parametrize(
    "lie",
    [
        Note(NOTE.token, NOTE.amount + 1, NOTE.owner, NOTE.blinding),
        Note(NOTE.token + 1, NOTE.amount, NOTE.owner, NOTE.blinding),
        Note(NOTE.token, NOTE.amount, NOTE.owner, NOTE.blinding + 1),
    ],
)
def test_an_opening_that_is_not_the_commitments_is_ignored(lie):
    """Attack 19: a payer promises more than the note holds."""
    opened = open_memo(sealed(plaintext_of(lie), ephemeral_key(lie)))
    assert opened is not None
    assert opened.note([ADDRESS.owner], NOTE.commitment) is None


def test_a_note_for_an_owner_never_issued_is_ignored():
    assert open_memo(MEMO).note([BOB.address(1).owner], NOTE.commitment) is None
    assert open_memo(MEMO).note([], NOTE.commitment) is None


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_an_all_zero_shared_secret_is_refused_on_both_sides(public):
    """RFC 7748, section 6.1: with such a key, everybody could read the memo or make one that opens."""
    note = Note(NOTE.token, NOTE.amount, NOTE.owner, NOTE.blinding)
    with pytest.raises(MemoError, match="another address"):
        encrypt(note, Address(note.owner, public))
    keys = derive(bytes(32), b"gelap/v2/memo" + public, 33)
    body = ChaCha20Poly1305(keys[:32]).encrypt(bytes(12), plaintext_of(note), note.commitment.to_bytes(32, "big"))
    assert open_memo(keys[32:] + public + body) is None


def test_text_that_does_not_fit_and_notes_of_others_are_refused():
    with pytest.raises(MemoError, match="90 bytes"):
        encrypt(NOTE, ADDRESS, bytes(91))
    with pytest.raises(MemoError, match="another owner"):
        encrypt(NOTE, BOB.address(1))
    with pytest.raises(MemoError, match="32 bytes"):
        decrypt(MEMO, bytes(31), NOTE.commitment)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"rent", "rent"),
        ("Miete für März 🏠".encode(), "Miete für März 🏠"),
        (b"\x1b[2Jgone\r\n\x07", "[2Jgone"),
        ("abc\u202egpj.exe".encode(), "abcgpj.exe"),
        (b"\xff\xfeok", "\ufffd\ufffdok"),
        (bytes(90), ""),
    ],
)
def test_text_from_strangers_is_made_safe_to_show(text, shown):
    assert Opened(0, 0, 0, bytes(16), bytes(32), text.ljust(TEXT_BYTES, b"\0")).message() == shown


@given(st.integers(0, R - 1), st.binary(min_size=32, max_size=32), st.integers(0, 2**128 - 1))
@few
def test_a_sent_record_survives_its_text(owner, key, amount):
    record = SentRecord(Address(owner, key), amount)
    text = record.to_text()
    assert len(text) == 80
    if any(text):
        assert SentRecord.from_text(text.ljust(TEXT_BYTES, b"\0")) == record


@given(st.binary(max_size=TEXT_BYTES))
@few
def test_text_that_holds_no_record_is_told_apart(text):
    record = SentRecord.from_text(text)
    if record is not None:
        assert record.to_text() == text[:80]


@pytest.mark.parametrize("text", [b"", bytes(90), bytes([255]) * 90, bytes([255]) * 80 + bytes(10), bytes(79)])
def test_padding_and_owners_out_of_range_are_no_record(text):
    assert SentRecord.from_text(text) is None


def test_a_record_of_an_impossible_amount_is_refused():
    with pytest.raises(MemoError):
        SentRecord(ADDRESS, 2**128).to_text()
