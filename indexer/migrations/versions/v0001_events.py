"""The pool, the journal of read blocks, and the events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WORD = sa.LargeBinary(32)
COUNTERS = ("queued", "inserted", "batches", "nullifiers", "withdrawals")


def _counters() -> list[sa.Column]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in COUNTERS]


def _events(name: str, key: str, *columns: sa.Column | sa.UniqueConstraint) -> None:
    op.create_table(
        name,
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column(key, sa.BigInteger, nullable=False),
        *columns,
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("log_index", sa.Integer, nullable=False),
        sa.Column("transaction_hash", WORD, nullable=False),
        sa.PrimaryKeyConstraint("chain_id", key),
        sa.ForeignKeyConstraint(["chain_id"], ["pools.chain_id"]),
    )


def upgrade() -> None:
    op.create_table(
        "pools",
        sa.Column("chain_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("address", sa.LargeBinary(20), nullable=False),
        sa.Column("first_block", sa.BigInteger, nullable=False),
        sa.Column("tip_number", sa.BigInteger),
        sa.Column("tip_hash", WORD),
        sa.Column("tip_timestamp", sa.BigInteger),
        *_counters(),
    )
    op.create_table(
        "journal",
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", WORD, nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("has_events", sa.Boolean, nullable=False),
        *_counters(),
        sa.PrimaryKeyConstraint("chain_id", "number"),
        sa.ForeignKeyConstraint(["chain_id"], ["pools.chain_id"]),
    )
    _events(
        "commitments",
        "position",
        sa.Column("commitment", WORD, nullable=False),
        sa.Column("memo", sa.LargeBinary(224), nullable=False),
    )
    _events(
        "batches",
        "number",
        sa.Column("first_position", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("subtree", WORD, nullable=False),
        sa.Column("root", WORD, nullable=False),
    )
    _events(
        "nullifiers",
        "number",
        sa.Column("nullifier", WORD, nullable=False),
        sa.UniqueConstraint("chain_id", "nullifier"),
    )
    _events(
        "withdrawals",
        "number",
        sa.Column("receiver", sa.LargeBinary(20), nullable=False),
        sa.Column("token", sa.LargeBinary(20), nullable=False),
        sa.Column("amount", sa.String(78), nullable=False),
    )


def downgrade() -> None:
    for table in ("withdrawals", "nullifiers", "batches", "commitments", "journal", "pools"):
        op.drop_table(table)
