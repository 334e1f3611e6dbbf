"""A sequencer's own transactions that no block takes: replaced, cancelled, or cleared away after a restart."""

import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from eth_account.signers.local import LocalAccount

from chain import sequencer_metrics as metrics
from chain.errors import RpcError, UnavailableError
from chain.pool import Pool
from chain.replacing import ReplacingSender, Urgency
from chain.rpc import connect
from chain.sequencer import Outcome, Round, insert_pending
from chain.sequencing import Pace, Sequencer
from chain.state import PoolState
from chain.transactions import CANCEL_GAS
from gelap.children import start_command
from tests.service.chain.anvil import ask, ended, no_mining, until
from tests.service.chain.relaying import funded_account, listening

QUICK = Pace(patience=0, poll=0.05, jitter=0, longest_pause=0.2)
URGENT = Urgency(stuck_after=0.3, poll=0.02)
NEVER = Urgency(stuck_after=1e9, poll=0.02)


@pytest.fixture
def queue(queue: Callable[[int], None], pass_time: Callable[[int], None]) -> Callable[[int], None]:
    """Queue so many commitments and let the time pass until a short batch may hold them."""

    def deposit(count: int) -> None:
        queue(count)
        pass_time(120)

    return deposit


@pytest.fixture
def account(pool: Pool) -> LocalAccount:
    return funded_account(pool.w3)


@pytest.fixture
def seen(pool: Pool, account: LocalAccount) -> Pool:
    return Pool(pool.w3, pool.address, account, pool.deployed_at)


class Running:
    """One step of a sequencer in a thread."""

    def __init__(self, sequencer: Sequencer) -> None:
        self.stop = threading.Event()
        self.round: Round | None = None
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(sequencer,))
        self._thread.start()

    def _run(self, sequencer: Sequencer) -> None:
        try:
            self.round = sequencer.step(self.stop)
        except BaseException as error:
            self.failure = error

    def ended(self) -> Round | None:
        ended(self._thread)
        assert self.failure is None, self.failure
        return self.round


def waiting(pool: Pool, account: LocalAccount) -> list[dict[str, Any]]:
    """The account's transactions in the node's memory."""
    content: Any = ask(pool.w3, "txpool_content")
    return [
        each
        for of, sent in content["pending"].items()
        if of.lower() == account.address.lower()
        for each in sent.values()
    ]


def gas(outcome: str) -> float:
    return metrics.REGISTRY.get_sample_value("gelap_sequencer_gas_total", {"outcome": outcome}) or 0.0


def test_a_stuck_batch_is_replaced_by_a_dearer_one(pool, seen, account, queue, prover) -> None:
    queue(3)
    before = metrics.REPLACED._value.get()
    with no_mining(pool.w3) as mine:
        running = Running(Sequencer(seen, prover, QUICK, urgency=URGENT))
        until(lambda: waiting(pool, account))
        (first,) = waiting(pool, account)
        until(lambda: waiting(pool, account)[0]["hash"] != first["hash"])
        (second,) = waiting(pool, account)
        assert (second["nonce"], second["input"]) == (first["nonce"], first["input"])
        assert int(second["maxFeePerGas"], 16) * 10 >= int(first["maxFeePerGas"], 16) * 11
        mine()
        done = running.ended()
    assert done is not None
    assert (done.outcome, done.count) == (Outcome.INSERTED, 3)
    assert done.receipt is not None
    assert (
        done.receipt.tx_hash in {each["hash"] for each in (first, second)} or metrics.REPLACED._value.get() > before + 1
    )
    assert pool.pending_count() == 0
    assert metrics.REPLACED._value.get() > before
    assert len(prover.asked) == 1


