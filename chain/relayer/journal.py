"""What a relayer has sent, in SQLite: it outlives a crash, and says nothing of who asked.

Everything in it is public once it is mined, but for the fees that are paid with notes.
"""

import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from chain.errors import ChainError, RelayerError

_COLUMNS = {
    "id": "TEXT PRIMARY KEY",
    "nonce": "INTEGER UNIQUE NOT NULL",
    "data": "TEXT NOT NULL",
    "gas": "INTEGER NOT NULL",
    "max_fee": "TEXT NOT NULL",
    "tip": "TEXT NOT NULL",
    "sent_at": "REAL NOT NULL",
    "hashes": "TEXT NOT NULL",
    "cancelled": "INTEGER NOT NULL",
    "state": "TEXT NOT NULL",
    "detail": "TEXT NOT NULL",
    "token": "TEXT NOT NULL DEFAULT ''",
    "fee": "TEXT NOT NULL DEFAULT '0'",
    "way": "TEXT NOT NULL DEFAULT 'chain'",
    "block_number": "INTEGER",
    "block_hash": "TEXT",
    "final": "INTEGER NOT NULL DEFAULT 0",
    "came_at": "REAL NOT NULL DEFAULT 0",
}
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS submissions ({", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())});
CREATE TABLE IF NOT EXISTS nullifiers (nullifier TEXT PRIMARY KEY, submission TEXT NOT NULL REFERENCES submissions(id));
CREATE TABLE IF NOT EXISTS fee_notes (commitment TEXT PRIMARY KEY, submission TEXT NOT NULL REFERENCES submissions(id));
CREATE TABLE IF NOT EXISTS belongs (one INTEGER PRIMARY KEY CHECK (one = 1), owner TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS submissions_open ON submissions (final, state);
"""


@dataclass(frozen=True)
class Submission:
    """One payment.

    `hashes` are all transactions sent with its nonce, newest last, or the mined one last; gas prices are in wei;
    `cancelled` says that the newest one pays nobody and only uses the nonce up. It pays `fee` of `token`, in this way:
    `chain` or `note`. `block_number` and `block_hash` are those of the block that holds it; `final` says that no
    reorganisation is looked for any more. It came in at `came_at` and was last sent at `sent_at`, by the relayer's
    clock.
    """

    id: str
    nonce: int
    data: str
    gas: int
    max_fee: int
    tip: int
    sent_at: float
    hashes: tuple[str, ...]
    cancelled: bool = False
    state: str = "pending"
    detail: str = ""
    token: str = ""
    fee: int = 0
    way: str = "chain"
    block_number: int | None = None
    block_hash: str | None = None
    final: bool = False
    came_at: float = 0.0


_NAMES = [field.name for field in fields(Submission)]
# What stays as it was when the payment came in.
_FIXED = ("id", "nonce", "gas", "token", "fee", "way", "came_at")
_CHANGING = [name for name in _NAMES if name not in _FIXED]


class Journal:
    """Not for two relayers of one account: each would use the other's nonces."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, timeout=1.0, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("BEGIN IMMEDIATE")
            self._add_columns()
            self._db.execute("COMMIT")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise ChainError(f"{path} cannot be used ({error}): does another relayer run on it?") from None

    def _add_columns(self) -> None:
        """Bring a journal of an earlier version up to this one."""
        present = {row[1] for row in self._db.execute("PRAGMA table_info(submissions)")}
        for name, kind in _COLUMNS.items():
            if present and name not in present:
                self._db.execute(f"ALTER TABLE submissions ADD COLUMN {name} {kind}")

    def close(self) -> None:
        self._db.close()

    def require_owner(self, owner: str) -> None:
        """Bind the journal to an account, pool and chain, or check that it is theirs. Raises ChainError."""
        with self._lock:
            self._db.execute("INSERT OR IGNORE INTO belongs VALUES (1, ?)", (owner,))
            (kept,) = self._db.execute("SELECT owner FROM belongs").fetchone()
        if kept != owner:
            raise ChainError(f"{self._path} is the journal of {kept}, not of {owner}: name another file")

    def add(self, submission: Submission, nullifiers: Sequence[int], fee_note: int | None = None) -> None:
        """Keep a new payment before it is sent, with the commitment of the note that pays its fee, if one does.

        RelayerError (`node`) when its nonce is another one's.
        """
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                marks = ",".join("?" * len(_NAMES))
                self._db.execute(f"INSERT INTO submissions ({','.join(_NAMES)}) VALUES ({marks})", _row(submission))
                for table, words in (("nullifiers", nullifiers), ("fee_notes", [] if fee_note is None else [fee_note])):
                    for word in words:
                        self._db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?,?)", (_hex(word), submission.id))
                self._db.execute("COMMIT")
            except sqlite3.IntegrityError:
                self._db.execute("ROLLBACK")
                raise RelayerError("the relayer's node is behind: try again later", "node") from None
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def update(self, submission: Submission) -> None:
        values = dict(zip(_NAMES, _row(submission), strict=True))
        with self._lock:
            self._db.execute(
                f"UPDATE submissions SET {','.join(f'{name}=?' for name in _CHANGING)} WHERE id=?",
                (*(values[name] for name in _CHANGING), submission.id),
            )

    def remove(self, submission: Submission) -> None:
        """Forget a payment that the node refused: its nonce is free."""
        with self._lock:
            for table in ("nullifiers", "fee_notes"):
                self._db.execute(f"DELETE FROM {table} WHERE submission=?", (submission.id,))
            self._db.execute("DELETE FROM submissions WHERE id=?", (submission.id,))

    def find(self, submission_id: str) -> Submission | None:
        found = self._select("WHERE id=?", submission_id)
        return found[0] if found else None

    def with_nullifier(self, nullifiers: Sequence[int]) -> Submission | None:
        """A payment, pending or settled, that spends one of these."""
        return self._known("nullifiers", "nullifier", nullifiers)

    def with_fee_note(self, commitment: int) -> Submission | None:
        """A payment, pending or settled, whose fee the note with this commitment has paid."""
        return self._known("fee_notes", "commitment", [commitment])

    def pending(self) -> list[Submission]:
        """By nonce."""
        return self._select("WHERE final=0 AND state='pending' ORDER BY nonce")

    def watched(self) -> list[Submission]:
        """Those that have ended in a block which could still be replaced, by nonce."""
        return self._select("WHERE final=0 AND state!='pending' AND block_number IS NOT NULL ORDER BY nonce")

    def next_nonce(self) -> int:
        """One more than the highest nonce ever used here; 0 when there is none."""
        with self._lock:
            return int(self._db.execute("SELECT coalesce(max(nonce) + 1, 0) FROM submissions").fetchone()[0])

    def _known(self, table: str, column: str, words: Sequence[int]) -> Submission | None:
        for word in words:
            clause = f"JOIN {table} k ON k.submission = id WHERE k.{column}=? AND state != 'failed'"
            if found := self._select(clause, _hex(word)):
                return found[0]
        return None

    def _select(self, clause: str, *values: str) -> list[Submission]:
        with self._lock:
            rows = self._db.execute(f"SELECT {','.join(_NAMES)} FROM submissions {clause}", values).fetchall()
        return [_submission(row) for row in rows]


def _hex(word: int) -> str:
    return f"{word:064x}"


def _row(item: Submission) -> tuple[object, ...]:
    """In the order of the fields; amounts go beyond SQLite's 64 bits."""
    values = dict(zip(_NAMES, astuple(item), strict=True))
    values |= {name: str(values[name]) for name in ("max_fee", "tip", "fee")}
    return tuple((values | {"hashes": json.dumps(item.hashes)}).values())


def _submission(row: Sequence[object]) -> Submission:
    values = dict(zip(_NAMES, row, strict=True))
    values |= {name: int(str(values[name])) for name in ("max_fee", "tip", "fee")}
    values |= {name: bool(values[name]) for name in ("cancelled", "final")}
    values["hashes"] = tuple(json.loads(str(values["hashes"])))
    return Submission(**values)  # type: ignore[arg-type]
