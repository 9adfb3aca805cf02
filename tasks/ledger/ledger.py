"""The ledger: the journal of every attempt, and of the money that each holds. What it is asked is in `questions.py`.

Every method is one transaction that is committed when it returns, and may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, update

from tasks.errors import Charged
from tasks.ledger import accounts, approvals, leases, lifetime, notices, plans, standing
from tasks.ledger.correct import correct, settle
from tasks.ledger.engine import connect
from tasks.ledger.limits import Limits, StandingBudget
from tasks.ledger.moves import Move, make
from tasks.ledger.questions import Questions
from tasks.ledger.records import Answer, Approval, Attempt, Reuse, Wanted
from tasks.ledger.reserve import reserve, retry
from tasks.ledger.rows import find_attempt, now_us
from tasks.ledger.schema import attempts
from tasks.ledger.states import State
from tasks.ledger.upgrade import bring_up_to_date
from tasks.redaction import redact

__all__ = ["Ledger"]


class Ledger(Questions):
    """An open ledger. `tasks.ledger.open_ledger` opens one; it is a context manager that closes itself.

    Every method may raise `StorageUnreachable` when the database does not answer.
    """

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
        self,
        *,
        run_id: str,
        provider: str,
        account: str,
        storyboard: str,
        budget_usd: Decimal | None,
        shot_budget_usd: Decimal | None = None,
        budgets: Iterable[StandingBudget] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write down a run, before it reserves anything. With the id of a known run, resume that one.

        A resumed run is no longer finished, keeps what it holds, and takes the account, the limits and the tags
        given now. What is said of a standing budget is the latest word about it, also for runs under way.

        Args:
            run_id: The run's own name, chosen by the caller.
            provider: The provider's identity.
            account: Fingerprint of the API key, or empty.
            storyboard: Its title.
            budget_usd: What the run and its resumptions may hold and spend together; `None` for no limit.
            shot_budget_usd: What each of its shots may, with all takes and retries.
            budgets: Standing budgets; the run is under those that match its tags.
            tags: Such as `project` and `client`; `deployment` is the one that started it.

        Raises:
            LedgerError: the run is known with another provider.
            ValueError: a budget is no amount of money, or finer than a micro-dollar, or two have one name.
        """
        tags = dict(tags or {})
        limits = Limits(run_usd=budget_usd, shot_usd=shot_budget_usd, standing=tuple(budgets)).for_tags(tags)
        facts = {"run_id": run_id, "provider": provider, "account": account, "storyboard": storyboard}
        self._database.write(lambda connection: lifetime.begin(connection, **facts, limits=limits, tags=tags))

    def keep_notice(self, task_uuid: str, body: str) -> bool:
        """Keep what the provider reported of a task, for whoever waits for it; the same report is kept once.

        It changes no attempt: the run that waits reads it as if it had asked.

        Args:
            task_uuid: The task.
            body: The report, JSON of one object, as it came.

        Returns:
            Whether there is such an attempt; of others nothing is kept.
        """
        return self._database.write(lambda connection: notices.keep(connection, task_uuid, body))

    def raise_budget(self, provider: str, name: str, limit_usd: Decimal, *, may_lower: bool = True) -> None:
        """Set another limit for a standing budget until its current period ends.

        Once `begin_run` is told something new about the budget, that counts instead.

        Args:
            provider: The provider's identity.
            name: The budget.
            limit_usd: Its limit from now on.
            may_lower: Whether a limit that is lower than the one in force counts; else nothing is changed.

        Raises:
            LedgerError: no run of this provider was ever under such a budget.
            ValueError: the limit is no amount of money, or finer than a micro-dollar.
        """
        self._database.write(
            lambda connection: standing.raise_limit(connection, provider, name, limit_usd, may_lower=may_lower)
        )

    def set_run_budget(self, run_id: str, budget_usd: Decimal | None) -> None:
        """Set what a run and its resumptions may hold and spend together; nothing else about it is said anew.

        Raises:
            LedgerError: the run was never begun.
            ValueError: the budget is no amount of money, or finer than a micro-dollar.
        """
        self._database.write(lambda connection: lifetime.set_budget(connection, run_id, budget_usd))

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
            OverBudget: what is new does not fit into one of the run's limits, which is named; nothing was
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
        known: Attempt | None = None,
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
            known: The attempt as it was read, which it must be still: in that state, posted as often, with the same
                said of its money. So nothing is overwritten that somebody said meanwhile.
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
            known=known,
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

        It must be `submitted`, or `unknown` without ever having been accepted, or settled by a person.

        Returns:
            The attempt, `submitted` with one more post; `None` if it is neither, or no longer has exactly `posts`.
        """

        def count(connection: Connection) -> Attempt | None:
            still = (
                (attempts.c.task_uuid == task_uuid)
                & attempts.c.state.in_([str(State.SUBMITTED), str(State.UNKNOWN)])
                & attempts.c.accepted_at.is_(None)
                & attempts.c.charged.is_(None)
                & (attempts.c.posts == posts)
            )
            values = {"state": str(State.SUBMITTED), "posts": posts + 1, "updated_at": now_us()}
            counted = update(attempts).where(still).values(values)
            return find_attempt(connection, task_uuid) if connection.execute(counted).rowcount else None

        return self._database.write(count)

    def settle(
        self,
        task_uuid: str,
        *,
        charged: Charged,
        cost_usd: Decimal | None = None,
        overdue_after: timedelta | None = None,
    ) -> Attempt | None:
        """Say what became of money of which nobody could tell; see `tasks.ledger.correct.settle`."""
        return self._database.write(lambda connection: settle(connection, task_uuid, charged, cost_usd, overdue_after))

    def correct(self, known: Attempt, *, charged: Charged, cost_usd: Decimal | None = None) -> Attempt | None:
        """Say what an attempt that is over has cost after all; see `tasks.ledger.correct`."""
        return self._database.write(lambda connection: correct(connection, known, charged, cost_usd))

    def release_unsubmitted(self, run_id: str) -> int:
        """Give back what this run reserved and never submitted; returns how many attempts that were."""

        def release(connection: Connection) -> int:
            values = Move(to=State.RELEASED).values(now_us())
            unsent = (attempts.c.run_id == run_id) & (attempts.c.state == str(State.RESERVED))
            return connection.execute(update(attempts).where(unsent).values(values)).rowcount

        return self._database.write(release)

    def hold_lease(self, holder: str, ttl_s: float, *, run_id: str | None = None) -> None:
        """Say that `holder` lives, for `ttl_s` seconds from now on the database's clock; say so again in time.

        Args:
            holder: A process's own name.
            ttl_s: So long, unless it is said again.
            run_id: The run that it works for; by default one of its own name.

        Raises:
            ValueError: `holder` is empty, or `ttl_s` is below 0.
        """
        self._database.write(lambda connection: leases.hold(connection, holder, ttl_s, run_id))

    def end_lease(self, holder: str) -> None:
        """Say that `holder` lives no more: what it drives is free at once."""
        self._database.write(lambda connection: leases.end(connection, holder))

    def take_wheel(self, task_uuid: str, holder: str, *, run_id: str | None = None) -> Attempt | None:
        """Become the driver of an attempt, if nobody else who lives drives it.

        What is `reserved` is for the run alone that reserved it.

        Args:
            task_uuid: The attempt.
            holder: Who is to drive it.
            run_id: The run that the holder works for; by default one of its own name.

        Returns:
            The attempt as it is now; `None` where somebody else is to drive it.

        Raises:
            LedgerError: no such attempt exists.
        """
        return self._database.write(lambda connection: leases.take_wheel(connection, task_uuid, holder, run_id))

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

    def forget_plans(self, storyboard: str) -> int:
        """Forget the remembered plans of the storyboards with this title; returns how many that were."""
        return self._database.write(lambda connection: plans.forget(connection, storyboard))

    def record_approval(
        self,
        run_id: str,
        *,
        provider: str,
        fingerprint: str,
        sum_usd: Decimal,
        answer: Answer | str,
        who: str,
        how: str,
        limit_usd: Decimal | None = None,
        note: str = "",
    ) -> Approval:
        """Write down what somebody said when asked whether a sum may be spent.

        Args:
            run_id: The run that asked; it need not have begun.
            provider: The provider's identity.
            fingerprint: That of the plan in question.
            sum_usd: The sum.
            answer: `approved`, `rejected` or `timed_out`.
            who: Whoever answered.
            how: Such as `terminal`, `--yes` or `prefect`.
            limit_usd: A new limit that came with the answer.
            note: What else was said. Redacted on the way in.

        Raises:
            ValueError: an amount is no money or finer than a micro-dollar, or there is no such answer.
        """
        at = datetime.now(UTC)
        said = (fingerprint, sum_usd, limit_usd, Answer(answer), who, how, str(redact(note)), at)
        approval = Approval(run_id, provider, *said)
        self._database.write(lambda connection: approvals.record(connection, approval))
        return approval

    def record_reuse(self, run_id: str, items: Iterable[Reuse]) -> None:
        """Write down which clips a run had for nothing. Each counts once a run, however often it is told.

        Raises:
            LedgerError: the run was never begun.
        """
        reused = list(items)
        self._database.write(lambda connection: accounts.record_reuse(connection, run_id, reused))

    def end_run(self, run_id: str, outcome: str, *, holder: str | None = None) -> bool:
        """Write down how a run ended, end the lease of the process that says so, and give back what was never sent.

        Where another process lives that works for it, it goes on: it keeps what is reserved, and is not finished. If
        that one dies, `release_lapsed` finishes it.

        Args:
            run_id: The run.
            outcome: In a word.
            holder: Who ends it; by default one of its own name.

        Returns:
            Whether it is finished.

        Raises:
            LedgerError: the run was never begun.
        """
        return self._database.write(lambda connection: lifetime.end(connection, run_id, outcome, holder or run_id))
