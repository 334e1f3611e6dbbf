"""The wallet's file: sealed, private, whole after a crash, and never mistaken for another one."""

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
from wallet.payments import Payment
from wallet.store import HistoryEntry, Store, StoredNote, token_text

TOKEN = 0x5FBDB2315678AFECB367F032D93F642F64180AA3
KEY = bytes(64)
NOTE = StoredNote(position=3, note=Note(TOKEN, 2**128 - 1, 5, 7), address_index=None)


def test_the_file_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    old_mask = os.umask(0)
    try:
        with Store(tmp_path / "wallet.db", KEY) as store, store.transaction():
            store.add_note(NOTE)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(old_mask)
    assert modes == {"wallet.db": 0o600, "wallet.db-journal": 0o600}


def test_a_file_that_others_could_read_is_closed_to_them_on_opening(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    Store(path, KEY).close()
    path.chmod(0o644)
    Store(path, KEY).close()
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
    with Store(path, KEY) as store, store.transaction():
        store.set_cursor(7, "0x07")
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sys\n"
            "from wallet.store import Store\n"
            "store = Store(sys.argv[1], bytes(64))\n"
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
    with Store(path, KEY) as store:
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
    Store(path, KEY).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    database.close()
    with pytest.raises(WalletFileError, match="version 3, this program knows 2"):
        Store(path, KEY)


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look like one" * 20, b"\0" * 4096])
def test_a_file_that_is_no_wallet_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(WalletFileError, match="no wallet file"):
        Store(path, KEY)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(WalletFileError, match="no wallet file"):
        Store(path, KEY)
    assert path.read_bytes() == before


def test_a_path_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WalletFileError, match="cannot be opened"):
        Store(tmp_path / "missing" / "wallet.db", KEY)


def test_a_file_in_use_by_another_program_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    with Store(path, KEY) as first, Store(path, KEY) as second:
        second._db.execute("PRAGMA busy_timeout = 10")
        with first.transaction(), pytest.raises(WalletFileError, match="in use"), second.transaction():
            pass


