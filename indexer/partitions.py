"""Partitions of the big tables in PostgreSQL: ranges of blocks, one chain each, made before they are needed.

    journal, commitments, nullifiers    PARTITION BY RANGE (chain_id, block)

A partition holds the rows of one chain's blocks `first .. end - 1`, so that an index stays small enough for memory, a
vacuum has an end, and old blocks can lie on cheaper disks. Which partitions there are is read from PostgreSQL's own
catalogue, nothing else remembers it. SQLite has none of this.

A table is made beside its parent and then attached, since ATTACH PARTITION (PostgreSQL's manual, "Table Partitioning")
lets others read and write meanwhile, which CREATE TABLE ... PARTITION OF does not.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from indexer.database import database_errors, lock_schema

# Each partitioned table's column with the block's number.
BLOCK_COLUMNS = {"journal": "number", "commitments": "block_number", "nullifiers": "block_number"}

_BOUNDS = re.compile(r"FROM \('?(\d+)'?, '?(\d+)'?\) TO \('?(\d+)'?, '?(\d+)'?\)")


class Partition(NamedTuple):
    """One table of the database: the rows of `parent` for the blocks `first .. end - 1` of a chain."""

    parent: str
    name: str
    chain_id: int
    first: int
    end: int


class Partitions:
    """Makes partitions for one chain's rows, `width` blocks each; on a database without partitions it does nothing."""

    def __init__(self, engine: Engine, chain_id: int, first_block: int, width: int) -> None:
        self._engine = engine
        self._chain_id = chain_id
        self._first_block = first_block
        self._width = width
        self._covered = -1

    def cover(self, block: int) -> None:
        """Make sure that rows of all blocks up to `block` have a place, and those of the next range too.

        Raises StoreError.
        """
        if self._engine.dialect.name != "postgresql" or block <= self._covered:
            return
        with database_errors(), self._engine.begin() as connection:
            lock_schema(connection)
            ends = dict.fromkeys(BLOCK_COLUMNS, self._first_block // self._width * self._width)
            for found in partitions_of(connection):
                if found.chain_id == self._chain_id:
                    ends[found.parent] = max(ends[found.parent], found.end)
            for parent, end in ends.items():
                while end <= block + self._width:
                    self._create(connection, parent, end)
                    end += self._width
                ends[parent] = end
        # What is ahead is made when its predecessor is begun, not when it is needed.
        self._covered = min(ends.values()) - self._width - 1

    def _create(self, connection: Connection, parent: str, first: int) -> None:
        name, chain = f"{parent}_{self._chain_id}_{first}", self._chain_id
        connection.execute(text(f'CREATE TABLE "{name}" (LIKE {parent} INCLUDING ALL)'))
        connection.execute(
            text(
                f'ALTER TABLE {parent} ATTACH PARTITION "{name}" '
                f"FOR VALUES FROM ({chain}, {first}) TO ({chain}, {first + self._width})"
            )
        )


def partitions_of(connection: Connection) -> Iterator[Partition]:
    """All partitions that are attached, of every chain, by table and in the order of their blocks."""
    rows = connection.execute(
        text(
            "SELECT p.relname AS parent, c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds"
            " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent"
            " WHERE p.relkind = 'p' AND c.relkind = 'r' AND p.relname = ANY(:parents)"
            " AND p.relnamespace = current_schema()::regnamespace"
        ),
        {"parents": list(BLOCK_COLUMNS)},
    )
    found = []
    for row in rows:
        bounds = _BOUNDS.search(row.bounds)
        # A partition that somebody made by hand with other bounds is theirs.
        if bounds is not None and bounds[1] == bounds[3]:
            found.append(Partition(row.parent, row.name, int(bounds[1]), int(bounds[2]), int(bounds[4])))
    return iter(sorted(found, key=lambda each: (each.parent, each.chain_id, each.first)))
