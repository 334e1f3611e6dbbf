"""What a relayer's operator relies on: limits, probes, metrics, a description that is true, prices that are checked."""

import json
import os
import re
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import requests
from eth_account.signers.local import LocalAccount
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner
from web3 import Web3

from chain.errors import ChainError, RelayerError
from chain.pool import Pool
from chain.relayer import metrics
from chain.relayer.app import ENDPOINTS, MAX_BODY_BYTES, relayer_app
from chain.relayer.client import RelayerClient
from chain.relayer.journal import Journal
from chain.relayer.note_fees import NoteFees
from chain.relayer.policy import Policy
from chain.relayer.prices import Prices
from chain.relayer.quote import KINDS
from chain.relayer.refusals import REFUSALS
from chain.relayer.service import Relayer
from chain.relayer.wire import QuoteModel, SpendModel, SubmitModel
from chain.token import Token
from gelap.children import start_command
from gelap.cli import app
from gelap.rate_limit import RateLimit
from protocol.keys import Account
from tests.service.chain.relaying import (
    ONE_ETHER,
    RECEIVER,
    Clock,
    accepting_pool,
    ask,
    funded_account,
    listening,
    make_relayer,
    no_mining,
    paid_on_chain,
    served,
    stocked_token,
    tended,
)
from wallet.viewing_key import encode

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "relayer.md").read_text()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def pool(w3: Web3, evm_accounts: list[LocalAccount]) -> Pool:
    return accepting_pool(w3, evm_accounts[0])


@pytest.fixture(scope="module")
def token(pool: Pool) -> Token:
    return stocked_token(pool)


@pytest.fixture
def relayer(pool: Pool, token: Token, tmp_path: Path, clock: Clock) -> Relayer:
    return make_relayer(pool, token, tmp_path, Policy(most_pending=3, most_pending_per_token=2), clock)


def submit(relayer: Relayer, token: Token):
    quote = relayer.quote(token.address, "withdraw")
    return relayer.submit(quote, paid_on_chain(relayer.pool, quote))


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_only_so_many_payments_of_a_token_and_in_all_wait_at_once(relayer, token, w3, tmp_path, evm_accounts) -> None:
    seen = Pool(w3, relayer.pool.address, evm_accounts[0])
    others = [stocked_token(seen) for _ in range(2)]
    (tmp_path / "prices.json").write_text(json.dumps({each.address: ONE_ETHER for each in (token, *others)}))

    def full(of: Token, message: str) -> None:
        with pytest.raises(RelayerError, match=message) as error:
            submit(relayer, of)
        assert error.value.code == "busy"

    with no_mining(w3) as mine:
        sent = [submit(relayer, token) for _ in range(2)]
        full(token, "of this token")
        sent.append(submit(relayer, others[0]))
        full(others[1], "too many payments are under way")
        mine()
    assert [tended(relayer, item.id).state for item in sent] == ["settled"] * 3
    submit(relayer, token)


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
        first = submit(relayer, token)
        # Enough for one more and a half at the price that the first may cost.
        ask(w3, "anvil_setBalance", relayer.address, hex(first.gas * first.max_fee * 5 // 2))
        submit(relayer, token)
        with pytest.raises(RelayerError, match="too little ether"):
            submit(relayer, token)
    # A floor is kept in any case.
    careful = make_relayer(pool, token, tmp_path, Policy(least_balance=10 * 10**18), clock)
    with pytest.raises(RelayerError, match="too little ether"):
        careful.quote(token.address, "withdraw")


def test_an_address_that_asks_too_often_is_told_when_to_come_back(relayer) -> None:
    with served(relayer, RateLimit(0.5, 3)) as url:
        answers = [requests.get(f"{url}/v1/terms", timeout=10) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[3].json()["code"] == "too-often"
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 2
        assert requests.get(f"{url}/livez", timeout=10).status_code == 204  # probes are not counted


def test_it_is_ready_while_its_node_answers_and_its_prices_hold(relayer, clock, tmp_path) -> None:
    with served(relayer) as url:

        def ready() -> tuple[int, dict[str, bool]]:
            answer = requests.get(f"{url}/readyz", timeout=10)
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


def test_prices_that_became_unusable_leave_the_old_ones_in_force(tmp_path: Path, caplog) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({RECEIVER: "3000"}))
    prices = Prices(path)
    path.write_text('{"0x00')  # somebody writes it just now
    assert prices.rates() == {RECEIVER: 3000}
    assert prices.usable is False
    assert value("gelap_relayer_prices_usable") == 0
    path.unlink()
    assert prices.rates() == {RECEIVER: 3000}
    path.write_text(json.dumps({RECEIVER: "4000"}))
    assert prices.rates() == {RECEIVER: 4000}
    assert prices.usable


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "no tokens"),
        ("{}", "no tokens"),
        ('["0x1"]', "no object"),
        ("5", "no object"),
        ('{"0x1": "5"}', "no address"),
        (json.dumps({RECEIVER: 5}), "quotation marks"),
        (json.dumps({RECEIVER: {"a": "b"}}), "quotation marks"),
        (json.dumps({RECEIVER: "0"}), "from 1"),
        (json.dumps({RECEIVER: "-1"}), "from 1"),
        (json.dumps({RECEIVER: "1e9"}), "from 1"),
        (json.dumps({RECEIVER: "1" * 5000}), "must hold"),
        (f'{{"{RECEIVER}": "1", "{RECEIVER.lower()}": "2"}}', "two prices"),
    ],
)
def test_a_file_of_prices_that_cannot_be_used_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(ChainError, match=message) as refused:
        Prices(path)
    assert "prices.json" in str(refused.value)