# A file as version 1 of the schema made it; its text is kept here because no program writes it any more.
VERSION_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE cursor (
    id INTEGER PRIMARY KEY CHECK (id = 0), block_number INTEGER NOT NULL, block_hash TEXT NOT NULL
) STRICT;
CREATE TABLE queue (position INTEGER PRIMARY KEY, commitment BLOB NOT NULL) STRICT;
CREATE TABLE batches (
    first_position INTEGER PRIMARY KEY, start_index INTEGER NOT NULL, count INTEGER NOT NULL, root BLOB NOT NULL
) STRICT;
CREATE TABLE notes (
    position INTEGER PRIMARY KEY, token TEXT NOT NULL, amount TEXT NOT NULL, owner BLOB NOT NULL,
    blinding BLOB NOT NULL, address_index INTEGER, leaf_index INTEGER, nullifier BLOB UNIQUE, spent_transaction TEXT
) STRICT;
CREATE TABLE history (
    transaction_hash TEXT NOT NULL, log_index INTEGER NOT NULL, block_number INTEGER NOT NULL,
    timestamp INTEGER NOT NULL, kind TEXT NOT NULL, token TEXT NOT NULL, amount TEXT NOT NULL, fee TEXT NOT NULL,
    counterparty TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (transaction_hash, log_index)
) STRICT;
CREATE TABLE addresses (address_index INTEGER PRIMARY KEY, label TEXT NOT NULL) STRICT;
CREATE TABLE reservations (nullifier BLOB PRIMARY KEY, deadline INTEGER NOT NULL) STRICT;
PRAGMA application_id = 0x67656C70;
PRAGMA user_version = 1;
"""
ENTRY = HistoryEntry("received", token_text(TOKEN), 12345678901, 3, "7", "für dich", 1, 2, "0xfeedfacefeed", 0)
BLINDING = int.from_bytes(b"the blinding of a note, 32 bytes", "big") >> 8
PRIVATE = [b"feedfacefeed", b"12345678901", "für dich".encode(), b"the label", BLINDING.to_bytes(32, "big")[2:]]


def write_version_1(path: Path) -> None:
    database = sqlite3.connect(path)
    database.executescript(VERSION_1)
    token = token_text(TOKEN)
    word = BLINDING.to_bytes(32, "big")
    database.execute("INSERT INTO meta VALUES ('account', 'alice')")
    database.execute("INSERT INTO cursor VALUES (0, 9, '0x09')")
    database.execute(
        "INSERT INTO notes VALUES (3, ?, '12345678901', ?, ?, 7, 5, ?, NULL)", (token, word, word, bytes(31) + b"c")
    )
    database.execute(
        "INSERT INTO history VALUES ('0xfeedfacefeed', 0, 1, 2, 'received', ?, '12345678901', '3', '7', 'für dich')",
        (token,),
    )
    database.execute("INSERT INTO addresses VALUES (0, 'the label')")
    database.execute("INSERT INTO reservations VALUES (?, 50)", (bytes(31) + b"c",))
    database.commit()
    database.close()


def test_a_file_of_version_1_is_sealed_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    write_version_1(path)
    assert all(part in path.read_bytes() for part in PRIVATE), "version 1 kept all this in the clear"
    for _ in range(2):
        with Store(path, KEY, {"account": "alice"}) as store:
            (stored,) = store.notes()
            assert stored == StoredNote(3, Note(TOKEN, 12345678901, BLINDING, BLINDING), 7, 5, ord("c"), None, True)
            assert (store.history(), store.addresses(), store.cursor()) == ([ENTRY], [(0, "the label")], (9, "0x09"))
    assert [part for part in PRIVATE if part in path.read_bytes()] == []


def test_a_file_of_another_account_is_not_upgraded_under_this_ones_key(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    write_version_1(path)
    before = path.read_bytes()
    with pytest.raises(WalletFileError, match="belongs to another account"):
        Store(path, KEY, {"account": "bob"})
    assert path.read_bytes() == before


def test_the_file_alone_tells_nothing_of_notes_history_labels_and_payments(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    payment = Payment("send", token_text(TOKEN), 12345678901, 0, "gelap1recipient", 50, (ord("c"),))
    with Store(path, KEY) as store, store.transaction():
        store.add_note(StoredNote(3, Note(TOKEN, 12345678901, BLINDING, BLINDING), 7, 5, BLINDING))
        store.add_history(ENTRY)
        store.issue_address("the label")
        store.keep_payment(payment)
        store.reserve([BLINDING], 50)
    content = path.read_bytes()
    private = [*PRIVATE, b"gelap1recipient", hex(12345678901).encode(), TOKEN.to_bytes(20, "big")]
    assert [part for part in private if part in content] == []
    assert token_text(TOKEN).lower()[2:].encode() not in content.lower()
    with Store(path, KEY) as store:
        assert store.payments() == [payment]
        assert store.notes()[0].reserved


def test_rows_have_one_size_whatever_they_say(store: Store) -> None:
    store.add_note(StoredNote(1, Note(TOKEN, 0, 1, 1), None))
    store.add_note(
        StoredNote(2**40, Note(TOKEN, 2**128 - 1, BLINDING, BLINDING), None, 2**31, BLINDING, "0x" + "a" * 64)
    )
    assert len({len(row[0]) for row in store._db.execute("SELECT sealed FROM notes")}) == 1


def test_another_key_and_a_changed_or_moved_row_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    with Store(path, KEY) as store:
        store.issue_address("first")
        store.issue_address("second")
    with Store(path, bytes(range(64))) as store, pytest.raises(WalletFileError, match="cannot be opened"):
        store.addresses()
    with sqlite3.connect(path) as database:
        database.execute(
            "UPDATE addresses SET sealed = (SELECT sealed FROM addresses WHERE address_index = 1) "
            "WHERE address_index = 0"
        )
    database.close()
    with Store(path, KEY) as store, pytest.raises(WalletFileError, match="damaged or changed"):
        store.addresses()


def test_a_payment_is_forgotten_when_its_note_is_spent_or_its_deadline_has_passed(store: Store) -> None:
    first = Payment("send", token_text(TOKEN), 1, 0, "", 50, (1, 2))
    second = Payment("withdraw", token_text(TOKEN), 1, 0, "", 60, (3,))
    for payment in (second, first):
        store.reserve(list(payment.nullifiers), payment.deadline)
        store.keep_payment(payment)
    assert store.payments() == [first, second]
    store.forget_payments_of(2)
    assert store.payments() == [second]
    store.reserve([1], 70)  # free again
    store.release_expired(60)
    assert store.payments() == [second]
    store.release_expired(61)
    assert store.payments() == []
