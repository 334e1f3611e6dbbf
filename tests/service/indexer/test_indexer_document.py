"""The commands and the configuration in docs/indexer.md do what it says, on a PostgreSQL of the test's own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from bench.index.chain import POOL, SyntheticChain
from bench.index.postgresql import private_postgresql, programs
from indexer.chains import PRESETS
from indexer.config import read_config
from indexer.database import migrate, read_engine, write_engine
from indexer.follower import Follower, Pace
from indexer.rpc import Endpoints
from indexer.store import Store
from prover.kernels.cpu.poseidon import hash_pairs
from tests.unit.indexer.conftest import InProcess
from tests.unit.indexer.test_following import DEPOSIT, INSERT, PAYMENT, WITHDRAWAL, assert_indexed

DOCUMENT = (Path(__file__).parents[3] / "docs" / "indexer.md").read_text()


def block_with(line: str) -> str:
    """The indented block of the document in which a line begins so."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", DOCUMENT, re.MULTILINE)
    (found,) = [block for block in blocks if any(each.startswith("    " + line) for each in block.splitlines())]
    return "\n".join(each.removeprefix("    ") for each in found.splitlines())


@dataclass
class Server:
    """A PostgreSQL, and a shell in which its programs reach it as its administrator does."""

    socket: str
    folder: Path

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?host={self.socket}"

    def shell(self, script: str) -> None:
        there = Path(programs("psql")[0]).parent
        path = os.pathsep.join([str(there), str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = os.environ | {"PGHOST": self.socket, "PGUSER": "gelap", "PATH": path}
        done = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input=script,
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Set up as the document says."""
    with private_postgresql() as url:
        found = Server(parse_qs(urlsplit(url).query)["host"][0], tmp_path_factory.mktemp("document"))
        found.shell(block_with("createuser gelap_indexer"))
        yield found


def follow(database: str, chain: SyntheticChain) -> None:
    store = Store(write_engine(database), chain.chain_id, POOL, 0)
    Follower(store, Endpoints([InProcess(chain)], chain.chain_id), POOL, Pace(0)).round()


@pytest.fixture(scope="module")
def chain(server: Server) -> SyntheticChain:
    chain = SyntheticChain(hash_pairs, chain_id=8453)
    for _ in range(20):
        chain.add([DEPOSIT, PAYMENT, WITHDRAWAL, INSERT])
    database = server.url("gelap_indexer", "gelap")
    migrate(write_engine(database))
    follow(database, chain)
    return chain


def test_the_reader_reads_what_the_indexer_wrote_and_writes_nothing(server: Server, chain: SyntheticChain) -> None:
    url = server.url("gelap_reader", "gelap")
    assert_indexed(url, chain)
    with pytest.raises(Exception, match="permission denied"), write_engine(url).begin() as connection:
        connection.execute(text("DELETE FROM pools"))


def test_a_backup_is_restored_into_a_new_database(server: Server, chain: SyntheticChain) -> None:
    script = block_with("pg_dump").replace("gelap_indexer@/restored", f"gelap_indexer@/restored?host={server.socket}")
    server.shell(script)
    restored = server.url("gelap_indexer", "restored")
    assert_indexed(restored, chain)
    # What happened after the dump is read from the chain: blocks that were replaced since, and new ones.
    chain.cut(15)
    for _ in range(9):
        chain.add([PAYMENT, INSERT])
    for database in (restored, server.url("gelap_indexer", "gelap")):
        follow(database, chain)
        assert_indexed(database, chain)


def test_old_partitions_are_frozen_and_moved_to_another_disk(server: Server, chain: SyntheticChain) -> None:
    slow = Path(server.socket) / "slow"
    slow.mkdir()
    owner = os.stat(Path(server.socket) / "data")
    os.chown(slow, owner.st_uid, owner.st_gid)
    server.shell(block_with("psql gelap -c 'VACUUM").replace("/mnt/slow/postgresql", str(slow)))
    database = server.url("gelap_indexer", "gelap")
    with read_engine(database).connect() as connection:
        query = "SELECT tablespace FROM pg_tables WHERE tablename = 'commitments_8453_0'"
        assert connection.scalar(text(query)) == "slow"
    assert_indexed(server.url("gelap_reader", "gelap"), chain)
    chain.add([PAYMENT])
    follow(database, chain)
    assert_indexed(database, chain)


def test_the_configuration_file_is_one(tmp_path: Path) -> None:
    path = tmp_path / "indexer.toml"
    path.write_text(block_with("database_url"))
    found = read_config(path, {"GELAP_RPC_URL_BASE": "https://base.example"})
    assert [chain.name for chain in found.chains] == ["ethereum", "base"]
    assert found.options.keys() == {"database_url", "metrics_address"}


def test_the_table_of_chains_is_that_of_the_program() -> None:
    row = re.compile(
        r"^\| `(\w+)` \| (\d+) \|.*\| (\d+) \| ([\d,]+), ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", re.MULTILINE
    )
    numbers = {name: [int(each.replace(",", "")) for each in values] for name, *values in row.findall(DOCUMENT)}
    assert numbers == {
        name: [
            preset.chain_id,
            preset.confirmations,
            preset.first_window,
            preset.max_window,
            preset.journal_depth,
            preset.range_blocks,
        ]
        for name, preset in PRESETS.items()
    }
