"""The relayer over HTTP on anvil: it settles what pays, refuses what does not, and gets stuck transactions through."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from eth_account.signers.local import LocalAccount
from typer.testing import CliRunner
from web3 import Web3

import contracts
from chain.errors import ChainError, RelayerError
from chain.pool import Pool, Spend
from chain.relayer.app import MAX_BODY_BYTES
from chain.relayer.client import RelayerClient
from chain.relayer.journal import Journal
from chain.relayer.prices import GAS, Margin, Prices
from chain.relayer.quote import SignedQuote
from chain.relayer.service import Policy, Relayer
from chain.token import Token
from gelap.children import start_command
from gelap.cli import app
from tests.service.chain.anvil import ended, no_mining, until
from tests.service.chain.relaying import ONE_ETHER, RECEIVER, Clock, listening, served, tended
from wallet.wallet import Wallet


@pytest.fixture
def account(evm_accounts: list[LocalAccount]) -> LocalAccount:
    return evm_accounts[2]


@pytest.fixture
def prices(tmp_path: Path, token: Token) -> Prices:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({token.address: ONE_ETHER}))
    return Prices(path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relayer(pool: Pool, account: LocalAccount, prices: Prices, clock: Clock, tmp_path: Path) -> Iterator[Relayer]:
    journal = Journal(tmp_path / "relayer.db")
    seen = Pool(pool.w3, pool.address, account, pool.deployed_at)
    yield Relayer(seen, account, prices, journal, Policy(), clock)
    journal.close()


@pytest.fixture
def client(relayer: Relayer) -> Iterator[RelayerClient]:
    with served(relayer) as url, RelayerClient(url) as made:
        yield made


@pytest.fixture
def rich(open_wallet: Callable[..., Wallet], token: Token, insert_all: Callable[[], None]) -> Wallet:
    """A wallet with two notes of 400 that can be spent."""
    wallet = open_wallet(0)
    for _ in range(2):
        wallet.deposit(token.address, 400)
    insert_all()
    wallet.sync()
    return wallet


def withdrawal(wallet: Wallet, token: Token, quote: SignedQuote, fee: int | None = None) -> Spend:
    fee = quote.quote.fee if fee is None else fee
    spend = wallet.prepare_withdraw(RECEIVER, token.address, 50, fee=fee, relayer=quote.quote.relayer)
    return spend.call(wallet.prove(spend).proof)


def test_a_withdrawal_and_a_transfer_are_relayed_for_a_fee_in_the_token(
    client: RelayerClient, relayer: Relayer, pool: Pool, token: Token, rich: Wallet, open_wallet, w3: Web3
) -> None:
    payer_nonce = w3.eth.get_transaction_count(rich.pool.account.address)
    before, received = token.balance_of(relayer.address), token.balance_of(RECEIVER)
    quote = client.quote(pool, token.address, "withdraw")
    assert 1 <= quote.quote.fee <= 100
    first = client.submit(quote, withdrawal(rich, token, quote))
    assert tended(relayer, first.id).state == "settled"
    assert token.balance_of(RECEIVER) == received + 50
    assert token.balance_of(relayer.address) == before + quote.quote.fee

    rich.sync()
    bob = open_wallet(1)
    quote = client.quote(pool, token.address, "transact")
    prepared = rich.prepare_send(bob.new_address(), token.address, 30, fee=quote.quote.fee, relayer=quote.quote.relayer)
    second = client.submit(quote, prepared.call(rich.prove(prepared).proof))
    assert tended(relayer, second.id).state == "settled"
    bob.sync()
    assert bob.balance(token.address).total == 30
    assert w3.eth.get_transaction_count(rich.pool.account.address) == payer_nonce


def test_asking_again_sends_nothing_again(client, relayer, pool, token, rich, w3) -> None:
    quote = client.quote(pool, token.address, "withdraw")
    spend = withdrawal(rich, token, quote)
    first = client.submit(quote, spend)
    again = client.submit(quote, replace(spend, proof=b"\x05" * 256))
    assert (again.id, again.transaction) == (first.id, first.transaction)
    tended(relayer, first.id)
    assert client.submit(quote, spend).state == "settled"
    assert w3.eth.get_transaction_count(relayer.address, "pending") == relayer._journal.next_nonce()


def test_what_does_not_pay_is_refused(client, relayer, pool, token, rich, prices, tmp_path) -> None:
    quote = client.quote(pool, token.address, "withdraw")
    spend = withdrawal(rich, token, quote, fee=quote.quote.fee - 1)
    refused(client, quote, spend, "underpaid", "the quote says")
    fitting = replace(spend, fee=quote.quote.fee)
    refused(client, quote, replace(fitting, relayer=RECEIVER), "underpaid", "somebody else")
    refused(client, quote, replace(fitting, public_token=5), "underpaid", "token")
    # The quote holds, but gas rose so much that not even its cost is covered.
    (tmp_path / "prices.json").write_text(json.dumps({token.address: ONE_ETHER + "000"}))
    refused(client, quote, fitting, "underpaid", "dearer")
    assert relayer._journal.pending() == []


def refused(client: RelayerClient, quote: SignedQuote, spend: Spend, code: str, message: str) -> None:
    with pytest.raises(RelayerError, match=message) as error:
        client.submit(quote, spend)
    assert error.value.code == code


def test_a_quote_that_expired_or_was_changed_is_refused(client, pool, token, rich, pass_time) -> None:
    quote = client.quote(pool, token.address, "withdraw")
    spend = withdrawal(rich, token, quote)
    cheaper = SignedQuote(replace(quote.quote, fee=1), quote.signature)
    refused(client, cheaper, spend, "bad-quote", "not signed")
    refused(client, SignedQuote(quote.quote, b"\0" * 65), spend, "bad-quote", "not signed")
    transfer = client.quote(pool, token.address, "transact")
    refused(client, transfer, spend, "bad-quote", "the payment is a withdraw")
    pass_time(200)
    refused(client, quote, spend, "expired", "expired")


def test_everybody_who_asks_within_a_minute_gets_the_same_quote(client, pool, token) -> None:
    quotes = {client.quote(pool, token.address, "withdraw") for _ in range(3)}
    assert len(quotes) <= 2  # a minute may begin between them
    (quote, *_) = quotes
    assert quote.quote.expiry % 60 == 0


def test_a_payment_that_the_pool_would_refuse_is_not_sent(client, relayer, pool, token, rich) -> None:
    quote = client.quote(pool, token.address, "withdraw")
    spend = withdrawal(rich, token, quote)
    refused(client, quote, replace(spend, root=7), "refused", "UnknownRoot")
    refused(client, quote, replace(spend, deadline=pool.now() + 30), "deadline", "ends in less")
    pool.withdraw(spend)
    refused(client, quote, spend, "refused", "NullifierAlreadyUsed")
    assert relayer._journal.pending() == []


def test_a_stuck_transaction_is_replaced_by_a_dearer_one(client, relayer, pool, token, rich, w3, clock) -> None:
    received = token.balance_of(RECEIVER)
    quote = client.quote(pool, token.address, "withdraw")
    spend = withdrawal(rich, token, quote)
    with no_mining(w3) as mine:
        sent = client.submit(quote, spend)
        clock.time += relayer.policy.stuck_after - 1
        relayer.tend()
        assert client.status(sent.id).transaction == sent.transaction
        clock.time += 2
        relayer.tend()
        replaced = client.status(sent.id)
        assert replaced.transaction != sent.transaction
        old, new = relayer._journal.find(sent.id).hashes
        dearer = w3.eth.get_transaction(new)
        assert dearer["nonce"] == relayer._journal.find(sent.id).nonce
        assert dearer["maxPriorityFeePerGas"] > 0
        mine()
    tended(relayer, sent.id)
    settled = client.status(sent.id)
    assert (settled.state, settled.transaction) == ("settled", new)
    assert old != new
    assert token.balance_of(RECEIVER) == received + 50


def test_a_stuck_payment_whose_notes_were_spent_meanwhile_is_cancelled(
    client, relayer, pool, token, rich, w3, clock
) -> None:
    """The owner broadcast it after all: the relayer uses its nonce up and does not pay for a revert."""
    quote = client.quote(pool, token.address, "withdraw")
    spend = withdrawal(rich, token, quote)
    with no_mining(w3) as mine:
        sent = client.submit(quote, spend)
        # The node loses it, and the owner's own transaction is mined.
        w3.provider.make_request("anvil_dropTransaction", [sent.transaction])
        owner = threading.Thread(target=pool.withdraw, args=(spend,))
        owner.start()
        wait_until_sent(w3, pool.account)
        mine()
        ended(owner)
        clock.time += 100
        relayer.tend()
        mine()
    tended(relayer, sent.id)
    found = client.status(sent.id)
    assert (found.state, found.detail) == ("failed", "it was cancelled")
    mined = w3.eth.get_transaction(found.transaction)
    assert (mined["to"], mined["gas"]) == (relayer.address, 21_000)


def wait_until_sent(w3: Web3, account: LocalAccount) -> None:
    """Return when a transaction of the account waits in the node's memory."""
    mined = w3.eth.get_transaction_count(account.address)
    until(lambda: w3.eth.get_transaction_count(account.address, "pending") > mined)


