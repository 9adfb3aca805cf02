"""A run is written down, with its limits, before it reserves anything; and at last, how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, insert, select, update

from tasks.errors import LedgerError
from tasks.ledger import leases
from tasks.ledger.limits import Limits
from tasks.ledger.money import to_micro
from tasks.ledger.moves import Move
from tasks.ledger.rows import find_run, now_us, write_json
from tasks.ledger.schema import attempts, runs
from tasks.ledger.standing import write_down
from tasks.ledger.states import State

__all__ = ["begin", "end", "set_budget"]


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


def set_budget(connection: Connection, run_id: str, budget_usd: Decimal | None) -> None:
    """See `Ledger.set_run_budget`."""
    find_run(connection, run_id, lock=True)
    values = {"budget_micro": None if budget_usd is None else to_micro(budget_usd)}
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))


def end(connection: Connection, run_id: str, outcome: str, holder: str) -> bool:
    """See `Ledger.end_run`."""
    find_run(connection, run_id, lock=True)
    leases.end(connection, holder)
    alone = not leases.is_alive(connection, run_id)
    values = {"outcome": outcome, **({"finished_at": now_us()} if alone else {})}
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))
    if alone:
        unsent = (attempts.c.run_id == run_id) & (attempts.c.state == str(State.RESERVED))
        connection.execute(update(attempts).where(unsent).values(Move(to=State.RELEASED).values(now_us())))
    return alone
