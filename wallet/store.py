"""The wallet's file: notes, history, issued addresses and how far the chain was read.

Everything that changes together is written in one transaction, so a crash leaves the state before or after, never
between. The file and SQLite's journal beside it can be read by their owner only (mode 600), and what concerns the
account is sealed in them.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_utils import to_checksum_address

from chain.tree import Batch
from protocol.field import from_bytes32, to_bytes32
from protocol.note import Note
from wallet import schema, upgrade
from wallet.errors import WalletFileError
from wallet.payments import Payment
from wallet.sealed import RowSealer


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

    def __init__(self, path: Path | str, key: bytes, belongs_to: Mapping[str, str] | None = None) -> None:
        """Open the wallet file at `path`, or make one; raises WalletFileError when it is none or too new.

        `key` (64 bytes, see `wallet.sealed.file_key`) opens what is sealed. `belongs_to` ties the file to a pool and an
        account, as `bind` does. A file of version 1, in which nothing was sealed, is rewritten in place.
        """
        self.path = Path(path)
        self._sealer = RowSealer(key)
        try:
            # Made by us before SQLite sees it: there is no moment at which others could open it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(self.path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise WalletFileError(f"the wallet file {self.path} cannot be opened: {error}") from error
        try:
            self._prepare(belongs_to or {})
            self.path.chmod(0o600)
        except sqlite3.Error as error:
            self._db.close()
            raise WalletFileError(f"{self.path} is no wallet file, or it is damaged: {error}") from error
        except WalletFileError:
            self._db.close()
            raise

    def _prepare(self, belongs_to: Mapping[str, str]) -> None:
        self._db.execute("PRAGMA synchronous = FULL")
        upgraded = False
        with self.transaction():
            version = self._number("PRAGMA user_version")
            if version == 0 and self._number("SELECT count(*) FROM sqlite_master") == 0:
                # One by one: executescript would commit the transaction it runs in.
                for statement in (schema.PUBLIC_TABLES + ";" + schema.PRIVATE_TABLES).split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {schema.VERSION}")
                version = schema.VERSION
            if self._number("PRAGMA application_id") != schema.APPLICATION_ID:
                raise WalletFileError(f"{self.path} is no wallet file: choose another path")
            if not 1 <= version <= schema.VERSION:
                raise WalletFileError(
                    f"the wallet file {self.path} has version {version}, this program knows {schema.VERSION}: update it"
                )
            # Before anything is sealed: a file of another account must not be rewritten under this one's key.
            for name, value in belongs_to.items():
                self.bind(name, value)
            if version == 1:
                upgrade.from_version_1(self._db, self)
                upgraded = True
        if upgraded:
            # What was in the clear is gone from the file too, not only from its tables.
            self._db.execute("VACUUM")

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
        self._write_note(stored, "INSERT INTO notes VALUES (:tag, :nullifier_tag, :sealed)")

    def place_note(self, position: int, leaf_index: int, nullifier: int) -> None:
        """The note of this queue position is in the tree."""
        for stored in self.notes_between(position, 1):
            self._write_note(replace(stored, leaf_index=leaf_index, nullifier=nullifier))

    def spend_note(self, nullifier: int, transaction: str) -> StoredNote | None:
        """Mark the note with this nullifier as spent; returns it, or None when it is not ours."""
        found = self._notes("WHERE n.nullifier_tag = ?", self._sealer.tag("nullifier", nullifier))
        if not found:
            return None
        self._write_note(replace(found[0], spent_transaction=transaction))
        return found[0]

    def notes_between(self, first_position: int, count: int) -> list[StoredNote]:
        """Our notes among `count` queue positions from the first on."""
        tags = [self._sealer.tag("position", first_position + offset) for offset in range(count)]
        return self._notes(f"WHERE n.tag IN ({','.join('?' * count)})", *tags)

    def notes(self) -> list[StoredNote]:
        """All our notes, spent ones too, oldest first."""
        return self._notes("")

    def unspent(self, token: str) -> list[StoredNote]:
        """Our unspent notes of `token` (checksummed address) with an amount above 0, oldest first."""
        number = int(token, 16)
        return [stored for stored in self._unspent() if stored.note.token == number]

    def tokens(self) -> list[str]:
        """The tokens of which there is an unspent note."""
        return sorted({token_text(stored.note.token) for stored in self._unspent()})

    def _unspent(self) -> list[StoredNote]:
        return [stored for stored in self.notes() if stored.spent_transaction is None and stored.note.amount]

    def _write_note(
        self,
        stored: StoredNote,
        statement: str = "UPDATE notes SET nullifier_tag = :nullifier_tag, sealed = :sealed WHERE tag = :tag",
    ) -> None:
        note = stored.note
        row = {
            "position": stored.position,
            "token": hex(note.token),
            "amount": hex(note.amount),
            "owner": hex(note.owner),
            "blinding": hex(note.blinding),
            "address_index": stored.address_index,
            "leaf_index": stored.leaf_index,
            "nullifier": None if stored.nullifier is None else hex(stored.nullifier),
            "spent_transaction": stored.spent_transaction,
        }
        tag = self._sealer.tag("position", stored.position)
        nullifier_tag = None if stored.nullifier is None else self._sealer.tag("nullifier", stored.nullifier)
        values = {"tag": tag, "nullifier_tag": nullifier_tag, "sealed": self._sealer.seal("notes", tag, row)}
        self._db.execute(statement, values)

    def _notes(self, condition: str, *values: object) -> list[StoredNote]:
        rows = self._db.execute(
            "SELECT n.tag, n.sealed, r.nullifier_tag IS NOT NULL "
            f"FROM notes n LEFT JOIN reservations r ON r.nullifier_tag = n.nullifier_tag {condition}",
            values,
        )
        notes = [_stored_note(self._sealer.open("notes", tag, sealed), bool(held)) for tag, sealed, held in rows]
        return sorted(notes, key=lambda stored: stored.position)

    # Payments that are not settled yet

    def reserve(self, nullifiers: list[int], deadline: int) -> None:
        """Keep the notes with these nullifiers out of other payments until `deadline`.

        Raises WalletFileError when one is reserved already, by another program on the same file.
        """
        try:
            self._db.executemany(
                "INSERT INTO reservations VALUES (?, ?)", [(tag, deadline) for tag in self._nullifier_tags(nullifiers)]
            )
        except sqlite3.IntegrityError as error:
            raise WalletFileError("another payment from this wallet file took the same notes: try again") from error

    def release(self, nullifiers: list[int]) -> None:
        tags = self._nullifier_tags(nullifiers)
        self._db.executemany("DELETE FROM reservations WHERE nullifier_tag = ?", [(tag,) for tag in tags])

    def release_expired(self, now: int) -> None:
        """Free the notes of payments whose deadline passed: nobody can settle them any more."""
        self._db.execute("DELETE FROM reservations WHERE deadline < ?", (now,))
        for payment in self.payments():
            if payment.deadline < now:
                self.forget_payment(payment.nullifiers)

    def keep_payment(self, payment: Payment) -> None:
        """Write down how far a payment has come, in place of what was known of it."""
        tag = self._payment_tag(payment.nullifiers)
        sealed = self._sealer.seal("payments", tag, payment.row())
        self._db.execute("INSERT OR REPLACE INTO payments VALUES (?, ?)", (tag, sealed))

    def payments(self) -> list[Payment]:
        """The payments that are neither settled nor given up, those that end first at the front."""
        rows = self._db.execute("SELECT tag, sealed FROM payments")
        found = [Payment.from_row(self._sealer.open("payments", tag, sealed)) for tag, sealed in rows]
        return sorted(found, key=lambda payment: payment.deadline)

    def forget_payment(self, nullifiers: tuple[int, ...]) -> None:
        """The payment of the notes with exactly these nullifiers is settled or given up."""
        self._db.execute("DELETE FROM payments WHERE tag = ?", (self._payment_tag(nullifiers),))

    def forget_payments_of(self, nullifier: int) -> None:
        """The note with this nullifier is spent: no payment that takes it can go on."""
        for payment in self.payments():
            if nullifier in payment.nullifiers:
                self.release(list(payment.nullifiers))
                self.forget_payment(payment.nullifiers)

    def _nullifier_tags(self, nullifiers: list[int]) -> list[bytes]:
        return [self._sealer.tag("nullifier", nullifier) for nullifier in nullifiers]

    def _payment_tag(self, nullifiers: tuple[int, ...]) -> bytes:
        return self._sealer.tag("payment", *sorted(nullifiers))

    # History

    def add_history(self, entry: HistoryEntry) -> None:
        tag = self._sealer.tag("history", entry.transaction_hash, entry.log_index)
        row = asdict(entry) | {"amount": hex(entry.amount), "fee": hex(entry.fee)}
        self._db.execute("INSERT INTO history VALUES (?, ?)", (tag, self._sealer.seal("history", tag, row)))

    def history(self) -> list[HistoryEntry]:
        """All entries, oldest first."""
        opened = [
            self._sealer.open("history", tag, sealed)
            for tag, sealed in self._db.execute("SELECT tag, sealed FROM history")
        ]
        entries = [
            HistoryEntry(**row | {"amount": int(row["amount"], 16), "fee": int(row["fee"], 16)}) for row in opened
        ]
        return sorted(entries, key=lambda entry: (entry.block_number, entry.log_index))

    # Addresses

    def issue_address(self, label: str) -> int:
        """Take the next address number."""
        index = self.next_address()
        self.add_address(index, label)
        return index

    def add_address(self, index: int, label: str) -> None:
        tag = self._sealer.tag("address", index)
        sealed = self._sealer.seal("addresses", tag, {"label": label})
        self._db.execute("INSERT INTO addresses VALUES (?, ?)", (index, sealed))

    def next_address(self) -> int:
        return self._number("SELECT coalesce(max(address_index) + 1, 0) FROM addresses")

    def mark_issued(self, address_index: int) -> None:
        """An address up to this number was handed out before this file existed: never hand it out again."""
        for index in range(self.next_address(), address_index + 1):
            self.add_address(index, "")

    def addresses(self) -> list[tuple[int, str]]:
        """The issued addresses: number and label."""
        rows = self._db.execute("SELECT address_index, sealed FROM addresses ORDER BY address_index").fetchall()
        return [
            (index, self._sealer.open("addresses", self._sealer.tag("address", index), sealed)["label"])
            for index, sealed in rows
        ]

    def _number(self, query: str) -> int:
        return int(self._db.execute(query).fetchone()[0])


def token_text(token: int) -> str:
    """A token's 160-bit number as its checksummed address."""
    return to_checksum_address(token.to_bytes(20, "big"))


def _stored_note(row: dict[str, Any], reserved: bool) -> StoredNote:
    token, amount, owner, blinding = (int(row[name], 16) for name in ("token", "amount", "owner", "blinding"))
    return StoredNote(
        position=row["position"],
        note=Note(token, amount, owner, blinding),
        address_index=row["address_index"],
        leaf_index=row["leaf_index"],
        nullifier=None if row["nullifier"] is None else int(row["nullifier"], 16),
        spent_transaction=row["spent_transaction"],
        reserved=reserved,
    )
