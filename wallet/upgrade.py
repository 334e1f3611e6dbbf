"""Rewrites a wallet file of version 1, which kept everything in the clear, as one of version 2."""

import sqlite3
from typing import TYPE_CHECKING

from protocol.field import from_bytes32
from protocol.note import Note
from wallet import schema

if TYPE_CHECKING:
    from wallet.store import Store


def from_version_1(database: sqlite3.Connection, store: "Store") -> None:
    """Seal every private row with the key of `store`, whose open transaction this runs in."""
    from wallet.store import HistoryEntry, StoredNote

    # Pages that are given back are overwritten with zeros.
    database.execute("PRAGMA secure_delete = ON")
    for table in schema.UPGRADED:
        database.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in schema.PRIVATE_TABLES.split(";"):
        database.execute(statement)
    for row in database.execute(
        "SELECT position, token, amount, owner, blinding, address_index, leaf_index, nullifier, spent_transaction "
        "FROM old_notes"
    ).fetchall():
        note = Note(int(row[1], 16), int(row[2]), from_bytes32(row[3]), from_bytes32(row[4]))
        nullifier = None if row[7] is None else from_bytes32(row[7])
        store.add_note(StoredNote(row[0], note, row[5], row[6], nullifier, row[8]))
    for row in database.execute(
        "SELECT kind, token, amount, fee, counterparty, text, block_number, timestamp, transaction_hash, log_index "
        "FROM old_history"
    ).fetchall():
        store.add_history(HistoryEntry(row[0], row[1], int(row[2]), int(row[3]), *row[4:]))
    for index, label in database.execute("SELECT address_index, label FROM old_addresses").fetchall():
        store.add_address(index, label)
    for nullifier, deadline in database.execute("SELECT nullifier, deadline FROM old_reservations").fetchall():
        store.reserve([from_bytes32(nullifier)], deadline)
    for table in schema.UPGRADED:
        database.execute(f"DROP TABLE old_{table}")
    database.execute(f"PRAGMA user_version = {schema.VERSION}")
