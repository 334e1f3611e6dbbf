"""Blocks that are replaced under a relayer's payments: they are pending again, and sent again."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from web3 import Web3

from chain.pool import Pool, Spend
from chain.relayer import metrics
from chain.relayer.journal import Journal, Submission
from chain.relayer.policy import Policy
from chain.relayer.prices import Prices
from chain.relayer.service import Relayer
from chain.token import Token
from tests.service.chain.anvil import ask, no_mining
from tests.service.chain.relaying import in_block, paid_on_chain, tended

POLICY = Policy(confirmations=3, final_after=6)


@pytest.fixture
def policy() -> Policy:
    return POLICY


@pytest.fixture
def spend(relayer: Relayer, pool: Pool, token: Token) -> Spend:
    """A withdrawal that pays this relayer."""
    return paid_on_chain(pool, relayer.quote(token.address, "withdraw"))


@contextmanager
def replaced_from_here(w3: Web3) -> Iterator[None]:
    """After the block, the chain is as it was before it, but for other, empty blocks of the same number and two more;
    the transactions are lost.
    """
    snapshot = ask(w3, "evm_snapshot")
    before = w3.eth.block_number
    yield
    after = w3.eth.block_number
    assert ask(w3, "evm_revert", snapshot)
    # Another time in its header, later than the replaced one can have been, gives the first new block another hash.
    ask(w3, "evm_increaseTime", 600)
    ask(w3, "anvil_mine", hex(after - before + 2))


def mine(w3: Web3, blocks: int) -> None:
    ask(w3, "anvil_mine", hex(blocks))


def submit(relayer: Relayer, token: Token, spend: Spend) -> Submission:
    return relayer.submit(relayer.quote(token.address, "withdraw"), spend)


def submit_and_mine(relayer: Relayer, token: Token, spend: Spend) -> Submission:
    return in_block(relayer, submit(relayer, token, spend))


def test_a_payment_is_settled_only_after_its_confirmations(relayer, token, spend, w3) -> None:
    sent = submit_and_mine(relayer, token, spend)
    for blocks in (1, 2):
        relayer.tend()
        found = relayer.find(sent.id)
        assert (found.state, w3.eth.block_number) == ("pending", found.block_number + blocks - 1)
        mine(w3, 1)
    relayer.tend()
    assert relayer.find(sent.id).state == "settled"


def test_a_payment_whose_block_was_replaced_before_it_was_settled_is_sent_again(relayer, token, spend, w3) -> None:
    reorgs = metrics.REORGS._value.get()
    with replaced_from_here(w3):
        sent = submit_and_mine(relayer, token, spend)
        relayer.tend()
        first = relayer.find(sent.id)
        assert first.block_hash is not None
    assert token.balance_of(relayer.address) == 0
    relayer.tend()
    again = relayer.find(sent.id)
    assert (again.state, again.block_hash) == ("pending", None)
    assert metrics.REORGS._value.get() == reorgs + 1
    mine(w3, 3)
    settled = tended(relayer, sent.id)
    assert settled.state == "settled"
    assert settled.block_hash not in (None, first.block_hash)
    assert token.balance_of(relayer.address) == spend.fee


def test_a_settled_payment_whose_block_was_replaced_is_pending_again_and_survives_a_restart(
    relayer, token, spend, w3, pool, clock, tmp_path
) -> None:
    with replaced_from_here(w3):
        sent = submit_and_mine(relayer, token, spend)
        mine(w3, 2)
        assert tended(relayer, sent.id).state == "settled"
    # The relayer was not running meanwhile.
    relayer._journal.close()
    journal = Journal(tmp_path / f"{relayer.address}.db")
    later = Relayer(relayer.pool, relayer._account, Prices(tmp_path / "prices.json"), journal, POLICY, clock)
    later.tend()
    assert later.find(sent.id).state == "pending"
    mine(w3, 3)
    assert tended(later, sent.id).state == "settled"
    assert token.balance_of(relayer.address) == spend.fee


def test_a_payment_that_can_only_fail_after_the_reorganisation_is_cancelled(relayer, token, spend, w3, pool) -> None:
    """Its owner broadcast it in the blocks that took the place."""
    with replaced_from_here(w3):
        sent = submit_and_mine(relayer, token, spend)
        mine(w3, 2)
        assert tended(relayer, sent.id).state == "settled"
    pool.withdraw(spend)
    relayer.tend()
    mine(w3, 3)
    found = tended(relayer, sent.id)
    assert (found.state, found.detail) == ("failed", "it was cancelled")
    assert w3.eth.get_transaction(found.hashes[-1])["to"] == relayer.address
    assert token.balance_of(relayer.address) == spend.fee  # which the owner's own transaction paid


def test_a_payment_that_moved_to_another_block_by_itself_is_not_sent_again(relayer, token, spend, w3) -> None:
    """anvil's own reorganisation puts the transaction into the next block of the new fork. (A block with the same
    transactions would keep its time, and so its hash.)
    """
    sent = submit_and_mine(relayer, token, spend)
    mine(w3, 1)
    relayer.tend()
    first = relayer.find(sent.id)
    raw = w3.eth.get_raw_transaction(first.hashes[-1])
    ask(w3, "anvil_reorg", 2, [[raw.to_0x_hex(), 1]])
    relayer.tend()
    moved = relayer.find(sent.id)
    assert moved.hashes == first.hashes
    assert moved.block_number == first.block_number + 1
    assert moved.block_hash != first.block_hash
    mine(w3, 3)
    assert tended(relayer, sent.id).state == "settled"


def test_a_payment_deep_in_the_chain_is_watched_no_more_but_still_known(relayer, token, spend, w3) -> None:
    sent = submit_and_mine(relayer, token, spend)
    mine(w3, POLICY.final_after)
    assert tended(relayer, sent.id).state == "settled"
    mine(w3, 1)
    relayer.tend()
    assert relayer._journal.watched() == []
    assert relayer.find(sent.id).data == ""
    assert submit(relayer, token, spend).id == sent.id


def test_an_endpoint_that_lags_is_no_reorganisation(relayer, token, spend, w3, clock, monkeypatch) -> None:
    sent = submit_and_mine(relayer, token, spend)
    mine(w3, 2)
    assert tended(relayer, sent.id).state == "settled"
    settled = relayer.find(sent.id)
    behind = settled.block_number - 1
    block = w3.eth.get_block(behind)
    transactions = relayer._tender._transactions
    monkeypatch.setattr(transactions, "head", lambda: (behind, block["hash"].to_0x_hex()))
    monkeypatch.setattr(transactions, "mined", lambda hashes: None)
    monkeypatch.setattr(relayer.pool, "block_hash", lambda number: None)
    relayer.tend()
    assert relayer.find(sent.id) == settled
    # But not for ever: a chain that stays shorter was replaced.
    clock.time += POLICY.stuck_after + 1
    relayer.tend()
    assert relayer.find(sent.id).state == "pending"
    monkeypatch.undo()
    assert tended(relayer, sent.id).state == "settled"


def test_a_stuck_payment_waits_for_its_confirmations_after_it_was_replaced(relayer, token, spend, w3, clock) -> None:
    with no_mining(w3) as mine_one:
        sent = submit(relayer, token, spend)
        clock.time += POLICY.stuck_after + 1
        relayer.tend()
        assert len(relayer.find(sent.id).hashes) == 2
        mine_one()
        relayer.tend()
        assert relayer.find(sent.id).state == "pending"
        assert relayer.find(sent.id).block_number is not None
    mine(w3, 2)
    assert tended(relayer, sent.id).state == "settled"