def test_several_payments_in_one_block_have_nonces_of_their_own_and_survive_a_restart(
    client, relayer, pool, token, rich, w3, clock, prices, account, tmp_path
) -> None:
    nonce = w3.eth.get_transaction_count(relayer.address)
    with no_mining(w3) as mine:
        sent = []
        for _ in range(2):
            quote = client.quote(pool, token.address, "withdraw")
            sent.append(client.submit(quote, withdrawal(rich, token, quote)))
        assert [item.nonce for item in relayer._journal.pending()] == [nonce, nonce + 1]
        with pytest.raises(ChainError, match="another relayer"):
            Journal(tmp_path / "relayer.db")
        relayer._journal.close()
        journal = Journal(tmp_path / "relayer.db")
        again = Relayer(relayer.pool, account, prices, journal, Policy(), clock)
        mine()
    assert [tended(again, item.id).state for item in sent] == ["settled", "settled"]
    journal.close()


def test_the_interface_refuses_what_it_cannot_read_and_shows_no_values(client, relayer) -> None:
    url = client._url
    for body in (b"", b"{}", b"[1]", b'{"quote": 5, "spend": {"proof": "SECRET"}}'):
        answer = requests.post(f"{url}/v1/submissions", data=body, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
        assert "SECRET" not in answer.text
    long = requests.post(f"{url}/v1/submissions", data=b" " * (MAX_BODY_BYTES + 1), timeout=30)
    assert long.status_code == 413
    for query in ("", "?kind=withdraw", "?kind=x&token=" + RECEIVER, "?kind=withdraw&token=" + "z" * 42):
        assert requests.get(f"{url}/v1/quote{query}", timeout=30).status_code == 400
    unknown = requests.get(f"{url}/v1/quote?kind=withdraw&token={RECEIVER}", timeout=30)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "token")
    assert requests.get(f"{url}/v1/submissions/{'0' * 64}", timeout=30).status_code == 404
    assert client.terms().relayer == relayer.address


