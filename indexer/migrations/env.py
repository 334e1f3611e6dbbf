"""Alembic's entry: the connection comes from `indexer.database`, which is the only caller."""

from alembic import context

from indexer.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
