"""What a wallet makes of the pool's events: its own notes, their spends and the history; never a stranger's word."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from chain.errors import MismatchError
from protocol.keys import Account
from protocol.memo import MEMO_BYTES, SentRecord, encrypt
from protocol.note import Note, random_blinding
from protocol.statements import SpentNote
from wallet.scanner import ADDRESS_GAP
from wallet.spend import Output, PreparedSpend, Terms, build_spend, evm_recipient, payment, to_oneself
from wallet.store import Store, token_text

TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3
TEXT = token_text(TOKEN)
KEY = bytes(64)
RECEIVER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
TERMS = Terms(chain_id=31337, pool="0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0", deadline=1_900_000_000)


def spend_all(account: Account, scan, first: Output, record: SentRecord, public_amount: int = 0) -> PreparedSpend:
    notes = scan.store.unspent(TEXT)
    spent = [
        SpentNote(stored.note, scan.notes.nullifying_key(stored), stored.leaf_index, scan.tree.path(stored.leaf_index))
        for stored in notes
    ]
    return build_spend(account, TERMS, scan.tree.root, spent, first, record, public_amount)


def summary(store: Store) -> list[tuple[str, int, int]]:
    return [(entry.kind, entry.amount, entry.fee) for entry in store.history()]


def amounts(store: Store) -> list[int]:
    return [stored.note.amount for stored in store.unspent(TEXT)]


def test_a_deposit_waits_for_its_tree_update_and_is_spendable_then(alice: Account, events, scan) -> None:
    scan.take(events.deposit(to_oneself(alice, TOKEN, 100)))
    assert [stored.leaf_index for stored in scan.store.unspent(TEXT)] == [None]
    scan.take(events.insert())
    (stored,) = scan.store.unspent(TEXT)
    assert (stored.note.amount, stored.leaf_index) == (100, 0)
    assert stored.nullifier == stored.note.nullifier(alice.nullifying_key_for_note(stored.note.blinding), 0)
    assert summary(scan.store) == [("deposited", 100, 0)]


def test_the_leaf_index_follows_the_batches_not_the_positions(alice: Account, bob: Account, events, scan) -> None:
    for owner in (bob, bob, alice):
        scan.take(events.deposit(to_oneself(owner, TOKEN, 1)))
        scan.take(events.insert())
    assert [(stored.position, stored.leaf_index) for stored in scan.store.unspent(TEXT)] == [(2, 128)]


def test_a_payment_is_seen_by_both_sides(alice: Account, bob: Account, events, scan, tmp_path: Path) -> None:
    scan.take(events.deposit(to_oneself(alice, TOKEN, 100)))
    scan.take(events.insert())
    recipient = bob.address(3)
    spend = spend_all(alice, scan, payment(recipient, TOKEN, 40, "für dich".encode()), SentRecord(recipient, 40))
    scan.take(events.settle(spend))
    scan.take(events.insert())
    assert amounts(scan.store) == [60]
    assert summary(scan.store) == [("deposited", 100, 0), ("sent", 40, 0)]
    assert scan.store.history()[1].counterparty == recipient.encode()

    with Store(tmp_path / "bob.db", KEY) as store:
        theirs = type(scan)(bob, store)
        theirs.take(events.all)
        assert amounts(store) == [40]
        (entry,) = store.history()
        assert (entry.kind, entry.amount, entry.counterparty, entry.text) == ("received", 40, "3", "für dich")
        assert store.next_address() == 4, "addresses that were paid are never handed out again"
        assert theirs.tree.root == scan.tree.root


def test_a_withdrawal_is_recorded_with_its_receiver(alice: Account, events, scan) -> None:
    scan.take(events.deposit(to_oneself(alice, TOKEN, 100)))
    scan.take(events.insert())
    spend = spend_all(alice, scan, to_oneself(alice, TOKEN, 0), SentRecord(evm_recipient(RECEIVER), 15), 17)
    scan.take(events.settle(spend, (RECEIVER, TEXT, 15)))
    assert amounts(scan.store) == [83]
    assert summary(scan.store) == [("deposited", 100, 0), ("withdrawn", 15, 2)]
    assert scan.store.history()[1].counterparty == RECEIVER


def test_merging_is_recorded_as_such(alice: Account, events, scan) -> None:
    for amount in (30, 20):
        scan.take(events.deposit(to_oneself(alice, TOKEN, amount)))
    scan.take(events.insert())
    merged = to_oneself(alice, TOKEN, 49)
    scan.take(events.settle(spend_all(alice, scan, merged, SentRecord(merged.address, 49), 1)))
    assert amounts(scan.store) == [49]
    assert summary(scan.store)[2:] == [("merged", 49, 1)]


def test_paying_an_address_of_ones_own_is_sent_and_received(alice: Account, events, scan) -> None:
    scan.take(events.deposit(to_oneself(alice, TOKEN, 100)))
    scan.take(events.insert())
    own = alice.address(0)
    scan.take(events.settle(spend_all(alice, scan, payment(own, TOKEN, 40), SentRecord(own, 40))))
    assert sorted(amounts(scan.store)) == [40, 60]
    assert sorted(summary(scan.store)[1:]) == [("received", 40, 0), ("sent", 40, 0)]


def test_a_spend_of_a_program_that_leaves_no_record_still_shows_its_amount(
    alice: Account, bob: Account, events, scan
) -> None:
    scan.take(events.deposit(to_oneself(alice, TOKEN, 100)))
    scan.take(events.insert())
    spend = spend_all(alice, scan, payment(bob.address(0), TOKEN, 40), SentRecord(bob.address(0), 40))
    stripped = replace(spend, memos=tuple(os.urandom(MEMO_BYTES) for _ in spend.memos))
    scan.take(events.settle(stripped))
    assert summary(scan.store) == [("deposited", 100, 0), ("sent", 100, 0)]
    assert amounts(scan.store) == []


@pytest.mark.parametrize("memo", [b"", b"\0" * MEMO_BYTES, b"\xff" * MEMO_BYTES, b"x" * 5000], ids=len)
def test_garbage_memos_never_stop_a_scan(alice: Account, events, scan, memo: bytes) -> None:
    """Attack row 18."""
    scan.take(events.transaction(events.queued(12345, memo)))
    scan.take(events.deposit(to_oneself(alice, TOKEN, 7)))
    assert amounts(scan.store) == [7]


def test_a_memo_that_overstates_its_note_is_ignored(alice: Account, events, scan) -> None:
    """Attack row 19: the memo opens, but the commitment is to less."""
    address = alice.address(0)
    claimed = Note(TOKEN, 1_000_000, address.owner, random_blinding())
    real = replace(claimed, amount=1)
    memo = _memo_for(claimed, real, address)
    scan.take(events.transaction(events.queued(real.commitment, memo)))
    assert amounts(scan.store) == []
    assert scan.store.history() == []


def _memo_for(claimed: Note, real: Note, address) -> bytes:
    """A memo that says `claimed`, authenticated for the commitment of `real`."""
    liar = Note(claimed.token, claimed.amount, claimed.owner, claimed.blinding)
    object.__setattr__(liar, "commitment", real.commitment)
    return encrypt(liar, address)


def test_the_same_commitment_twice_is_two_notes(alice: Account, events, scan) -> None:
    """Attack row 5: both copies of a duplicated deposit are found and have different nullifiers."""
    output = to_oneself(alice, TOKEN, 10)
    scan.take(events.deposit(output))
    scan.take(events.deposit(output))
    scan.take(events.insert())
    assert amounts(scan.store) == [10, 10]
    first, second = scan.store.unspent(TEXT)
    assert first.note == second.note
    assert first.nullifier != second.nullifier


def test_a_stranger_cannot_write_into_the_history(alice: Account, bob: Account, events, scan) -> None:
    """A payment whose text looks like our own record of a payment is a payment received, no more."""
    scan.take(events.deposit(to_oneself(alice, TOKEN, 100)))
    scan.take(events.insert())
    forged = SentRecord(bob.address(0), 99).to_text()
    scan.take(events.deposit(payment(alice.address(0), TOKEN, 1, forged)))
    assert summary(scan.store) == [("deposited", 100, 0), ("received", 1, 0)]


def test_text_is_shown_without_control_characters(alice: Account, events, scan) -> None:
    scan.take(events.deposit(payment(alice.address(0), TOKEN, 1, b"a\x1b[2Jb\xff")))
    assert scan.store.history()[0].text == "a[2Jb\ufffd"


def test_a_restored_wallet_finds_payments_within_the_gap_beyond_its_last_address(alice: Account, events, scan) -> None:
    last = ADDRESS_GAP - 1
    scan.take(events.deposit(payment(alice.address(last), TOKEN, 1)))
    scan.take(events.deposit(payment(alice.address(last + ADDRESS_GAP), TOKEN, 2)))
    scan.take(events.deposit(payment(alice.address(last + 2 * ADDRESS_GAP + 1), TOKEN, 4)))
    assert amounts(scan.store) == [1, 2]


def test_the_viewing_key_alone_sees_what_the_account_sees(alice: Account, events, scan, tmp_path: Path) -> None:
    scan.take(events.deposit(to_oneself(alice, TOKEN, 100)))
    scan.take(events.insert())
    own = alice.address(0)
    scan.take(events.settle(spend_all(alice, scan, payment(own, TOKEN, 40), SentRecord(own, 40))))
    with Store(tmp_path / "view.db", KEY) as store:
        type(scan)(alice.viewing(), store).take(events.all)
        assert store.history() == scan.store.history()
        assert store.unspent(TEXT) == scan.store.unspent(TEXT)


def test_events_that_do_not_fit_leave_the_store_as_it_was(alice: Account, events, scan) -> None:
    made = events.deposit(to_oneself(alice, TOKEN, 100)) + events.insert()
    with pytest.raises(MismatchError, match="announces root"):
        scan.take([made[0], replace(made[1], root=made[1].root ^ 1)])
    assert amounts(scan.store) == []
    assert scan.store.queue() == []


def test_scanning_the_same_history_in_other_portions_gives_the_same_wallet(
    alice: Account, bob: Account, events, scan, tmp_path: Path
) -> None:
    scan.take(events.deposit(to_oneself(alice, TOKEN, 100)))
    scan.take(events.insert())
    recipient = bob.address(0)
    scan.take(events.settle(spend_all(alice, scan, payment(recipient, TOKEN, 1), SentRecord(recipient, 1))))
    scan.take(events.insert())
    with Store(tmp_path / "again.db", KEY) as store:
        type(scan)(alice, store).take(events.all)
        assert store.history() == scan.store.history()
        assert store.unspent(TEXT) == scan.store.unspent(TEXT)
