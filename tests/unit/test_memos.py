"""Memos: the recipient opens them, nobody else does, and no bytes from the chain stop a scan."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.address import Address
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


def sealed(plaintext, commitment=NOTE.commitment):
    """Encrypt an arbitrary plaintext to Bob, step by step as the specification tells it."""
    ephemeral = X25519PrivateKey.generate()
    public = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PrivateKey.from_private_bytes(BOB.viewing_key).public_key())
    keys = derive(shared, b"gelap/v1/memo" + public + BOB.viewing_public, 33)
    body = ChaCha20Poly1305(keys[:32]).encrypt(bytes(12), plaintext, commitment.to_bytes(32, "big"))
    return keys[32:] + public + body


def plaintext_of(note, text=b"", version=1):
    return (
        bytes([version])
        + note.token.to_bytes(20, "big")
        + note.amount.to_bytes(16, "big")
        + note.blinding.to_bytes(32, "big")
        + text.ljust(106, b"\0")
    )


@given(st.integers(0, 2**160 - 1), st.integers(0, 2**128 - 1), st.integers(0, R - 1), st.binary(max_size=TEXT_BYTES))
@few
def test_the_recipient_opens_what_the_payer_wrote(token, amount, blinding, text):
    note = Note(token, amount, ADDRESS.owner, blinding)
    memo = encrypt(note, ADDRESS, text)
    assert len(memo) == MEMO_BYTES == 224
    opened = open_memo(memo, note.commitment)
    assert opened == Opened(token, amount, blinding, text.ljust(TEXT_BYTES, b"\0"))
    assert opened.note([1, ADDRESS.owner], note.commitment) == note


def test_a_memo_has_the_layout_of_the_specification():
    """Both ways: a memo built here step by step opens, and takes as many bytes."""
    memo = sealed(plaintext_of(NOTE, b"rent"))
    assert len(memo) == MEMO_BYTES
    assert open_memo(memo) == open_memo(MEMO)


def test_nobody_else_opens_a_memo():
    assert open_memo(MEMO, account=ALICE) is None


def test_a_memo_opens_with_its_own_commitment_only():
    """The commitment is authenticated: a memo cannot be moved to another note."""
    assert open_memo(MEMO, NOTE.commitment + 1) is None
    assert open_memo(MEMO, NOTE.commitment + R) is None


def test_every_memo_has_a_fresh_ephemeral_key():
    """The nonce is always zero, so a repeated key would reuse the keystream."""
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
    opened = open_memo(sealed(plaintext.ljust(175, b"\xff")))
    if opened is not None:
        opened.message()
        assert opened.note([ADDRESS.owner], NOTE.commitment) in (None, NOTE)


@pytest.mark.parametrize(
    "plaintext",
    [
        plaintext_of(NOTE, version=0),
        plaintext_of(NOTE, version=2),
        plaintext_of(NOTE)[:37] + R.to_bytes(32, "big") + bytes(106),
    ],
)
def test_an_unknown_version_or_an_aliased_blinding_is_ignored(plaintext):
    assert open_memo(sealed(plaintext)) is None


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
    opened = open_memo(sealed(plaintext_of(lie)))
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
    keys = derive(bytes(32), b"gelap/v1/memo" + public + BOB.viewing_public, 33)
    body = ChaCha20Poly1305(keys[:32]).encrypt(bytes(12), plaintext_of(note), note.commitment.to_bytes(32, "big"))
    assert open_memo(keys[32:] + public + body) is None


def test_text_that_does_not_fit_and_notes_of_others_are_refused():
    with pytest.raises(MemoError, match="106 bytes"):
        encrypt(NOTE, ADDRESS, bytes(107))
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
        (bytes(106), ""),
    ],
)
def test_text_from_strangers_is_made_safe_to_show(text, shown):
    assert Opened(0, 0, 0, text.ljust(TEXT_BYTES, b"\0")).message() == shown


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


@pytest.mark.parametrize("text", [b"", bytes(106), bytes([255]) * 106, bytes([255]) * 80 + bytes(26), bytes(79)])
def test_padding_and_owners_out_of_range_are_no_record(text):
    assert SentRecord.from_text(text) is None


def test_a_record_of_an_impossible_amount_is_refused():
    with pytest.raises(MemoError):
        SentRecord(ADDRESS, 2**128).to_text()
