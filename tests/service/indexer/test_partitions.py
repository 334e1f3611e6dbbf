"""The big tables on PostgreSQL: partitions made ahead, rows kept by the migration, nothing twice in two of them."""

from collections.abc import Callable
from importlib.resources import as_file, files

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from bench.index.chain import POOL, SyntheticChain
from chain.errors import MismatchError
from indexer.database import migrate, read_engine, require_current, write_engine
from indexer.follower import Follower, Pace
from indexer.partitions import BLOCK_COLUMNS, Partition, partitions_of
from indexer.reader import Reader
from indexer.rpc import Endpoints
from indexer.store import Store
from tests.unit.indexer.conftest import InProcess
from tests.unit.indexer.test_following import DEPOSIT, INSERT, PAYMENT, WITHDRAWAL, assert_indexed

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

WIDTH = 10
Follow = Callable[..., Follower]


@pytest.fixture
def follow(database: str) -> Follow:
    def make(chain: SyntheticChain, width: int = WIDTH) -> Follower:
        store = Store(write_engine(database), chain.chain_id, POOL, 0, width)
        return Follower(store, Endpoints([InProcess(chain)], chain.chain_id), POOL, Pace(0))

    return make


def partitions(database: str) -> list[Partition]:
    engine = read_engine(database)
    with engine.connect() as connection:
        found = list(partitions_of(connection))
    engine.dispose()
    return found


def grow(chain: SyntheticChain, blocks: int) -> None:
    for number in range(blocks):
        chain.add([[DEPOSIT, PAYMENT, INSERT], [WITHDRAWAL], []][number % 3])


def test_every_range_is_there_before_its_first_block(database: str, follow: Follow) -> None:
    chain = SyntheticChain()
    follower = follow(chain)
    for head in (3, 9, 10, 34):
        grow(chain, head - chain.head)
        follower.round()
        assert_indexed(database, chain)
        for parent in BLOCK_COLUMNS:
            ranges = [(each.first, each.end) for each in partitions(database) if each.parent == parent]
            assert ranges == [(first, first + WIDTH) for first in range(0, head + WIDTH + 1, WIDTH)]


def test_rows_lie_in_the_partition_of_their_block(database: str, follow: Follow) -> None:
    chain = SyntheticChain()
    grow(chain, 25)
    follow(chain).round()
    engine = write_engine(database)
    with engine.connect() as connection:
        for each in partitions(database):
            column = BLOCK_COLUMNS[each.parent]
            query = text(f'SELECT min({column}), max({column}), count(*) FROM "{each.name}"')
            lowest, highest, count = connection.execute(query).one()
            assert (count > 0) == (each.first <= chain.head)
            assert not count or each.first <= lowest <= highest < each.end
    engine.dispose()


def test_two_chains_have_partitions_of_their_own(database: str, follow: Follow) -> None:
    one, two = SyntheticChain(), SyntheticChain(chain_id=10, salt="two")
    for chain, blocks in ((one, 25), (two, 5)):
        grow(chain, blocks)
        follow(chain).round()
    for chain in (one, two):
        assert_indexed_on(database, chain)
    assert {each.chain_id for each in partitions(database)} == {10, 31337}


def assert_indexed_on(database: str, chain: SyntheticChain) -> None:
    summary = Reader(read_engine(database), chain.chain_id).summary()
    assert (summary.counters.queued, summary.root) == (len(chain.commitments), chain.root.to_bytes(32, "big"))


def test_another_width_goes_on_where_the_old_ranges_end(database: str, follow: Follow) -> None:
    chain = SyntheticChain()
    grow(chain, 12)
    follow(chain).round()
    grow(chain, 40)
    follow(chain, width=25).round()
    assert_indexed(database, chain)
    ranges = [(each.first, each.end) for each in partitions(database) if each.parent == "journal"]
    assert ranges == [(0, 10), (10, 20), (20, 30), (30, 55), (55, 80)]


def test_a_reorganisation_across_partitions_is_followed(database: str, follow: Follow) -> None:
    chain = SyntheticChain()
    grow(chain, 24)
    follower = follow(chain)
    follower.round()
    chain.cut(7)
    grow(chain, 20)
    follower.round()
    assert_indexed(database, chain)


def test_a_nullifier_of_an_older_partition_is_not_taken_twice(database: str, follow: Follow) -> None:
    chain = SyntheticChain()
    chain.add([PAYMENT])
    grow(chain, 30)
    follow(chain).round()
    chain.add([PAYMENT])
    chain.blocks[-1].logs[0]["topics"] = chain.blocks[1].logs[0]["topics"]
    with pytest.raises(MismatchError, match="spent twice"):
        follow(chain).round()
    assert_indexed(database, chain, chain.head - 1)


def at_version(engine: Engine, version: str) -> None:
    with as_file(files("indexer") / "migrations") as folder, engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        (command.downgrade if version == "0001" else command.upgrade)(config, version)


def test_the_migration_to_partitions_keeps_every_row_and_can_be_taken_back(database: str, follow: Follow) -> None:
    chain = SyntheticChain()
    grow(chain, 30)
    follow(chain).round()
    engine = write_engine(database)
    at_version(engine, "0001")
    assert partitions(database) == []
    assert_indexed(database, chain)
    with engine.connect() as connection:
        keys = connection.scalars(
            text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'nullifiers'::regclass")
        ).all()
    assert {"PRIMARY KEY (chain_id, number)", "UNIQUE (chain_id, nullifier)"} <= set(keys)
    migrate(engine)
    require_current(engine)
    assert [each.parent for each in partitions(database)] == sorted(2 * list(BLOCK_COLUMNS))
    assert_indexed(database, chain)
    chain.cut(25)
    grow(chain, 9)
    follow(chain).round()
    assert_indexed(database, chain)
    engine.dispose()
