"""An indexer of the real contracts on anvil, and wallets' view of it, on both databases."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from chain.errors import ReorgError
from chain.pool import Pool
from chain.stream.source import IndexerSource
from chain.token import Token
from chain.tree import PoolTree
from indexer.database import write_engine
from indexer.follower import Follower, Pace
from indexer.rpc import Endpoint, Endpoints
from indexer.store import Store
from prover.kernels.cpu.poseidon import hash_pairs
from tests.service.indexer.conftest import served
from wallet.wallet import Wallet

RECEIVER = "0x00000000000000000000000000000000000000AC"


def url_of(pool: Pool) -> str:
    return str(pool.w3.provider.endpoint_uri)  # type: ignore[attr-defined]


def follower_of(pool: Pool, database: str, *urls: str, confirmations: int = 0) -> Follower:
    address = bytes.fromhex(pool.address[2:])
    store = Store(write_engine(database), pool.chain_id, address, pool.deployed_at)
    endpoints = Endpoints([Endpoint(url, 60.0) for url in urls or (url_of(pool),)], pool.chain_id)
    return Follower(store, endpoints, address, Pace(confirmations))


def assert_served_is_on_chain(pool: Pool, database: str) -> None:
    """What a wallet gets from the API is what it would read from the chain, and leads to the contract's root."""
    with served(database, pool.chain_id) as api:
        source = IndexerSource(api, pool.chain_id, pool.address)
        pages = list(source.pages())
        events = [event for page in pages for event in page.events]
        assert events == list(pool.events())
        tree = PoolTree(hash_pairs)
        for event in events:
            tree.apply(event)
        tree.check(pool, pool.block_number())
        assert pool.known_root(tree.root)
        status = requests.get(f"{api}/v1/status", timeout=60).json()
        assert (int(status["root"], 16), status["pending"]) == (pool.merkle_root(), pool.pending_count())
        leaves = requests.get(f"{api}/v1/leaves", timeout=60).json()["leaves"]
        in_tree = {tree.leaf_index(leaf["position"]): tree.commitment(leaf["position"]) for leaf in leaves}
        assert {leaf["leaf_index"]: int(leaf["commitment"], 16) for leaf in leaves} == in_tree
        assert len(leaves) == tree.inserted_count
        last = pages[-1]
        assert list(source.pages((last.last_block, last.last_hash))) == []


@pytest.fixture
def paid(open_wallet: Callable[..., Wallet], token: Token, insert_all: Callable[[], None]) -> Wallet:
    """Deposit, insert, pay, insert, withdraw: as in the demo, with proofs that nobody checks."""
    alice, bob = open_wallet(0), open_wallet(1)
    alice.deposit(token.address, 100)
    insert_all()
    alice.sync()
    alice.send(bob.new_address("alice"), token.address, 40)
    insert_all()
    bob.sync()
    bob.withdraw(RECEIVER, token.address, 15)
    alice.sync()
    return alice


def test_every_event_of_a_payment_is_indexed_and_served(paid: Wallet, pool: Pool, database: str) -> None:
    follower_of(pool, database).round()
    assert_served_is_on_chain(pool, database)


def test_a_path_of_the_indexer_leads_to_the_contracts_root(paid: Wallet, pool: Pool, database: str) -> None:
    follower_of(pool, database).round()
    with served(database, pool.chain_id) as api:
        found = requests.get(f"{api}/v1/paths/64", timeout=60).json()
    tree = PoolTree(hash_pairs)
    for event in pool.events():
        tree.apply(event)
    assert [int(sibling, 16) for sibling in found["siblings"]] == tree.path(64)
    assert int(found["root"], 16) == pool.merkle_root()


def test_a_reorganisation_is_followed_and_told_to_whoever_read_the_old_blocks(
    paid: Wallet, pool: Pool, token: Token, insert_all: Callable[[], None], database: str
) -> None:
    """Attack row 20: anvil takes blocks back and mines others in their place."""
    rpc: Any = pool.w3.provider.make_request
    snapshot = rpc("evm_snapshot", [])["result"]
    for amount in (5, 6):
        paid.deposit(token.address, amount)
    insert_all()
    follower = follower_of(pool, database)
    follower.round()
    assert_served_is_on_chain(pool, database)
    old = (pool.block_number(), pool.block_hash(pool.block_number()))
    rpc("evm_revert", [snapshot])
    paid.deposit(token.address, 7)
    insert_all()
    rpc("anvil_mine", [hex(20)])
    follower.round()
    assert_served_is_on_chain(pool, database)
    with served(database, pool.chain_id) as api, pytest.raises(ReorgError):
        list(IndexerSource(api, pool.chain_id, pool.address).pages(old))  # type: ignore[arg-type]


@contextmanager
def forwarder(target: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Another endpoint of the same chain, and a function that ends it."""
    session = requests.Session()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = session.post(target, data=body, headers={"Content-Type": "application/json"}, timeout=60).content
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    try:
        yield f"http://127.0.0.1:{server.server_port}", end
    finally:
        if thread.is_alive():
            end()


def test_an_endpoint_that_dies_is_replaced_by_the_next(paid: Wallet, pool: Pool, token: Token, database: str) -> None:
    with forwarder(url_of(pool)) as (first, end):
        follower = follower_of(pool, database, first, url_of(pool))
        follower.round()
        paid.deposit(token.address, 3)
        end()
        follower.round()
    assert_served_is_on_chain(pool, database)


def test_a_wallets_file_is_no_different_when_its_events_came_from_an_indexer(
    paid: Wallet, pool: Pool, database: str, token: Token, tmp_path: Path
) -> None:
    follower = follower_of(pool, database)
    follower.round()
    with (
        served(database, pool.chain_id) as api,
        IndexerSource(api, pool.chain_id, pool.address) as source,
        Wallet(tmp_path / "other.db", paid.keys, pool=pool, source=source) as other,
    ):
        other.sync()
        assert (other.balances(), other.history(), other.root) == (paid.balances(), paid.history(), paid.root)
        paid.deposit(token.address, 3)
        other.sync()
        assert other.lag().blocks == pool.block_number() - other.synced_to() > 0
        follower.round()
        other.sync()
        paid.sync()
        assert (other.balances(), other.lag().blocks) == (paid.balances(), 0)
