"""Standing budgets as the database keeps them: the latest word about each, its lock, and what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, Select, delete, insert, select, update

from tasks.errors import LedgerError
from tasks.ledger.engine import clock_us
from tasks.ledger.limits import StandingBudget
from tasks.ledger.money import from_micro, to_micro
from tasks.ledger.periods import Period, Span, span_at
from tasks.ledger.records import BudgetState, Run
from tasks.ledger.rows import find_run, microseconds, run_weight, time_of, weights
from tasks.ledger.schema import attempt_budgets, attempts, budgets, run_budgets
from tasks.ledger.states import Weight, weight_of

__all__ = ["Standing", "budget_states", "held_of", "locked", "raise_limit", "write_down"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A standing budget of a provider in one period."""

    provider: str
    name: str
    limit_micro: int
    period: Period
    timezone: str
    span: Span


def write_down(connection: Connection, provider: str, run_id: str, matching: Iterable[StandingBudget]) -> None:
    """Put a run under these budgets and no others, and take what is said of them for the latest word.

    A limit that a person raised stays as long as nothing new is said.
    """
    connection.execute(delete(run_budgets).where(run_budgets.c.run_id == run_id))
    for budget in sorted(matching, key=lambda it: it.name):  # one order for all, so that nobody blocks another
        said = {
            "limit_micro": to_micro(budget.limit_usd),
            "period": str(budget.period),
            "timezone": budget.timezone,
        }
        connection.execute(insert(run_budgets).values(run_id=run_id, name=budget.name, **said))
        known = connection.execute(_rows(provider, [budget.name]).with_for_update()).mappings().first()
        if known is None:  # of two who come here at once, the unique key lets one in, and the other starts again
            connection.execute(insert(budgets).values(provider=provider, name=budget.name, **said))
        elif any(known[name] != value for name, value in said.items()):
            changed = {**said, "raised_micro": None, "raised_period": None}
            connection.execute(update(budgets).where(*_this(provider, budget.name)).values(changed))


def locked(connection: Connection, run: Run) -> tuple[list[Standing], int]:
    """The budgets that a run is under, by name, and the moment (microseconds since 1970) for which they are told.

    Nobody else locks them before this transaction ends.
    """
    names = _names_of(connection, run.run_id)
    if not names:
        return [], 0
    rows = connection.execute(_rows(run.provider, names).with_for_update()).mappings().all()
    now = _now(connection)  # after the wait
    return [_standing(row, now) for row in rows], now


def held_of(connection: Connection, budget: Standing) -> Weight:
    """What a budget holds of what was reserved in its period."""
    joined = attempt_budgets.join(attempts, attempts.c.task_uuid == attempt_budgets.c.task_uuid)
    where = [attempt_budgets.c.provider == budget.provider, attempt_budgets.c.name == budget.name]
    if budget.span.since is not None and budget.span.until is not None:
        where.append(attempt_budgets.c.reserved_at >= microseconds(budget.span.since))
        where.append(attempt_budgets.c.reserved_at < microseconds(budget.span.until))
    return weight_of(weights(connection, where, of=joined).values())


def raise_limit(connection: Connection, provider: str, name: str, limit_usd: Decimal, *, may_lower: bool) -> None:
    """See `Ledger.raise_budget`."""
    found = connection.execute(_rows(provider, [name]).with_for_update()).mappings().first()
    if found is None:
        raise LedgerError(f"the ledger knows no budget '{name}' of provider {provider}")
    there, limit_micro = _standing(found, _now(connection)), to_micro(limit_usd)
    if limit_micro <= there.limit_micro and not may_lower:
        return
    raised = {"raised_micro": limit_micro, "raised_period": _key(there.span)}
    connection.execute(update(budgets).where(*_this(provider, name)).values(raised))


def budget_states(
    connection: Connection, provider: str, run_id: str | None, given: Iterable[StandingBudget] | None
) -> list[BudgetState]:
    """See `Ledger.budget_states`."""
    states: list[BudgetState] = []
    now = _now(connection)
    names: Sequence[str] | None = None
    if run_id is not None:
        run = find_run(connection, run_id)
        if run.budget_usd is not None:
            whole = Standing(provider, run_id, to_micro(run.budget_usd), Period.FOREVER, "UTC", Span())
            states.append(_state("run", whole, run_weight(connection, run_id)))
        names = _names_of(connection, run_id)
    if given is None:
        rows = connection.execute(_rows(provider, names)).mappings().all()
        standing = [_standing(row, now) for row in rows]
    else:
        known = {row["name"]: row for row in connection.execute(_rows(provider, None)).mappings()}
        standing = [_as_given(provider, budget, known.get(budget.name), now) for budget in given]
    return states + [_state("standing", budget, held_of(connection, budget)) for budget in standing]


def _now(connection: Connection) -> int:
    """Microseconds since 1970 on the database's clock, so that all agree in which period it is."""
    return int(connection.execute(select(clock_us(connection))).scalar_one())


def _as_given(provider: str, budget: StandingBudget, known: RowMapping | None, now: int) -> Standing:
    """A budget as it would be once a run had begun under it."""
    limit_micro = to_micro(budget.limit_usd)
    if known is not None:
        there = _standing(known, now)
        said = (known["limit_micro"], there.period, there.timezone)
        if said == (limit_micro, budget.period, budget.timezone):
            return there
    span = span_at(budget.period, budget.timezone, _moment(now))
    return Standing(provider, budget.name, limit_micro, budget.period, budget.timezone, span)


def _standing(row: RowMapping, now: int) -> Standing:
    period, timezone = Period(row["period"]), str(row["timezone"])
    span = span_at(period, timezone, _moment(now))
    raised = row["raised_micro"] is not None and row["raised_period"] == _key(span)
    limit_micro = row["raised_micro"] if raised else row["limit_micro"]
    return Standing(row["provider"], row["name"], limit_micro, period, timezone, span)


def _state(scope: Literal["run", "standing"], budget: Standing, held: Weight) -> BudgetState:
    return BudgetState(
        scope,
        budget.name,
        budget.period,
        budget.timezone,
        budget.span.since,
        budget.span.until,
        from_micro(budget.limit_micro),
        from_micro(held.reserved),
        from_micro(held.spent),
        from_micro(held.unknown),
    )


def _moment(now: int) -> datetime:
    moment = time_of(now)
    assert moment is not None  # noqa: S101  # it is so of nothing only
    return moment


def _key(span: Span) -> int:
    return 0 if span.since is None else microseconds(span.since)


def _this(provider: str, name: str) -> list[Any]:
    return [budgets.c.provider == provider, budgets.c.name == name]


def _names_of(connection: Connection, run_id: str) -> Sequence[str]:
    return connection.execute(select(run_budgets.c.name).where(run_budgets.c.run_id == run_id)).scalars().all()


def _rows(provider: str, names: Sequence[str] | None) -> Select[Any]:
    query = select(budgets).where(budgets.c.provider == provider).order_by(budgets.c.name)
    return query if names is None else query.where(budgets.c.name.in_(names))
