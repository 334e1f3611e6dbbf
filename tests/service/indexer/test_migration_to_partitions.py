"""From one table to partitions on PostgreSQL: one chain's rows stay where they are, those of several move."""

import pytest
from sqlalchemy import Engine, text

from bench.index.chain import POOL, SyntheticChain
from indexer.database import migrate, write_engine
from indexer.follower import Follower, Pace
from indexer.partitions import BLOCK_COLUMNS, partitions_of
from indexer.rpc import Endpoints
from indexer.store import Store
from tests.service.indexer.test_partitions import assert_indexed_on, at_version, grow
from tests.unit.indexer.conftest import InProcess

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def follow(database: str, chain: SyntheticChain) -> None:
    """In ranges of a million blocks, as the migration makes them."""
    store = Store(write_engine(database), chain.chain_id, POOL, 0)
    Follower(store, Endpoints([InProcess(chain)], chain.chain_id), POOL, Pace(0)).round()


def files_of(engine: Engine) -> dict[str, int]:
    """Of each table its file: whoever copies rows writes them to another one."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT relname, relfilenode FROM pg_class WHERE relkind = 'r'"))
        return {row.relname: row.relfilenode for row in rows}


@pytest.mark.parametrize("chains", [1, 2])
def test_rows_of_one_chain_are_not_copied_and_all_are_there_afterwards(database: str, chains: int) -> None:
    grown = [SyntheticChain(chain_id=31337 - number, salt=str(number)) for number in range(chains)]
    for chain in grown:
        grow(chain, 20)
        follow(database, chain)
    engine = write_engine(database)
    at_version(engine, "0001")
    before = files_of(engine)
    migrate(engine)
    after = files_of(engine)
    with engine.connect() as connection:
        found = list(partitions_of(connection))
    assert {(each.parent, each.chain_id, each.first, each.end) for each in found} == {
        (parent, chain.chain_id, first, first + 1_000_000)
        for parent in BLOCK_COLUMNS
        for chain in grown
        for first in (0, 1_000_000)
    }
    kept = {parent for parent in BLOCK_COLUMNS if after.get(f"{parent}_31337_0") == before[parent]}
    assert kept == (set(BLOCK_COLUMNS) if chains == 1 else set())
    for chain in grown:
        assert_indexed_on(database, chain)
        # And it goes on, over a reorganisation too.
        chain.cut(15)
        grow(chain, 9)
        follow(database, chain)
        assert_indexed_on(database, chain)
    engine.dispose()
