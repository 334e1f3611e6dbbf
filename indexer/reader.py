"""What the API reads: pages by number, whole frames of events, and Merkle paths. Nothing here knows a user."""

import bisect
import contextlib
import functools
import itertools
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, Select, Table, bindparam, select

from chain.stream.format import Frame
from chain.stream.records import BlockId, Event, Inserted, Nullified, Queued, Withdrawn
from indexer import schema
from indexer.chains import preset_of
from indexer.database import database_errors
from indexer.errors import StoreError
from indexer.state import Counters
from indexer.tree import UpperTree, lower_path, nodes_of
from protocol.merkle import BATCH

FRAME_EVENTS = 8_192
FRAME_BLOCKS = 4_096
_EMPTY_LEAF = bytes(32)


class Summary(NamedTuple):
    """The pool as far as it is indexed; `tip` is None before the first block, `root` before the first batch."""

    chain_id: int
    address: bytes
    first_block: int
    tip: BlockId | None
    counters: Counters
    root: bytes | None


class Leaf(NamedTuple):
    leaf_index: int
    row: Row[*tuple[Any, ...]]


class State(NamedTuple):
    """The row of a pool: what was read so far."""

    address: bytes
    first_block: int
    tip: BlockId | None
    counters: Counters


class UnknownBlockError(StoreError):
    """The block that a reader stopped at is not in the journal: it was replaced, or this indexer is behind."""


