"""Whether there is room: the one place that enforces limits, inside the transaction that reserves.

A reservation must fit into every limit of its run at once: its own, that of each shot, and each standing budget that
it is under. While it is checked, nobody else reserves under any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from tasks.errors import OverBudget
from tasks.ledger.money import from_micro, to_micro
from tasks.ledger.periods import Period
from tasks.ledger.records import Attempt, Run
from tasks.ledger.rows import chunks, microseconds, weights
from tasks.ledger.schema import attempt_budgets, attempts
from tasks.ledger.standing import Standing, held_of, locked
from tasks.ledger.states import Weight, weight_of

__all__ = ["Bound", "Claim", "Limiter", "check_room"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What one attempt is to hold.

    `was` is the attempt as it is, where it is reserved already and is to be reserved anew.
    """

    task_uuid: str
    shot: str
    price_micro: int
    was: Attempt | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit of a run, in micro-dollars. `name` is that of a standing budget, or of a shot."""

    run_id: str
    limit_micro: int
    scope: Literal["run", "shot", "standing"] = "run"
    name: str | None = None
    period: Period | None = None


def check_room(bound: Bound, held_micro: int, needed_micro: int) -> None:
    """Refuse a reservation of `needed_micro` on top of `held_micro` that would pass a limit.

    What needs nothing new always fits, even where a provider's overrun has passed the limit already.

    Raises:
        OverBudget: there is no room.
    """
    if needed_micro <= 0 or held_micro + needed_micro <= bound.limit_micro:
        return
    raise OverBudget(
        bound.run_id,
        needed_usd=from_micro(needed_micro),
        limit_usd=from_micro(bound.limit_micro),
        held_usd=from_micro(held_micro),
        scope=bound.scope,
        budget=bound.name if bound.scope == "standing" else None,
        period=None if bound.period is None else str(bound.period),
        shot=bound.name if bound.scope == "shot" else None,
    )


class Limiter:
    """The limits of one run. From its making to the end of the transaction nobody else reserves under them.

    Args:
        connection: Inside a writing transaction that has locked the run.
        run: The run.
    """

    def __init__(self, connection: Connection, run: Run) -> None:
        self._connection = connection
        self._run = run
        self._standing, self._now = locked(connection, run)

    def misplaced(self, reserved: Iterable[Attempt]) -> set[str]:
        """The `task_uuid`s of those attempts that count in other standing budgets than the run is under now."""
        attached = {attempt.task_uuid: set[str]() for attempt in reserved}
        for some in chunks(sorted(attached)):
            query = select(attempt_budgets.c.task_uuid, attempt_budgets.c.name)
            for task_uuid, name in self._connection.execute(query.where(attempt_budgets.c.task_uuid.in_(some))):
                attached[task_uuid].add(name)
        names = {budget.name for budget in self._standing}
        return {task_uuid for task_uuid, found in attached.items() if found != names}

    def check(self, claims: Sequence[Claim]) -> None:
        """Refuse `claims` unless all of them together fit into every limit.

        Raises:
            OverBudget: a limit has no room; it is named.
        """
        run_id, run = self._run.run_id, self._run
        before = {claim.task_uuid: to_micro(claim.was.reserved_usd) for claim in claims if claim.was is not None}
        needed_micro = sum(claim.price_micro for claim in claims)
        if run.budget_usd is not None or run.shot_budget_usd is not None:
            by_shot = weights(self._connection, [attempts.c.run_id == run_id], by=attempts.c.shot)
            if run.budget_usd is not None:
                held_micro = sum(weight_of(by_shot.values()))
                bound = Bound(run_id, to_micro(run.budget_usd))
                check_room(bound, held_micro, needed_micro - sum(before.values()))
            if run.shot_budget_usd is not None:
                self._check_shots(to_micro(run.shot_budget_usd), claims, by_shot)
        for budget in self._standing:
            bound = Bound(run_id, budget.limit_micro, "standing", budget.name, budget.period)
            counted = sum(before[task_uuid] for task_uuid in self._counted(budget, sorted(before)))
            check_room(bound, sum(held_of(self._connection, budget)), needed_micro - counted)

    def book(self, task_uuids: Sequence[str]) -> None:
        """Let attempts that are reserved now, for the first time or anew, count in the run's standing budgets."""
        for some in chunks(task_uuids):
            self._connection.execute(delete(attempt_budgets).where(attempt_budgets.c.task_uuid.in_(some)))
        # In the period in which they were checked, should it have ended in between.
        rows = [
            {"task_uuid": task_uuid, "name": budget.name, "provider": budget.provider, "reserved_at": self._now}
            for task_uuid in task_uuids
            for budget in self._standing
        ]
        if rows:
            self._connection.execute(insert(attempt_budgets), rows)

    def _check_shots(self, limit_micro: int, claims: Sequence[Claim], by_shot: dict[str, Weight]) -> None:
        for shot in dict.fromkeys(claim.shot for claim in claims):
            needed_micro = sum(claim.price_micro for claim in claims if claim.shot == shot)
            was = [claim.was for claim in claims if claim.was is not None and claim.was.shot == shot]
            before_micro = sum(to_micro(attempt.reserved_usd) for attempt in was)
            held_micro = sum(by_shot.get(shot, Weight()))
            check_room(Bound(self._run.run_id, limit_micro, "shot", shot), held_micro, needed_micro - before_micro)

    def _counted(self, budget: Standing, task_uuids: Sequence[str]) -> list[str]:
        """Those of the attempts that count in a budget's period already."""
        found: list[str] = []
        for some in chunks(task_uuids):
            query = select(attempt_budgets.c.task_uuid).where(
                attempt_budgets.c.task_uuid.in_(some), attempt_budgets.c.name == budget.name
            )
            if budget.span.since is not None:
                query = query.where(attempt_budgets.c.reserved_at >= microseconds(budget.span.since))
            found += self._connection.execute(query).scalars()
        return found
