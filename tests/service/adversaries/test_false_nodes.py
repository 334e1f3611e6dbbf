"""Nodes that lie about the pool: false events, roots, forks and times, and answers that are none."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from chain.errors import ChainError, MismatchError, RevertedError, SourceError
from chain.events import TOPIC_NULLIFIER, TOPIC_QUEUED, TOPIC_UPDATED
from chain.pool import Pool
from chain.rpc import connect
from chain.token import Token
from chain.tree import PoolTree
from tests.service.adversaries.conftest import FalseNode, queued_log
from wallet.errors import WalletError
from wallet.spend import payment
from wallet.wallet import Balance, Wallet

SELECTORS = {
    name: "0x" + keccak(text=f"{name}()")[:4].hex() for name in ("merkleRoot", "nextLeafIndex", "pendingCount")
}


def without(topic: bytes, number: int = 0) -> Callable[[list[Any], Any], Any]:
    """Leaves one event of a kind out."""

    def lie(params: list[Any], true: Any) -> Any:
        places = [place for place, log in enumerate(true) if log["topics"][0] == "0x" + topic.hex()]
        left_out = places[number : number + 1]
        return [log for place, log in enumerate(true) if place not in left_out]

    return lie


def without_block(params: list[Any], true: Any) -> Any:
    last = max(log["blockNumber"] for log in true)
    return [log for log in true if log["blockNumber"] != last]


def other_commitment(params: list[Any], true: Any) -> Any:
    """The first commitment is another one, with the same memo."""
    changed = [dict(log) for log in true]
    first = next(log for log in changed if log["topics"][0] == "0x" + TOPIC_QUEUED.hex())
    first["data"] = "0x" + f"{7:064x}" + first["data"][66:]
    return changed


def other_root(params: list[Any], true: Any) -> Any:
    changed = [dict(log) for log in true]
    for log in changed:
        if log["topics"][0] == "0x" + TOPIC_UPDATED.hex():
            log["data"] = "0x" + f"{7:064x}" + log["data"][66:]
    return changed


LIES: dict[str, Callable[[list[Any], Any], Any]] = {
    "a commitment left out": without(TOPIC_QUEUED),
    "the last commitment left out": without(TOPIC_QUEUED, 1),
    "a tree update left out": without(TOPIC_UPDATED),
    "a block left out": without_block,
    "nothing at all": lambda params, true: [],
    "another commitment": other_commitment,
    "another root": other_root,
    "events twice": lambda params, true: true + true,
    "another pool's events": lambda params, true: [dict(log, topics=["0x" + "ab" * 32]) for log in true],
}


@pytest.mark.slow
def test_a_view_that_the_contract_does_not_share_is_spent_on_by_nobody(
    rich: Wallet, node: FalseNode, token: Token, pool: Pool, tmp_path: Path
) -> None:
    """Attack row 20: whatever is left out, added or changed, `sync` fails, and an honest node mends the file."""
    for number, lie in enumerate(LIES.values()):
        path = tmp_path / f"lied-to-{number}.db"
        node.lies = {"eth_getLogs": lie}
        with Wallet(path, rich.keys, pool=Pool(connect(node.url), pool.address, deployed_at=pool.deployed_at)) as lied:
            for attempt in (lied.sync, lambda: lied.prepare_send(rich.new_address(), token.address, 1)):
                with pytest.raises((MismatchError, SourceError)):
                    attempt()
        with Wallet(path, rich.keys, pool=pool) as mended:
            mended.sync()
            assert (mended.balances(), mended.history(), mended.root) == (rich.balances(), rich.history(), rich.root)


def test_a_false_state_of_the_contract_is_noticed(
    rich: Wallet, node: FalseNode, pool: Pool, token: Token, through: Callable[..., Wallet]
) -> None:
    """Attack row 20: the root, the size of the tree and of the queue must be what the events lead to."""
    for name, selector in SELECTORS.items():

        def lie(params: list[Any], true: Any, selector: str = selector) -> Any:
            return "0x" + f"{640:064x}" if params[0]["data"] == selector else true

        node.lies = {"eth_call": lie}
        with pytest.raises(MismatchError, match="use another node"):
            through(rich, f"{name}.db").sync()


def test_a_node_that_hides_a_spend_offers_a_spent_note_and_the_contract_refuses_it(
    rich: Wallet, node: FalseNode, token: Token, through: Callable[..., Wallet]
) -> None:
    """No count of the contract has nullifiers in it, so this goes unnoticed until then. No gas and no money is lost."""
    address = rich.new_address()
    rich.send(address, token.address, 60)

    def no_nullifiers(params: list[Any], true: Any) -> Any:
        return [log for log in true if log["topics"][0] != "0x" + TOPIC_NULLIFIER.hex()]

    node.lies = {"eth_getLogs": no_nullifiers}
    wallet = through(rich)
    wallet.sync()
    assert wallet.balance(token.address).spendable == 160
    before = wallet.pool.w3.eth.get_balance(wallet.pool.account.address)  # type: ignore[union-attr]
    with pytest.raises(RevertedError, match="NullifierAlreadyUsed"):
        wallet.send(address, token.address, 60)
    assert wallet.pool.w3.eth.get_balance(wallet.pool.account.address) == before  # type: ignore[union-attr]


def test_a_node_can_make_up_a_payment_that_no_honest_node_shows_and_no_contract_pays(
    rich: Wallet, node: FalseNode, token: Token, pool: Pool, tmp_path: Path
) -> None:
    """A node that lies consistently, events and contract alike, shows a wallet money that is not there: who sells goods
    asks a node of their own, or several. Spending it is refused; nobody's money moves.
    """
    forged = payment(rich.keys.address(0), int(token.address, 16), 10**6)
    tree = PoolTree()
    for event in pool.events():
        tree.apply(event)
    head = pool.block_number()
    made_up = queued_log(pool, tree.queued_count, forged)

    def one_more(params: list[Any], true: Any) -> Any:
        return [*true, made_up] if int(params[0]["toBlock"], 16) >= head else true

    def counted(params: list[Any], true: Any) -> Any:
        return "0x" + f"{1:064x}" if params[0]["data"] == SELECTORS["pendingCount"] else true

    node.lies = {"eth_getLogs": one_more, "eth_call": counted}
    seen = Pool(connect(node.url), pool.address, deployed_at=pool.deployed_at)
    with Wallet(tmp_path / "victim.db", rich.keys, pool=seen) as victim:
        victim.sync()
        assert victim.balance(token.address) == Balance(160, pending=10**6)
        assert victim.history()[-1].kind == "received"
    rich.sync()
    assert rich.balance(token.address) == Balance(160)


@pytest.mark.slow
def test_a_fork_that_takes_a_payment_back_takes_it_from_the_wallet(
    rich: Wallet, node: FalseNode, token: Token, through: Callable[..., Wallet], pool: Pool
) -> None:
    """Attack row 20: first the true chain is shown, then one without its last blocks, then the true one again."""
    wallet = through(rich)
    fork = pool.block_number()
    rich.deposit(token.address, 30)
    wallet.sync()
    assert wallet.balance(token.address) == Balance(160, pending=30)

    def shorter(params: list[Any], true: Any) -> Any:
        return None if params[0] not in ("latest", "pending") and int(params[0], 16) > fork else true

    def at_fork(method: str, place: int) -> Callable[[list[Any], Any], Any]:
        def lie(params: list[Any], true: Any) -> Any:
            params = [*params]
            params[place] = hex(fork)
            return pool.w3.provider.make_request(method, params)["result"]  # type: ignore[arg-type]

        return lie

    node.lies = {
        "eth_blockNumber": lambda params, true: hex(fork),
        "eth_getBlockByNumber": shorter,
        "eth_call": at_fork("eth_call", 1),
    }
    wallet.sync()
    assert wallet.balance(token.address) == Balance(160)
    node.lies = {}
    wallet.sync()
    assert wallet.balance(token.address) == Balance(160, pending=30)


# What is no answer at all would be asked for again.
GARBAGE: list[Any] = [
    None,
    "garbage",
    "0x1",
    {"a": [1]},
    [{}],
    -1,
    "0x" + "ff" * 40,
    b"<html>",
    b"[]",
    b'{"result": []}',
]
METHODS = ("eth_getLogs", "eth_getBlockByNumber", "eth_call", "eth_blockNumber", "eth_chainId", "eth_getCode")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_whatever_a_node_answers_there_is_one_clear_error(
    rich: Wallet, node: FalseNode, pool: Pool, tmp_path: Path, method: str
) -> None:
    """Garbage of every kind in place of each answer: an error of ours, or nothing at all, and never a traceback."""
    for number, garbage in enumerate(GARBAGE):
        node.lies = {method: lambda params, true, garbage=garbage: garbage}  # type: ignore[misc]
        with contextlib.suppress(ChainError, WalletError):
            seen = Pool(connect(node.url), pool.address, deployed_at=pool.deployed_at)
            with Wallet(tmp_path / f"{number}.db", rich.keys, pool=seen) as wallet:
                wallet.sync()
    assert method in node.methods()


@pytest.mark.slow
def test_an_endpoint_that_answers_for_a_chain_it_is_not_on_opens_no_wallet_file(
    rich: Wallet, node: FalseNode, pool: Pool, tmp_path: Path, evm_accounts: list[LocalAccount]
) -> None:
    """A file belongs to a chain and a pool: what was read on one is never continued on another."""
    with Wallet(tmp_path / "mine.db", rich.keys, pool=pool) as wallet:
        wallet.sync()
    node.lies = {"eth_chainId": lambda params, true: "0x1"}
    elsewhere = Pool(connect(node.url), pool.address, evm_accounts[0], pool.deployed_at)
    with pytest.raises(WalletError, match="another"):
        Wallet(tmp_path / "mine.db", rich.keys, pool=elsewhere)


def test_a_false_time_makes_no_payment_good_for_years(
    rich: Wallet, node: FalseNode, token: Token, pool: Pool, tmp_path: Path
) -> None:
    """Deadlines are counted from the chain's time, and notes of a payment come back when it is over: a time far ahead
    would make the signed payment a bearer's for years, or have the next one made while the first can still settle.

    The node says that it is on another chain than anvil, whose clock may be turned.
    """

    def ahead(seconds: int) -> Callable[[list[Any], Any], Any]:
        return lambda params, true: true and true | {"timestamp": hex(int(time.time()) + seconds)}

    node.lies = {"eth_chainId": lambda params, true: "0x1", "eth_getBlockByNumber": ahead(10 * 365 * 86_400)}
    seen = Pool(connect(node.url), pool.address, deployed_at=pool.deployed_at)
    with Wallet(tmp_path / "timed.db", rich.keys, pool=seen) as wallet:
        with pytest.raises(MismatchError, match="ahead of this machine's clock"):
            wallet.prepare_send(rich.new_address(), token.address, 10)
        node.lies["eth_getBlockByNumber"] = ahead(0)
        spend = wallet.prepare_send(rich.new_address(), token.address, 10)
        assert spend.terms.deadline <= time.time() + 20 * 60
        node.lies["eth_getBlockByNumber"] = ahead(20 * 60 + 1)
        with pytest.raises(MismatchError, match="ahead of this machine's clock"):
            wallet.sync()
        assert wallet.balance(token.address).reserved > 0
