"""Transactions from notes, keys and terms alone: no chain, no prover, no file."""

import pytest

from chain.errors import ChainError
from chain.pool import NOBODY
from protocol import eddsa
from protocol.address import Address
from protocol.errors import AddressError
from protocol.keys import Account
from protocol.memo import SentRecord, decrypt
from protocol.merkle import MerkleTree
from protocol.poseidon import poseidon
from protocol.statements import SpentNote
from wallet.errors import RequestError, ViewOnlyError
from wallet.notes import Funds
from wallet.spend import PreparedSpend, evm_recipient, to_oneself
from wallet.store import token_text
from wallet.transactions import Fee, TransactionBuilder

TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3
TEXT = token_text(TOKEN)
POOL = "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"
RECEIVER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
RELAYER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
DEADLINE = 1_900_000_000


@pytest.fixture(scope="module")
def builder(alice: Account) -> TransactionBuilder:
    return TransactionBuilder(alice, 31337, POOL)


def funds_of(account: Account, *amounts: int) -> Funds:
    tree = MerkleTree()
    notes = [to_oneself(account, TOKEN, amount).note for amount in amounts]
    tree.insert_batch([note.commitment for note in notes])
    spent = tuple(
        SpentNote(note, account.nullifying_key_for_note(note.blinding), index, tree.path(index))
        for index, note in enumerate(notes)
    )
    return Funds(TEXT, tree.root, spent)


def record_of(account: Account, spend: PreparedSpend) -> SentRecord:
    """What the spend's note to oneself will say about it, after a restore."""
    opened = [
        memo
        for commitment, text in zip(spend.witness.public.commitments, spend.memos, strict=True)
        if (memo := decrypt(text, account.viewing_key, commitment)) is not None
    ]
    (record,) = [found for memo in opened if (found := SentRecord.from_text(memo.text)) is not None]
    return record


def test_a_deposit_is_a_note_to_oneself_that_only_its_owner_opens(
    alice: Account, bob: Account, builder: TransactionBuilder
) -> None:
    call = builder.deposit(TEXT.lower(), 25)
    assert (call.token, call.amount) == (TEXT, 25)
    assert builder.deposit(TEXT, 25).pre_commitment != call.pre_commitment, "every note has a blinding of its own"
    # The pool computes the commitment from what it received; here it received what was said.
    commitment = poseidon([call.pre_commitment, TOKEN, 25])
    assert decrypt(call.memo, bob.viewing_key, commitment) is None
    opened = decrypt(call.memo, alice.viewing_key, commitment)
    assert opened is not None
    owner = alice.owner(alice.nullifying_key_for_note(opened.blinding))
    assert opened.note([owner], commitment) is not None


def test_a_viewing_key_deposits_and_signs_nothing(alice: Account, bob: Account) -> None:
    watching = TransactionBuilder(alice.viewing(), 31337, POOL)
    assert watching.deposit(TEXT, 1).amount == 1
    funds = funds_of(alice, 10)
    for attempt in (
        lambda: watching.transfer(funds, bob.address(0), 1, deadline=DEADLINE),
        lambda: watching.withdrawal(funds, RECEIVER, 1, deadline=DEADLINE),
        lambda: watching.consolidation(funds, deadline=DEADLINE),
    ):
        with pytest.raises(ViewOnlyError, match="only look"):
            attempt()


def test_a_transfer_pays_and_keeps_the_rest(alice: Account, bob: Account, builder: TransactionBuilder) -> None:
    recipient = bob.address(0)
    spend = builder.transfer(
        funds_of(alice, 30, 20), recipient.encode(), 45, deadline=DEADLINE, text="hi", fee=Fee(2, RELAYER)
    )
    assert sorted(note.amount for note in spend.witness.outputs) == [3, 45]
    call = spend.call(bytes(256))
    assert (call.public_amount, call.fee, call.relayer, call.receiver, call.deadline) == (
        2,
        2,
        RELAYER,
        NOBODY,
        DEADLINE,
    )
    assert record_of(alice, spend) == SentRecord(recipient, 45)
    assert eddsa.verify(alice.public, spend.witness.public.message(), spend.witness.signature)


def test_a_withdrawal_pays_out_its_amount_and_its_fee(alice: Account, builder: TransactionBuilder) -> None:
    spend = builder.withdrawal(funds_of(alice, 30), RECEIVER.lower(), 12, deadline=DEADLINE, fee=Fee(3, RELAYER))
    call = spend.call(bytes(256))
    assert (call.public_token, call.public_amount, call.receiver, call.fee) == (TOKEN, 15, RECEIVER, 3)
    assert sorted(note.amount for note in spend.witness.outputs) == [0, 15]
    assert record_of(alice, spend) == SentRecord(evm_recipient(RECEIVER), 12)


