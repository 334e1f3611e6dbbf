"""What a relayer's operator relies on: probes, metrics, restarts, and a process that ends in order."""

import json
import os
import signal
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from web3 import Web3

from chain.errors import RelayerError
from chain.pool import Pool
from chain.relayer.client import RelayerClient
from chain.relayer.journal import Journal
from chain.relayer.prices import Prices
from chain.relayer.service import Relayer
from chain.token import Token
from gelap.children import start_command
from protocol.keys import Account
from tests.service.chain.anvil import no_mining, until
from tests.service.chain.relaying import (
    ONE_ETHER,
    RECEIVER,
    funded_account,
    listening,
    make_relayer,
    metric,
    paid_on_chain,
    relayed,
    served,
    tended,
)
from wallet.viewing_key import encode


def test_it_is_ready_while_its_node_answers_and_its_prices_hold(relayer, clock, tmp_path) -> None:
    with served(relayer) as url:

        def ready() -> tuple[int, dict[str, bool]]:
            answer = requests.get(f"{url}/readyz", timeout=30)
            return answer.status_code, answer.json()

        assert ready()[0] == 503
        relayer.tend()
        assert ready() == (
            200,
            {"ready": True, "node_up": True, "funded": True, "prices_usable": True, "stopping": False},
        )
        clock.time += 31
        assert ready()[1]["node_up"] is False
        relayer.tend()
        (tmp_path / "prices.json").write_text("{")
        relayer.tokens()
        assert ready()[1]["prices_usable"] is False
        (tmp_path / "prices.json").write_text(json.dumps({RECEIVER: "7"}))
        relayer.tokens()
        assert ready()[0] == 200
        relayer.drain()
        assert ready()[0] == 503


def test_metrics_tell_what_was_earned_and_spent(relayer, token, w3, clock) -> None:
    fees = {"token": token.address, "way": "chain"}
    before = {name: metric(name) for name in ("gelap_relayer_gas_total", "gelap_relayer_replaced_total")}
    settled = metric("gelap_relayer_payments_total", state="settled")
    earned = metric("gelap_relayer_fees_total", **fees)
    with no_mining(w3) as mine:
        sent = relayed(relayer, token)
        relayer.tend()
        clock.time += 46
        relayer.tend()
        assert metric("gelap_relayer_pending") == 1
        assert metric("gelap_relayer_oldest_pending_seconds") == 46
        mine()
    ended = tended(relayer, sent.id)
    used = w3.eth.get_transaction_receipt(ended.hashes[-1])["gasUsed"]
    assert metric("gelap_relayer_gas_total") - before["gelap_relayer_gas_total"] == used
    assert metric("gelap_relayer_replaced_total") - before["gelap_relayer_replaced_total"] == 1
    assert metric("gelap_relayer_fees_total", **fees) - earned == token.balance_of(relayer.address)
    assert metric("gelap_relayer_payments_total", state="settled") == settled + 1
    assert metric("gelap_relayer_balance_ether") == pytest.approx(w3.eth.get_balance(relayer.address) / 1e18)
    relayer.tend()
    assert metric("gelap_relayer_pending") == metric("gelap_relayer_oldest_pending_seconds") == 0


@pytest.mark.parametrize("question", ["nonce", "mined"])
def test_a_block_that_comes_between_two_questions_is_no_failure(
    relayer, token, w3, clock, monkeypatch, question
) -> None:
    transactions = relayer._tender._transactions
    honest = getattr(transactions, question)
    with no_mining(w3) as mine:
        sent = relayed(relayer, token)
        clock.time += 46

        def asked(*given: object) -> object:
            mine()
            return honest(*given)

        monkeypatch.setattr(transactions, question, asked)
        relayer.tend()
    assert tended(relayer, sent.id).state == "settled"


@pytest.mark.slow
def test_the_process_serves_metrics_apart_and_follows_what_is_under_way_when_told_to_stop(
    pool: Pool, token: Token, tmp_path: Path, w3: Web3
) -> None:
    account = funded_account(w3)
    (tmp_path / "key").write_text(account.key.hex())
    (tmp_path / "viewing").write_text(encode(Account.from_seed(bytes(64)).viewing()))
    (tmp_path / "prices.json").write_text(json.dumps({token.address: ONE_ETHER}))
    command = [
        *("relayer", "--pool", pool.address),
        *("--rpc-url", "http://127.0.0.1:9", "--rpc-url", pool.w3.provider.endpoint_uri),
        *("--key-file", str(tmp_path / "key"), "--prices", str(tmp_path / "prices.json")),
        *("--journal", str(tmp_path / "journal.db"), "--drain", "120"),
        *("--address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0"),
    ]  # fmt: skip
    child = start_command("relayer", command, os.environ, tmp_path / "log", stop_timeout=60)
    try:
        ready = listening(child)
        port, operators = ready["port"], ready["metrics_port"]
        with RelayerClient(f"http://127.0.0.1:{port}") as client, no_mining(w3) as mine:
            until(lambda: answers(f"http://127.0.0.1:{port}/readyz", 200))
            assert not answers(f"http://127.0.0.1:{port}/metrics", 200)
            quote = client.quote(pool, token.address, "withdraw")
            sent = client.submit(quote, paid_on_chain(pool, quote))
            child.process.send_signal(signal.SIGTERM)
            until(lambda: answers(f"http://127.0.0.1:{port}/readyz", 503))
            late = paid_on_chain(pool, quote)
            for ask_for in (lambda: client.submit(quote, late), lambda: client.quote(pool, token.address, "transact")):
                with pytest.raises(RelayerError, match="about to stop") as stopping:
                    ask_for()
                assert stopping.value.code == "stopping"
            assert client.status(sent.id).state == "pending"
            shown = requests.get(f"http://127.0.0.1:{operators}/metrics", timeout=30).text
            mine()
        assert child.process.wait(60) == 0
    finally:
        child.stop()
    found = {family.name: family for family in text_string_to_metric_families(shown)}
    outcomes = {
        (sample.labels["route"], sample.labels["outcome"]) for sample in found["gelap_relayer_requests"].samples
    }
    assert {("quote", "ok"), ("submit", "ok"), ("submit", "stopping")} <= outcomes
    assert found["gelap_relayer_pending"].samples[0].value == 1
    journal = Journal(tmp_path / "journal.db")
    kept = journal.find(sent.id)
    assert kept is not None
    assert kept.state == "settled"
    journal.close()
    assert token.balance_of(account.address) == quote.quote.fee


def test_a_payment_that_was_kept_and_not_sent_is_sent_after_a_restart(pool, token, tmp_path, clock) -> None:
    """The process was killed between its journal and the node."""

    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    relayer = make_relayer(pool, token, tmp_path, clock=clock)
    relayer._transactions.send = killed  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        relayed(relayer, token)
    relayer._journal.close()
    journal = Journal(tmp_path / f"{relayer.address}.db")
    again = Relayer(relayer.pool, relayer._account, Prices(tmp_path / "prices.json"), journal, clock=clock)
    (kept,) = journal.pending()
    clock.time += 46
    assert tended(again, kept.id).state == "settled"
    journal.close()


def answers(url: str, status: int) -> bool:
    try:
        return requests.get(url, timeout=30).status_code == status
    except requests.ConnectionError:
        return False
