"""The ledger: the journal of every attempt, and of the money that each holds.

Every method is one transaction that is committed when it returns, and may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, insert, select, update

from tasks.errors import Charged, LedgerError
from tasks.ledger import leases, plans
from tasks.ledger.engine import Database, connect
from tasks.ledger.money import to_micro
from tasks.ledger.moves import Move, make
from tasks.ledger.records import Attempt, RememberedPlan, Run, Totals, Wanted
from tasks.ledger.reserve import reserve, retry
from tasks.ledger.rows import (
    attempt_of,
    by_keys,
    find_attempt,
    find_run,
    now_us,
    run_of,
    run_weight,
)
from tasks.ledger.schema import attempts, runs
from tasks.ledger.states import LIVE, PAID, State
from tasks.ledger.upgrade import bring_up_to_date

__all__ = ["Ledger"]


class Ledger:
    """An open ledger. `tasks.ledger.open_ledger` opens one; it is a context manager that closes itself.

    Every method may raise `StorageUnreachable` when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def at(cls, url: str, *, create: bool = True) -> Self:
        """See `tasks.ledger.open_ledger`."""
        database = connect(url, create=create)
        try:
            bring_up_to_date(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @property
    def place(self) -> str:
        """Where it is, without a password."""
        return self._database.place

    def close(self) -> None:
        """Close its connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin_run(
        self, *, run_id: str, provider: str, account: str, storyboard: str, budget_usd: Decimal | None
    ) -> None:
        """Write down a run, before it reserves anything. With the id of a known run, resume that one.

        A resumed run is no longer finished, keeps what it holds, and takes the account and the budget given
        now.

        Args:
            run_id: The run's own name, chosen by the caller.
            provider: The provider's identity.
            account: Fingerprint of the API key, or empty.
            storyboard: Its title.
            budget_usd: What the run and its resumptions may hold and spend together; `None` for no limit.

        Raises:
            LedgerError: the run is known with another provider.
            ValueError: the budget is no amount of money, or finer than a micro-dollar.
        """
        facts = {
            "account": account,
            "storyboard": storyboard,
            "budget_micro": None if budget_usd is None else to_micro(budget_usd),
            "finished_at": None,
            "outcome": None,
        }

        def begin(connection: Connection) -> None:
            this = runs.c.run_id == run_id
            known = connection.execute(select(runs.c.provider).where(this).with_for_update()).scalar()
            if known is None:
                row = {"run_id": run_id, "provider": provider, "started_at": now_us(), **facts}
                connection.execute(insert(runs).values(row))
            elif known != provider:
                raise LedgerError(f"run {run_id} belongs to provider {known}, not {provider}")
            else:
                connection.execute(update(runs).where(this).values(facts))

        self._database.write(begin)

    def reserve(self, run_id: str, wanted: Sequence[Wanted]) -> list[Attempt]:
        """Adopt or reserve an attempt for each wanted take, all in one transaction, or none.

        Adopted are live attempts, of whatever run, and clips that were paid for and stored: look at `state`
        to see what is left to do. They cost this run nothing, and what another run has reserved and not sent
        is that run's to send. What runs without a living lease have reserved is given back first, as by
        `release_lapsed`; this run's own is kept, at the price given now. Takes of one content key share one
        attempt.

        Returns:
            One attempt for each of `wanted`, in its order.

        Raises:
            OverBudget: what is new does not fit into the run's budget; nothing was
                reserved.
            LedgerError: the run was never begun or is finished, or `replaces` names an attempt of another
                key.
        """
        return self._database.write(lambda connection: reserve(connection, run_id, wanted))

    def retry(self, run_id: str, failed: Attempt, price_usd: Decimal) -> Attempt:
        """Reserve a new attempt at the take of one that is over (failed, refused or released).

        If another run has tried again already, its attempt is adopted as in `reserve`.

        Raises:
            OverBudget: there is no room for `price_usd`; nothing was reserved.
            LedgerError: `failed` is not over.
            ValueError: the price is no amount of money, or finer than a micro-dollar.
        """
        return self._database.write(lambda connection: retry(connection, run_id, failed, price_usd))

    def move(
        self,
        task_uuid: str,
        to: State,
        *,
        expect: Collection[State] | None = None,
        posts: int | None = None,
        cost_usd: Decimal | None = None,
        charged: Charged | None = None,
        result: Mapping[str, Any] | None = None,
        error: Exception | Mapping[str, Any] | None = None,
        error_code: str | None = None,
        account: str | None = None,
    ) -> Attempt | None:
        """Move an attempt into another state, if it is still where it is expected to be.

        Args:
            task_uuid: The attempt.
            to: Its new state. `submitted` counts a post, so it is committed before the request leaves.
            expect: The states of which it must be in one; by default all from which `to` may be reached.
            posts: How often it must have been posted; by default, however often.
            cost_usd: What the provider says that it cost, rounded half up to the micro-dollar. For
                `succeeded`, `stored`, `failed` and `refused`. Without it, the reservation counts.
            charged: Whether money was taken, for `failed` and `refused`. By default what is known already,
                else what `error` says, else `unknown` for `failed` and `no` for `refused`.
            result: The provider's answer, for `accepted`, `succeeded` and `stored`. Kept as it is: it may
                name the address of the clip.
            error: Why, for `refused`, `failed`, `unknown` and `released`. Redacted on the way in.
            error_code: The provider's code; by default that of `error`.
            account: Fingerprint of the key that submits it, for `submitted`.

        Returns:
            The attempt as it is now; `None` when another got there first and nothing was changed.

        Raises:
            LedgerError: the rules do not allow the move, or not with these facts, or no such attempt exists.
            ValueError: the cost is no amount of money.
        """
        move = Move(
            to=to,
            expect=None if expect is None else frozenset(expect),
            posts=posts,
            cost_usd=cost_usd,
            charged=charged,
            result=result,
            error=error,
            error_code=error_code,
            account=account,
        )
        return self._database.write(lambda connection: make(connection, task_uuid, move))

    def count_post(self, task_uuid: str, *, posts: int) -> Attempt | None:
        """Claim the right to post an attempt once more under its own UUID; commit before posting.

        It must be `submitted`, or `unknown` without ever having been accepted, and keeps its state.

        Returns:
            The attempt with one more post; `None` if it is neither, or no longer has exactly `posts`.
        """

        def count(connection: Connection) -> Attempt | None:
            still = (
                (attempts.c.task_uuid == task_uuid)
                & attempts.c.state.in_([str(State.SUBMITTED), str(State.UNKNOWN)])
                & attempts.c.accepted_at.is_(None)
                & (attempts.c.posts == posts)
            )
            counted = update(attempts).where(still).values(posts=posts + 1, updated_at=now_us())
            return find_attempt(connection, task_uuid) if connection.execute(counted).rowcount else None

        return self._database.write(count)

    def settle(self, task_uuid: str, *, charged: Charged, cost_usd: Decimal | None = None) -> Attempt | None:
        """Say what became of money of which nobody could tell.

        An `unknown` attempt is `failed` then; one that failed or was refused keeps its state.

        Args:
            task_uuid: The attempt.
            charged: `yes` or `no`.
            cost_usd: What was charged; without it, the whole reservation.

        Returns:
            The attempt as it is now; `None` if nothing about it was unknown.

        Raises:
            LedgerError: `charged` is `unknown`, or `no` with a cost, or no such attempt exists.
        """
        if charged is Charged.UNKNOWN:
            raise LedgerError("settling needs an answer: charged or not", task_uuid=task_uuid)

        def answer(connection: Connection) -> Attempt | None:
            attempt = find_attempt(connection, task_uuid)
            if attempt is None:
                raise LedgerError(f"the ledger knows no attempt {task_uuid}", task_uuid=task_uuid)
            if attempt.state is State.UNKNOWN:
                facts = Move(to=State.FAILED, expect=frozenset({State.UNKNOWN}), charged=charged, cost_usd=cost_usd)
                return make(connection, task_uuid, facts)
            if attempt.charged is not Charged.UNKNOWN:
                return None
            values = Move(to=attempt.state, charged=charged, cost_usd=cost_usd).values(now_us())
            open_still = (attempts.c.task_uuid == task_uuid) & (attempts.c.charged == str(Charged.UNKNOWN))
            changed = connection.execute(update(attempts).where(open_still).values(values)).rowcount
            return find_attempt(connection, task_uuid) if changed else None

        return self._database.write(answer)

    def release_unsubmitted(self, run_id: str) -> int:
        """Give back what this run reserved and never submitted; returns how many attempts that were."""

        def release(connection: Connection) -> int:
            values = Move(to=State.RELEASED).values(now_us())
            unsent = (attempts.c.run_id == run_id) & (attempts.c.state == str(State.RESERVED))
            return connection.execute(update(attempts).where(unsent).values(values)).rowcount

        return self._database.write(release)

    def hold_lease(self, holder: str, ttl_s: float) -> None:
        """Say that `holder` lives, for `ttl_s` seconds from now on the database's clock; say so again in time.

        A run holds its lease under its `run_id`.

        Raises:
            ValueError: `holder` is empty, or `ttl_s` is below 0.
        """
        self._database.write(lambda connection: leases.hold(connection, holder, ttl_s))

    def end_lease(self, holder: str) -> None:
        """Say that `holder` lives no more: what it drives is free at once."""
        self._database.write(lambda connection: leases.end(connection, holder))

    def is_held(self, holder: str) -> bool:
        """Whether `holder` lives: it holds a lease that has not lapsed."""
        return self._database.read(lambda connection: leases.is_held(connection, holder))

    def take_wheel(self, task_uuid: str, holder: str) -> Attempt | None:
        """Become the driver of an attempt, if nobody else who lives drives it.

        What is `reserved` is for the run alone that reserved it.

        Returns:
            The attempt as it is now; `None` where somebody else is to drive it.

        Raises:
            LedgerError: no such attempt exists.
        """
        return self._database.write(lambda connection: leases.take_wheel(connection, task_uuid, holder))

    def let_go(self, task_uuid: str, holder: str) -> None:
        """Drive an attempt no longer. Changes nothing where `holder` does not drive it."""
        self._database.write(lambda connection: leases.let_go(connection, task_uuid, holder))

    def release_lapsed(self) -> list[Attempt]:
        """Give back what runs without a living lease have reserved and never submitted.

        Returns:
            What was released. A run that wakes up later finds that out before it sends anything.
        """
        return self._database.write(leases.release_lapsed)

    def remember_plan(self, *, provider: str, storyboard: str, file: str, run_id: str, plan: Mapping[str, Any]) -> None:
        """Remember the plan that a run is made from, in the place of the one before it.

        Args:
            provider: The provider's identity.
            storyboard: Its title.
            file: Where it was read from.
            run_id: The run.
            plan: What JSON can say. A `Decimal` becomes a string.
        """
        facts = {"provider": provider, "storyboard": storyboard, "file": file, "run_id": run_id}
        self._database.write(lambda connection: plans.remember(connection, **facts, plan=plan))

    def remembered_plans(self, provider: str | None = None) -> list[RememberedPlan]:
        """The latest plan of each storyboard that runs were made from, oldest first."""
        return self._database.read(lambda connection: plans.remembered(connection, provider))

    def forget_plans(self, storyboard: str) -> int:
        """Forget the remembered plans of the storyboards with this title; returns how many that were."""
        return self._database.write(lambda connection: plans.forget(connection, storyboard))

    def finish_run(self, run_id: str, outcome: str) -> None:
        """Write down how a run ended.

        Raises:
            LedgerError: the run was never begun.
        """

        def finish(connection: Connection) -> None:
            find_run(connection, run_id, lock=True)
            values = {"finished_at": now_us(), "outcome": outcome}
            connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))

        self._database.write(finish)

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

    def _runs(self, run_id: str | None) -> list[Run]:
        query = select(runs).order_by(runs.c.started_at, runs.c.run_id)
        if run_id is not None:
            query = query.where(runs.c.run_id == run_id)
        return self._database.read(lambda connection: [run_of(row) for row in connection.execute(query).mappings()])

    def _newest(self, provider: str, content_key: str, states: Collection[State]) -> Attempt | None:
        past = self._database.read(lambda connection: by_keys(connection, provider, [content_key]))
        matching = [attempt for attempt in past.get(content_key, []) if attempt.state in states]
        return matching[-1] if matching else None