def test_a_batch_is_cancelled_when_somebody_elses_came_first(pool, seen, account, queue, prover) -> None:
    """The node lost ours; the price of a refused batch is a hundred thousand gas and more, that of nothing 21,000."""
    queue(2)
    spent = gas("cancelled")
    other = PoolState(pool)
    with no_mining(pool.w3) as mine:
        running = Running(Sequencer(seen, prover, QUICK, urgency=NEVER))
        until(lambda: waiting(pool, account))
        (ours,) = waiting(pool, account)
        ask(pool.w3, "anvil_dropTransaction", ours["hash"])
        rival = threading.Thread(target=lambda: insert_pending(pool, other, prover))
        rival.start()
        until(lambda: waiting(pool, pool.account))
        mine()
        ended(rival)
        until(lambda: waiting(pool, account))
        (cancelling,) = waiting(pool, account)
        assert (cancelling["to"], cancelling["nonce"]) == (account.address.lower(), ours["nonce"])
        mine()
        done = running.ended()
    assert done is not None
    assert done.outcome is Outcome.OVERTAKEN
    assert gas("cancelled") - spent == CANCEL_GAS
    assert pool.pending_count() == 0
    # And it is there for the next one.
    queue(1)
    done = Sequencer(seen, prover, QUICK, urgency=URGENT).step(threading.Event())
    assert done is not None
    assert done.outcome is Outcome.INSERTED


def test_what_an_earlier_process_left_waiting_is_cancelled_and_the_batch_sent_again(
    pool, seen, account, queue, prover
) -> None:
    queue(2)
    with no_mining(pool.w3) as mine:
        killed = Running(Sequencer(seen, prover, QUICK, urgency=NEVER))
        until(lambda: waiting(pool, account))
        (left,) = waiting(pool, account)
        killed.stop.set()
        ended(killed._thread)
        assert type(killed.failure).__name__ == "NotMinedError"

        again = Sequencer(seen, prover, QUICK, urgency=URGENT)
        assert again.step(threading.Event()) is None  # its batch is under way, for all it knows
        assert waiting(pool, account) == [left]
        time.sleep(URGENT.stuck_after)
        running = Running(again)
        until(lambda: waiting(pool, account)[0]["hash"] != left["hash"])
        (cancelling,) = waiting(pool, account)
        assert (cancelling["to"], cancelling["nonce"]) == (account.address.lower(), left["nonce"])
        mine()
        assert running.ended() is None
    assert pool.pending_count() == 2
    done = again.step(threading.Event())
    assert done is not None
    assert (done.outcome, done.count) == (Outcome.INSERTED, 2)


