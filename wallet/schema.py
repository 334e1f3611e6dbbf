"""The tables of a wallet file (SQLite), version 1.

Field elements are 32 bytes big-endian, amounts decimal text (they reach 2^128), tokens checksummed addresses, times
seconds since 1970. `queue`, `batches`, `notes`, `history` and the cursor follow from the chain and can be rebuilt from
it; `addresses` and `reservations` exist only here. No key is stored: the file shows what an account owns and did, but
nobody can spend with it.
"""

APPLICATION_ID = 0x67656C70  # "gelp"
VERSION = 1

TABLES = """
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
) STRICT;

CREATE TABLE notes (
    position INTEGER PRIMARY KEY,
    token TEXT NOT NULL,
    amount TEXT NOT NULL,
    owner BLOB NOT NULL,
    blinding BLOB NOT NULL,
    address_index INTEGER,
    leaf_index INTEGER,
    nullifier BLOB UNIQUE,
    spent_transaction TEXT
) STRICT;

CREATE TABLE history (
    transaction_hash TEXT NOT NULL,
    log_index INTEGER NOT NULL,
    block_number INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    kind TEXT NOT NULL,
    token TEXT NOT NULL,
    amount TEXT NOT NULL,
    fee TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (transaction_hash, log_index)
) STRICT;

CREATE TABLE addresses (
    address_index INTEGER PRIMARY KEY,
    label TEXT NOT NULL
) STRICT;

CREATE TABLE reservations (
    nullifier BLOB PRIMARY KEY,
    deadline INTEGER NOT NULL
) STRICT;
"""

CHAIN_TABLES = ("cursor", "queue", "batches", "notes", "history")
