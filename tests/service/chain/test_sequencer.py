"""The sequencer against the real queue: it waits as the pool demands, and losing a race is no error."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from web3 import Web3

from chain.errors import MismatchError, RevertedError
from chain.pool import Pool
from chain.proving import INSERT_CIRCUIT
from chain.sequencer import Outcome, insert_pending
from chain.state import PoolState
from protocol.merkle import MerkleTree
from protocol.note import MEMO_BYTES
from protocol.statements import insert_challenge, insert_evaluation

MEMO = b"\0" * MEMO_BYTES


class Racing:
    """A prover during whose work something else happens on the chain."""

    def __init__(self, meanwhile: Callable[[], object], inner: Any) -> None:
        self._meanwhile = meanwhile
        self._inner = inner

    def prove(self, circuit: str, public_inputs: list[int], inputs: Mapping[str, Any]) -> Any:
        self._meanwhile()
        return self._inner.prove(circuit, public_inputs, inputs)


def test_an_empty_queue_needs_no_proof(pool: Pool, prover) -> None:
    assert insert_pending(pool, PoolState(pool), prover).outcome is Outcome.NOTHING_PENDING
    assert prover.asked == []


def test_a_short_batch_waits_exactly_as_long_as_the_pool_demands(pool: Pool, queue, prover, pass_time) -> None:
    queue(3)
    state = PoolState(pool)
    early = insert_pending(pool, state, prover)
    assert early.outcome is Outcome.TOO_EARLY
    assert 0 < early.wait_seconds <= 120
    with pytest.raises(RevertedError, match="BatchTooShort"):
        pool.insert(1, 3, b"\x01" * 256)
    pass_time(early.wait_seconds)
    done = insert_pending(pool, state, prover)
    assert (done.outcome, done.count) == (Outcome.INSERTED, 3)
    assert done.receipt is not None
    assert (pool.merkle_root(), pool.next_leaf_index(), pool.pending_count()) == (state.tree.root, 64, 0)


def test_the_statement_is_the_one_the_contract_checks(pool: Pool, queue, prover, pass_time) -> None:
    queue(2)
    pass_time(120)
    old_root = pool.merkle_root()
    state = PoolState(pool)
    insert_pending(pool, state, prover)
    ((circuit, public, inputs),) = prover.asked
    leaves = inputs["leaf"]
    expected = MerkleTree().plan_batch([state.tree.commitment(0), state.tree.commitment(1)])
    challenge = insert_challenge(old_root, pool.merkle_root(), 0, leaves)
    assert circuit == INSERT_CIRCUIT
    assert leaves == list(expected.leaves)
    assert inputs["sibling"] == list(expected.siblings)
    assert public == [old_root, expected.new_root, 0, challenge, insert_evaluation(challenge, leaves)]


def test_sixty_four_are_inserted_at_once_and_the_rest_waits(pool: Pool, queue, prover) -> None:
    queue(65)
    state = PoolState(pool)
    assert insert_pending(pool, state, prover).count == 64
    rest = insert_pending(pool, state, prover)
    assert rest.outcome is Outcome.TOO_EARLY
    assert state.tree.pending == [state.tree.commitment(64)]


def test_a_batch_of_somebody_else_that_came_first_is_no_error(pool: Pool, queue, prover, pass_time) -> None:
    queue(2)
    pass_time(120)
    other = PoolState(pool)
    racing = Racing(lambda: insert_pending(pool, other, prover), prover)
    state = PoolState(pool)
    lost = insert_pending(pool, state, racing)
    assert (lost.outcome, lost.count, lost.receipt) == (Outcome.OVERTAKEN, 2, None)
    assert state.tree.root == pool.merkle_root()
    assert insert_pending(pool, state, prover).outcome is Outcome.NOTHING_PENDING


def test_commitments_queued_while_proving_do_not_disturb_a_short_batch(pool: Pool, queue, prover, pass_time) -> None:
    queue(1)
    pass_time(120)
    state = PoolState(pool)
    result = insert_pending(pool, state, Racing(lambda: queue(2), prover))
    assert (result.outcome, result.count) == (Outcome.INSERTED, 1)
    assert len(state.tree.pending) == 2


def test_a_short_batch_that_others_became_due_beside_is_planned_afresh(pool: Pool, queue, prover, pass_time) -> None:
    queue(1)
    pass_time(120)
    state = PoolState(pool)

    def long_proof() -> None:
        queue(2)
        pass_time(120)

    late = insert_pending(pool, state, Racing(long_proof, prover))
    assert (late.outcome, late.count) == (Outcome.OVERTAKEN, 1)
    assert insert_pending(pool, state, prover).count == 3


def test_a_refused_proof_is_an_error_and_not_a_lost_race(pool: Pool, w3: Web3, queue, prover, pass_time) -> None:
    queue(1)
    pass_time(120)
    verifier = pool._contract.functions.verifier().call()
    w3.provider.make_request("anvil_setCode", [verifier, "0x5f5ffd"])  # type: ignore[arg-type]
    with pytest.raises(RevertedError):
        insert_pending(pool, PoolState(pool), prover)


def test_a_replaced_block_is_noticed_and_read_again(pool: Pool, w3: Web3, queue, prover, pass_time) -> None:
    queue(1)
    snapshot = w3.provider.make_request("evm_snapshot", [])["result"]  # type: ignore[arg-type]
    queue(1)
    state = PoolState(pool)
    assert len(state.sync().pending) == 2
    w3.provider.make_request("evm_revert", [snapshot])  # type: ignore[arg-type]
    pass_time(1)
    queue(3)
    assert len(state.sync().pending) == 4
    pass_time(120)
    assert insert_pending(pool, state, prover).count == 4


def test_a_contract_that_disagrees_with_its_events_halts_everything(
    pool: Pool, queue, prover, pass_time, monkeypatch
) -> None:
    queue(1)
    pass_time(120)
    state = PoolState(pool)
    insert_pending(pool, state, prover)
    monkeypatch.setattr(type(pool), "merkle_root", lambda self, block="latest": 5)
    with pytest.raises(MismatchError, match="disagree with each other"):
        state.sync()
    with pytest.raises(MismatchError):
        insert_pending(pool, state, prover)
