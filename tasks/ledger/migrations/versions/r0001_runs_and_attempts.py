"""Runs and attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False, server_default=""),
        sa.Column("storyboard", sa.Text, nullable=False),
        sa.Column("budget_micro", sa.BigInteger),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("outcome", sa.Text),
    )
    op.create_table(
        "attempts",
        sa.Column("task_uuid", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False, server_default=""),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", name="attempts_run_id"), nullable=False),
        sa.Column("storyboard", sa.Text, nullable=False),
        sa.Column("shot", sa.Text, nullable=False),
        sa.Column("take", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("content_key", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("reserved_micro", sa.BigInteger, nullable=False),
        sa.Column("cost_micro", sa.BigInteger),
        sa.Column("charged", sa.Text),
        sa.Column("posts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("result", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("submitted_at", sa.BigInteger),
        sa.Column("accepted_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("stored_at", sa.BigInteger),
    )
    live = sa.text("state IN ('reserved', 'submitted', 'accepted', 'succeeded', 'unknown')")
    key = ["provider", "content_key"]
    op.create_index("attempts_one_live", "attempts", key, unique=True, sqlite_where=live, postgresql_where=live)
    op.create_index("attempts_numbered", "attempts", [*key, "number"], unique=True)
    op.create_index("attempts_of_run", "attempts", ["run_id"])
