"""Payers and recipients who are up to something: what they learn of each other, and what they can do to each other."""

import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from chain.pool import NOBODY, Spend
from chain.relayer.note_fees import NoteFees
from protocol.address import Address, base_point
from protocol.derivation import derive
from protocol.errors import MemoError
from protocol.keys import Account
from protocol.memo import SentRecord, decrypt, encrypt
from protocol.note import Note
from protocol.poseidon import poseidon
from wallet.coins import Coin, choose
from wallet.spend import evm_recipient, payment, to_oneself
from wallet.store import token_text
from wallet.transactions import TransactionBuilder

TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3
# Points of small order of Curve25519 (RFC 7748, section 6.1, and its security considerations): whatever key is used
# with them, the shared secret is zero, and anybody could read the memo.
SMALL_ORDER = (
    bytes(32),
    (1).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
)


def test_addresses_of_one_account_have_as_little_in_common_as_those_of_two(alice: Account, bob: Account) -> None:
    """No run of four bytes, wherever it stands, and no key for the same base point.

    That nothing else tells is the decisional Diffie-Hellman assumption, see docs/adr/0015.
    """
    payloads = [
        address.owner.to_bytes(32, "big") + address.viewing_public
        for address in (*map(alice.address, range(8)), *map(alice.address_for_note, range(8)), bob.address(0))
    ]
    runs = [{payload[start : start + 4] for start in range(61)} for payload in payloads]
    for first, second in itertools.combinations(runs, 2):
        assert first.isdisjoint(second)
    assert len({base_point(alice.address(index).owner) for index in range(8)}) == 8


def test_a_payer_of_two_addresses_cannot_try_whether_one_account_answers_for_both(
    alice: Account, bob: Account, events, scan
) -> None:
    """It encrypts to one address, commits to the owner of the other, and watches whether a payment is noticed.

    Two addresses of Alice's: the memo opens and the commitment is right, and she ignores it as she would Bob's.
    """
    addresses = [alice.address(0), alice.address(1), bob.address(0)]
    amounts = itertools.count(1)
    for encrypted_to, paid in itertools.product(addresses, repeat=2):
        note = payment(paid, TOKEN, next(amounts)).note
        memo = made_by_hand(note, encrypted_to)
        opened = decrypt(memo, alice.viewing_key, note.commitment)
        assert (opened is not None) == (encrypted_to in addresses[:2])
        if opened is not None:
            assert Note(opened.token, opened.amount, paid.owner, opened.blinding).commitment == note.commitment
        scan.take(events.transaction(events.queued(note.commitment, memo)))
    received = [(entry.amount, entry.counterparty) for entry in scan.store.history()]
    assert received == [(1, "0"), (5, "1")], "only what was encrypted to the address that it pays"


def test_a_relayer_is_not_paid_by_a_note_whose_memo_is_for_another_address(alice: Account) -> None:
    """It would be the same trial, and its answer to the payment the reaction."""
    paid, other = alice.address(0), alice.address(1)
    note = payment(paid, TOKEN, 5).note
    fees = NoteFees.of(alice)

    def spend(memo: bytes) -> Spend:
        return Spend(b"", 0, [], [note.commitment], 0, 0, NOBODY, NOBODY, 0, 0, [memo])

    assert fees.paid(spend(made_by_hand(note, paid)), TOKEN) == note
    assert fees.paid(spend(made_by_hand(note, other)), TOKEN) is None


def made_by_hand(note: Note, address: Address) -> bytes:
    """A memo for any note, encrypted to any address: `protocol.memo.encrypt` refuses what does not belong together."""
    blinding, seed = note.blinding.to_bytes(32, "big"), bytes(16)
    ephemeral = X25519PrivateKey.from_private_bytes(derive(seed + blinding, b"gelap/v2/ephemeral", 32))
    public = ephemeral.exchange(X25519PublicKey.from_public_bytes(base_point(address.owner)))
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(address.viewing_public))
    keys = derive(shared, b"gelap/v2/memo" + public, 33)
    plain = b"\x02" + note.token.to_bytes(20, "big") + note.amount.to_bytes(16, "big") + blinding + seed + bytes(90)
    body = ChaCha20Poly1305(keys[:32]).encrypt(bytes(12), plain, note.commitment.to_bytes(32, "big"))
    return keys[32:] + public + body


