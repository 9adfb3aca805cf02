"""What the ledger can be asked. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Connection, select

from tasks.ledger import accounts, approvals, leases, notices, plans, standing
from tasks.ledger.engine import Database, json_text
from tasks.ledger.limits import StandingBudget
from tasks.ledger.records import Approval, Attempt, BudgetState, RememberedPlan, Run, Sums, TimedClip, Totals
from tasks.ledger.rows import attempt_of, by_keys, find_attempt, run_of, run_weight
from tasks.ledger.schema import attempts, runs
from tasks.ledger.states import LIVE, PAID, State

__all__ = ["Questions"]


class Questions:
    """The questions that a ledger answers, each from one consistent view of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_held(self, holder: str) -> bool:
        """Whether `holder` lives: it holds a lease that has not lapsed."""
        return self._database.read(lambda connection: leases.is_held(connection, holder))

    def is_alive(self, run_id: str) -> bool:
        """Whether a process lives that works for this run."""
        return self._database.read(lambda connection: leases.is_alive(connection, run_id))

    def remembered_plans(self, provider: str | None = None) -> list[RememberedPlan]:
        """The latest plan of each storyboard that runs were made from, oldest first."""
        return self._database.read(lambda connection: plans.remembered(connection, provider))

    def notices(self, task_uuids: Iterable[str]) -> list[Mapping[str, Any]]:
        """What the provider reported of these tasks of its own accord, as it came, oldest first."""
        return self._database.read(lambda connection: notices.kept(connection, task_uuids))

    def live(self, provider: str, content_key: str) -> Attempt | None:
        """The attempt that holds this key, if one does."""
        return self._newest(provider, content_key, LIVE)

    def paid(self, provider: str, content_key: str) -> Attempt | None:
        """The newest attempt at this key that succeeded: paid for, whatever became of the clip."""
        return self._newest(provider, content_key, PAID)

    def attempt(self, task_uuid: str) -> Attempt | None:
        """The attempt of this UUID, if there is one."""
        return self._database.read(lambda connection: find_attempt(connection, task_uuid))

    def attempts(
        self,
        *,
        run_id: str | None = None,
        shot: str | None = None,
        states: Collection[State] | None = None,
        provider: str | None = None,
        content_key: str | None = None,
    ) -> list[Attempt]:
        """The attempts that match everything given, oldest first."""
        given = {"run_id": run_id, "shot": shot, "provider": provider, "content_key": content_key}
        query = select(attempts).order_by(attempts.c.created_at, attempts.c.number, attempts.c.task_uuid)
        for name, value in given.items():
            if value is not None:
                query = query.where(attempts.c[name] == value)
        if states is not None:
            query = query.where(attempts.c.state.in_([str(state) for state in states]))
        return self._database.read(lambda connection: [attempt_of(row) for row in connection.execute(query).mappings()])

    def clip_times(self, provider: str, model: str, *, latest: int = 400) -> list[TimedClip]:
        """How long the provider took for the latest paid clips of a model, acceptance to result, oldest first.

        The database picks them out and hands over these numbers alone, however long its history is. What was asked for
        without a duration, such as edits, is left out.
        """
        return self._database.read(lambda connection: _clip_times(connection, provider, model, latest))

    def run(self, run_id: str) -> Run | None:
        """The run of this id, if there is one."""
        found = self._runs(run_id)
        return found[0] if found else None

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        return self._runs(None)

    def totals(self, run_id: str) -> Totals:
        """What the run holds and has spent. All zero for a run that is not known."""
        return Totals.of(self._database.read(lambda connection: run_weight(connection, run_id)))

    def budget_states(
        self, provider: str, run_id: str | None = None, *, budgets: Iterable[StandingBudget] | None = None
    ) -> list[BudgetState]:
        """How budgets stand in this moment, on the database's clock. Only looks.

        Args:
            provider: The provider's identity.
            run_id: A run: its own budget, if it has one, and the standing ones that it is under. Without it, all
                standing budgets that runs of this provider were ever under.
            budgets: Tell these standing ones instead, as they would be for a run that began now.

        Raises:
            LedgerError: the run was never begun.
        """
        given = None if budgets is None else list(budgets)
        return self._database.read(lambda connection: standing.budget_states(connection, provider, run_id, given))

    def approvals(self, run_id: str) -> list[Approval]:
        """What people said when this run asked, oldest first."""
        return self._database.read(lambda connection: approvals.given(connection, run_id))

    def approved_sum(self, provider: str, fingerprint: str, run_id: str) -> Decimal | None:
        """The largest sum that was approved for this run and this plan; `None` if none is.

        A yes counts for all resumptions of the run, until somebody says no to the same sum or a smaller one.
        """
        return self._database.read(lambda connection: approvals.approved_sum(connection, provider, fingerprint, run_id))

    def sums(
        self,
        by: Sequence[str] = (),
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        provider: str | None = None,
    ) -> list[Sums]:
        """What was spent, is held and was saved by reuse, in groups that are sorted by what they are grouped by.

        Args:
            by: Any of `provider`, `project`, `storyboard`, `run`, `shot`, `month`, `model`, `state`. What was reused
                has the state `reused`. Without any, all is one group.
            since: What was reserved or reused from then on.
            until: What was reserved or reused before.
            provider: Of this provider alone.

        Raises:
            SettingsError: `by` names something else.
        """
        return self._database.read(lambda connection: accounts.sums(connection, by, since, until, provider))

    def _runs(self, run_id: str | None) -> list[Run]:
        query = select(runs).order_by(runs.c.started_at, runs.c.run_id)
        if run_id is not None:
            query = query.where(runs.c.run_id == run_id)
        return self._database.read(lambda connection: [run_of(row) for row in connection.execute(query).mappings()])

    def _newest(self, provider: str, content_key: str, states: Collection[State]) -> Attempt | None:
        past = self._database.read(lambda connection: by_keys(connection, provider, [content_key]))
        matching = [attempt for attempt in past.get(content_key, []) if attempt.state in states]
        return matching[-1] if matching else None


def _clip_times(connection: Connection, provider: str, model: str, latest: int) -> list[TimedClip]:
    # Numbers with a point are kept as text, in quotes.
    duration = json_text(connection, attempts.c.request, "duration")
    query = (
        select(duration, attempts.c.finished_at - attempts.c.accepted_at)
        .where(
            attempts.c.provider == provider,
            attempts.c.model == model,
            attempts.c.state.in_([str(state) for state in PAID]),
            attempts.c.finished_at.is_not(None),
            attempts.c.accepted_at.is_not(None),
            duration.is_not(None),
        )
        .order_by(attempts.c.created_at.desc(), attempts.c.number.desc(), attempts.c.task_uuid.desc())
        .limit(latest)
    )
    found = [(_amount(told), Decimal(took_us).scaleb(-6)) for told, took_us in connection.execute(query)]
    return [TimedClip(duration_s, took_s) for duration_s, took_s in reversed(found) if duration_s is not None]


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None
