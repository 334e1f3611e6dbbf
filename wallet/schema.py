"""The tables of a wallet file (SQLite), version 2.

`queue`, `batches` and the cursor are public: field elements in 32 bytes big-endian. What concerns the account is sealed
(see `wallet.sealed`): notes, history, labels, and payments on their way. A tag stands for what a row is looked up by.
All but `addresses`, `reservations` and `payments` follows from the chain and can be rebuilt from it. No key is stored.

Version 1 kept the same in the clear; `UPGRADED` says what its tables become.
"""

APPLICATION_ID = 0x67656C70  # "gelp"
VERSION = 2

PUBLIC_TABLES = """
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE cursor (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    block_number INTEGER NOT NULL,
    block_hash TEXT NOT NULL
) STRICT;

CREATE TABLE queue (
    position INTEGER PRIMARY KEY,
    commitment BLOB NOT NULL
) STRICT;

CREATE TABLE batches (
    first_position INTEGER PRIMARY KEY,
    start_index INTEGER NOT NULL,
    count INTEGER NOT NULL,
    root BLOB NOT NULL
) STRICT
"""

# Without row numbers: the order of the rows says nothing about the order in which notes came.
PRIVATE_TABLES = """
CREATE TABLE notes (
    tag BLOB PRIMARY KEY,
    nullifier_tag BLOB UNIQUE,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
    tag BLOB PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE addresses (
    address_index INTEGER PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE reservations (
    nullifier_tag BLOB PRIMARY KEY,
    deadline INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE payments (
    tag BLOB PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID
"""

UPGRADED = ("notes", "history", "addresses", "reservations")
CHAIN_TABLES = ("cursor", "queue", "batches", "notes", "history")