def test_onlookers_who_know_every_address_see_none_of_them_on_the_chain(alice: Account, bob: Account) -> None:
    """Commitment and memo of a payment hold neither the address nor anything that two payments to it share."""
    address = alice.address(0)
    payments = [payment(address, TOKEN, 40) for _ in range(2)]
    seen = [(made.note.commitment.to_bytes(32, "big"), encrypt(made.note, address)) for made in payments]
    hidden = [address.viewing_public, address.owner.to_bytes(32, "big")]
    for commitment, memo in seen:
        assert not any(secret in commitment + memo for secret in hidden)
    windows = [{memo[i : i + 8] for i in range(len(memo) - 7)} for _, memo in seen]
    assert windows[0] & windows[1] == set()
    # Not even the payer opens the memo again.
    assert decrypt(seen[0][1], bob.viewing_key, payments[0].note.commitment) is None


@pytest.mark.parametrize("viewing_public", SMALL_ORDER)
def test_a_recipient_cannot_have_a_memo_made_that_everybody_reads(alice: Account, viewing_public: bytes) -> None:
    """An address with a viewing key of small order is refused by its payer, not paid in the open."""
    address = Address(alice.address(0).owner, viewing_public)
    with pytest.raises(MemoError, match="ask for another address"):
        encrypt(payment(address, TOKEN, 1).note, address)


def test_dust_changes_no_choice_that_one_note_can_pay() -> None:
    """Thousands of notes of 1 from a stranger: the same notes pay as before, at the same speed."""
    own = [Coin(0, 100), Coin(1, 60)]
    dust = [Coin(position, 1) for position in range(2, 5_000)]
    for amount in (5, 60, 61, 100):
        assert choose(own + dust, amount) == choose(own, amount)
    assert choose(own, 160) == choose(own + dust, 160)


def test_a_stranger_who_quotes_a_record_is_not_believed(alice: Account, bob: Account, events, scan) -> None:
    """Bob's payment carries the text of Alice's own records, as if she had paid Bob a million."""
    record = SentRecord(bob.address(0), 10**6)
    events.deposit(to_oneself(alice, TOKEN, 5))
    gift = payment(alice.address(0), TOKEN, 1, record.to_text())
    events.deposit(gift)
    scan.take(events.all)
    kinds = [(entry.kind, entry.amount) for entry in scan.store.history()]
    assert kinds == [("deposited", 5), ("received", 1)]


def test_a_deposit_says_to_its_own_wallet_alone_which_account_it_came_from(alice: Account, bob: Account) -> None:
    """So that a withdrawal to there can be warned of, after a restore too. That it deposited is public anyway."""
    account = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    call = TransactionBuilder(alice, 31337, account).deposit(token_text(TOKEN), 25, account)
    commitment = poseidon([call.pre_commitment, TOKEN, 25])
    opened = decrypt(call.memo, alice.viewing_key, commitment)
    assert opened is not None
    assert opened.text[:80] == SentRecord(evm_recipient(account), 0).to_text()
    assert decrypt(call.memo, bob.viewing_key, commitment) is None


def test_where_a_deposit_came_from_stands_in_the_history_and_no_stranger_can_say_so(
    alice: Account, events, scan
) -> None:
    account = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
    origin = SentRecord(evm_recipient(account), 0).to_text()
    events.deposit(to_oneself(alice, TOKEN, 5, origin))
    events.deposit(payment(alice.address(0), TOKEN, 1, origin))
    events.deposit(to_oneself(alice, TOKEN, 6))
    scan.take(events.all)
    told = [(entry.kind, entry.amount, entry.counterparty) for entry in scan.store.history()]
    assert told == [("deposited", 5, account), ("received", 1, "0"), ("deposited", 6, "")]
    assert scan.store.history()[0].text == ""
