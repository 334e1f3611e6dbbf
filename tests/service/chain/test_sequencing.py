"""The sequencer as a service: several at once, restarts, and endpoints that fail."""

import json
import threading

import pytest
from eth_account import Account as EvmAccount
from eth_account.signers.local import LocalAccount

from chain.accounts import read_account
from chain.errors import ChainError, MismatchError, RpcError
from chain.pool import Pool
from chain.replacing import Urgency
from chain.sequencer import Outcome, Round, insert_pending, under_way
from chain.sequencing import MISMATCHES_TO_END, Pace, Sequencer
from chain.state import PoolState
from protocol.note import MEMO_BYTES
from tests.service.chain.anvil import ended, no_mining, until

MEMO = b"\0" * MEMO_BYTES
QUICK = Pace(patience=0, poll=0.05, jitter=0, longest_pause=0.2)
PROMPT = Urgency(poll=0.02)


def seen_by(pool: Pool, account: LocalAccount) -> Pool:
    return Pool(pool.w3, pool.address, account, pool.deployed_at)


class Meeting:
    """A prover at which several sequencers wait for each other, so that all of them hold a proof of the same batch."""

    def __init__(self, parties: int, inner) -> None:
        self._barrier = threading.Barrier(parties)
        self._inner = inner

    def prove(self, *statement):
        proof = self._inner.prove(*statement)
        self._barrier.wait(60)
        return proof


class Service:
    """A sequencer in a thread, with what became of its rounds."""

    def __init__(self, pool: Pool, prover, pace: Pace = QUICK) -> None:
        self.rounds: list[Round] = []
        self.failure: BaseException | None = None
        self.stop_event = threading.Event()
        self._sequencer = Sequencer(pool, prover, pace, urgency=PROMPT)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._sequencer.run(self.stop_event, self.rounds.append)
        except BaseException as error:
            self.failure = error

    def outcomes(self) -> list[Outcome]:
        """Those of the rounds that tried a batch; fails when the sequencer has."""
        assert self.failure is None, self.failure
        return [done.outcome for done in self.rounds if done.outcome in (Outcome.INSERTED, Outcome.OVERTAKEN)]

    def stop(self) -> None:
        self.stop_event.set()
        ended(self._thread)


def test_of_two_sequencers_with_a_proof_of_one_batch_each_goes_on(
    pool: Pool, queue, prover, pass_time, evm_accounts: list[LocalAccount]
) -> None:
    """The loser learns it from the chain and is there for the next batch."""
    queue(3)
    pass_time(120)
    meeting = Meeting(2, prover)
    services = [Service(seen_by(pool, account), meeting) for account in evm_accounts[1:3]]
    try:
        until(lambda: all(service.outcomes() for service in services))
        assert sorted(service.outcomes()[0].value for service in services) == ["inserted", "overtaken"]
        assert (pool.pending_count(), pool.next_leaf_index()) == (0, 64)
        queue(2)
        pass_time(120)
        # Whoever is stopped before it saw its block would not count it.
        until(lambda: sum(service.outcomes().count(Outcome.INSERTED) for service in services) == 2)
        assert pool.pending_count() == 0
    finally:
        for service in services:
            service.stop()
    assert [service.failure for service in services] == [None, None]


def test_a_batch_of_somebody_else_that_waits_for_its_block_is_not_raced(
    pool: Pool, queue, prover, pass_time, evm_accounts: list[LocalAccount]
) -> None:
    """Neither by proving against it nor, when it came while proving, by dying of the refusal."""
    queue(2)
    pass_time(120)
    state = PoolState(pool)
    other = seen_by(pool, evm_accounts[1])
    thread = threading.Thread(target=lambda: insert_pending(other, PoolState(other), prover))
    root = pool.merkle_root()

    class Slow:
        def prove(self, *statement):
            thread.start()
            until(lambda: under_way(pool, root))
            return prover.prove(*statement)

    with no_mining(pool.w3):
        assert insert_pending(pool, state, Slow()).outcome is Outcome.OVERTAKEN
        asked = len(prover.asked)
        assert Sequencer(pool, prover, QUICK, urgency=PROMPT).step(threading.Event()) is None
        assert len(prover.asked) == asked
    ended(thread)
    assert pool.pending_count() == 0


