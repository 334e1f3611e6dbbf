"""`gelap wallet` with the services it may use: several nodes, an indexer, a relayer. Proofs are not checked here."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from chain.deploy import SpendKey, deploy_contract, deploy_pool
from chain.errors import RelayerError
from chain.pool import Pool
from chain.relayer.client import RelayerClient
from chain.relayer.note_fees import NoteFees
from chain.relayer.service import Relayer
from chain.stream.source import IndexerSource
from chain.token import Token
from indexer.database import migrate, sqlite_url, write_engine
from indexer.follower import Follower, Pace
from indexer.rpc import Endpoint, Endpoints
from indexer.store import Store
from protocol.keys import Account
from tests.service.chain.conftest import ACCEPTING_VERIFIER
from tests.service.chain.relaying import make_relayer, served
from tests.service.chain.wallet_shell import Shell, make_cheap
from tests.service.indexer.conftest import served as served_indexer
from wallet import network

RECEIVER = "0x00000000000000000000000000000000000000aE"


@pytest.fixture(autouse=True)
def _cheap_keystores_and_proofs(monkeypatch: pytest.MonkeyPatch, prover) -> None:
    make_cheap(monkeypatch, prover)
    monkeypatch.setattr("wallet.relaying.POLL_SECONDS", 0.1)
    monkeypatch.setattr("chain.stream.source.FIRST_PAUSE", 0.01)


@pytest.fixture(autouse=True)
def _silent_relayer() -> Iterator[None]:
    """Its log would stand between the lines of the wallet, which runs in this process too."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture
def pool(w3, evm_accounts) -> Pool:
    """A pool that takes every proof, of payments with a third output too, and of eight inputs."""
    verifier = deploy_contract(w3, evm_accounts[0], ACCEPTING_VERIFIER)
    keys = [SpendKey(2, 2, b"spend"), SpendKey(2, 3, b"spend three"), SpendKey(8, 2, b"spend eight")]
    made = deploy_pool(w3, evm_accounts[0], verifier.address, b"insert", keys)
    return Pool(w3, made.address, evm_accounts[0], deployed_at=made.receipt.block_number)


@pytest.fixture
def shell(tmp_path: Path, pool: Pool, token: Token) -> Shell:
    return Shell(tmp_path, pool).open()


@pytest.fixture
def rich(shell: Shell, token: Token, insert_all: Callable[[], None]) -> Shell:
    """With two notes of 400."""
    for _ in range(2):
        shell.result("deposit", token.address, "400", "--yes")
    insert_all()
    return shell


@contextmanager
def working(relayer: Relayer) -> Iterator[str]:
    """The relayer's URL, while it also cares for what it sent."""
    stop = threading.Event()
    caring = threading.Thread(target=relayer.run, args=(stop, 0.05))
    caring.start()
    try:
        with served(relayer) as url:
            yield url
    finally:
        stop.set()
        caring.join()


@pytest.fixture
def relayer(pool: Pool, token: Token, tmp_path: Path) -> Relayer:
    return make_relayer(pool, token, tmp_path, note_fees=NoteFees.of(Account.from_seed(bytes(64)).viewing()))


def without_evm_key(shell: Shell) -> Shell:
    del shell.environment["GELAP_EVM_KEY_FILE"]
    return shell


# Several nodes


def test_the_next_node_is_asked_when_one_does_not_answer(shell: Shell, token: Token) -> None:
    good = shell.environment["GELAP_RPC_URL"]
    shell.environment["GELAP_RPC_URL"] = f"http://127.0.0.1:9/a-secret-key {good}"
    told = shell.run("deposit", token.address, "50", "--yes")
    assert told.exit_code == 0, told.output
    assert "secret" not in told.output
    dead = "http://127.0.0.1:9/a-secret-key"
    assert shell.result("balance", "--rpc-url", dead, "--rpc-url", good)["tokens"][token.address]["total"] == "50"
    nobody = shell.json("balance", "--rpc-url", dead, "--rpc-url", dead, code=8)
    assert "no endpoint of the chain can be used (127.0.0.1:9 does not answer" in nobody["error"]["message"]
    assert "secret" not in json.dumps(nobody)


# An indexer


@pytest.fixture
def follower(pool: Pool, tmp_path: Path) -> Follower:
    address = bytes.fromhex(pool.address[2:])
    engine = write_engine(sqlite_url(tmp_path / "indexer.sqlite"))
    migrate(engine)
    store = Store(engine, pool.chain_id, address, pool.deployed_at)
    url = pool.w3.provider.endpoint_uri  # type: ignore[attr-defined]
    return Follower(store, Endpoints([Endpoint(url, 60.0)], pool.chain_id), address, Pace(0))