def test_a_client_does_not_believe_a_relayer_that_lies(pool, token, relayer, monkeypatch) -> None:
    with served(relayer) as url, RelayerClient(url) as client:
        honest = relayer.quote
        monkeypatch.setattr(relayer, "quote", lambda token, kind: honest(token, "transact"))
        with pytest.raises(RelayerError, match="another pool") as error:
            client.quote(pool, token.address, "withdraw")
        assert error.value.code == "lying"
        forged = honest(token.address, "withdraw")
        forged = SignedQuote(replace(forged.quote, relayer=RECEIVER), forged.signature)
        monkeypatch.setattr(relayer, "quote", lambda token, kind: forged)
        with pytest.raises(RelayerError, match="not signed"):
            client.quote(pool, token.address, "withdraw")
        marked = replace(honest(token.address, "withdraw").quote, fee=1_234).signed(relayer._account)
        monkeypatch.setattr(relayer, "quote", lambda token, kind: marked)
        with pytest.raises(RelayerError, match="could mark") as error:
            client.quote(pool, token.address, "withdraw")
        assert error.value.code == "lying"
    with pytest.raises(RelayerError, match="does not answer"):
        client.terms()


def test_the_command_settles_payments_and_its_log_says_nothing_of_who_asked(
    pool, token, rich, account, prices, tmp_path
) -> None:
    key, log = tmp_path / "key", tmp_path / "log"
    key.write_text(account.key.hex())
    options = ("--pool", pool.address, "--rpc-url", pool.w3.provider.endpoint_uri, "--key-file", str(key))
    files = ("--prices", str(tmp_path / "prices.json"), "--journal", str(tmp_path / "journal.db"))
    command = ("relayer", *options, *files, "--address", "127.0.0.1:0")
    child = start_command("relayer", command, os.environ, log, stop_timeout=60)
    try:
        with RelayerClient(f"http://127.0.0.1:{listening(child)['port']}") as client:
            quote = client.quote(pool, token.address, "withdraw")
            sent = client.submit(quote, withdrawal(rich, token, quote))
            assert client.wait(sent.id, timeout=60, poll=0.1).state == "settled"
    finally:
        child.stop()
    told = [json.loads(line) for line in child.log_text().splitlines()]
    assert child.process.returncode == 0
    stopping = ["stopping: taking nothing new", "relayer stopped"]
    assert [line["event"] for line in told] == ["relayer ready", "sent", "settled", *stopping]
    for line in told:
        assert set(line) <= {*TOLD, "account", "pool", "chain_id", "port", "pending"}
        assert account.key.hex() not in str(line)


