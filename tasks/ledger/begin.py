"""A run is written down, with its limits, before it reserves anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from tasks.errors import LedgerError
from tasks.ledger.limits import Limits
from tasks.ledger.money import to_micro
from tasks.ledger.rows import now_us, write_json
from tasks.ledger.schema import runs
from tasks.ledger.standing import write_down

__all__ = ["begin"]


def begin(
    connection: Connection,
    *,
    run_id: str,
    provider: str,
    account: str,
    storyboard: str,
    limits: Limits,
    tags: Mapping[str, str],
) -> None:
    """See `Ledger.begin_run`; `limits` are those that match."""
    facts: dict[str, Any] = {
        "account": account,
        "storyboard": storyboard,
        "budget_micro": None if limits.run_usd is None else to_micro(limits.run_usd),
        "shot_budget_micro": None if limits.shot_usd is None else to_micro(limits.shot_usd),
        "tags": write_json(dict(sorted(tags.items()))),
        "deployment": tags.get("deployment"),
        "finished_at": None,
        "outcome": None,
    }
    this = runs.c.run_id == run_id
    known = connection.execute(select(runs.c.provider).where(this).with_for_update()).scalar()
    if known is None:
        row = {"run_id": run_id, "provider": provider, "started_at": now_us(), **facts}
        connection.execute(insert(runs).values(row))
    elif known != provider:
        raise LedgerError(f"run {run_id} belongs to provider {known}, not {provider}")
    else:
        connection.execute(update(runs).where(this).values(facts))
    write_down(connection, provider, run_id, limits.standing)