def test_notes_and_history_come_from_an_indexer_and_its_lag_is_told(
    rich: Shell, token: Token, pool: Pool, follower: Follower, tmp_path: Path
) -> None:
    follower.round()
    from_node = rich.result("history")["history"]
    with served_indexer(sqlite_url(tmp_path / "indexer.sqlite"), pool.chain_id) as url:
        rich.environment |= {"GELAP_WALLET": str(tmp_path / "again"), "GELAP_INDEXER": url}
        rich.open()
        assert rich.result("history")["history"] == from_node
        assert rich.result("balance")["tokens"][token.address]["spendable"] == "800"
        host = url.removeprefix("http://")
        assert rich.result("status")["indexer"] == {"host": host, "blocks_behind": 0, "seconds_behind": 0}
        rich.result("deposit", token.address, "50", "--yes")
        behind = rich.run("status")
        assert "blocks behind the node" in behind.stderr
        assert rich.result("status")["indexer"]["blocks_behind"] >= 1
        assert rich.result("balance")["tokens"][token.address]["total"] == "800"
        follower.round()
        assert rich.result("balance")["tokens"][token.address]["total"] == "850"


def test_an_indexer_that_is_none_or_another_pools_ends_in_one_line(rich: Shell, pool: Pool, tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:9/secret", "nonsense", rich.environment["GELAP_RPC_URL"]):
        failed = rich.json("balance", "--wallet", str(tmp_path / "wallet"), "--indexer", url, code=8)
        assert "secret" not in json.dumps(failed)


# A relayer


def test_a_relayer_settles_payments_for_the_fee_it_quotes_and_no_account_of_ours_appears(
    rich: Shell, relayer: Relayer, token: Token, pool: Pool, insert_all: Callable[[], None]
) -> None:
    own = rich.result("address")["address"]
    received = token.balance_of(RECEIVER)
    without_evm_key(rich)
    with working(relayer) as url:
        looked_at = rich.result("withdraw", RECEIVER, token.address, "100", "--relayer", url, "--dry-run")
        fee = int(looked_at["fee"])
        assert (fee > 0, looked_at["relayer"]) == (True, relayer.address)
        rich.environment["GELAP_RELAYER"] = url
        withdrawn = rich.json("withdraw", RECEIVER, token.address, "100", "--max-fee", str(2 * fee), "--yes")
        assert withdrawn["result"]["relayer_host"] == url.removeprefix("http://")
        assert pool.w3.eth.get_transaction(withdrawn["result"]["transaction"])["from"] == relayer.address
        assert not [text for text in withdrawn["warnings"] if "pays for gas" in text]
        sent = rich.result("send", own, token.address, "40", "--max-fee", "100", "--yes")
        assert sent["public_amount"] == sent["fee"] != "0"
        insert_all()
        merged = rich.result("consolidate", token.address, "--max-fee", "100", "--yes")
        assert merged["notes"] == 3
        assert rich.result("status")["relayer"]["tokens"] == [token.address]
    assert token.balance_of(RECEIVER) == received + 100
    fees = [int(done["fee"]) for done in (withdrawn["result"], sent, merged)]
    assert token.balance_of(relayer.address) == sum(fees)
    insert_all()
    assert int(rich.result("balance")["tokens"][token.address]["spendable"]) == 800 - 100 - sum(fees)


def test_a_relayer_paid_with_a_note_shows_neither_fee_nor_relayer_on_the_chain(
    rich: Shell, relayer: Relayer, token: Token, pool: Pool
) -> None:
    own = rich.result("address")["address"]
    private = ["--pay-relayer", "privately", "--max-fee", "200", "--yes"]
    with working(relayer) as url:
        sent = rich.result("send", own, token.address, "40", "--relayer", url, *private)
        assert int(sent["fee"]) > 0
        assert (sent["public_amount"], sent["relayer"], sent["kind"]) == ("0", None, "transact-note")
        call = pool.w3.eth.get_transaction(sent["transaction"])["input"]
        assert relayer.address.lower()[2:] not in call.hex()
        assert token.address.lower()[2:] not in call.hex()
        refused = rich.json("withdraw", RECEIVER, token.address, "40", "--relayer", url, *private, code=2)
        assert "for payments" in refused["error"]["message"]
    assert token.balance_of(relayer.address) == 0


def test_what_a_relayer_asks_is_never_paid_unseen(rich: Shell, relayer: Relayer, token: Token, prover) -> None:
    asked = len(prover.asked)
    with working(relayer) as url:
        pay = ["withdraw", RECEIVER, token.address, "100", "--relayer", url]
        assert "--max-fee" in rich.json(*pay, "--yes", code=2)["error"]["message"]
        dear = rich.json(*pay, "--yes", "--max-fee", "1", code=16)["error"]
        assert (dear["name"], "1 is the most" in dear["message"]) == ("relayer", True)
        assert rich.json(*pay, code=14)["error"]["name"] == "not-confirmed"
        assert "--max-fee, not --fee" in rich.json(*pay, "--fee", "3", "--yes", code=2)["error"]["message"]
    assert rich.json(*pay, "--yes", "--max-fee", "50", code=16)["error"]["name"] == "relayer", "it is gone"
    address = ["withdraw", RECEIVER, token.address, "100", "--relayer", relayer.address, "--max-fee", "3", "--yes"]
    assert "named by its URL" in rich.json(*address, code=2)["error"]["message"]
    assert len(prover.asked) == asked, "nothing was signed or proved"
    assert rich.result("balance")["tokens"][token.address]["spendable"] == "800"


def test_a_relayer_may_still_be_an_address_that_gets_a_fee(rich: Shell, token: Token) -> None:
    somebody = "0x00000000000000000000000000000000000000cd"
    rich.result("withdraw", RECEIVER, token.address, "100", "--relayer", somebody, "--fee", "3", "--yes")
    assert token.balance_of(somebody) == 3
    lonely = rich.json("withdraw", RECEIVER, token.address, "100", "--fee", "3", "--yes", code=2)
    assert "go together" in lonely["error"]["message"]


def test_when_the_relayer_refuses_after_the_proof_the_payment_is_kept_and_can_be_sent_by_oneself(
    rich: Shell, relayer: Relayer, token: Token, insert_all: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    received = token.balance_of(RECEIVER)

    def refuse(*_: object) -> None:
        raise RelayerError("no more today", "busy")

    with working(relayer) as url, monkeypatch.context() as patch:
        patch.setattr(RelayerClient, "submit", refuse)
        kept = rich.json(
            "withdraw", RECEIVER, token.address, "100", "--relayer", url, "--max-fee", "99", "--yes", code=17
        )
        assert (kept["error"]["name"], "no more today" in kept["error"]["message"]) == ("payment-kept", True)
    (waiting,) = rich.result("status")["payments"]
    assert (waiting["stage"], waiting["amount"]) == ("proved", "100")
    assert rich.result("balance")["tokens"][token.address]["reserved"] == "400"
    (resumed,) = rich.result("resume", "--yes")["payments"]
    assert resumed["transaction"] is not None
    assert token.balance_of(RECEIVER) == received + 100
    assert token.balance_of(relayer.address) > 0, "its fee is bound in the proof"
    assert rich.result("status")["payments"] == []


@pytest.mark.slow
def test_a_relayer_that_fell_silent_can_be_asked_again_by_resume(
    rich: Shell, relayer: Relayer, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = token.balance_of(RECEIVER)

    def silent(*_: object) -> None:
        raise RelayerError("does not answer", "unreachable")

    with working(relayer) as url:
        with monkeypatch.context() as patch:
            patch.setattr(RelayerClient, "submit", silent)
            rich.json("withdraw", RECEIVER, token.address, "100", "--relayer", url, "--max-fee", "99", "--yes", code=17)
        without_evm_key(rich)
        (resumed,) = rich.result("resume", "--relayer", url, "--yes")["payments"]
        assert resumed["problem"] == ""
    assert token.balance_of(RECEIVER) == received + 100


# What they learn


def test_each_service_elsewhere_is_warned_of_once_and_not_behind_a_proxy(
    rich: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexer, relayer = "https://indexer.example/path", "http://relayer.example"

    def nobody(self: IndexerSource, after: object = None) -> Iterator[object]:
        return iter(())

    def silent(self: RelayerClient) -> None:
        raise RelayerError("the relayer does not answer", "unreachable")

    monkeypatch.setattr(IndexerSource, "pages", nobody)
    monkeypatch.setattr(RelayerClient, "terms", silent)
    told = rich.json("status", "--indexer", indexer, "--relayer", relayer)
    first, second, third = told["warnings"]
    assert ("the indexer indexer.example learns" in first, "path" in first) == (True, False)
    assert "the relayer relayer.example learns" in second
    assert "relayer.example is not encrypted" in third
    assert told["result"]["relayer"] == {"host": "relayer.example", "problem": "the relayer does not answer"}


def test_a_file_of_certificates_that_is_not_there_is_a_mistake_of_the_command_line(rich: Shell) -> None:
    for option in ("--ca-file", "--prover-ca"):
        prover = ["--prover", "https://prover.example"] if option == "--prover-ca" else []
        rich.environment["GELAP_API_KEY"] = "key"
        command = ["consolidate", RECEIVER, *prover, option, "/nowhere/ca.pem", "--yes"]
        assert "/nowhere/ca.pem" in rich.json(*command, code=2)["error"]["message"]
    assert network.is_readable_on_the_way("http://a.example")
    assert not network.is_readable_on_the_way("http://a.onion")
    assert not network.is_readable_on_the_way("http://127.0.0.1:8545")
    assert not network.is_readable_on_the_way("https://a.example")
