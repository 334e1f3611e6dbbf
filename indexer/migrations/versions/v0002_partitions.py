"""The journal, commitments and nullifiers in partitions by chain and block; on PostgreSQL only.

Where the database holds one chain, its tables become the first partitions as they are: PostgreSQL reads them once and
builds the new keys' indexes. The rows of several chains move to new tables, which needs their room once more. Either
way it is one transaction, for which readers wait.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COUNTERS = ("queued", "inserted", "batches", "nullifiers", "withdrawals")
BLOCKS = {"journal": "number", "commitments": "block_number", "nullifiers": "block_number"}
# About a quarter of a year of blocks, by chain id.
WIDTHS = {1: 500_000, 10: 4_000_000, 8453: 4_000_000, 42161: 30_000_000}
OTHER_WIDTH = 1_000_000


def _journal(*constraints: sa.Constraint, **options: Any) -> None:
    op.create_table(
        "journal",
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("has_events", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in COUNTERS),
        sa.PrimaryKeyConstraint("chain_id", "number"),
        *constraints,
        **options,
    )


def _events(name: str, key: str, columns: list[sa.Column], *constraints: sa.Constraint, **options: Any) -> None:
    op.create_table(
        name,
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column(key, sa.BigInteger, nullable=False),
        *columns,
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("log_index", sa.Integer, nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary(32), nullable=False),
        *constraints,
        **options,
    )


def _commitments(*constraints: sa.Constraint, **options: Any) -> None:
    columns = [
        sa.Column("commitment", sa.LargeBinary(32), nullable=False),
        sa.Column("memo", sa.LargeBinary(224), nullable=False),
    ]
    _events("commitments", "position", columns, *constraints, **options)


def _nullifiers(*constraints: sa.Constraint, **options: Any) -> None:
    _events(
        "nullifiers", "number", [sa.Column("nullifier", sa.LargeBinary(32), nullable=False)], *constraints, **options
    )


def _pool() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["chain_id"], ["pools.chain_id"])


def _set_aside() -> None:
    """Rename the tables and free the names of their indexes."""
    for table in BLOCKS:
        op.rename_table(table, f"{table}_before")
        op.drop_constraint(f"{table}_pkey", f"{table}_before")


def _bring_back() -> None:
    for table in BLOCKS:
        op.execute(f"INSERT INTO {table} SELECT * FROM {table}_before")
        op.drop_table(f"{table}_before")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    _set_aside()
    op.drop_constraint("nullifiers_chain_id_nullifier_key", "nullifiers_before")
    # A unique constraint of a partitioned table has to name the columns it is partitioned by.
    _journal(postgresql_partition_by="RANGE (chain_id, number)")
    _commitments(
        sa.PrimaryKeyConstraint("chain_id", "position", "block_number"),
        postgresql_partition_by="RANGE (chain_id, block_number)",
    )
    _nullifiers(
        sa.PrimaryKeyConstraint("chain_id", "number", "block_number"),
        sa.UniqueConstraint("chain_id", "nullifier", "block_number"),
        postgresql_partition_by="RANGE (chain_id, block_number)",
    )
    pools = connection.execute(
        sa.text("SELECT chain_id, first_block, coalesce(tip_number, first_block) FROM pools")
    ).all()
    for chain_id, first_block, tip in pools:
        width = WIDTHS.get(chain_id, OTHER_WIDTH)
        first = first_block // width * width
        if len(pools) == 1:
            end = (tip // width + 1) * width
            _attach(chain_id, first, end)
            first = end
        for start in range(first, tip + width + 1, width):
            for table in BLOCKS:
                op.execute(
                    f'CREATE TABLE "{table}_{chain_id}_{start}" PARTITION OF {table} '
                    f"FOR VALUES FROM ({chain_id}, {start}) TO ({chain_id}, {start + width})"
                )
    if len(pools) != 1:
        _bring_back()


def _attach(chain_id: int, first: int, end: int) -> None:
    """Make the tables that were set aside the partitions of all blocks so far; the keys come from their parents."""
    for table in BLOCKS:
        name = f"{table}_{chain_id}_{first}"
        op.rename_table(f"{table}_before", name)
        op.drop_constraint(f"{table}_chain_id_fkey", name)
        op.execute(
            f'ALTER TABLE {table} ATTACH PARTITION "{name}" '
            f"FOR VALUES FROM ({chain_id}, {first}) TO ({chain_id}, {end})"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    _set_aside()
    _journal(_pool())
    _commitments(sa.PrimaryKeyConstraint("chain_id", "position"), _pool())
    _nullifiers(sa.PrimaryKeyConstraint("chain_id", "number"), sa.UniqueConstraint("chain_id", "nullifier"), _pool())
    _bring_back()
