"""Databases of both kinds, the real contracts on anvil, and a served API."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bench.index.chain import POOL, SyntheticChain, Transaction
from bench.index.postgresql import private_postgresql
from gelap.listener import HttpListener
from gelap.rate_limit import RateLimit
from indexer.api.app import api_app
from indexer.api.served import Api
from indexer.database import migrate, read_engine, sqlite_url, write_engine
from indexer.errors import SettingsError
from indexer.follower import Follower, Pace
from indexer.reader import Reader
from indexer.rpc import Endpoints
from indexer.store import Store
from prover.kernels.cpu.poseidon import hash_pairs

# Fixtures of the contracts on anvil.
from tests.service.chain.conftest import (
    _idle_chain,
    evm_accounts,
    insert_all,
    open_wallet,
    pass_time,
    pool,
    prover,
    token,
    w3,
)
from tests.unit.indexer.conftest import InProcess

__all__ = ["_idle_chain", "evm_accounts", "insert_all", "open_wallet", "pass_time", "pool", "prover", "token", "w3"]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    with private_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database with its tables."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path / "indexer.sqlite")
    else:
        url = request.getfixturevalue("postgresql")
        engine = write_engine(url)
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        engine.dispose()
    engine = write_engine(url)
    migrate(engine)
    engine.dispose()
    return url


@pytest.fixture
def chain() -> SyntheticChain:
    """A made-up chain with 1,024 leaves, and then blocks enough for them to be final."""
    chain = SyntheticChain(hash_pairs)
    chain.add([*[Transaction(0, 1)] * 1024, *[Transaction(inserts=64)] * 16])
    for _ in range(4):
        chain.add([])
    return chain


@pytest.fixture
def follower(chain: SyntheticChain, database: str) -> Follower:
    """What follows the made-up chain in this process; it has been there once."""
    store = Store(write_engine(database), 31337, POOL, 0)
    follower = Follower(store, Endpoints([InProcess(chain)], 31337), POOL, Pace(0))
    follower.round()
    return follower


@contextmanager
def served(database: str, chain_id: int, limit: RateLimit | None = None, **options: Any) -> Iterator[str]:
    """The API over a database, from a thread; yields its URL once it has read the database. `options` are those of
    `Api`.
    """
    with served_chains(database, {"local": chain_id}, limit, **options) as url:
        yield url


@contextmanager
def served_chains(
    database: str, chains: dict[str, int], limit: RateLimit | None = None, **options: Any
) -> Iterator[str]:
    started: list[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = []
    ready = threading.Event()
    engine = read_engine(database)

    async def serve() -> None:
        done = asyncio.Event()
        readers = {name: Reader(engine, chain_id) for name, chain_id in chains.items()}
        api = Api(readers, limit or RateLimit(0, 1), **({"tip_seconds": 0.05, "query_seconds": 60.0} | options))
        async with api, HttpListener(api_app(api), "127.0.0.1:0", SettingsError) as listener:
            while not all(chain.tips.database_up for chain in api.chains.values()):
                await asyncio.sleep(0.005)
            started.append((listener.port, asyncio.get_running_loop(), done))
            ready.set()
            await done.wait()
            await api.end_streams()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(60), "the API has not read its database"
    port, loop, done = started[0]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        engine.dispose()
