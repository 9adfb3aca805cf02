"""The latest plan of each storyboard, so that the next one can be held against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from tasks.ledger.records import RememberedPlan
from tasks.ledger.rows import now_us, read_json, time_of, write_json
from tasks.ledger.schema import plans

__all__ = ["forget", "remember", "remembered"]


def remember(
    connection: Connection, *, provider: str, storyboard: str, file: str, run_id: str, plan: Mapping[str, Any]
) -> None:
    """See `Ledger.remember_plan`."""
    key = {"provider": provider, "storyboard": storyboard, "file": file}
    facts = {"run_id": run_id, "plan": write_json(plan), "written_at": now_us()}
    this = [plans.c[name] == value for name, value in key.items()]
    if not connection.execute(update(plans).where(*this).values(facts)).rowcount:
        connection.execute(insert(plans).values({**key, **facts}))


def remembered(connection: Connection, provider: str | None) -> list[RememberedPlan]:
    """See `Ledger.remembered_plans`."""
    query = select(plans).order_by(plans.c.written_at, plans.c.storyboard, plans.c.file)
    if provider is not None:
        query = query.where(plans.c.provider == provider)
    return [
        RememberedPlan(**{**row, "plan": read_json(row["plan"]), "written_at": time_of(row["written_at"])})
        for row in connection.execute(query).mappings()
    ]


def forget(connection: Connection, storyboard: str) -> int:
    """See `Ledger.forget_plans`."""
    return connection.execute(delete(plans).where(plans.c.storyboard == storyboard)).rowcount
