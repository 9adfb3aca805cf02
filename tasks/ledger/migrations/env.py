"""What alembic runs: the upgrade happens in the transaction that the ledger opened."""

from __future__ import annotations

from alembic import context

from tasks.ledger.schema import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