class Reader:
    """Reads one pool; for use by several threads."""

    def __init__(self, engine: Engine, chain_id: int) -> None:
        self._engine = engine
        self.chain_id = chain_id
        self._tree = UpperTree()
        self._tree_lock = threading.Lock()

    def summary(self) -> Summary:
        with database_errors(), self._engine.connect() as connection:
            return self._summary(connection)

    @contextlib.contextmanager
    def view(self, connection: Connection | None = None) -> Iterator["View"]:
        """The pool in one state: whatever is read through one view belongs together.

        Views over one `connection`, of `connect`, are of one state too.
        """
        with database_errors(), contextlib.ExitStack() as opened:
            if connection is None:
                connection = opened.enter_context(self._engine.connect())
            yield View(connection, self.chain_id, self._state(connection))

    def connect(self) -> Connection:
        """A connection for views, to close after them; all readers of one database can use it."""
        with database_errors():
            return self._engine.connect()

    def leaves(self, first: int, limit: int) -> tuple[list[Leaf], int]:
        """The filled leaves among the indices `first .. first + limit - 1`, and how many leaves are used in all."""
        with self.view() as view:
            used = BATCH * view.state.counters.batches
            return view.leaves(first, min(first + limit, used)), used

    def blocks(self, below: int, limit: int) -> list[Row[Any]]:
        """Journaled blocks with a number of at most `below`, newest first."""
        table = schema.JOURNAL
        with database_errors(), self._engine.connect() as connection:
            return list(
                connection.execute(
                    select(table)
                    .where(table.c.chain_id == self.chain_id, table.c.number <= below)
                    .order_by(table.c.number.desc())
                    .limit(limit)
                )
            )

    def path(self, leaf_index: int) -> tuple[bytes, list[bytes], bytes] | None:
        """A leaf, its 32 siblings (leaf level first) and the root they lead to; None when no batch holds the index."""
        with database_errors(), self._engine.connect() as connection, self._tree_lock:
            summary = self._summary(connection)
            if leaf_index >= BATCH * summary.counters.batches or summary.root is None:
                return None
            self._refresh(connection, summary)
            table = schema.BATCHES
            batch = connection.execute(
                select(table.c.first_position, table.c.size).where(
                    table.c.chain_id == self.chain_id, table.c.number == leaf_index // BATCH
                )
            ).one()
            rows = self._range(
                connection,
                schema.COMMITMENTS,
                "position",
                batch.first_position,
                batch.first_position + batch.size,
            )
            leaves = [bytes(row.commitment) for row in rows]
            place = leaf_index % BATCH
            leaf = leaves[place] if place < len(leaves) else _EMPTY_LEAF
            return leaf, lower_path(leaves, place) + self._tree.path(leaf_index // BATCH), summary.root

    def frames(self, after: int | None, block_hash: bytes | None) -> Iterator[Frame]:
        """All events after the block `after`, up to the tip as it is when each frame is read.

        Raises UnknownBlockError when the journal has another block at that number, or the tip is below it: at once, or
        between two frames, when blocks are replaced meanwhile.
        """
        while True:
            with database_errors(), self._engine.connect() as connection:
                frame = self._frame(connection, after, block_hash)
            if frame is None:
                return
            yield frame
            after, block_hash = frame.last.number, frame.last.hash

    def _frame(self, connection: Connection, after: int | None, block_hash: bytes | None) -> Frame | None:
        summary = self._summary(connection)
        if summary.tip is None:
            if after is None:
                return None
            raise UnknownBlockError("nothing is indexed yet")
        base = Counters()
        if after is not None:
            base = self._counters_at(connection, summary.tip, after, block_hash)
        table = schema.JOURNAL
        rows = connection.execute(
            select(table)
            .where(table.c.chain_id == self.chain_id, table.c.number > (-1 if after is None else after))
            .order_by(table.c.number)
            .limit(FRAME_BLOCKS)
        ).all()
        if not rows:
            return None
        end = 1
        while end < len(rows) and sum(_counters(rows[end])) - sum(base) <= FRAME_EVENTS:
            end += 1
        last = rows[end - 1]
        first_block = summary.first_block if after is None else after + 1
        return Frame(
            first_block,
            BlockId(last.number, bytes(last.hash), last.timestamp),
            base.queued,
            base.batches,
            [BlockId(row.number, bytes(row.hash), row.timestamp) for row in rows[:end] if row.has_events],
            self._events(connection, base, _counters(last)),
        )

    def _counters_at(self, connection: Connection, tip: BlockId, number: int, block_hash: bytes | None) -> Counters:
        table = schema.JOURNAL
        found = connection.execute(
            select(table)
            .where(table.c.chain_id == self.chain_id, table.c.number <= number)
            .order_by(table.c.number.desc())
            .limit(1)
        ).one_or_none()
        if number > tip.number:
            raise UnknownBlockError(f"block {number} is not indexed yet: the tip is {tip.number}")
        if block_hash is not None:
            known = found is not None and found.number == number
            # Blocks without events are forgotten so far below the tip, where nothing is replaced any more.
            forgotten = not known and number < tip.number - preset_of(self.chain_id).journal_depth
            if not forgotten and not (known and found is not None and bytes(found.hash) == block_hash):
                raise UnknownBlockError(f"block {number} with this hash is not in the chain that is indexed")
        return Counters() if found is None else _counters(found)

    def _events(self, connection: Connection, first: Counters, end: Counters) -> list[Event]:
        events: list[Event] = []
        for row in self._range(connection, schema.COMMITMENTS, "position", first.queued, end.queued):
            events.append(Queued(*_place(row), row.position, row.commitment, row.memo))
        for row in self._range(connection, schema.NULLIFIERS, "number", first.nullifiers, end.nullifiers):
            events.append(Nullified(*_place(row), row.nullifier))
        for row in self._range(connection, schema.WITHDRAWALS, "number", first.withdrawals, end.withdrawals):
            events.append(Withdrawn(*_place(row), row.receiver, row.token, int(row.amount)))
        for row in self._range(connection, schema.BATCHES, "number", first.batches, end.batches):
            events.append(Inserted(*_place(row), row.root, BATCH * row.number, row.size))
        events.sort(key=lambda event: (event.block_number, event.log_index))
        return events

    def _summary(self, connection: Connection) -> Summary:
        batches = schema.BATCHES
        state = self._state(connection)
        root = connection.scalar(
            select(batches.c.root).where(
                batches.c.chain_id == self.chain_id, batches.c.number == state.counters.batches - 1
            )
        )
        return Summary(self.chain_id, *state, None if root is None else bytes(root))

    def _state(self, connection: Connection) -> State:
        row = connection.execute(_POOL_QUERY, {"chain": self.chain_id}).one_or_none()
        if row is None:
            raise StoreError(f"the database holds no pool of chain {self.chain_id}: run `gelap indexer run` first")
        tip = None if row.tip_number is None else BlockId(row.tip_number, bytes(row.tip_hash), row.tip_timestamp)
        return State(bytes(row.address), row.first_block, tip, _counters(row))

    def _range(self, connection: Connection, table: Table, key: str, first: int, end: int) -> list[Row[Any]]:
        return _rows_between(connection, self.chain_id, table, key, first, end)

    def _refresh(self, connection: Connection, summary: Summary) -> None:
        """Bring the tree in memory to the summary's root; a reorganisation may have replaced any of its batches."""
        for known in dict.fromkeys((min(len(self._tree), summary.counters.batches), 0)):
            self._tree.truncate(known)
            rows = self._range(connection, schema.BATCHES, "number", known, summary.counters.batches)
            self._tree.extend(nodes_of([bytes(row.subtree) for row in rows]))
            if self._tree.root == summary.root:
                return
        raise StoreError("the batches in the database do not lead to its root: it is damaged, restore it")


class View:
    """One pool as one transaction sees it; `state` is read already. Not for use by several threads."""

    def __init__(self, connection: Connection, chain_id: int, state: State) -> None:
        self.connection = connection
        self.chain_id = chain_id
        self.state = state

    def rows(
        self, table: Table, key: str, first: int, end: int, columns: tuple[str, ...] | None = None
    ) -> list[Row[Any]]:
        """Rows with the numbers `first .. end - 1`, in order; of all columns, or of `columns` only."""
        return _rows_between(self.connection, self.chain_id, table, key, first, end, columns)

    def leaves(self, first: int, end: int, columns: tuple[str, ...] | None = None) -> list[Leaf]:
        """The filled leaves `first .. end - 1`, all of them in the tree; of their commitments' rows, `columns`."""
        if first >= end:
            return []
        batches = self.rows(schema.BATCHES, "number", first // BATCH, (end - 1) // BATCH + 1)
        last = batches[-1]
        rows = self.rows(
            schema.COMMITMENTS, "position", batches[0].first_position, last.first_position + last.size, columns
        )
        starts = [(BATCH * batch.number, batch.size) for batch in batches]
        filled = list(itertools.chain.from_iterable(range(start, start + size) for start, size in starts))
        # Only the first batch has leaves before the page, and only the last one leaves after it.
        begin, stop = bisect.bisect_left(filled, first), bisect.bisect_left(filled, end)
        return list(map(Leaf, filled[begin:stop], rows[begin:stop]))

    def block_of(self, table: Table, key: str, number: int) -> BlockId:
        """The block that the row with this number is in; the row is there."""
        row = self.connection.execute(_block_query(table, key), {"chain": self.chain_id, "number": number}).one()
        return BlockId(row.number, bytes(row.hash), row.timestamp)


def pools_of(engine: Engine) -> list[tuple[int, bytes]]:
    """Chain id and pool of everything in the database."""
    table = schema.POOLS
    with database_errors(), engine.connect() as connection:
        rows = connection.execute(select(table.c.chain_id, table.c.address).order_by(table.c.chain_id))
        return [(row.chain_id, bytes(row.address)) for row in rows]


def _counters(row: Row[Any]) -> Counters:
    return Counters(row.queued, row.inserted, row.batches, row.nullifiers, row.withdrawals)


def _place(row: Row[Any]) -> tuple[int, int, bytes]:
    return row.block_number, row.log_index, row.transaction_hash


def _rows_between(
    connection: Connection,
    chain_id: int,
    table: Table,
    key: str,
    first: int,
    end: int,
    columns: tuple[str, ...] | None = None,
) -> list[Row[Any]]:
    query = _range_query(table, key, columns)
    return list(connection.execute(query, {"chain": chain_id, "first": first, "end": end}).all())


# Statements are built once: building one takes as long as SQLite needs for a hundred rows.
@functools.lru_cache
def _range_query(table: Table, key: str, columns: tuple[str, ...] | None) -> Select[Any]:
    column = table.c[key]
    chosen = select(table) if columns is None else select(*(table.c[name] for name in columns))
    return chosen.where(
        table.c.chain_id == bindparam("chain"), column >= bindparam("first"), column < bindparam("end")
    ).order_by(column)


@functools.lru_cache
def _block_query(table: Table, key: str) -> Select[Any]:
    journal = schema.JOURNAL
    return (
        select(journal.c.number, journal.c.hash, journal.c.timestamp)
        .join_from(
            table, journal, (journal.c.chain_id == table.c.chain_id) & (journal.c.number == table.c.block_number)
        )
        .where(table.c.chain_id == bindparam("chain"), table.c[key] == bindparam("number"))
    )


_POOL_QUERY = select(schema.POOLS).where(schema.POOLS.c.chain_id == bindparam("chain"))
