"""Rows of the database and the values that they stand for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, cast, func, select
from sqlalchemy.sql.selectable import FromClause

from tasks.errors import Charged, LedgerError
from tasks.ledger.money import from_micro
from tasks.ledger.records import Attempt, Run
from tasks.ledger.schema import attempts, runs
from tasks.ledger.states import State, Weight, weigh, weight_of

__all__ = [
    "attempt_of",
    "by_keys",
    "chunks",
    "find_attempt",
    "find_attempts",
    "find_run",
    "microseconds",
    "now_us",
    "read_json",
    "run_of",
    "run_weight",
    "time_of",
    "weights",
    "write_json",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK = 500  # databases limit how many values one statement may carry


def now_us() -> int:
    """Microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def time_of(microseconds: int | None) -> datetime | None:
    """The moment that the database keeps as microseconds since 1970."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)


def microseconds(moment: datetime) -> int:
    """A moment as the database keeps it."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def write_json(value: Mapping[str, Any]) -> str:
    """JSON text; a `Decimal` becomes a string. `TypeError` or `ValueError` for what JSON cannot say."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)


def read_json(text: str | None) -> Any:
    """What `write_json` wrote; numbers with a point come back as `Decimal`."""
    return None if text is None else json.loads(text, parse_float=Decimal)


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many values at a time as one statement may carry anywhere."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))


def attempt_of(row: Mapping[Any, Any]) -> Attempt:
    """The attempt that a row of `attempts` stands for."""
    values = dict(row)
    cost_micro, charged, state = (values.pop(name) for name in ("cost_micro", "charged", "state"))
    reserved_micro = values.pop("reserved_micro")
    for name in ("created_at", "updated_at", "submitted_at", "accepted_at", "finished_at", "stored_at"):
        values[name] = time_of(values[name])
    for name in ("request", "result", "error"):
        values[name] = read_json(values[name])
    return Attempt(
        **values,
        state=State(state),
        reserved_usd=from_micro(reserved_micro),
        cost_usd=None if cost_micro is None else from_micro(cost_micro),
        charged=None if charged is None else Charged(charged),
    )


def run_of(row: Mapping[Any, Any]) -> Run:
    """The run that a row of `runs` stands for."""
    values = dict(row)
    for name in ("budget", "shot_budget"):
        micro = values.pop(f"{name}_micro")
        values[f"{name}_usd"] = None if micro is None else from_micro(micro)
    for name in ("started_at", "finished_at"):
        values[name] = time_of(values[name])
    return Run(**{**values, "tags": read_json(values["tags"])})


def find_attempt(connection: Connection, task_uuid: str, *, lock: bool = False) -> Attempt | None:
    """The attempt of this `task_uuid`, if there is one; with `lock`, nobody else moves it before this is committed."""
    query = select(attempts).where(attempts.c.task_uuid == task_uuid)
    found = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return None if found is None else attempt_of(found)


def find_attempts(connection: Connection, task_uuids: Iterable[str]) -> list[Attempt]:
    """The attempts of these `task_uuids` that there are, oldest first."""
    found = list[Attempt]()
    for some in chunks(list(task_uuids)):
        query = select(attempts).where(attempts.c.task_uuid.in_(some))
        found += [attempt_of(row) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda attempt: (attempt.created_at, attempt.number, attempt.task_uuid))


def find_run(connection: Connection, run_id: str, *, lock: bool = False) -> Run:
    """The run of this id; with `lock`, nobody else locks it before this transaction ends.

    Raises:
        LedgerError: there is none.
    """
    query = select(runs).where(runs.c.run_id == run_id)
    found = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if found is None:
        raise LedgerError(f"the ledger knows no run {run_id}: it was never begun")
    return run_of(found)


def by_keys(connection: Connection, provider: str, keys: Iterable[str]) -> dict[str, list[Attempt]]:
    """All attempts at the given content keys, a list a key, oldest first. A key without any is absent."""
    found = dict[str, list[Attempt]]()
    for some in chunks(sorted(set(keys))):
        query = (
            select(attempts)
            .where(attempts.c.provider == provider, attempts.c.content_key.in_(some))
            .order_by(attempts.c.content_key, attempts.c.number)
        )
        for row in connection.execute(query).mappings():
            found.setdefault(row["content_key"], []).append(attempt_of(row))
    return found


def run_weight(connection: Connection, run_id: str) -> Weight:
    """What all attempts of a run hold of its money."""
    return weight_of(weights(connection, [attempts.c.run_id == run_id]).values())


def weights(
    connection: Connection,
    where: Sequence[ColumnElement[bool]],
    *,
    of: FromClause = attempts,
    by: ColumnElement[str] | None = None,
) -> dict[str, Weight]:
    """What attempts hold, added up by the database; by the values of `by`, else all under ''.

    `of` is the table of attempts, or a join with it.
    """
    # Equal in all that decides what an attempt weighs, so the sums of a group weigh what its attempts weigh together.
    group = [attempts.c.state, attempts.c.charged, attempts.c.cost_micro.is_(None)]
    sums = [cast(func.sum(column), BigInteger) for column in (attempts.c.reserved_micro, attempts.c.cost_micro)]
    keys = [] if by is None else [by]
    found = dict[str, list[Weight]]()
    for row in connection.execute(select(*group, *sums, *keys).select_from(of).where(*where).group_by(*group, *keys)):
        state, charged, _, reserved, cost, *key = row
        weight = weigh(State(state), None if charged is None else Charged(charged), reserved, cost)
        found.setdefault(key[0] if key else "", []).append(weight)
    return {name: weight_of(each) for name, each in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")
