"""The tables. `migrations/` brings a database to them; a test holds the two equal."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text, text

from tasks.ledger.states import LIVE, State

__all__ = [
    "METADATA",
    "REVISIONS",
    "VERSION_TABLE",
    "approvals",
    "attempt_budgets",
    "attempts",
    "budgets",
    "leases",
    "notices",
    "plans",
    "reuses",
    "run_budgets",
    "runs",
]

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""Every version of the schema that this shotchain knows, oldest first; the last is the current one."""

# A name of our own: on a shared server `alembic_version` may belong to somebody else.
VERSION_TABLE = "ledger_version"

METADATA = MetaData()

# Money is in micro-dollars and times in microseconds since 1970 (UTC): whole numbers compare and add up the
# same in every database.
runs = Table(
    "runs",
    METADATA,
    Column("run_id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False, server_default=""),
    Column("storyboard", Text, nullable=False),
    Column("budget_micro", BigInteger),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("outcome", Text),
    Column("shot_budget_micro", BigInteger),
    Column("tags", Text, nullable=False, server_default="{}"),
    Column("deployment", Text),
)

attempts = Table(
    "attempts",
    METADATA,
    Column("task_uuid", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("account", Text, nullable=False, server_default=""),
    Column("run_id", Text, ForeignKey("runs.run_id", name="attempts_run_id"), nullable=False),
    Column("storyboard", Text, nullable=False),
    Column("shot", Text, nullable=False),
    Column("take", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("content_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("reserved_micro", BigInteger, nullable=False),
    Column("cost_micro", BigInteger),
    Column("charged", Text),
    Column("posts", Integer, nullable=False, server_default="0"),
    Column("result", Text),
    Column("error", Text),
    Column("error_code", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("submitted_at", BigInteger),
    Column("accepted_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("stored_at", BigInteger),
    Column("driver", Text),
)

# On the database's own clock, so that machines need not agree on the time. One without a run is of the run that its
# holder is named for. See `leases.py`.
leases = Table(
    "leases",
    METADATA,
    Column("holder", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),
    Column("run_id", Text),
)

# What the provider reported of its own accord, once each, for whoever waits for it on whatever machine.
notices = Table(
    "notices",
    METADATA,
    Column("task_uuid", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
)

# The latest plan of each storyboard that a run was made from.
plans = Table(
    "plans",
    METADATA,
    Column("provider", Text, primary_key=True),
    Column("storyboard", Text, primary_key=True),
    Column("file", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("written_at", BigInteger, nullable=False),
)

# One row a standing budget: the latest word about it, and the lock that everybody holds who reserves under it.
# What a person raised holds for the period that begins at `raised_period`.
budgets = Table(
    "budgets",
    METADATA,
    Column("provider", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("limit_micro", BigInteger, nullable=False),
    Column("period", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("raised_micro", BigInteger),
    Column("raised_period", BigInteger),
)

# Under which budgets a run reserves, and what they were when it began.
run_budgets = Table(
    "run_budgets",
    METADATA,
    Column("run_id", Text, ForeignKey("runs.run_id", name="run_budgets_run_id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("limit_micro", BigInteger, nullable=False),
    Column("period", Text, nullable=False),
    Column("timezone", Text, nullable=False),
)

# Which budgets an attempt counts in, and when it was reserved, on the database's own clock: that says in which period.
attempt_budgets = Table(
    "attempt_budgets",
    METADATA,
    Column("task_uuid", Text, ForeignKey("attempts.task_uuid", name="attempt_budgets_task_uuid"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("reserved_at", BigInteger, nullable=False),
)
Index("attempt_budgets_held", attempt_budgets.c.provider, attempt_budgets.c.name, attempt_budgets.c.reserved_at)

# Who said yes or no, to which sum for which plan.
approvals = Table(
    "approvals",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("sum_micro", BigInteger, nullable=False),
    Column("limit_micro", BigInteger),
    Column("answer", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("how", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
Index("approvals_of_run", approvals.c.run_id)

# Clips that a run had for nothing, with what each would have cost.
reuses = Table(
    "reuses",
    METADATA,
    Column("run_id", Text, ForeignKey("runs.run_id", name="reuses_run_id"), primary_key=True),
    Column("content_key", Text, primary_key=True),
    Column("shot", Text, nullable=False),
    Column("take", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("price_micro", BigInteger, nullable=False),
    Column("reused_at", BigInteger, nullable=False),
)

_live = text("state IN ({})".format(", ".join(f"'{state}'" for state in State if state in LIVE)))

# The two promises that the database itself keeps: one live attempt a key, and no two that were numbered from
# the same view of the past (so that no gate can overlook an attempt that came, was paid and was stored
# meanwhile).
Index(
    "attempts_one_live",
    attempts.c.provider,
    attempts.c.content_key,
    unique=True,
    sqlite_where=_live,
    postgresql_where=_live,
)
Index("attempts_numbered", attempts.c.provider, attempts.c.content_key, attempts.c.number, unique=True)
Index("attempts_of_run", attempts.c.run_id)

# Every gate looks for what dead runs hold; of a long history only these few rows are read for it.
_reserved = text(f"state = '{State.RESERVED}'")
Index("attempts_reserved", attempts.c.run_id, sqlite_where=_reserved, postgresql_where=_reserved)
