"""Processes that are killed in the middle of a transaction, and several that start at once, on a real PostgreSQL.

A lock of the test's own stops a process where it shall be stopped: no test depends on how fast a machine is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from bench.index.chain import POOL, SyntheticChain
from bench.index.server import Recording, serving
from gelap.children import Child
from indexer.database import lock_schema, read_engine, write_engine
from indexer.errors import StoreError
from indexer.follower import Follower, Pace
from indexer.reader import Reader
from indexer.rpc import Endpoints
from indexer.store import Store
from tests.service.indexer.processes import ONE_POOL, end, ready, start_indexer, until
from tests.unit.indexer.conftest import InProcess
from tests.unit.indexer.test_following import DEPOSIT, INSERT, PAYMENT, WITHDRAWAL, assert_indexed

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@contextmanager
def holding(database: str, statement: str | None) -> Iterator[Connection]:
    """A transaction that holds what the statement locks, the schema for None, until the block ends."""
    engine = write_engine(database)
    with engine.begin() as connection:
        if statement is None:
            lock_schema(connection)
        else:
            connection.execute(text(statement))
        yield connection
    engine.dispose()


def waiting(database: str, kind: str) -> int:
    """How many sessions wait for a lock of this kind (`relation` or `advisory`)."""
    engine = read_engine(database)
    with engine.connect() as connection:
        query = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = :kind")
        count = connection.scalar(query, {"kind": kind})
    engine.dispose()
    return int(count or 0)


def tip(database: str, chain_id: int) -> int:
    engine = read_engine(database)
    try:
        found = Reader(engine, chain_id).summary().tip
        return -1 if found is None else found.number
    except StoreError:
        return -1
    finally:
        engine.dispose()


def start(folder: Path, database: str, rpc: str, name: str = "indexer") -> Child:
    options = (*ONE_POOL, "--no-api", "--max-window", "4")
    return start_indexer(folder, options, {"GELAP_DATABASE_URL": database, "GELAP_RPC_URL": rpc}, name)


def follow(database: str, chain: SyntheticChain) -> None:
    """Read the chain to its end, as a process would that knows nothing but the database."""
    store = Store(write_engine(database), chain.chain_id, POOL, 0)
    Follower(store, Endpoints([InProcess(chain)], chain.chain_id), POOL, Pace(0)).round()


def grow(chain: SyntheticChain, blocks: int) -> None:
    for _ in range(blocks):
        chain.add([DEPOSIT, PAYMENT, WITHDRAWAL, INSERT])


# COPY writes the journal, commitments, nullifiers, withdrawals and batches in this order, so a process that waits for
# one of them has written the ones before it.
@pytest.mark.parametrize(
    "table",
    [
        pytest.param("commitments", marks=pytest.mark.slow),
        "withdrawals",
        pytest.param("batches", marks=pytest.mark.slow),
    ],
)
def test_a_process_killed_while_it_writes_a_page_loses_nothing_and_writes_nothing_twice(
    table: str, database: str, tmp_path: Path
) -> None:
    chain = SyntheticChain()
    grow(chain, 6)
    follow(database, chain)
    with serving(Recording(chain)) as rpc:
        child = start(tmp_path, database, rpc)
        ready(child)
        with holding(database, f"LOCK TABLE {table} IN SHARE MODE"):
            grow(chain, 9)
            until(lambda: waiting(database, "relation") >= 1, child)
            child.kill()
            assert_indexed(database, chain, 6)
    follow(database, chain)
    assert_indexed(database, chain)


@pytest.mark.parametrize("table", ["batches", pytest.param("withdrawals", marks=pytest.mark.slow)])
def test_a_process_killed_while_it_replaces_blocks_leaves_the_old_ones_or_the_new(
    table: str, database: str, tmp_path: Path
) -> None:
    """Attack row 20. When it waits for the table, it has deleted commitments that nothing stands in for yet."""
    chain = SyntheticChain()
    grow(chain, 8)
    follow(database, chain)
    before = list(Reader(read_engine(database), 31337).frames(None, None))
    chain.cut(3)
    for _ in range(9):
        chain.add([PAYMENT, INSERT])
    with serving(Recording(chain)) as rpc, holding(database, f"LOCK TABLE {table} IN SHARE MODE"):
        child = start(tmp_path, database, rpc)
        until(lambda: waiting(database, "relation") >= 1, child)
        child.kill()
        assert list(Reader(read_engine(database), 31337).frames(None, None)) == before
    follow(database, chain)
    assert_indexed(database, chain)


def downgrade(database: str) -> None:
    engine = write_engine(database)
    with as_file(files("indexer") / "migrations") as folder, engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    engine.dispose()


@pytest.mark.parametrize("found", [pytest.param("nothing", marks=pytest.mark.slow), "the tables of the first version"])
def test_processes_that_start_at_once_bring_the_schema_up_one_after_another(
    found: str, database: str, tmp_path: Path
) -> None:
    chains = [SyntheticChain(chain_id=chain_id, salt=str(chain_id)) for chain_id in (31337, 10, 8453)]
    for chain in chains:
        grow(chain, 3)
    if found == "nothing":
        engine = write_engine(database)
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        engine.dispose()
    else:
        follow(database, chains[0])
        downgrade(database)
    with (
        serving(Recording(chains[0])) as one,
        serving(Recording(chains[1])) as two,
        serving(Recording(chains[2])) as three,
    ):
        with holding(database, None):
            children = [start(tmp_path, database, rpc, f"indexer-{n}") for n, rpc in enumerate((one, two, three))]
            until(lambda: waiting(database, "advisory") == 3, *children)
        until(lambda: all(tip(database, chain.chain_id) == 3 for chain in chains), *children)
        for child in children:
            end(child)
    for chain in chains:
        summary = Reader(read_engine(database), chain.chain_id).summary()
        assert (summary.counters.queued, summary.root) == (len(chain.commitments), chain.root.to_bytes(32, "big"))
