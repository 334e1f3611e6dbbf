"""What an operator does with the rows: verify them, archive and restore them, copy the database."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from bench.index.chain import POOL, SyntheticChain, Transaction
from bench.index.server import Recording, serving
from indexer.archive import archive, files_in, restore
from indexer.cli import app
from indexer.database import migrate, read_engine, sqlite_url, write_engine
from indexer.errors import ArchiveError, DamagedError
from indexer.follower import Follower, Pace
from indexer.rpc import Endpoints
from indexer.store import Store
from indexer.verify import verify
from prover.kernels.cpu.poseidon import hash_pairs
from tests.unit.indexer.conftest import InProcess
from tests.unit.indexer.test_following import DEPOSIT, INSERT, PAYMENT, WITHDRAWAL, assert_indexed

WIDTH, DEPTH = 10, 5
SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def follow(database: str, chain: SyntheticChain) -> None:
    store = Store(write_engine(database), chain.chain_id, POOL, 0, WIDTH)
    Follower(store, Endpoints([InProcess(chain)], chain.chain_id), POOL, Pace(0)).round()


def grow(chain: SyntheticChain, blocks: int) -> None:
    for number in range(blocks):
        chain.add([[DEPOSIT, PAYMENT, INSERT], [WITHDRAWAL], []][number % 3])


@pytest.fixture
def chain(database: str) -> SyntheticChain:
    """48 blocks in several partitions, indexed."""
    chain = SyntheticChain(hash_pairs)
    grow(chain, 48)
    follow(database, chain)
    return chain


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_rows_that_came_from_the_chain_are_found_to_fit_it(database: str, chain: SyntheticChain) -> None:
    summary, history = verify(read_engine(database), 31337)
    assert (history.root, summary.counters) == (chain.root.to_bytes(32, "big"), history.counters)
    with serving(Recording(chain)) as rpc:
        code, output = run("verify", GELAP_DATABASE_URL=database, GELAP_RPC_URL=rpc)
    assert code == 0
    assert f"{len(chain.commitments)} commitments" in output
    assert "are what the contract says at block 48" in output


# The checks are the same on both databases.
@SQLITE
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("DELETE FROM commitments WHERE position = 20", "rows do not fit together"),
        ("DELETE FROM commitments WHERE position > 60", "counts|missing|fit together"),
        ("UPDATE commitments SET commitment = nullifier FROM nullifiers WHERE position = 7 AND number = 3", "root"),
        ("DELETE FROM nullifiers WHERE number = 9", "its events lead to"),
        ("DELETE FROM withdrawals WHERE number = 2", "its events lead to"),
        ("DELETE FROM batches WHERE number = 3", "fit together|missing"),
        ("UPDATE batches SET subtree = root WHERE number = 2", "subtree"),
        ("UPDATE batches SET root = subtree WHERE number = 2", "announces root"),
        ("UPDATE pools SET withdrawals = withdrawals + 1", "its events lead to"),
        ("DELETE FROM journal WHERE number = 10", "rows do not fit together"),
    ],
)
def test_damaged_rows_are_found(database: str, chain: SyntheticChain, damage: str, message: str) -> None:
    engine = write_engine(database)
    with engine.begin() as connection:
        assert connection.execute(text(damage)).rowcount >= 1
    engine.dispose()
    with pytest.raises(DamagedError, match=message):
        verify(read_engine(database), 31337)
    code, output = run("verify", GELAP_DATABASE_URL=database)
    assert code == 1
    assert "restore a backup" in output


@POSTGRESQL
def test_a_nullifier_in_two_partitions_is_found(
    chain: SyntheticChain, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's constraint refuses it. Within one page of rows it is noticed sooner."""
    monkeypatch.setattr("indexer.reader.FRAME_EVENTS", 20)
    engine = write_engine(database)
    with engine.begin() as connection:
        first = connection.scalar(text("SELECT nullifier FROM nullifiers WHERE number = 0"))
        connection.execute(text("UPDATE nullifiers SET nullifier = :first WHERE number = 40"), {"first": first})
    engine.dispose()
    with pytest.raises(DamagedError, match="there twice"):
        verify(read_engine(database), 31337)


@SQLITE
def test_a_database_of_another_fork_is_told_from_the_contracts(database: str, chain: SyntheticChain) -> None:
    chain.cut(40)
    grow(chain, 12)
    with serving(Recording(chain)) as rpc:
        code, output = run("verify", GELAP_DATABASE_URL=database, GELAP_RPC_URL=rpc)
    assert code == 1
    assert "differs from the chain: block 48" in output


