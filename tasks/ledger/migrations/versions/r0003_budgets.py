"""Standing budgets, approvals, tags of runs, and what was reused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("shot_budget_micro", sa.BigInteger))
    op.add_column("runs", sa.Column("tags", sa.Text, nullable=False, server_default="{}"))
    op.add_column("runs", sa.Column("deployment", sa.Text))
    op.create_table(
        "budgets",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("limit_micro", sa.BigInteger, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("raised_micro", sa.BigInteger),
        sa.Column("raised_period", sa.BigInteger),
    )
    op.create_table(
        "run_budgets",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", name="run_budgets_run_id"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("limit_micro", sa.BigInteger, nullable=False),
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
    )
    attempt = sa.ForeignKey("attempts.task_uuid", name="attempt_budgets_task_uuid")
    op.create_table(
        "attempt_budgets",
        sa.Column("task_uuid", sa.Text, attempt, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("reserved_at", sa.BigInteger, nullable=False),
    )
    op.create_index("attempt_budgets_held", "attempt_budgets", ["provider", "name", "reserved_at"])
    op.create_table(
        "approvals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("sum_micro", sa.BigInteger, nullable=False),
        sa.Column("limit_micro", sa.BigInteger),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("how", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("approvals_of_run", "approvals", ["run_id"])
    op.create_table(
        "reuses",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", name="reuses_run_id"), primary_key=True),
        sa.Column("content_key", sa.Text, primary_key=True),
        sa.Column("shot", sa.Text, nullable=False),
        sa.Column("take", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("price_micro", sa.BigInteger, nullable=False),
        sa.Column("reused_at", sa.BigInteger, nullable=False),
    )