def test_a_consolidation_leaves_one_note_with_everything_but_the_fee(
    alice: Account, builder: TransactionBuilder
) -> None:
    spend = builder.consolidation(funds_of(alice, 30, 20), deadline=DEADLINE, fee=Fee(4, RELAYER))
    assert sorted(note.amount for note in spend.witness.outputs) == [0, 46]
    with pytest.raises(RequestError, match="takes all of the 50"):
        builder.consolidation(funds_of(alice, 30, 20), deadline=DEADLINE, fee=Fee(50, RELAYER))


def test_a_fee_by_a_note_shows_no_fee_and_only_its_payee_opens_it(
    alice: Account, bob: Account, builder: TransactionBuilder
) -> None:
    relayer = Account.from_seed(bytes(range(64)), index=2)
    fee = Fee(5, payee=relayer.address(0))
    spend = builder.transfer(funds_of(alice, 30, 20), bob.address(0), 40, deadline=DEADLINE, fee=fee)
    call = spend.call(bytes(256))
    assert (call.fee, call.relayer, call.public_amount, call.public_token) == (0, NOBODY, 0, 0)
    assert (spend.circuit, spend.fee, len(call.memos)) == ("spend_2x3", 5, 3)
    pairs = list(zip(call.memos, call.commitments, strict=True))
    for account, amount in ((relayer, 5), (bob, 40), (alice, 5)):
        opened = [memo for text, c in pairs if (memo := decrypt(text, account.viewing_key, c)) is not None]
        assert [memo.amount for memo in opened] == [amount]
    assert record_of(alice, spend) == SentRecord(bob.address(0), 40)
    merged = builder.consolidation(funds_of(alice, 30, 20), deadline=DEADLINE, fee=fee)
    assert sorted(note.amount for note in merged.witness.outputs) == [0, 5, 45]
    with pytest.raises(RequestError, match="pays its fee on chain"):
        builder.withdrawal(funds_of(alice, 30), RECEIVER, 10, deadline=DEADLINE, fee=fee)


def test_no_circuit_merges_many_notes_and_pays_a_note_besides(alice: Account, builder: TransactionBuilder) -> None:
    fee = Fee(1, payee=alice.address(0))
    with pytest.raises(ChainError, match="no circuit for a spend of 8 notes to 3"):
        builder.consolidation(funds_of(alice, 1, 2, 3), deadline=DEADLINE, fee=fee)
    with pytest.raises(RequestError, match="a spend takes 1 to 2 notes"):
        builder.transfer(funds_of(alice, 1, 2, 3), alice.address(0), 6, deadline=DEADLINE)


def test_the_places_of_three_outputs_say_nothing(alice: Account, bob: Account, builder: TransactionBuilder) -> None:
    funds, fee = funds_of(alice, 30, 20), Fee(5, payee=alice.address(0))
    orders = {
        tuple(note.amount for note in spend.witness.outputs)
        for _ in range(24)
        if (spend := builder.transfer(funds, bob.address(0), 41, deadline=DEADLINE, fee=fee))
    }
    # Two or fewer of six orders come up by chance in fewer than one of 10^10 runs.
    assert len(orders) >= 3


def test_what_cannot_be_built_is_refused(alice: Account, bob: Account, builder: TransactionBuilder) -> None:
    funds = funds_of(alice, 30)
    with pytest.raises(RequestError, match="pool must be"):
        TransactionBuilder(alice, 31337, "pool")
    with pytest.raises(RequestError, match="fee above 0 and a relayer"):
        Fee(1)
    with pytest.raises(RequestError, match="fee above 0 and a relayer"):
        Fee(0, RELAYER)
    with pytest.raises(RequestError, match="not to both"):
        Fee(1, RELAYER, bob.address(0))
    with pytest.raises(RequestError, match="not to both"):
        Fee(1, payee=Address(0, bytes(range(32))))
    with pytest.raises(RequestError, match="above 0 and below"):
        Fee(0, payee=bob.address(0))
    with pytest.raises(RequestError, match="above 0 and below"):
        builder.deposit(TEXT, 0)
    with pytest.raises(RequestError, match="do not cover"):
        builder.transfer(funds, bob.address(0), 31, deadline=DEADLINE)
    with pytest.raises(RequestError, match="nobody can spend"):
        builder.transfer(funds, Address(0, bytes(range(32))), 1, deadline=DEADLINE)
    with pytest.raises(AddressError):
        builder.transfer(funds, "gelap1nonsense", 1, deadline=DEADLINE)
    with pytest.raises(RequestError, match="at most 90"):
        builder.transfer(funds, bob.address(0), 1, deadline=DEADLINE, text="é" * 46)
    with pytest.raises(RequestError, match="neither the zero address nor the pool"):
        builder.withdrawal(funds, POOL, 1, deadline=DEADLINE)
