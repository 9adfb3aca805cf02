"""The accounts: what was spent, is held, and was saved by reuse, by whatever one likes to know it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, insert, select, update

from tasks.errors import Charged, SettingsError
from tasks.ledger.money import from_micro, to_micro
from tasks.ledger.records import Reuse, Sums
from tasks.ledger.rows import find_run, microseconds, now_us, read_json, time_of
from tasks.ledger.schema import attempts, reuses, runs
from tasks.ledger.states import PAID, State, Weight, weigh, weight_of

__all__ = ["GROUPS", "record_reuse", "sums"]

GROUPS = ("provider", "project", "storyboard", "run", "shot", "month", "model", "state")
"""What sums can be grouped by. `project` is the run's tag of that name; a month is one of UTC."""

_REUSED = "reused"


def record_reuse(connection: Connection, run_id: str, items: Iterable[Reuse]) -> None:
    """See `Ledger.record_reuse`."""
    find_run(connection, run_id, lock=True)
    for item in items:
        facts = {
            "shot": item.shot,
            "take": item.take,
            "model": item.model,
            "price_micro": to_micro(item.price_usd),
        }
        this = [reuses.c.run_id == run_id, reuses.c.content_key == item.content_key]
        if not connection.execute(update(reuses).where(*this).values(facts)).rowcount:
            row = {"run_id": run_id, "content_key": item.content_key, "reused_at": now_us(), **facts}
            connection.execute(insert(reuses).values(row))


def sums(
    connection: Connection,
    by: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    provider: str | None,
) -> list[Sums]:
    """See `Ledger.sums`."""
    if unknown := sorted(set(by) - set(GROUPS)):
        raise SettingsError(f"sums cannot be grouped by {', '.join(unknown)}", advice=f"Accepted: {', '.join(GROUPS)}.")
    found = dict[tuple[str, ...], _Tally]()
    if not by:
        found[()] = _Tally()  # the sum of nothing is told too
    for row in _attempted(connection, since, until, provider):
        tally = found.setdefault(_group(row, by), _Tally())
        tally.attempts += 1
        charged = None if row["charged"] is None else Charged(row["charged"])
        tally.weights.append(weigh(State(row["state"]), charged, row["reserved_micro"], row["cost_micro"]))
    for row in _reused(connection, since, until, provider):
        tally = found.setdefault(_group(row, by), _Tally())
        tally.reused += 1
        tally.saved_micro += row["price_micro"]
    return [tally.sums(dict(zip(by, key, strict=True))) for key, tally in sorted(found.items())]


@dataclass(slots=True)
class _Tally:
    attempts: int = 0
    weights: list[Weight] = field(default_factory=list)
    reused: int = 0
    saved_micro: int = 0

    def sums(self, group: dict[str, str]) -> Sums:
        held = weight_of(self.weights)
        return Sums(
            group,
            self.attempts,
            spent_usd=from_micro(held.spent),
            reserved_usd=from_micro(held.reserved),
            unknown_usd=from_micro(held.unknown),
            reused=self.reused,
            saved_usd=from_micro(self.saved_micro),
        )


def _attempted(
    connection: Connection, since: datetime | None, until: datetime | None, provider: str | None
) -> Iterator[dict[str, Any]]:
    names = ("provider", "storyboard", "shot", "model", "state", "charged", "reserved_micro", "cost_micro")
    query = select(*(attempts.c[name] for name in names), attempts.c.created_at.label("at"), runs.c.run_id, runs.c.tags)
    query = query.join_from(attempts, runs, runs.c.run_id == attempts.c.run_id)
    query = query.where(*_within(attempts.c.created_at, since, until))
    if provider is not None:
        query = query.where(attempts.c.provider == provider)
    yield from (dict(row) for row in connection.execute(query).mappings())


def _reused(
    connection: Connection, since: datetime | None, until: datetime | None, provider: str | None
) -> Iterator[dict[str, Any]]:
    # What a run has paid for itself, before it was resumed or after the clip was lost, was no saving.
    paid = exists().where(
        attempts.c.run_id == reuses.c.run_id,
        attempts.c.content_key == reuses.c.content_key,
        attempts.c.state.in_([str(state) for state in PAID]),
    )
    query = select(
        *(reuses.c[name] for name in ("shot", "model", "price_micro")),
        reuses.c.reused_at.label("at"),
        *(runs.c[name] for name in ("provider", "storyboard", "run_id", "tags")),
    )
    query = query.join_from(reuses, runs, runs.c.run_id == reuses.c.run_id).where(~paid)
    query = query.where(*_within(reuses.c.reused_at, since, until))
    if provider is not None:
        query = query.where(runs.c.provider == provider)
    yield from ({**row, "state": _REUSED} for row in connection.execute(query).mappings())


def _within(column: ColumnElement[int], since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    conditions = []
    if since is not None:
        conditions.append(column >= microseconds(since))
    if until is not None:
        conditions.append(column < microseconds(until))
    return conditions


def _group(row: dict[str, Any], by: Sequence[str]) -> tuple[str, ...]:
    return tuple(_value(row, name) for name in by)


def _value(row: dict[str, Any], name: str) -> str:
    if name == "project":
        return str(read_json(row["tags"]).get("project", ""))
    if name == "month":
        moment = time_of(row["at"])
        return "" if moment is None else f"{moment:%Y-%m}"
    return str(row["run_id" if name == "run" else name])
