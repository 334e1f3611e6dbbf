"""The writer's side of the database: a pool's history goes in page by page, each change in one transaction."""

from collections.abc import Iterator, Sequence

import psycopg
from sqlalchemy import (
    ARRAY,
    Connection,
    Engine,
    LargeBinary,
    Table,
    any_,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from chain.errors import MismatchError
from chain.stream.records import BlockId
from indexer import schema
from indexer.bulk import insert_rows
from indexer.chains import preset_of
from indexer.database import database_errors, lock_schema
from indexer.errors import SettingsError, StoreError, WriterError
from indexer.partitions import Partitions
from indexer.state import Changes, Counters, PoolHistory

SPENT_TWICE = "a note was spent twice, says the endpoint: it sends false events"


class Store:
    """One pool's rows. `engine`'s tables are of this program's version; see `indexer.database.migrate`."""

    def __init__(
        self, engine: Engine, chain_id: int, address: bytes, first_block: int, range_blocks: int | None = None
    ) -> None:
        """Open the pool's rows, or begin them. Raises SettingsError when the chain's rows are another pool's.

        `range_blocks` is the width of new partitions in PostgreSQL; None for that of the chain's preset.
        """
        preset = preset_of(chain_id)
        self._engine = engine
        self.chain_id = chain_id
        # Blocks without events are kept so far below the tip: no reorganisation that is followed goes deeper.
        self.journal_depth = preset.journal_depth
        pools = schema.POOLS
        with database_errors(), engine.begin() as connection:
            # Two indexers may begin on one database at once.
            lock_schema(connection)
            found = connection.execute(select(pools).where(pools.c.chain_id == chain_id)).one_or_none()
            if found is None:
                values = {"chain_id": chain_id, "address": address, "first_block": first_block}
                connection.execute(insert(pools).values(**values, **Counters()._asdict()))
                found = connection.execute(select(pools).where(pools.c.chain_id == chain_id)).one()
        if found.address != address:
            raise SettingsError(
                f"the database holds the pool 0x{found.address.hex()} of chain {chain_id}, not 0x{address.hex()}: "
                "correct GELAP_POOL, or name another database in GELAP_DATABASE_URL"
            )
        self.first_block = int(found.first_block)
        width = range_blocks or preset.range_blocks
        self._partitions = Partitions(engine, chain_id, self.first_block, width)

    def tip(self) -> BlockId | None:
        """The newest block that was read; None before the first."""
        pools = schema.POOLS
        query = select(pools.c.tip_number, pools.c.tip_hash, pools.c.tip_timestamp)
        with database_errors(), self._engine.connect() as connection:
            row = connection.execute(query.where(pools.c.chain_id == self.chain_id)).one()
        return None if row.tip_number is None else BlockId(*row)

    def journal(self, below: int) -> Iterator[BlockId]:
        """The kept blocks with a number of at most `below`, newest first."""
        table = schema.JOURNAL
        while True:
            query = (
                select(table.c.number, table.c.hash, table.c.timestamp)
                .where(table.c.chain_id == self.chain_id, table.c.number <= below)
                .order_by(table.c.number.desc())
                .limit(64)
            )
            with database_errors(), self._engine.connect() as connection:
                rows = connection.execute(query).all()
            for row in rows:
                yield BlockId(*row)
            if len(rows) < 64:
                return
            below = rows[-1].number - 1

    def history_at(self, block: BlockId | None) -> PoolHistory:
        """The pool after a block of the journal, None for before its first. Raises MismatchError for damaged rows."""
        if block is None:
            return PoolHistory.restored(Counters(), [], [], None)
        journal, commitments, batches = schema.JOURNAL, schema.COMMITMENTS, schema.BATCHES
        chain = self.chain_id
        with database_errors(), self._engine.connect() as connection:
            row = connection.execute(
                select(*(journal.c[name] for name in Counters._fields)).where(
                    journal.c.chain_id == chain, journal.c.number == block.number, journal.c.hash == block.hash
                )
            ).one_or_none()
            if row is None:
                raise MismatchError("the database's journal has lost its newest block: restore it, or start a new one")
            counters = Counters(*row)
            pending = connection.scalars(
                select(commitments.c.commitment)
                .where(
                    commitments.c.chain_id == chain,
                    commitments.c.position >= counters.inserted,
                    commitments.c.position < counters.queued,
                )
                .order_by(commitments.c.position)
            ).all()
            of_batches = connection.execute(
                select(batches.c.subtree, batches.c.root)
                .where(batches.c.chain_id == chain, batches.c.number < counters.batches)
                .order_by(batches.c.number)
            ).all()
        root = bytes(of_batches[-1].root) if of_batches else None
        return PoolHistory.restored(
            counters, [bytes(word) for word in pending], [bytes(row.subtree) for row in of_batches], root
        )

    def write(self, changes: Sequence[Changes], onto: BlockId | None, tip: BlockId | None) -> None:
        """Append `changes` after the block `onto`, in one transaction; rows after `onto` that are there go with it.

        `tip` is the newest block as this writer knows it. Raises WriterError when it is another one by now, and
        MismatchError for a nullifier that is there already.
        """
        if not changes:
            raise ValueError("nothing to write: rows are only cut off together with what replaces them")
        pools, newest, after = schema.POOLS, changes[-1].tip, changes[-1].after
        same_tip = pools.c.tip_number.is_(None) if tip is None else pools.c.tip_hash == tip.hash
        moved = (
            update(pools)
            .where(pools.c.chain_id == self.chain_id, same_tip)
            .values(tip_number=newest.number, tip_hash=newest.hash, tip_timestamp=newest.timestamp, **after._asdict())
        )
        self._partitions.cover(newest.number)
        try:
            with database_errors(), self._engine.begin() as connection:
                # First, because it locks the row: two writers come one after the other, and the second finds out.
                if connection.execute(moved).rowcount != 1:
                    raise WriterError(
                        "another indexer writes to the same database: stop one, or give it a database of its own"
                    )
                if onto != tip:
                    self._cut(connection, onto, changes[0].before)
                for each in changes:
                    self._append(connection, each)
                if tip is not None:
                    self._prune(connection, tip.number, newest.number)
        except StoreError as error:
            if isinstance(error.__cause__, IntegrityError | psycopg.IntegrityError):
                raise MismatchError(SPENT_TWICE) from error
            raise

    def _cut(self, connection: Connection, onto: BlockId | None, counters: Counters) -> None:
        first = 0 if onto is None else onto.number + 1
        for table, key, kept in (
            (schema.COMMITMENTS, "position", counters.queued),
            (schema.BATCHES, "number", counters.batches),
            (schema.NULLIFIERS, "number", counters.nullifiers),
            (schema.WITHDRAWALS, "number", counters.withdrawals),
        ):
            # The second condition says the same again, and spares older partitions.
            gone = (table.c[key] >= kept, table.c.block_number >= first)
            connection.execute(delete(table).where(table.c.chain_id == self.chain_id, *gone))
        journal = schema.JOURNAL
        connection.execute(delete(journal).where(journal.c.chain_id == self.chain_id, journal.c.number >= first))

    def _append(self, connection: Connection, changes: Changes) -> None:
        chain, before = self.chain_id, changes.before
        self._refuse_spent(connection, changes)
        rows: list[tuple[Table, list[tuple]]] = [
            (schema.JOURNAL, [(chain, *each.block, each.has_events, *each.after) for each in changes.journal]),
            (
                schema.COMMITMENTS,
                [(chain, e.position, e.commitment, e.memo, *e[:3]) for e in changes.commitments],
            ),
            (
                schema.NULLIFIERS,
                [(chain, n, e.nullifier, *e[:3]) for n, e in enumerate(changes.nullifiers, before.nullifiers)],
            ),
            (
                schema.WITHDRAWALS,
                [
                    (chain, n, e.receiver, e.token, str(e.amount), *e[:3])
                    for n, e in enumerate(changes.withdrawals, before.withdrawals)
                ],
            ),
            (
                schema.BATCHES,
                [(chain, b.number, b.first_position, b.size, b.subtree, b.root, *b.event[:3]) for b in changes.batches],
            ),
        ]
        for table, values in rows:
            insert_rows(connection, table, values)

    def _refuse_spent(self, connection: Connection, changes: Changes) -> None:
        """Raises MismatchError for a nullifier that is there: no constraint of PostgreSQL spans partitions."""
        if connection.dialect.name != "postgresql" or not changes.nullifiers:
            return
        table = schema.NULLIFIERS
        words = bindparam("words", [event.nullifier for event in changes.nullifiers], ARRAY(LargeBinary))
        spent = select(table.c.number).where(table.c.chain_id == self.chain_id, table.c.nullifier == any_(words))
        if connection.execute(spent.limit(1)).first() is not None:
            raise MismatchError(SPENT_TWICE)

    def _prune(self, connection: Connection, old_tip: int, new_tip: int) -> None:
        """Forget the blocks without events that became too old to be replaced when the tip moved."""
        table = schema.JOURNAL
        connection.execute(
            delete(table).where(
                table.c.chain_id == self.chain_id,
                table.c.number >= old_tip - self.journal_depth,
                table.c.number < new_tip - self.journal_depth,
                table.c.has_events.is_(False),
            )
        )
