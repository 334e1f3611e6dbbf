"""What the chain shows of a payment beside its numbers: whether it tells one payment, or one wallet, from another."""

import json
from pathlib import Path

import pytest
from web3 import Web3

import contracts
from chain.pool import NOBODY
from chain.relayer.quote import Quote
from protocol.address import Address
from protocol.keys import Account
from protocol.memo import MEMO_BYTES
from protocol.merkle import MerkleTree
from protocol.statements import SpentNote
from wallet.notes import Funds
from wallet.relaying import DEADLINE_SECONDS, DEADLINE_STEP, deadline_for, usual_deadline
from wallet.spend import PreparedSpend, to_oneself
from wallet.transactions import Fee, TransactionBuilder

TOKEN = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
POOL = "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0"
SOMEBODY = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
ABI = json.loads((Path(contracts.__file__).parent / "artifacts" / "GelapShieldedAccount.json").read_text())["abi"]


def funds(alice: Account, count: int) -> Funds:
    notes = [to_oneself(alice, int(TOKEN, 16), 100).note for _ in range(count)]
    tree = MerkleTree()
    tree.insert_batch([note.commitment for note in notes])
    spent = [
        SpentNote(note, alice.nullifying_key_for_note(note.blinding), index, tree.path(index))
        for index, note in enumerate(notes)
    ]
    return Funds(TOKEN, tree.root, tuple(spent))


@pytest.fixture(scope="module")
def payments(alice: Account, bob: Account) -> dict[str, PreparedSpend]:
    builder = TransactionBuilder(alice, 31337, POOL)
    fee = Fee(7, SOMEBODY)
    address = bob.address(0).encode()
    return {
        "to somebody, of one note": builder.transfer(funds(alice, 1), address, 40, deadline=900),
        "of two notes, with a text": builder.transfer(funds(alice, 2), address, 140, deadline=900, text="é" * 45),
        "of everything": builder.transfer(funds(alice, 1), address, 100, deadline=900),
        "to oneself": builder.transfer(funds(alice, 1), alice.address(3).encode(), 1, deadline=900),
        "with a fee": builder.transfer(funds(alice, 1), address, 40, deadline=900, fee=fee),
        "a withdrawal": builder.withdrawal(funds(alice, 2), SOMEBODY, 150, deadline=900, fee=fee),
        "merging": builder.consolidation(funds(alice, 2), deadline=900),
    }


def test_payments_of_every_kind_have_one_form(payments: dict[str, PreparedSpend]) -> None:
    """Attack row 23: two nullifiers, two commitments, two memos of one size, and call data of one length."""
    contract = Web3().eth.contract(abi=ABI)
    forms = set()
    for spend in payments.values():
        call = spend.call(bytes(256))
        function = "transact" if call.receiver == NOBODY else "withdraw"
        data = contract.encode_abi(function, args=[call.as_tuple()])
        forms.add((len(call.nullifiers), len(call.commitments), *map(len, call.memos), len(data)))
    assert len(forms) == 1
    assert next(iter(forms))[:4] == (2, 2, MEMO_BYTES, MEMO_BYTES)


def test_private_payments_show_no_amount_token_receiver_or_payer(payments: dict[str, PreparedSpend]) -> None:
    """Attack row 23: sent without a relayer's fee, all that differs between them is random to who has no key."""
    private = [spend for spend in payments.values() if not spend.terms.fee]
    assert len(private) == 5
    for spend in private:
        call = spend.call(b"")
        assert (call.public_token, call.public_amount, call.fee) == (0, 0, 0)
        assert {call.receiver, call.relayer} == {NOBODY}
    shown = [number for spend in private for number in (*spend.call(b"").nullifiers, *spend.call(b"").commitments)]
    assert len(set(shown)) == len(shown)


def test_nothing_of_the_keys_is_in_what_the_chain_shows(payments: dict[str, PreparedSpend], alice: Account) -> None:
    address: Address = alice.address(0)
    lasting = {alice.public.x, alice.public.y, address.owner, int.from_bytes(address.viewing_public, "big")}
    for spend in payments.values():
        assert lasting.isdisjoint(spend.public_inputs)
        assert not any(number.to_bytes(32, "big") in memo for number in lasting for memo in spend.memos)


def test_deadlines_tell_five_minutes_and_not_the_second() -> None:
    """Attack row 23: everybody who pays within them has the same, which is between 15 and 20 minutes ahead."""
    start = 1_800_000_000 // DEADLINE_STEP * DEADLINE_STEP
    shown = {usual_deadline(now) for now in range(start, start + DEADLINE_STEP)}
    assert len(shown) == 1
    for now in (start, start + 1, start + 299):
        assert 15 * 60 < usual_deadline(now) - now <= DEADLINE_SECONDS


def test_a_quote_leaves_no_mark_in_the_deadline() -> None:
    """A relayer that ends each quote at a second of its own does not find it again on the chain."""
    now = 1_800_000_123
    quotes = [Quote(1, POOL, SOMEBODY, TOKEN, "withdraw", 5, now + life) for life in range(120, 180)]
    assert {deadline_for(quote, now) for quote in quotes} == {usual_deadline(now)}
    long = Quote(1, POOL, SOMEBODY, TOKEN, "withdraw", 5, now + 10**9)
    assert deadline_for(long, now) % DEADLINE_STEP == 0
    assert deadline_for(long, now) - now <= 75 * 60
