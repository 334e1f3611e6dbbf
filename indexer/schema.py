"""The tables. Every key begins with the chain's id; all rows of events are only ever appended, or cut off at the end.

A leaf index is not stored: the batch with number `leaf_index // 64` says which queue positions its leaves have. Words
and hashes are 32 bytes, big-endian; addresses 20 bytes. The journal's counters say which rows a block added, so that
rows need no index by block.

In PostgreSQL the journal, the commitments and the nullifiers are partitioned by chain and block: see
`indexer.partitions`. Their primary and unique keys have the block's number as a last column there, so uniqueness beyond
a partition is the writer's care; the keys below are those of SQLite.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

METADATA = MetaData()


def _counters() -> list[Column]:
    return [
        Column(name, BigInteger, nullable=False)
        for name in ("queued", "inserted", "batches", "nullifiers", "withdrawals")
    ]


def _place() -> list[Column]:
    """Where an event stands in the chain."""
    return [
        Column("block_number", BigInteger, nullable=False),
        Column("log_index", Integer, nullable=False),
        Column("transaction_hash", LargeBinary(32), nullable=False),
    ]


def _events(name: str, key: str, *columns: Column | UniqueConstraint) -> Table:
    return Table(
        name,
        METADATA,
        Column("chain_id", BigInteger, nullable=False),
        Column(key, BigInteger, nullable=False),
        *columns,
        *_place(),
        PrimaryKeyConstraint("chain_id", key),
        ForeignKeyConstraint(["chain_id"], ["pools.chain_id"]),
    )


POOLS = Table(
    "pools",
    METADATA,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("address", LargeBinary(20), nullable=False),
    Column("first_block", BigInteger, nullable=False),
    Column("tip_number", BigInteger),
    Column("tip_hash", LargeBinary(32)),
    Column("tip_timestamp", BigInteger),
    *_counters(),
)

JOURNAL = Table(
    "journal",
    METADATA,
    Column("chain_id", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("has_events", Boolean, nullable=False),
    *_counters(),
    PrimaryKeyConstraint("chain_id", "number"),
    ForeignKeyConstraint(["chain_id"], ["pools.chain_id"]),
)

COMMITMENTS = _events(
    "commitments",
    "position",
    Column("commitment", LargeBinary(32), nullable=False),
    Column("memo", LargeBinary(224), nullable=False),
)

BATCHES = _events(
    "batches",
    "number",
    Column("first_position", BigInteger, nullable=False),
    Column("size", Integer, nullable=False),
    Column("subtree", LargeBinary(32), nullable=False),
    Column("root", LargeBinary(32), nullable=False),
)

NULLIFIERS = _events(
    "nullifiers",
    "number",
    Column("nullifier", LargeBinary(32), nullable=False),
    UniqueConstraint("chain_id", "nullifier"),
)

WITHDRAWALS = _events(
    "withdrawals",
    "number",
    Column("receiver", LargeBinary(20), nullable=False),
    Column("token", LargeBinary(20), nullable=False),
    # Decimal digits: 256 bits are more than any integer column has.
    Column("amount", String(78), nullable=False),
)