def test_prices_of_what_is_no_token_are_found_before_serving(relayer, tmp_path, token) -> None:
    relayer.require_usable()
    (tmp_path / "prices.json").write_text(json.dumps({token.address: "1", RECEIVER: "1"}))
    with pytest.raises(ChainError, match=f"no token at {RECEIVER}"):
        relayer.require_usable()


def test_notes_are_not_promised_on_a_pool_without_their_key(pool, token, tmp_path) -> None:
    relayer = make_relayer(pool, token, tmp_path, note_fees=NoteFees.of(Account.from_seed(bytes(64))))
    with pytest.raises(ChainError, match="leave the viewing key out"):
        relayer.require_usable()


def test_a_journal_serves_one_account_pool_and_chain(relayer, token, pool, tmp_path) -> None:
    another = funded_account(pool.w3)
    seen = Pool(pool.w3, pool.address, another)
    with pytest.raises(ChainError, match="is the journal of"):
        Relayer(seen, another, Prices(tmp_path / "prices.json"), relayer._journal)


def test_a_journal_of_an_earlier_version_is_brought_up(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    old.executescript(
        "CREATE TABLE submissions (id TEXT PRIMARY KEY, nonce INTEGER UNIQUE NOT NULL, data TEXT NOT NULL, "
        "gas INTEGER NOT NULL, max_fee INTEGER NOT NULL, tip INTEGER NOT NULL, sent_at REAL NOT NULL, "
        "hashes TEXT NOT NULL, cancelled INTEGER NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL);"
        "CREATE TABLE nullifiers (nullifier TEXT PRIMARY KEY, submission TEXT NOT NULL);"
        "INSERT INTO submissions VALUES ('a', 4, '0x', 1, 2, 3, 5.0, '[\"0x01\"]', 0, 'pending', '');"
    )
    old.close()
    journal = Journal(path)
    (kept,) = journal.pending()
    assert (kept.nonce, kept.max_fee, kept.hashes, kept.block_hash, kept.way) == (4, 2, ("0x01",), None, "chain")
    journal.close()


def test_metrics_tell_what_was_earned_and_spent(relayer, token, w3, clock) -> None:
    fees = {"token": token.address, "way": "chain"}
    before = {name: value(name) for name in ("gelap_relayer_gas_total", "gelap_relayer_replaced_total")}
    settled, earned = value("gelap_relayer_payments_total", state="settled"), value("gelap_relayer_fees_total", **fees)
    with no_mining(w3) as mine:
        sent = submit(relayer, token)
        relayer.tend()
        clock.time += 46
        relayer.tend()
        assert value("gelap_relayer_pending") == 1
        assert value("gelap_relayer_oldest_pending_seconds") == 46
        mine()
    ended = tended(relayer, sent.id)
    used = w3.eth.get_transaction_receipt(ended.hashes[-1])["gasUsed"]
    assert value("gelap_relayer_gas_total") - before["gelap_relayer_gas_total"] == used
    assert value("gelap_relayer_replaced_total") - before["gelap_relayer_replaced_total"] == 1
    assert value("gelap_relayer_fees_total", **fees) - earned == token.balance_of(relayer.address)
    assert value("gelap_relayer_payments_total", state="settled") == settled + 1
    assert value("gelap_relayer_balance_ether") == pytest.approx(w3.eth.get_balance(relayer.address) / 1e18)
    relayer.tend()
    assert value("gelap_relayer_pending") == value("gelap_relayer_oldest_pending_seconds") == 0


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
        sent = submit(relayer, token)
        clock.time += 46
        relayer.tend()
        (shown,) = relayer.find(sent.id).hashes
        assert w3.eth.get_transaction(shown)["maxFeePerGas"] == market * 3 // 4
        mine()
    assert tended(relayer, sent.id).state == "settled"


@pytest.mark.parametrize("question", ["nonce", "mined"])
def test_a_block_that_comes_between_two_questions_is_no_failure(
    relayer, token, w3, clock, monkeypatch, question
) -> None:
    transactions = relayer._tender._transactions
    honest = getattr(transactions, question)
    with no_mining(w3) as mine:
        sent = submit(relayer, token)
        clock.time += 46

        def asked(*given: object) -> object:
            mine()
            return honest(*given)

        monkeypatch.setattr(transactions, question, asked)
        relayer.tend()
    assert tended(relayer, sent.id).state == "settled"


def test_a_slow_node_does_not_take_all_threads(relayer, token, monkeypatch) -> None:
    quote = relayer.quote(token.address, "withdraw")
    spend = paid_on_chain(relayer.pool, quote)
    with relayer._sending:
        waiting = [threading.Thread(target=relayer.submit, args=(quote, spend)) for _ in range(16)]
        for thread in waiting:
            thread.start()
        wait_for(lambda: relayer._hands._value == 0)
        with pytest.raises(RelayerError, match="being looked at") as error:
            relayer.submit(quote, spend)
        assert error.value.code == "busy"
    for thread in waiting:
        thread.join(20)
    assert relayer.pending_count() == 1


# The description


@pytest.fixture
def described(relayer: Relayer) -> dict:
    with served(relayer) as url:
        return requests.get(f"{url}/openapi.json", timeout=10).json()


def test_the_description_has_every_route_and_every_refusal(relayer, described) -> None:
    routes = {(route.path, *route.methods - {"HEAD"}) for route in relayer_app(relayer).routes}
    probes = {(path, "GET") for path in ("/openapi.json", "/livez", "/readyz")}
    paths = {(path, method.upper()) for path, methods in described["paths"].items() for method in methods}
    assert paths | probes == routes
    assert described["components"]["schemas"]["ProblemModel"]["properties"]["code"]["enum"] == list(REFUSALS)
    named = {code for each in ENDPOINTS for code in each.operation.refusals} | {"too-often", "internal"}
    assert named == set(REFUSALS)


def test_every_refusal_that_the_code_makes_is_described() -> None:
    made = set()
    for path in (ROOT / "chain" / "relayer").glob("*.py"):
        if path.name != "client.py":
            made |= set(re.findall(r'RelayerError\((?:[^()]|\([^()]*\))*?"([a-z-]+)"\s*,?\s*\)', path.read_text()))
    assert {"busy", "underpaid", "unfunded", "node", "malformed"} <= made <= set(REFUSALS)


def test_answers_are_as_described(relayer, described, token) -> None:
    def fits(answer: requests.Response, path: str, method: str = "get") -> None:
        answers = described["paths"][path][method]["responses"]
        content = answers[str(answer.status_code)]["content"]
        (media,) = content
        assert answer.headers["Content-Type"].split(";")[0] == media
        schema = {**content[media]["schema"], "components": described["components"]}
        jsonschema.validate(answer.json(), schema, cls=jsonschema.Draft202012Validator)

    with served(relayer) as url:
        fits(requests.get(f"{url}/v1/terms", timeout=10), "/v1/terms")
        for kind in (*KINDS, "nonsense"):
            answer = requests.get(f"{url}/v1/quote", {"token": token.address, "kind": kind}, timeout=10)
            fits(answer, "/v1/quote")
            if kind == "withdraw":
                quote = QuoteModel.model_validate(answer.json()).signed()
        fits(requests.get(f"{url}/v1/quote", {"token": RECEIVER, "kind": "withdraw"}, timeout=10), "/v1/quote")
        spend = paid_on_chain(relayer.pool, quote)
        body = SubmitModel(quote=QuoteModel.of(quote), spend=SpendModel.of(spend)).model_dump()
        schema = {"$ref": "#/components/schemas/SubmitModel", "components": described["components"]}
        jsonschema.validate(body, schema, cls=jsonschema.Draft202012Validator)
        for each in (b"", b" " * (MAX_BODY_BYTES + 1), json.dumps(body).encode()):
            answer = requests.post(f"{url}/v1/submissions", data=each, timeout=10)
            fits(answer, "/v1/submissions", "post")
        assert answer.status_code == 200
        for name in (answer.json()["id"], "0" * 64):
            fits(requests.get(f"{url}/v1/submissions/{name}", timeout=10), "/v1/submissions/{id}")


def test_what_is_unknown_is_told_in_the_same_form(relayer) -> None:
    with served(relayer) as url:
        answer = requests.get(f"{url}/v1/nothing", timeout=10)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
        assert requests.post(f"{url}/v1/terms", timeout=10).status_code == 405


def test_an_error_of_the_relayers_own_shows_neither_its_message_nor_the_payment(relayer, token, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("SECRET")

    monkeypatch.setattr(relayer, "quote", broken)
    with served(relayer) as url:
        answer = requests.get(f"{url}/v1/quote", {"token": token.address, "kind": "withdraw"}, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert "SECRET" not in answer.text


# The process


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
        *("--journal", str(tmp_path / "journal.db"), "--drain", "20"),
        *("--address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0"),
    ]  # fmt: skip
    child = start_command("relayer", command, os.environ, tmp_path / "log")
    try:
        ready = listening(child)
        port, operators = ready["port"], ready["metrics_port"]
        with RelayerClient(f"http://127.0.0.1:{port}") as client, no_mining(w3) as mine:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/readyz", 200))
            assert not answers(f"http://127.0.0.1:{port}/metrics", 200)
            quote = client.quote(pool, token.address, "withdraw")
            sent = client.submit(quote, paid_on_chain(pool, quote))
            child.process.send_signal(signal.SIGTERM)
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/readyz", 503))
            late = paid_on_chain(pool, quote)
            for ask_for in (lambda: client.submit(quote, late), lambda: client.quote(pool, token.address, "transact")):
                with pytest.raises(RelayerError, match="about to stop") as stopping:
                    ask_for()
                assert stopping.value.code == "stopping"
            assert client.status(sent.id).state == "pending"
            shown = requests.get(f"http://127.0.0.1:{operators}/metrics", timeout=10).text
            mine()
        assert child.process.wait(20) == 0
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
        submit(relayer, token)
    relayer._journal.close()
    journal = Journal(tmp_path / f"{relayer.address}.db")
    again = Relayer(relayer.pool, relayer._account, Prices(tmp_path / "prices.json"), journal, clock=clock)
    (kept,) = journal.pending()
    clock.time += 46
    assert tended(again, kept.id).state == "settled"
    journal.close()


def test_what_is_configured_wrongly_is_told_in_one_line(pool, token, tmp_path, w3) -> None:
    files = {name: tmp_path / name for name in ("key", "prices", "viewing")}
    account = funded_account(w3)
    good = {
        "key": account.key.hex(),
        "prices": json.dumps({token.address: "1"}),
        "viewing": encode(Account.from_seed(bytes(64))),
    }

    def run(*extra: str, pool_address: str = pool.address, **contents: str) -> str:
        for name, text in (good | contents).items():
            files[name].write_text(text)
        options = ["--pool", pool_address, "--rpc-url", w3.provider.endpoint_uri, "--key-file", str(files["key"])]
        options += ["--prices", str(files["prices"]), "--journal", str(tmp_path / "journal"), *extra]
        answer = CliRunner().invoke(app, ["relayer", *options])
        assert answer.exit_code == 2
        (line,) = [line for line in answer.output.splitlines() if line.startswith("error: ")]
        assert account.key.hex() not in answer.output
        return line

    viewing = ("--viewing-key-file", str(files["viewing"]))
    assert "holds no key" in run(key="secret words")
    assert "quotation marks" in run(prices=json.dumps({token.address: 1}))
    assert "no token at" in run(prices=json.dumps({RECEIVER: "1"}))
    assert "not a viewing key" in run(*viewing, viewing="gelapview1:00")
    assert "leave the viewing key out" in run(*viewing)
    assert "no contract at" in run(pool_address=RECEIVER)
    assert "no address to listen on" in run("--address", "nowhere")
    assert "is the journal of" in run(key=funded_account(w3).key.hex())


def answers(url: str, status: int) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == status
    except requests.ConnectionError:
        return False


def wait_for(condition, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_the_document_tells_of_every_refusal_and_option() -> None:
    for code, refusal in REFUSALS.items():
        assert re.search(rf"\| .*`{code}`.* \| .*{refusal.status}.* \|", DOCUMENT), code
    for kind in KINDS:
        assert f"`{kind}`" in DOCUMENT
    command = (ROOT / "gelap" / "relayer_cli.py").read_text()
    for option in re.findall(r"^    (\w+): Annotated\[", command, re.MULTILINE):
        if option != "log_level":
            assert f"--{option.replace('_', '-')}" in DOCUMENT, option
    for name in metrics.REGISTRY._names_to_collectors:
        if name.startswith("gelap_") and not name.endswith(("_created", "_bucket", "_sum", "_count")):
            assert name.removesuffix("_total") in DOCUMENT, name