def test_a_full_batch_does_not_wait_for_patience(pool: Pool, queue, prover) -> None:
    queue(64)
    service = Service(pool, prover, Pace(patience=10**9, poll=0.05, jitter=0))
    try:
        until(lambda: service.outcomes() == [Outcome.INSERTED])
    finally:
        service.stop()
    assert service.failure is None
    assert pool.pending_count() == 0


def test_a_short_batch_waits_for_patience(pool: Pool, queue, prover, pass_time) -> None:
    queue(1)
    pass_time(150)
    sequencer = Sequencer(pool, prover, Pace(patience=300, poll=1, jitter=0))
    assert sequencer.step(threading.Event()) is None
    assert prover.asked == []
    pass_time(150)
    done = sequencer.step(threading.Event())
    assert done is not None
    assert done.outcome is Outcome.INSERTED


def test_a_new_process_goes_on_where_another_one_was_killed(pool: Pool, queue, prover, pass_time) -> None:
    """Killed between proof and transaction, and again after a batch: nothing but the chain is needed."""
    queue(2)
    pass_time(120)

    class Killed(BaseException):
        pass

    class Dying:
        def prove(self, *_):
            raise Killed

    with pytest.raises(Killed):
        Sequencer(pool, Dying(), QUICK, urgency=PROMPT).step(threading.Event())
    for _ in range(2):
        done = Sequencer(pool, prover, QUICK, urgency=PROMPT).step(threading.Event())
        assert done is not None
        assert done.outcome is Outcome.INSERTED
        queue(1)
        pass_time(120)


def test_a_failing_endpoint_or_prover_is_tried_again(pool: Pool, queue, prover, pass_time) -> None:
    queue(1)
    pass_time(120)
    failures = [RpcError("gone"), TimeoutError("slow")]

    class Unreliable:
        def prove(self, *statement):
            if failures:
                raise failures.pop()
            return prover.prove(*statement)

    stop = threading.Event()
    rounds: list[Round] = []

    def heard(done: Round) -> None:
        rounds.append(done)
        stop.set()

    Sequencer(pool, Unreliable(), QUICK, retried=(TimeoutError,), urgency=PROMPT).run(stop, heard)
    assert [done.outcome for done in rounds] == [Outcome.INSERTED]
    assert failures == []


def test_a_contradiction_that_passes_is_waited_out_and_one_that_stays_ends_it(
    pool: Pool, queue, prover, pass_time
) -> None:
    class Contradicting(PoolState):
        left = MISMATCHES_TO_END - 1

        def sync(self):
            if self.left:
                self.left -= 1
                raise MismatchError("events and contract disagree")
            return super().sync()

    queue(1)
    pass_time(120)
    stop = threading.Event()
    rounds: list[Round] = []

    def heard(done: Round) -> None:
        rounds.append(done)
        stop.set()

    state = Contradicting(pool)
    Sequencer(pool, prover, QUICK, state, urgency=PROMPT).run(stop, heard)
    assert [done.outcome for done in rounds] == [Outcome.INSERTED]

    state.left = MISMATCHES_TO_END
    with pytest.raises(MismatchError):
        Sequencer(pool, prover, QUICK, state, urgency=PROMPT).run(threading.Event())
    assert state.left == 0


def test_a_key_comes_from_a_file_or_a_keystore_and_is_never_shown(tmp_path) -> None:
    account = EvmAccount.create()
    plain, sealed, passphrase = (tmp_path / name for name in ("key", "key.json", "passphrase"))
    plain.write_text(account.key.hex() + "\n")
    assert read_account(str(plain)).address == account.address
    sealed.write_text(json.dumps(EvmAccount.encrypt(account.key, "open sesame", iterations=2)))
    passphrase.write_text("open sesame\n")
    assert read_account(str(sealed), passphrase).address == account.address
    passphrase.write_text("wrong\n")
    plain.write_text(account.key.hex()[:-1])
    for file in (plain, sealed, tmp_path / "missing"):
        with pytest.raises(ChainError) as refused:
            read_account(str(file), passphrase)
        assert account.key.hex()[:16] not in str(refused.value)
        assert refused.value.__cause__ is None
    with pytest.raises(ChainError, match="passphrase"):
        read_account(str(sealed))
