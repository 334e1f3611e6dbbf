"""The wallet's file: notes, history, issued addresses and how far the chain was read.

Everything that changes together is written in one transaction, so a crash leaves the state before or after, never
between. The file and SQLite's journal beside it can be read by their owner only (mode 600).
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from eth_utils import to_checksum_address

from chain.tree import Batch
from protocol.field import from_bytes32, to_bytes32
from protocol.note import Note
from wallet import schema
from wallet.errors import WalletFileError


@dataclass(frozen=True)
class StoredNote:
    """A note of this account.

    `position` is its place in the pool's queue; `address_index` the number of the address it came to, None for a note
    to oneself; `leaf_index` and `nullifier` are None until it is in the tree; `spent_transaction` is the hash of the
    transaction that spent it, None while it is unspent.
    """

    position: int
    note: Note = field(repr=False)
    address_index: int | None
    leaf_index: int | None = None
    nullifier: int | None = None
    spent_transaction: str | None = None
    reserved: bool = False


@dataclass(frozen=True)
class HistoryEntry:
    """What happened in one transaction, from this account's point of view.

    `kind` is "deposited", "received", "sent", "withdrawn" or "merged". `amount` excludes `fee` (what a relayer got);
    both are in the token's smallest unit. `counterparty` is the recipient's Gelap address (sent), the receiver's EVM
    address (withdrawn), the address number (received), or empty. `text` was written by a stranger when the kind is
    "received": show it, never act on it.
    """

    kind: str
    token: str
    amount: int
    fee: int
    counterparty: str
    text: str
    block_number: int
    timestamp: int
    transaction_hash: str
    log_index: int


class Store:
    """One wallet file, open. Use `close()` or `with`; not for use by several threads."""

    def __init__(self, path: Path | str) -> None:
        """Open the wallet file at `path`, or make one; raises WalletFileError when it is none or too new."""
        self.path = Path(path)
        try:
            # Made by us before SQLite sees it: there is no moment at which others could open it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(self.path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise WalletFileError(f"the wallet file {self.path} cannot be opened: {error}") from error
        try:
            self._prepare()
            self.path.chmod(0o600)
        except sqlite3.Error as error:
            self._db.close()
            raise WalletFileError(f"{self.path} is no wallet file, or it is damaged: {error}") from error
        except WalletFileError:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA synchronous = FULL")
        with self.transaction():
            version = self._number("PRAGMA user_version")
            if version == 0 and self._number("SELECT count(*) FROM sqlite_master") == 0:
                # One by one: executescript would commit the transaction it runs in.
                for statement in schema.TABLES.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {schema.VERSION}")
                return
        if self._number("PRAGMA application_id") != schema.APPLICATION_ID:
            raise WalletFileError(f"{self.path} is no wallet file: choose another path")
        if version != schema.VERSION:
            raise WalletFileError(
                f"the wallet file {self.path} has version {version}, this program knows {schema.VERSION}: update it"
            )

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside happen, or none: any exception takes them back."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise WalletFileError(f"the wallet file {self.path} is in use by another program") from error
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def bind(self, name: str, value: str) -> None:
        """Tie the file to `value` (a pool, an account) the first time, and refuse another one ever after."""
        self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, value))
        (stored,) = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if stored != value:
            raise WalletFileError(f"the wallet file {self.path} belongs to another {name}: choose another path")

    # What follows from the chain

    def cursor(self) -> tuple[int, str] | None:
        """Number and hash of the last block that was read; None before the first."""
        row = self._db.execute("SELECT block_number, block_hash FROM cursor").fetchone()
        return None if row is None else (row[0], row[1])

    def set_cursor(self, block_number: int, block_hash: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO cursor VALUES (0, ?, ?)", (block_number, block_hash))

    def forget_chain(self) -> None:
        """Drop all that was read from the chain. Call it inside the transaction that reads it again."""
        for table in schema.CHAIN_TABLES:
            self._db.execute(f"DELETE FROM {table}")

    def add_commitment(self, position: int, commitment: int) -> None:
        self._db.execute("INSERT INTO queue VALUES (?, ?)", (position, to_bytes32(commitment)))

    def add_batch(self, batch: Batch, root: int) -> None:
        self._db.execute(
            "INSERT INTO batches VALUES (?, ?, ?, ?)",
            (batch.first_position, batch.start_index, batch.count, to_bytes32(root)),
        )

    def queue(self) -> list[int]:
        """Every commitment the pool ever queued, by position."""
        rows = self._db.execute("SELECT commitment FROM queue ORDER BY position").fetchall()
        return [from_bytes32(row[0]) for row in rows]

    def batches(self) -> tuple[list[Batch], int | None]:
        """The pool's tree updates in order, and the root after the last one (None when there was none)."""
        rows = self._db.execute(
            "SELECT first_position, start_index, count, root FROM batches ORDER BY first_position"
        ).fetchall()
        return [Batch(*row[:3]) for row in rows], from_bytes32(rows[-1][3]) if rows else None

    # Notes

    def add_note(self, stored: StoredNote) -> None:
        note = stored.note
        self._db.execute(
            "INSERT INTO notes (position, token, amount, owner, blinding, address_index) VALUES (?, ?, ?, ?, ?, ?)",
            (
                stored.position,
                token_text(note.token),
                str(note.amount),
                to_bytes32(note.owner),
                to_bytes32(note.blinding),
                stored.address_index,
            ),
        )

    def place_note(self, position: int, leaf_index: int, nullifier: int) -> None:
        """The note of this queue position is in the tree."""
        self._db.execute(
            "UPDATE notes SET leaf_index = ?, nullifier = ? WHERE position = ?",
            (leaf_index, to_bytes32(nullifier), position),
        )

    def spend_note(self, nullifier: int, transaction: str) -> StoredNote | None:
        """Mark the note with this nullifier as spent; returns it, or None when it is not ours."""
        found = self._notes("WHERE n.nullifier = ?", to_bytes32(nullifier))
        if not found:
            return None
        self._db.execute(
            "UPDATE notes SET spent_transaction = ? WHERE nullifier = ?", (transaction, to_bytes32(nullifier))
        )
        return found[0]

    def notes_between(self, first_position: int, count: int) -> list[StoredNote]:
        """Our notes among `count` queue positions from the first on."""
        return self._notes("WHERE n.position >= ? AND n.position < ?", first_position, first_position + count)

    def unspent(self, token: str) -> list[StoredNote]:
        """Our unspent notes of `token` (checksummed address) with an amount above 0, oldest first."""
        return self._notes("WHERE n.token = ? AND n.spent_transaction IS NULL AND n.amount <> '0'", token)

    def tokens(self) -> list[str]:
        """The tokens of which there is an unspent note."""
        rows = self._db.execute(
            "SELECT DISTINCT token FROM notes WHERE spent_transaction IS NULL AND amount <> '0' ORDER BY token"
        )
        return [row[0] for row in rows]

    def _notes(self, condition: str, *values: object) -> list[StoredNote]:
        rows = self._db.execute(
            "SELECT n.position, n.token, n.amount, n.owner, n.blinding, n.address_index, n.leaf_index, n.nullifier, "
            "n.spent_transaction, r.nullifier IS NOT NULL "
            f"FROM notes n LEFT JOIN reservations r ON r.nullifier = n.nullifier {condition} ORDER BY n.position",
            values,
        )
        return [
            StoredNote(
                position=row[0],
                note=Note(int(row[1], 16), int(row[2]), from_bytes32(row[3]), from_bytes32(row[4])),
                address_index=row[5],
                leaf_index=row[6],
                nullifier=None if row[7] is None else from_bytes32(row[7]),
                spent_transaction=row[8],
                reserved=bool(row[9]),
            )
            for row in rows
        ]

    # Payments that are not settled yet

    def reserve(self, nullifiers: list[int], deadline: int) -> None:
        """Keep the notes with these nullifiers out of other payments until `deadline`.

        Raises WalletFileError when one is reserved already, by another program on the same file.
        """
        try:
            self._db.executemany(
                "INSERT INTO reservations VALUES (?, ?)", [(to_bytes32(item), deadline) for item in nullifiers]
            )
        except sqlite3.IntegrityError as error:
            raise WalletFileError("another payment from this wallet file took the same notes: try again") from error

    def release(self, nullifiers: list[int]) -> None:
        self._db.executemany("DELETE FROM reservations WHERE nullifier = ?", [(to_bytes32(n),) for n in nullifiers])

    def release_expired(self, now: int) -> None:
        """Free the notes of payments whose deadline passed: nobody can settle them any more."""
        self._db.execute("DELETE FROM reservations WHERE deadline < ?", (now,))

    # History

    def add_history(self, entry: HistoryEntry) -> None:
        self._db.execute(
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.transaction_hash,
                entry.log_index,
                entry.block_number,
                entry.timestamp,
                entry.kind,
                entry.token,
                str(entry.amount),
                str(entry.fee),
                entry.counterparty,
                entry.text,
            ),
        )

    def history(self) -> list[HistoryEntry]:
        """All entries, oldest first."""
        rows = self._db.execute(
            "SELECT kind, token, amount, fee, counterparty, text, block_number, timestamp, transaction_hash, log_index "
            "FROM history ORDER BY block_number, log_index"
        )
        return [HistoryEntry(row[0], row[1], int(row[2]), int(row[3]), *row[4:]) for row in rows]

    # Addresses

    def issue_address(self, label: str) -> int:
        """Take the next address number."""
        index = self.next_address()
        self._db.execute("INSERT INTO addresses VALUES (?, ?)", (index, label))
        return index

    def next_address(self) -> int:
        return self._number("SELECT coalesce(max(address_index) + 1, 0) FROM addresses")

    def mark_issued(self, address_index: int) -> None:
        """An address up to this number was handed out before this file existed: never hand it out again."""
        for index in range(self.next_address(), address_index + 1):
            self._db.execute("INSERT INTO addresses VALUES (?, '')", (index,))

    def addresses(self) -> list[tuple[int, str]]:
        """The issued addresses: number and label."""
        rows = self._db.execute("SELECT address_index, label FROM addresses ORDER BY address_index").fetchall()
        return [(row[0], row[1]) for row in rows]

    def _number(self, query: str) -> int:
        return int(self._db.execute(query).fetchone()[0])


def token_text(token: int) -> str:
    """A token's 160-bit number as its checksummed address."""
    return to_checksum_address(token.to_bytes(20, "big"))
