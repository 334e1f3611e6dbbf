"""One process that follows two chains out of a configuration file: what one of them does is not the other's matter."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from bench.index.chain import POOL, SyntheticChain, Transaction
from bench.index.server import Recording, serving
from gelap.children import Child
from indexer.database import read_engine
from indexer.errors import StoreError
from indexer.reader import Reader
from tests.service.indexer.processes import end, ready, start_indexer, until

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]

BASE, OPTIMISM = 8453, 10


class Chains:
    """Two made-up chains behind HTTP, and the process that follows them."""

    def __init__(self, folder: Path, database: str, stack: ExitStack) -> None:
        self.folder, self.database = folder, database
        self.recordings: dict[str, Recording] = {}
        self.urls: dict[str, str] = {}
        for name, chain_id in (("base", BASE), ("optimism", OPTIMISM)):
            chain = SyntheticChain(chain_id=chain_id, salt=name)
            chain.add([Transaction(0, 3), Transaction(inserts=64)])
            self.recordings[name] = Recording(chain)
            self.urls[name] = stack.enter_context(serving(self.recordings[name]))

    def add(self, name: str, *transactions: Transaction) -> None:
        self.recordings[name].chain.add(transactions)

    def start(self) -> Child:
        file = self.folder / "indexer.toml"
        tables = [
            f'[chains.{name}]\npool = "0x{POOL.hex()}"\nfirst_block = 0\nconfirmations = 0\npoll_seconds = 0.1\n'
            for name in self.urls
        ]
        file.write_text(f'database_url = "{self.database}"\naddress = "127.0.0.1:0"\n' + "\n".join(tables))
        environment = {f"GELAP_RPC_URL_{name.upper()}": url for name, url in self.urls.items()}
        return start_indexer(self.folder, ("--config", str(file)), environment)

    def tip(self, chain_id: int) -> int:
        engine = read_engine(self.database)
        try:
            tip = Reader(engine, chain_id).summary().tip
            return -1 if tip is None else tip.number
        except StoreError:
            return -1
        finally:
            engine.dispose()


@pytest.fixture
def chains(tmp_path: Path, database: str) -> Iterator[Chains]:
    with ExitStack() as stack:
        yield Chains(tmp_path, database, stack)


def metrics_of(child: Child) -> str:
    return requests.get(f"http://127.0.0.1:{ready(child)['metrics_port']}/metrics", timeout=60).text


def test_two_chains_are_followed_into_one_database(chains: Chains) -> None:
    child = chains.start()
    try:
        until(lambda: chains.tip(BASE) == chains.tip(OPTIMISM) == 1, child)
        chains.add("base", Transaction(2, 2))
        chains.add("optimism", Transaction(0, 1))
        until(lambda: chains.tip(BASE) == chains.tip(OPTIMISM) == 2, child)
        command = [sys.executable, "-m", "gelap.cli", "indexer", "status", "--json"]
        environment = os.environ | {"GELAP_DATABASE_URL": chains.database}
        told = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
        counts = {status["chain_id"]: status["commitments"] for status in json.loads(told.stdout)}
        assert counts == {OPTIMISM: 4, BASE: 5}
    finally:
        end(child)


def test_a_chain_that_halts_leaves_the_other_running_and_shows_in_metrics_and_exit_status(chains: Chains) -> None:
    child = chains.start()
    try:
        until(lambda: chains.tip(BASE) == chains.tip(OPTIMISM) == 1, child)
        # The contract of Optimism's pool says another number of pending commitments than its events.
        chain = chains.recordings["optimism"].chain
        chain.broken = lambda method, params: chain.blocks[-1].__setattr__("pending", 99)
        chain.add([Transaction(0, 1)])
        until(lambda: 'gelap_indexer_halted{chain="optimism"} 1.0' in metrics_of(child), child)
        assert 'gelap_indexer_halted{chain="base"} 0.0' in metrics_of(child)
        chains.add("base", Transaction(0, 1))
        until(lambda: chains.tip(BASE) == 2, child)
        assert chains.tip(OPTIMISM) == 1
    finally:
        end(child, 1)
    assert "error: optimism: halted" in child.log_text()
