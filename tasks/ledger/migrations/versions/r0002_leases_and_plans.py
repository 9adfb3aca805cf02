"""Leases of runs, who drives an attempt, and the latest plans."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "plans",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("storyboard", sa.Text, primary_key=True),
        sa.Column("file", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("written_at", sa.BigInteger, nullable=False),
    )
    op.add_column("attempts", sa.Column("driver", sa.Text))
    reserved = sa.text("state = 'reserved'")
    op.create_index("attempts_reserved", "attempts", ["run_id"], sqlite_where=reserved, postgresql_where=reserved)