def test_a_new_call_outbids_what_waits_with_its_nonce(pool, seen, account, queue, prover) -> None:
    """Nodes tell nothing of a transaction whose price is too low to be mined: the refusal of the next one does."""
    queue(1)
    with no_mining(pool.w3) as mine:
        price = pool.w3.eth.get_block("latest")["baseFeePerGas"] * 9
        stale = account.sign_transaction(
            {"nonce": 0, "to": account.address, "gas": 21_000, "value": 0, "chainId": pool.chain_id}
            | {"maxFeePerGas": price, "maxPriorityFeePerGas": price // 2, "data": b""}
        )
        pool.w3.eth.send_raw_transaction(stale.raw_transaction)
        running = Running(Sequencer(seen, prover, QUICK, urgency=NEVER))
        until(lambda: waiting(pool, account)[0]["hash"] != stale.hash.to_0x_hex())
        mine()
        done = running.ended()
    assert done is not None
    assert done.outcome is Outcome.INSERTED


def test_a_price_is_raised_no_further_than_allowed(pool, seen, account, queue, prover, monkeypatch) -> None:
    queue(1)
    now = ReplacingSender(seen, account)._transactions.price().max_fee
    sequencer = Sequencer(seen, prover, QUICK, urgency=Urgency(0.1, now * 13 // 10, 0.02))
    transactions = sequencer._sender._transactions
    honest, sent = transactions.send, []

    def send(shown: str, raw: bytes) -> bool:
        sent.append(shown)
        return honest(shown, raw)

    monkeypatch.setattr(transactions, "send", send)
    with no_mining(pool.w3) as mine:
        running = Running(sequencer)
        until(lambda: len(set(sent)) > 1 and len(set(sent[-3:])) == 1)  # sent again, and no dearer
        (kept,) = waiting(pool, account)
        assert int(kept["maxFeePerGas"], 16) > now
        assert int(kept["maxFeePerGas"], 16) <= now * 13 // 10
        mine()
        done = running.ended()
    assert done is not None
    assert done.outcome is Outcome.INSERTED


def test_a_block_that_comes_between_two_questions_is_noticed(pool, seen, account, queue, prover, monkeypatch) -> None:
    queue(1)
    sequencer = Sequencer(seen, prover, QUICK, urgency=Urgency(stuck_after=0.1, poll=0.02))
    transactions = sequencer._sender._transactions
    honest = transactions.nonce
    with no_mining(pool.w3) as mine:

        def nonce(block: str = "pending") -> int:
            if block == "latest" and waiting(pool, account):
                mine()
            return honest(block)

        monkeypatch.setattr(transactions, "nonce", nonce)
        done = sequencer.step(threading.Event())
    assert done is not None
    assert done.outcome is Outcome.INSERTED


def test_an_account_without_ether_is_told_of_and_tried_again(pool, seen, account, queue, prover) -> None:
    queue(1)
    ask(pool.w3, "anvil_setBalance", account.address, "0x0")
    sequencer = Sequencer(seen, prover, QUICK, urgency=URGENT)
    for _ in range(2):
        with pytest.raises(RpcError, match=r"ether|funds"):
            sequencer.step(threading.Event())
    ask(pool.w3, "anvil_setBalance", account.address, hex(10**18))
    done = sequencer.step(threading.Event())
    assert done is not None
    assert done.outcome is Outcome.INSERTED
    assert len(prover.asked) == 1  # the proof was kept


class Noting(threading.Event):
    """Remembers how long it was waited for, and is set after so many waits."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.waits: list[float] = []
        self._left = waits

    def wait(self, timeout: float | None = None) -> bool:
        if timeout:
            self.waits.append(timeout)
            self._left -= 1
            if self._left == 0:
                self.set()
        return self.is_set()


def test_a_prover_that_fails_is_left_alone_longer_and_longer(seen, queue) -> None:
    queue(1)
    before = metrics.REGISTRY.get_sample_value("gelap_sequencer_failures_total", {"kind": "TimeoutError"}) or 0.0

    class Dead:
        def prove(self, *_):
            raise TimeoutError("no worker")

    stop = Noting(6)
    Sequencer(seen, Dead(), Pace(patience=0, poll=1, jitter=0, longest_pause=10), retried=(TimeoutError,)).run(stop)
    assert stop.waits == [1, 2, 4, 8, 10, 10]
    failures = metrics.REGISTRY.get_sample_value("gelap_sequencer_failures_total", {"kind": "TimeoutError"})
    assert failures == before + 6


def test_it_works_through_several_endpoints(pool, account, queue, prover) -> None:
    queue(2)
    w3 = connect(["http://127.0.0.1:9", pool.w3.provider.endpoint_uri])
    over_both = Pool(w3, pool.address, account, pool.deployed_at)
    done = Sequencer(over_both, prover, QUICK, urgency=URGENT).step(threading.Event())
    assert done is not None
    assert done.outcome is Outcome.INSERTED


def test_metrics_tell_what_waits_and_what_was_won(pool, seen, account, queue, prover) -> None:
    def value(name: str, **labels: str) -> float:
        return metrics.REGISTRY.get_sample_value(f"gelap_sequencer_{name}", labels) or 0.0

    queue(3)
    before = {name: value(name) for name in ("leaves_total", "prove_seconds_count")}
    won, paid = value("batches_total", outcome="inserted"), gas("inserted")
    idle = Sequencer(seen, prover, Pace(patience=1e9, poll=1, jitter=0))
    assert idle.step(threading.Event()) is None
    assert value("pending_commitments") == 3
    assert value("oldest_pending_seconds") >= 120
    assert value("balance_ether") == 10
    stop, rounds = threading.Event(), []

    def heard(done: Round) -> None:
        rounds.append(done)
        stop.set()

    Sequencer(seen, prover, QUICK, urgency=URGENT).run(stop, heard)
    assert value("leaves_total") == before["leaves_total"] + 3
    assert value("prove_seconds_count") == before["prove_seconds_count"] + 1
    assert value("batches_total", outcome="inserted") == won + 1
    assert gas("inserted") - paid == rounds[0].receipt.gas_used


@pytest.mark.slow
def test_the_process_serves_metrics_and_ends_when_told(pool, account, queue, tmp_path) -> None:
    (tmp_path / "key").write_text(account.key.hex())
    command = [
        *("sequencer", "--pool", pool.address, "--deployed-at", str(pool.deployed_at), "--patience", "1e9"),
        *("--rpc-url", "http://127.0.0.1:9", "--rpc-url", pool.w3.provider.endpoint_uri),
        *("--key-file", str(tmp_path / "key"), "--metrics-address", "127.0.0.1:0"),
    ]
    queue(1)
    child = start_command("sequencer", command, os.environ, tmp_path / "log", stop_timeout=60)
    try:
        metrics_url = f"http://127.0.0.1:{listening(child)['metrics_port']}/metrics"
        until(lambda: "gelap_sequencer_pending_commitments 1.0" in requests.get(metrics_url, timeout=30).text)
    finally:
        child.stop()
    assert child.process.returncode == 0
    assert account.key.hex() not in child.log_text()
    assert json.loads(child.log_text().splitlines()[-1])["event"] == "sequencer stopped"


def test_the_document_tells_of_every_option_and_metric() -> None:
    root = Path(__file__).parents[3]
    document = (root / "docs" / "relayer.md").read_text()
    document = document[document.index("## Run a sequencer") :]
    command = (root / "gelap" / "sequencer_cli.py").read_text()
    known = {"log_level", "passphrase_file", "fingerprint", "key_dir", "jitter"}  # as every command has them; --help
    for option in re.findall(r"^    (\w+): Annotated\[", command, re.MULTILINE):
        assert option in known or f"--{option.replace('_', '-')}" in document, option
    for name in metrics.REGISTRY._names_to_collectors:
        if name.startswith("gelap_") and not name.endswith(("_created", "_bucket", "_sum", "_count")):
            assert name.removesuffix("_total") in document, name


def test_an_endpoint_that_lags_behind_the_other_one_ends_no_sequencer(
    pool, account, queue, prover, monkeypatch
) -> None:
    """Events of one and the contract's word of the other would look like a chain on which nothing may be built."""
    queue(1)
    url = pool.w3.provider.endpoint_uri
    w3 = connect([url, url.replace("127.0.0.1", "localhost")])
    both = Pool(w3, pool.address, account, pool.deployed_at)
    state = PoolState(both)
    state.sync()
    behind = pool.block_number()
    queue(1)
    _, second = w3.provider.endpoints.all
    honest, asked = second.answer, []

    def old(body: bytes, method: str) -> dict[str, Any]:
        """What a node that knows nothing of the last blocks says."""
        asked.append(method)
        if method == "eth_blockNumber":
            return {"jsonrpc": "2.0", "id": 0, "result": hex(behind)}
        return honest(body.replace(b'"latest"', f'"{hex(behind)}"'.encode()), method)

    monkeypatch.setattr(second, "answer", old)
    first, served = w3.provider.endpoints.all[0], [3]
    alive = first.answer

    def dying(body: bytes, method: str) -> dict[str, Any]:
        served[0] -= 1
        if served[0] < 0:
            raise UnavailableError("gone")
        return alive(body, method)

    monkeypatch.setattr(first, "answer", dying)
    assert len(state.sync().pending) == 1
    assert asked
    monkeypatch.undo()
    assert len(state.sync().pending) == 2
