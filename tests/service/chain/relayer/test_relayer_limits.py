"""What a relayer takes on: so many payments, what its ether and its gas price allow, and so many questions."""

import json
import threading
from dataclasses import replace

import pytest
import requests

from chain.errors import RelayerError
from chain.relayer.policy import Policy
from chain.token import Token
from gelap.rate_limit import RateLimit
from tests.service.chain.anvil import ask, ended, no_mining, until
from tests.service.chain.relaying import ONE_ETHER, make_relayer, paid_on_chain, relayed, served, stocked_token, tended


def test_only_so_many_payments_of_a_token_and_in_all_wait_at_once(pool, token, w3, tmp_path) -> None:
    relayer = make_relayer(pool, token, tmp_path, Policy(most_pending=3, most_pending_per_token=2))
    others = [stocked_token(pool) for _ in range(2)]
    (tmp_path / "prices.json").write_text(json.dumps({each.address: ONE_ETHER for each in (token, *others)}))

    def full(of: Token, message: str) -> None:
        with pytest.raises(RelayerError, match=message) as error:
            relayed(relayer, of)
        assert error.value.code == "busy"

    with no_mining(w3) as mine:
        sent = [relayed(relayer, token) for _ in range(2)]
        full(token, "of this token")
        sent.append(relayed(relayer, others[0]))
        full(others[1], "too many payments are under way")
        mine()
    assert [tended(relayer, item.id).state for item in sent] == ["settled"] * 3
    assert tended(relayer, relayed(relayer, token).id).state == "settled"


def test_quotes_and_payments_are_refused_when_the_ether_runs_low(relayer, token, w3, tmp_path) -> None:
    quote = relayer.quote(token.address, "withdraw")
    spend = paid_on_chain(relayer.pool, quote)
    relayer.tend()
    assert relayer.health().ready
    ask(w3, "anvil_setBalance", relayer.address, hex(10**12))
    for refused in (lambda: relayer.submit(quote, spend), lambda: relayer.quote(token.address, "transact")):
        with pytest.raises(RelayerError, match="too little ether") as error:
            refused()
        assert error.value.code == "unfunded"
    assert relayer.health().funded is False
    assert relayer._journal.pending() == []


def test_ether_that_waiting_payments_may_need_is_not_promised_twice(pool, token, tmp_path, w3, clock) -> None:
    relayer = make_relayer(pool, token, tmp_path, clock=clock)
    with no_mining(w3):
        first = relayed(relayer, token)
        # Enough for one more and a half at the price that the first may cost.
        ask(w3, "anvil_setBalance", relayer.address, hex(first.gas * first.max_fee * 5 // 2))
        relayed(relayer, token)
        with pytest.raises(RelayerError, match="too little ether"):
            relayed(relayer, token)
    # A floor is kept in any case.
    careful = make_relayer(pool, token, tmp_path, Policy(least_balance=10 * 10**18), clock)
    with pytest.raises(RelayerError, match="too little ether"):
        careful.quote(token.address, "withdraw")


def test_everybody_who_asks_within_a_minute_gets_the_same_quote_whatever_gas_does(relayer, token, w3) -> None:
    for _ in range(5):  # a minute of the chain may begin between the two
        first = relayer.quote(token.address, "withdraw")
        ask(w3, "anvil_setNextBlockBaseFeePerGas", hex(w3.eth.get_block("latest")["baseFeePerGas"] * 20))
        ask(w3, "evm_mine")
        second = relayer.quote(token.address.lower(), "withdraw")
        if first.quote.expiry == second.quote.expiry:
            break
    assert first == second


def test_no_more_is_paid_for_gas_than_allowed(pool, token, tmp_path, w3, clock) -> None:
    """Where the market asks for more, the payment waits for it to ask for less."""
    relayer = make_relayer(pool, token, tmp_path, clock=clock)
    market = relayer._transactions.price().max_fee
    relayer.policy = replace(relayer.policy, dearest=market * 3 // 4)
    relayer._tender._policy = relayer.policy
    with no_mining(w3) as mine:
        sent = relayed(relayer, token)
        clock.time += 46
        relayer.tend()
        (shown,) = relayer.find(sent.id).hashes
        assert w3.eth.get_transaction(shown)["maxFeePerGas"] == market * 3 // 4
        mine()
    assert tended(relayer, sent.id).state == "settled"


def test_an_address_that_asks_too_often_is_told_when_to_come_back(relayer) -> None:
    with served(relayer, RateLimit(0.001, 3)) as url:
        answers = [requests.get(f"{url}/v1/terms", timeout=30) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[3].json()["code"] == "too-often"
        assert 900 <= int(answers[3].headers["Retry-After"]) <= 1000
        assert requests.get(f"{url}/livez", timeout=30).status_code == 204  # probes are not counted


def test_a_slow_node_does_not_take_all_threads(relayer, token, monkeypatch) -> None:
    quote = relayer.quote(token.address, "withdraw")
    spend = paid_on_chain(relayer.pool, quote)
    with relayer._sending:
        waiting = [threading.Thread(target=relayer.submit, args=(quote, spend)) for _ in range(16)]
        for thread in waiting:
            thread.start()
        until(lambda: relayer._hands._value == 0)
        with pytest.raises(RelayerError, match="being looked at") as error:
            relayer.submit(quote, spend)
        assert error.value.code == "busy"
    for thread in waiting:
        ended(thread)
    assert relayer.pending_count() == 1