def test_an_archive_fills_an_empty_database_and_the_indexer_goes_on(
    database: str, chain: SyntheticChain, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    written = archive(read_engine(database), 31337, folder, WIDTH, DEPTH)
    assert [file.path for file in written] == [file.path for file in files_in(folder)]
    # Blocks whose number leaves 0 when divided by 3 are without events; 48 - 5 is in the fifth range.
    assert [(file.first, file.last) for file in written] == [(0, 8), (9, 19), (20, 29), (30, 38)]
    other = sqlite_url(tmp_path / "restored.sqlite")
    migrate(write_engine(other))
    tip = restore(write_engine(other), files_in(folder), WIDTH)
    assert tip.number == written[-1].last
    assert_indexed(other, chain, tip.number)
    grow(chain, 3)
    follow(other, chain)
    assert_indexed(other, chain)


@SQLITE
def test_an_archive_grows_by_the_ranges_that_became_old(database: str, chain: SyntheticChain, tmp_path: Path) -> None:
    first = archive(read_engine(database), 31337, tmp_path, WIDTH, DEPTH)
    kept = {file.path: file.path.read_bytes() for file in first}
    assert archive(read_engine(database), 31337, tmp_path, WIDTH, DEPTH) == []
    grow(chain, 20)
    follow(database, chain)
    second = archive(read_engine(database), 31337, tmp_path, WIDTH, DEPTH)
    assert len(second) == 2
    assert all(path.read_bytes() == data for path, data in kept.items())
    other = write_engine(sqlite_url(tmp_path / "restored.sqlite"))
    migrate(other)
    assert restore(other, files_in(tmp_path)).number == second[-1].last
    # The same blocks make the same bytes, whoever writes them.
    again = tmp_path / "again"
    assert [file.path.read_bytes() for file in archive(read_engine(database), 31337, again, WIDTH, DEPTH)] == [
        file.path.read_bytes() for file in files_in(tmp_path)
    ]


@SQLITE
def test_a_restore_goes_on_where_it_broke_off(database: str, chain: SyntheticChain, tmp_path: Path) -> None:
    written = archive(read_engine(database), 31337, tmp_path, WIDTH, DEPTH)
    other = sqlite_url(tmp_path / "restored.sqlite")
    migrate(write_engine(other))
    restore(write_engine(other), written[:2])
    assert_indexed(other, chain, written[1].last)
    restore(write_engine(other), written)
    assert_indexed(other, chain, written[-1].last)


def spoil(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@SQLITE
def test_a_damaged_archive_is_refused(database: str, chain: SyntheticChain, tmp_path: Path) -> None:
    written = archive(read_engine(database), 31337, tmp_path, WIDTH, DEPTH)
    other = write_engine(sqlite_url(tmp_path / "restored.sqlite"))
    migrate(other)
    with pytest.raises(ArchiveError, match="files of the archive are missing"):
        restore(other, [written[0], written[2]])
    whole = written[1].path.read_bytes()
    for place in (len(whole) // 2, -3):
        spoil(written[1].path, place)
        with pytest.raises(ArchiveError, match=r"damaged|cannot be read"):
            restore(other, written)
        written[1].path.write_bytes(whole)
    written[1].path.write_bytes(whole[:-30])
    with pytest.raises(ArchiveError, match=r"damaged|cannot be read"):
        restore(other, written)
    written[1].path.write_bytes(written[0].path.read_bytes())
    with pytest.raises(ArchiveError):
        restore(other, written)
    written[1].path.write_bytes(whole)
    assert restore(other, written).number == written[-1].last


def test_the_commands_archive_and_restore(tmp_path: Path) -> None:
    """With the depth that no reorganisation reaches, 10,000 blocks."""
    chain = SyntheticChain()
    grow(chain, 30)
    for _ in range(12_000):
        chain.add([])
    chain.add([Transaction(0, 1)])
    one, two = (sqlite_url(tmp_path / f"{name}.sqlite") for name in ("one", "two"))
    migrate(write_engine(one))
    follow(one, chain)
    folder = str(tmp_path / "archive")
    code, output = run("archive", folder, "--range-blocks", "1000", GELAP_DATABASE_URL=one)
    assert (code, "1 new files" in output) == (0, True)
    code, output = run("restore", folder, GELAP_DATABASE_URL=two)
    assert (code, "restored up to block 29" in output) == (0, True)
    assert_indexed(two, chain, 29)
    follow(two, chain)
    assert_indexed(two, chain)
    code, output = run("restore", str(tmp_path / "nowhere"), GELAP_DATABASE_URL=two)
    assert (code, "holds no archive" in output) == (1, True)


@SQLITE
def test_a_copy_of_sqlite_goes_on(database: str, chain: SyntheticChain, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite"
    with (
        closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    grow(chain, 3)
    follow(sqlite_url(copy), chain)
    assert_indexed(sqlite_url(copy), chain)
