"""What a relayer has sent, in SQLite: it outlives a crash, and says nothing of who asked.

Everything in it is public once it is mined.
"""

import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chain.errors import ChainError, RelayerError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS submissions (
    id TEXT PRIMARY KEY, nonce INTEGER UNIQUE NOT NULL, data TEXT NOT NULL, gas INTEGER NOT NULL,
    max_fee INTEGER NOT NULL, tip INTEGER NOT NULL, sent_at REAL NOT NULL, hashes TEXT NOT NULL,
    cancelled INTEGER NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS nullifiers (nullifier TEXT PRIMARY KEY, submission TEXT NOT NULL REFERENCES submissions(id));
"""


@dataclass(frozen=True)
class Submission:
    """One payment. `hashes` are all transactions sent with its nonce, newest last; gas prices are in wei; `cancelled`
    says that the newest one pays nobody and only uses the nonce up.
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


class Journal:
    """Not for two relayers of one account: each would use the other's nonces."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise ChainError(f"{path} cannot be used ({error}): does another relayer run on it?") from None

    def close(self) -> None:
        self._db.close()

    def add(self, submission: Submission, nullifiers: Sequence[int]) -> None:
        """Keep a new payment before it is sent. RelayerError (`node`) when its nonce is another one's."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute("INSERT INTO submissions VALUES (?,?,?,?,?,?,?,?,?,?,?)", _row(submission))
                for nullifier in nullifiers:
                    self._db.execute(
                        "INSERT OR REPLACE INTO nullifiers VALUES (?,?)", (f"{nullifier:064x}", submission.id)
                    )
                self._db.execute("COMMIT")
            except sqlite3.IntegrityError:
                self._db.execute("ROLLBACK")
                raise RelayerError("the relayer's node is behind: try again later", "node") from None
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def update(self, submission: Submission) -> None:
        with self._lock:
            self._db.execute(
                "UPDATE submissions SET max_fee=?, tip=?, sent_at=?, hashes=?, cancelled=?, state=?, detail=? "
                "WHERE id=?",
                (*_row(submission)[4:], submission.id),
            )

    def remove(self, submission: Submission) -> None:
        """Forget a payment that the node refused: its nonce is free."""
        with self._lock:
            self._db.execute("DELETE FROM nullifiers WHERE submission=?", (submission.id,))
            self._db.execute("DELETE FROM submissions WHERE id=?", (submission.id,))

    def find(self, submission_id: str) -> Submission | None:
        return self._one("SELECT * FROM submissions WHERE id=?", submission_id)

    def with_nullifier(self, nullifiers: Sequence[int]) -> Submission | None:
        """A payment, pending or settled, that spends one of these."""
        for nullifier in nullifiers:
            found = self._one(
                "SELECT s.* FROM submissions s JOIN nullifiers n ON n.submission = s.id "
                "WHERE n.nullifier=? AND s.state != 'failed'",
                f"{nullifier:064x}",
            )
            if found:
                return found
        return None

    def pending(self) -> list[Submission]:
        """By nonce."""
        with self._lock:
            rows = self._db.execute("SELECT * FROM submissions WHERE state='pending' ORDER BY nonce").fetchall()
        return [_submission(row) for row in rows]

    def next_nonce(self) -> int:
        """One more than the highest nonce ever used here; 0 when there is none."""
        with self._lock:
            return int(self._db.execute("SELECT coalesce(max(nonce) + 1, 0) FROM submissions").fetchone()[0])

    def _one(self, query: str, value: str) -> Submission | None:
        with self._lock:
            row = self._db.execute(query, (value,)).fetchone()
        return None if row is None else _submission(row)


def _row(item: Submission) -> tuple[object, ...]:
    head = (item.id, item.nonce, item.data, item.gas, str(item.max_fee), str(item.tip), item.sent_at)
    return (*head, json.dumps(item.hashes), int(item.cancelled), item.state, item.detail)


def _submission(row: tuple) -> Submission:
    name, nonce, data, gas, max_fee, tip, sent_at, hashes, cancelled, state, detail = row
    known = tuple(json.loads(hashes))
    return Submission(name, nonce, data, gas, int(max_fee), int(tip), sent_at, known, bool(cancelled), state, detail)
