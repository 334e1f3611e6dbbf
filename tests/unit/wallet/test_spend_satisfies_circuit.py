"""What the wallet and the sequencer build is what the circuits prove, and nothing that is changed afterwards is."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.events import CommitmentQueued, Origin
from chain.proving import INSERT_CIRCUIT, SPEND_CIRCUIT
from chain.tree import PoolTree
from protocol.keys import Account
from protocol.memo import SentRecord
from protocol.statements import InsertStatement, SpentNote
from prover.errors import UnsatisfiedError
from prover.limbs import from_limbs
from prover.statements import registry
from prover.witness import cpu
from wallet.notes import Funds
from wallet.spend import Terms, build_spend, evm_recipient, payment, to_oneself
from wallet.store import token_text
from wallet.transactions import Fee, TransactionBuilder

TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3
RECEIVER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
TERMS = Terms(chain_id=31337, pool="0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0", deadline=1_900_000_000)


def public_inputs(circuit: str, inputs: dict) -> list[int]:
    """Solve the circuit (which checks every constraint) and return its public wires."""
    built = registry.build(circuit)
    witness = cpu.solve(built, inputs)[0]
    cpu.check(built.r1cs, witness)
    return from_limbs(witness[1 : built.r1cs.n_public + 1])


def funded(account: Account, amounts: list[int]) -> tuple[int, list[SpentNote]]:
    tree = PoolTree()
    notes = [to_oneself(account, TOKEN, amount).note for amount in amounts]
    for position, note in enumerate(notes):
        tree.apply(CommitmentQueued(position, note.commitment, b"", Origin(1, "0x", "0x", position, 0)))
    tree._tree.insert_batch(tree.pending)
    return tree.root, [
        SpentNote(note, account.nullifying_key_for_note(note.blinding), index, tree.path(index))
        for index, note in enumerate(notes)
    ]


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_payment_the_wallet_builds_satisfies_the_circuit(
    alice: Account, bob: Account, data: st.DataObject
) -> None:
    amounts = data.draw(st.lists(st.integers(1, 2**126), min_size=1, max_size=2), label="notes")
    paid = data.draw(st.integers(1, sum(amounts)), label="paid")
    fee = data.draw(st.integers(0, sum(amounts) - paid), label="fee")
    root, spent = funded(alice, amounts)
    recipient = bob.address(0)
    terms = replace(TERMS, fee=fee, relayer=RECEIVER)
    first = payment(recipient, TOKEN, paid)
    spend = build_spend(alice, terms, root, spent, first, SentRecord(recipient, paid), fee)
    assert public_inputs(SPEND_CIRCUIT, spend.inputs) == spend.public_inputs


def test_every_withdrawal_the_wallet_builds_satisfies_the_circuit(alice: Account) -> None:
    root, spent = funded(alice, [100])
    terms = replace(TERMS, receiver=RECEIVER)
    record = SentRecord(evm_recipient(RECEIVER), 15)
    spend = build_spend(alice, terms, root, spent, to_oneself(alice, TOKEN, 0), record, 15)
    assert public_inputs(SPEND_CIRCUIT, spend.inputs) == spend.public_inputs


def funds_of(account: Account, amounts: list[int]) -> Funds:
    root, spent = funded(account, amounts)
    return Funds(token_text(TOKEN), root, tuple(spent))


def test_a_payment_with_a_fee_by_a_note_satisfies_its_circuit(alice: Account, bob: Account) -> None:
    builder = TransactionBuilder(alice, TERMS.chain_id, TERMS.pool)
    fee = Fee(7, payee=bob.address(1))
    spend = builder.transfer(funds_of(alice, [100, 50]), bob.address(0), 120, deadline=TERMS.deadline, fee=fee)
    assert spend.circuit == "spend_2x3"
    assert sorted(spend.inputs["outAmount"]) == [7, 23, 120]  # type: ignore[type-var]
    assert public_inputs(spend.circuit, spend.inputs) == spend.public_inputs


def test_a_consolidation_of_more_than_two_notes_satisfies_its_circuit(alice: Account) -> None:
    builder = TransactionBuilder(alice, TERMS.chain_id, TERMS.pool)
    funds = funds_of(alice, [10, 11, 12, 13, 14])
    spend = builder.consolidation(funds, deadline=TERMS.deadline, fee=Fee(4, RECEIVER))
    assert (spend.circuit, len(spend.reserved)) == ("spend_8x2", 5)
    assert sorted(spend.inputs["outAmount"]) == [0, funds.amount - 4]  # type: ignore[type-var]
    assert public_inputs(spend.circuit, spend.inputs) == spend.public_inputs


@pytest.mark.parametrize(
    "signal", ["publicAmount", "boundHash", "root", "s", "token", "inNullifyingKey", "outAmount", "nullifier"]
)
def test_a_payment_changed_by_its_prover_satisfies_nothing(alice: Account, bob: Account, signal: str) -> None:
    root, spent = funded(alice, [100, 50])
    recipient = bob.address(0)
    spend = build_spend(alice, TERMS, root, spent, payment(recipient, TOKEN, 120), SentRecord(recipient, 120), 0)
    inputs = dict(spend.inputs)
    value = inputs[signal]
    inputs[signal] = [value[0] + 1, *value[1:]] if isinstance(value, list) else value + 1
    with pytest.raises(UnsatisfiedError):
        public_inputs(SPEND_CIRCUIT, inputs)


def test_a_planned_batch_satisfies_the_circuit() -> None:
    tree = PoolTree()
    for position in range(5):
        tree.apply(CommitmentQueued(position, 1000 + position, b"", Origin(1, "0x", "0x", position, 0)))
    tree._tree.insert_batch(tree.pending[:2])
    statement = InsertStatement.from_batch(tree._tree.plan_batch([1002, 1003, 1004]))
    assert public_inputs(INSERT_CIRCUIT, statement.inputs()) == statement.public.inputs()
