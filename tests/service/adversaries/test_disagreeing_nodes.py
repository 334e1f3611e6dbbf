"""Two nodes that do not tell one story, between the real pool and a wallet; and two that do, one of them behind."""

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_utils import keccak

from chain.errors import NodesDisagreeError, UnavailableError
from chain.pool import Pool
from chain.rpc import connect
from chain.token import Token
from tests.service.adversaries.conftest import FalseNode, queued_log
from wallet import spot_checks
from wallet.spend import payment
from wallet.wallet import Balance, Wallet

PENDING = "0x" + keccak(text="pendingCount()")[:4].hex()
KEY = "v3/a-key-that-nobody-may-see"
Open = Callable[..., Wallet]


@pytest.fixture
def nodes(pool: Pool) -> Iterator[tuple[FalseNode, FalseNode]]:
    """Two nodes in front of one anvil that tell no lies yet."""
    servers = [FalseNode(str(pool.w3.provider.endpoint_uri)) for _ in range(2)]  # type: ignore[attr-defined]
    threads = [threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01}) for each in servers]
    for thread in threads:
        thread.start()
    try:
        yield servers[0], servers[1]
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


@pytest.fixture
def open_on(pool: Pool, tmp_path: Path) -> Iterator[Open]:
    """Open an account's wallet on several nodes, whose URLs hold a key each."""
    opened: list[Wallet] = []

    def open_(wallet: Wallet, *nodes: FalseNode, name: str = "several.db") -> Wallet:
        w3 = connect([f"{node.url}/{KEY}" for node in nodes], timeout=60.0)
        seen = Pool(w3, pool.address, deployed_at=pool.deployed_at)
        opened.append(Wallet(tmp_path / name, wallet.keys, pool=seen))
        return opened[-1]

    yield open_
    for wallet in opened:
        wallet.close()


def other_hash(params: list[Any], true: Any) -> Any:
    return true and true | {"hash": "0x" + "ab" * 32}


def other_state(params: list[Any], true: Any) -> Any:
    """One commitment more waits than there do."""
    return "0x" + f"{7:064x}" if params[0]["data"] == PENDING else true


LIES: dict[str, tuple[str, Any]] = {
    "block [0-9]+ is 0x": ("eth_getBlockByNumber", other_hash),
    "the pool's state at block": ("eth_call", other_state),
    "is on chain 1, ": ("eth_chainId", lambda params, true: "0x1"),
}


def test_nodes_that_disagree_stop_the_sync_with_one_error_and_change_nothing(
    rich: Wallet, nodes: tuple[FalseNode, FalseNode], open_on: Open, token: Token
) -> None:
    """Whichever of the two it is: which of them lies is not for the wallet to say."""
    wallet = open_on(rich, *nodes)
    wallet.sync()
    known = (wallet.balance(token.address), wallet.history(), wallet.root)
    rich.deposit(token.address, 30)
    for liar in nodes:
        for what, (method, lie) in LIES.items():
            liar.lies = {method: lie}
            with pytest.raises(NodesDisagreeError, match=what) as told:
                wallet.sync()
            assert liar.url.removeprefix("http://") in str(told.value)
            assert "leave the false one out of --rpc-url" in str(told.value)
            assert KEY not in str(told.value)
            assert (wallet.balance(token.address), wallet.history(), wallet.root) == known
        liar.lies = {}
    wallet.sync()
    assert wallet.balance(token.address) == Balance(160, pending=30)


def test_a_payment_that_one_node_made_up_is_not_shown_when_another_is_asked_too(
    rich: Wallet, nodes: tuple[FalseNode, FalseNode], open_on: Open, token: Token, pool: Pool
) -> None:
    """The first node lies consistently, events and contract alike: alone it would be believed."""
    forged = payment(rich.keys.address(0), int(token.address, 16), 10**6)
    head = pool.block_number()
    made_up = queued_log(pool, 2, forged)
    nodes[0].lies = {
        "eth_getLogs": lambda params, true: [*true, made_up] if int(params[0]["toBlock"], 16) >= head else true,
        "eth_call": lambda params, true: "0x" + f"{1:064x}" if params[0]["data"] == PENDING else true,
    }
    alone = open_on(rich, nodes[0], name="alone.db")
    alone.sync()
    assert alone.balance(token.address).pending == 10**6
    both = open_on(rich, *nodes)
    with pytest.raises(NodesDisagreeError):
        both.sync()
    assert both.balance(token.address) == Balance(0)


def behind(node: FalseNode, pool: Pool, head: int) -> None:
    """Let a node know no block above `head`."""

    def shorter(params: list[Any], true: Any) -> Any:
        return None if params[0] not in ("latest", "pending") and int(params[0], 16) > head else true

    node.lies = {"eth_blockNumber": lambda params, true: hex(head), "eth_getBlockByNumber": shorter}


@pytest.mark.parametrize("late", [0, 1])
def test_a_node_that_is_behind_is_no_error_and_has_nothing_read_again(
    rich: Wallet, nodes: tuple[FalseNode, FalseNode], open_on: Open, token: Token, pool: Pool, late: int
) -> None:
    wallet = open_on(rich, *nodes)
    fork = pool.block_number() - 1
    wallet.sync()
    behind(nodes[late], pool, fork)
    for node in nodes:
        node.asked.clear()
    assert wallet.sync() == fork + 1
    rich.deposit(token.address, 30)
    wallet.sync()
    assert wallet.balance(token.address) == Balance(160, pending=30)
    asked = [
        int(params[0]["fromBlock"], 16) for node in nodes for method, params in node.asked if method == "eth_getLogs"
    ]
    assert asked
    assert min(asked) == fork + 2
    # It is compared at the block that both have.
    nodes[late].lies["eth_getBlockByNumber"] = other_hash
    with pytest.raises(NodesDisagreeError, match=f"block {fork} is"):
        wallet.sync()


def test_a_node_that_is_behind_and_alone_is_waited_for(
    rich: Wallet, nodes: tuple[FalseNode, FalseNode], open_on: Open, token: Token, pool: Pool
) -> None:
    wallet = open_on(rich, *nodes)
    wallet.sync()
    behind(nodes[0], pool, pool.block_number() - 1)
    # What is no JSON-RPC at all is as good as no answer.
    nodes[1].lies = {
        method: lambda params, true: b"" for method in ("eth_blockNumber", "eth_getBlockByNumber", "eth_chainId")
    }
    with pytest.raises(UnavailableError, match="have not come to block"):
        wallet.sync()
    assert wallet.balance(token.address) == Balance(160)
    nodes[1].lies = {}
    wallet.sync()
    assert wallet.balance(token.address) == Balance(160)


def test_what_nodes_are_asked_to_compare_says_nothing_of_whose_wallet_asks(
    rich: Wallet,
    nodes: tuple[FalseNode, FalseNode],
    open_on: Open,
    open_wallet: Open,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account with notes and one without, each new and with the same dice: both nodes are asked the same."""
    asked = []
    for number, wallet in enumerate((rich, open_wallet(1))):
        monkeypatch.setattr(spot_checks, "_RANDOM", random.Random(1))
        for node in nodes:
            node.asked.clear()
        open_on(wallet, *nodes, name=f"{number}.db").sync()
        asked.append([list(node.asked) for node in nodes])
    assert asked[0] == asked[1]
    assert all(asked[0])
