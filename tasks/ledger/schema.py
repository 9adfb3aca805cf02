"""The tables. `migrations/` brings a database to them; a test holds the two equal."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text, text

from tasks.ledger.states import LIVE, State

__all__ = ["METADATA", "REVISIONS", "VERSION_TABLE", "attempts", "leases", "plans", "runs"]

REVISIONS = ("0001", "0002")
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

# On the database's own clock, so that machines need not agree on the time. See `leases.py`.
leases = Table(
    "leases",
    METADATA,
    Column("holder", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),
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