TOLD = {"timestamp", "level", "logger", "event", "id", "nonce", "transaction"}


def test_the_commands_say_what_is_missing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("GELAP_RPC_URL", raising=False)
    key, prices = tmp_path / "key", tmp_path / "prices.json"
    key.write_text("11" * 32)
    prices.write_text(json.dumps({RECEIVER: "1"}))
    common = ["--pool", RECEIVER, "--key-file", str(key)]
    for command in (["relayer", "--prices", str(prices)], ["sequencer"]):
        answer = CliRunner().invoke(app, [*command, *common])
        assert answer.exit_code == 2
        assert "GELAP_RPC_URL" in answer.output


def test_fees_are_rounded_up_and_prices_read_again(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({RECEIVER: "3000000000"}))
    prices = Prices(path, Margin(percent=0))
    # 455,000 gas at 20 gwei is 0.0091 ether, 27.3 of a dollar token with six decimals: 28 with two digits.
    assert prices.fee(RECEIVER, "withdraw", 20 * 10**9) == 28_000_000
    assert Prices(path, Margin(percent=100)).fee(RECEIVER, "withdraw", 20 * 10**9) == 55_000_000
    assert Prices(path, Margin(0, extra_wei=10**18)).fee(RECEIVER, "withdraw", 0) == 3_000_000_000
    for text in ("", "[]", "{}", '{"0x1": "5"}', json.dumps({RECEIVER: 5}), json.dumps({RECEIVER: "0"})):
        path.write_text(text)
        with pytest.raises(ChainError, match=r"prices\.json"):
            Prices(path)


def test_quotes_cover_the_gas_that_is_recorded() -> None:
    recorded = json.loads((Path(contracts.__file__).parent / "test" / "fixtures" / "gas.json").read_text())
    assert GAS["transact"] >= recorded["transactWithFirstFee"]
    assert GAS["withdraw"] >= recorded["withdrawWithFirstFee"]
    assert GAS["transact-note"] >= recorded["transact2x3"]
    first_fee = recorded["transactWithFirstFee"] - recorded["transact"]
    assert GAS["consolidate"] >= recorded["transact8x2"] + first_fee
