"""The wallet's file: private, whole after a crash, and never mistaken for another one."""

import os
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chain.tree import Batch
from protocol.note import Note
from wallet import schema
from wallet.errors import WalletFileError
from wallet.store import HistoryEntry, Store, StoredNote, token_text

TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3
NOTE = StoredNote(position=3, note=Note(TOKEN, 2**128 - 1, 5, 7), address_index=None)


def test_the_file_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    old_mask = os.umask(0)
    try:
        with Store(tmp_path / "wallet.db") as store, store.transaction():
            store.add_note(NOTE)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(old_mask)
    assert modes == {"wallet.db": 0o600, "wallet.db-journal": 0o600}


def test_a_file_that_others_could_read_is_closed_to_them_on_opening(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    Store(path).close()
    path.chmod(0o644)
    Store(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_notes_come_back_as_they_were_stored(store: Store) -> None:
    store.add_note(NOTE)
    assert store.unspent(token_text(TOKEN)) == [NOTE]
    store.place_note(3, leaf_index=67, nullifier=99)
    placed = replace(NOTE, leaf_index=67, nullifier=99)
    assert store.unspent(token_text(TOKEN)) == [placed]
    store.reserve([99], deadline=50)
    assert store.unspent(token_text(TOKEN)) == [replace(placed, reserved=True)]
    store.release_expired(now=50)
    assert store.unspent(token_text(TOKEN))[0].reserved, "the deadline's own second still counts"
    store.release_expired(now=51)
    assert store.unspent(token_text(TOKEN)) == [placed]
    assert store.spend_note(99, "0xaa") == placed
    assert store.unspent(token_text(TOKEN)) == []
    assert store.notes_between(3, 1) == [replace(placed, spent_transaction="0xaa")]


def test_a_note_of_somebody_else_is_not_spent(store: Store) -> None:
    store.add_note(NOTE)
    store.place_note(3, leaf_index=67, nullifier=99)
    assert store.spend_note(98, "0xaa") is None
    assert len(store.unspent(token_text(TOKEN))) == 1


def test_an_exception_takes_back_the_whole_transaction(store: Store) -> None:
    def fail_halfway() -> None:
        with store.transaction():
            store.add_note(NOTE)
            store.set_cursor(8, "0x08")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert store.unspent(token_text(TOKEN)) == []
    assert store.cursor() is None


def test_a_killed_program_leaves_the_state_before_its_transaction(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    with Store(path) as store, store.transaction():
        store.set_cursor(7, "0x07")
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sys\n"
            "from wallet.store import Store\n"
            "store = Store(sys.argv[1])\n"
            "store._db.execute('PRAGMA cache_spill = 1')\n"
            "store._db.execute('PRAGMA cache_size = 5')\n"
            "store._db.execute('BEGIN IMMEDIATE')\n"
            "store.set_cursor(8, '0x08')\n"
            "for position in range(2000):\n"
            "    store.add_commitment(position, position + 1)\n"
            "os._exit(9)\n",
            str(path),
        ],
        check=False,
    )
    assert killed.returncode == 9
    assert path.with_name("wallet.db-journal").exists(), "the kill came in the middle of a write"
    with Store(path) as store:
        assert store.cursor() == (7, "0x07")
        assert store.queue() == []


def test_the_chain_can_be_forgotten_without_losing_what_only_this_file_knows(store: Store) -> None:
    store.issue_address("shop")
    store.add_note(NOTE)
    store.reserve([99], deadline=50)
    store.add_commitment(0, 11)
    store.add_batch(Batch(0, 0, 1), 12)
    store.set_cursor(7, "0x07")
    store.add_history(HistoryEntry("deposited", token_text(TOKEN), 1, 0, "", "", 1, 1, "0xaa", 0))
    store.forget_chain()
    assert (store.cursor(), store.queue(), store.batches(), store.history()) == (None, [], ([], None), [])
    assert store.unspent(token_text(TOKEN)) == []
    assert store.addresses() == [(0, "shop")]
    with pytest.raises(WalletFileError, match="took the same notes"):
        store.reserve([99], deadline=60)


def test_address_numbers_are_never_handed_out_twice(store: Store) -> None:
    assert [store.issue_address(""), store.issue_address("")] == [0, 1]
    store.mark_issued(4)
    store.mark_issued(2)
    assert store.issue_address("") == 5


def test_a_file_is_tied_to_its_account_and_pool(store: Store) -> None:
    store.bind("pool", "1:0xaa")
    store.bind("pool", "1:0xaa")
    with pytest.raises(WalletFileError, match="belongs to another pool"):
        store.bind("pool", "1:0xbb")


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    Store(path).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    database.close()
    with pytest.raises(WalletFileError, match="version 2, this program knows 1"):
        Store(path)


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look like one" * 20, b"\0" * 4096])
def test_a_file_that_is_no_wallet_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(WalletFileError, match="no wallet file"):
        Store(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(WalletFileError, match="no wallet file"):
        Store(path)
    assert path.read_bytes() == before


def test_a_path_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WalletFileError, match="cannot be opened"):
        Store(tmp_path / "missing" / "wallet.db")


def test_a_file_in_use_by_another_program_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    with Store(path) as first, Store(path) as second:
        second._db.execute("PRAGMA busy_timeout = 10")
        with first.transaction(), pytest.raises(WalletFileError, match="in use"), second.transaction():
            pass
