"""Runs share budgets, and whatever happens in whatever order, no limit is passed but by the provider's overruns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from random import Random
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tasks.errors import Charged, OverBudget
from tasks.ledger import ALLOWED, Attempt, Ledger, StandingBudget, State, Totals, Wanted, open_ledger

pytestmark = pytest.mark.thorough

Limit = tuple[str, str]
RUNS = ("one", "two", "three")
amounts = st.sampled_from([Decimal(text) for text in ("0", "0.000001", "0.42", "0.420001", "1.119999")])
limits = st.sampled_from([Decimal(text) for text in ("0", "0.42", "1.00", "1.500001", "3.141592")])
own_limits = st.none() | limits
clients = st.sampled_from(["acme", "other"])
plans = st.lists(st.tuples(st.sampled_from("abcdefg"), amounts), min_size=1, max_size=4)
NOTHING = Decimal(0)


class Spending(RuleBasedStateMachine):
    """Three runs, a budget for all and one for a client, and limits that come and go. A model says what must be.

    The model knows of each attempt which budgets it counts in, and adds up what `Attempt.totals` says. For each limit it
    keeps a ceiling: the limit, or, where that was lowered below what was held, what was held.
    """

    new_url: ClassVar[Callable[[], str]]

    def __init__(self) -> None:
        super().__init__()
        self.ledger: Ledger = open_ledger(type(self).new_url())
        self.limits: dict[Limit, Decimal | None] = {}
        self.under: dict[str, set[str]] = {}
        self.counted: dict[str, set[str]] = {}
        self.ceilings: dict[Limit, Decimal] = {}
        self.dead: set[str] = set()
        self.told = {"studio": Decimal("3.141592"), "acme": Decimal("1.00")}

    # -- what happens ------------------------------------------------------------------------------------------------

    @initialize()
    def runs_begin(self) -> None:
        for run_id in RUNS:
            self.begin(run_id, run_usd=None, shot_usd=None, client="acme")

    @rule(run_id=st.sampled_from(RUNS), run_usd=own_limits, shot_usd=own_limits, client=clients)
    def begin(self, run_id: str, run_usd: Decimal | None, shot_usd: Decimal | None, client: str) -> None:
        self.ledger.begin_run(
            run_id=run_id,
            provider="emulator",
            account="",
            storyboard="",
            budget_usd=run_usd,
            shot_budget_usd=shot_usd,
            budgets=[
                StandingBudget("studio", self.told["studio"]),
                StandingBudget("acme", self.told["acme"], match={"client": "acme"}),
            ],
            tags={"client": client},
        )
        self.ledger.hold_lease(run_id, 600)
        self.dead.discard(run_id)
        self.under[run_id] = {"studio", "acme"} if client == "acme" else {"studio"}
        self.limits["run", run_id] = run_usd
        for shot in "abcdefg":
            self.limits["shot", f"{run_id} {shot}"] = shot_usd
        for name in self.under[run_id]:
            self.limits.setdefault(("standing", name), self.told[name])

    @rule(name=st.sampled_from(["studio", "acme"]), limit_usd=limits)
    def raise_or_lower(self, name: str, limit_usd: Decimal) -> None:
        self.ledger.raise_budget("emulator", name, limit_usd)
        self.limits["standing", name] = limit_usd

    @rule(name=st.sampled_from(["studio", "acme"]), limit_usd=limits, run_id=st.sampled_from(RUNS))
    def the_file_changes(self, name: str, limit_usd: Decimal, run_id: str) -> None:
        changed = self.told[name] != limit_usd
        self.told[name] = limit_usd
        self.begin(run_id, run_usd=None, shot_usd=None, client="acme")
        if changed:
            self.limits["standing", name] = limit_usd

    @rule(run_id=st.sampled_from(RUNS), plan=plans)
    def reserve(self, run_id: str, plan: list[tuple[str, Decimal]]) -> None:
        wanted = [Wanted(key, key, 1, "kling", price, {}) for key, price in plan]
        self.attempt_to(run_id, lambda: self.ledger.reserve(run_id, wanted))

    @rule(run_id=st.sampled_from(RUNS), price=amounts, pick=st.randoms(use_true_random=False))
    def retry(self, run_id: str, price: Decimal, pick: Random) -> None:
        over = self.ledger.attempts(states={State.FAILED, State.REFUSED, State.RELEASED})
        if over:
            failed = pick.choice(over)
            self.attempt_to(run_id, lambda: [self.ledger.retry(run_id, failed, price)])

    def attempt_to(self, run_id: str, reserve: Callable[[], list[Attempt]]) -> None:
        before = self.ledger.attempts()
        try:
            got = reserve()
        except OverBudget as refused:
            error = refused
        else:
            for attempt in got:
                if attempt.state is State.RESERVED and attempt.run_id == run_id:
                    self.counted[attempt.task_uuid] = set(self.under[run_id])
            return
        assert self.ledger.attempts() == before
        limit: Limit = {
            "run": ("run", run_id),
            "shot": ("shot", f"{run_id} {error.shot}"),
            "standing": ("standing", str(error.budget)),
        }[error.scope]
        assert error.limit_usd == self.limits[limit]
        # What the dead have reserved was out of the way already.
        assert error.held_usd == self.held(limit, but=self.dead - {run_id}).held_usd
        assert error.held_usd + error.needed_usd > error.limit_usd

    @rule(
        pick=st.randoms(use_true_random=False),
        cost=st.none() | amounts,
        charged=st.sampled_from([None, Charged.NO, Charged.YES]),
    )
    def go_on(self, pick: Random, cost: Decimal | None, charged: Charged | None) -> None:
        movable = [attempt for attempt in self.ledger.attempts() if ALLOWED[attempt.state]]
        if movable:
            attempt = pick.choice(movable)
            to = pick.choice(sorted(ALLOWED[attempt.state]))
            over = to in {State.FAILED, State.REFUSED}
            costs = to in {State.SUCCEEDED, State.STORED} or (over and charged is Charged.YES)
            self.ledger.move(attempt.task_uuid, to, cost_usd=cost if costs else None, charged=charged if over else None)

    @rule(charged=st.sampled_from([Charged.NO, Charged.YES]), cost=st.none() | amounts)
    def settle(self, charged: Charged, cost: Decimal | None) -> None:
        for attempt in self.ledger.attempts(states={State.UNKNOWN, State.FAILED})[:1]:
            self.ledger.settle(attempt.task_uuid, charged=charged, cost_usd=cost if charged is Charged.YES else None)

    @rule(run_id=st.sampled_from(RUNS))
    def end(self, run_id: str) -> None:
        self.ledger.release_unsubmitted(run_id)

    @rule(run_id=st.sampled_from(RUNS))
    def crash(self, run_id: str) -> None:
        self.ledger.hold_lease(run_id, 0)
        self.dead.add(run_id)

    # -- what must be ------------------------------------------------------------------------------------------------

    def counting_in(self, limit: Limit) -> Iterator[Attempt]:
        scope, name = limit
        for attempt in self.ledger.attempts():
            if (scope == "standing" and name in self.counted[attempt.task_uuid]) or name == (
                attempt.run_id if scope == "run" else f"{attempt.run_id} {attempt.shot}"
            ):
                yield attempt

    def held(self, limit: Limit, but: Collection[str] = ()) -> Totals:
        """What a limit holds, without what the runs `but` have reserved and not sent."""
        counting = self.counting_in(limit)
        totals = [it.totals for it in counting if it.state is not State.RESERVED or it.run_id not in but]
        return Totals(
            sum((it.reserved_usd for it in totals), NOTHING),
            sum((it.spent_usd for it in totals), NOTHING),
            sum((it.unknown_usd for it in totals), NOTHING),
        )

    @invariant()
    def no_limit_is_passed_but_by_overruns(self) -> None:
        for limit, limit_usd in self.limits.items():
            if limit_usd is None:
                self.ceilings.pop(limit, None)
                continue
            overruns_usd = sum(
                (max(NOTHING, it.totals.held_usd - it.reserved_usd) for it in self.counting_in(limit)), NOTHING
            )
            within_usd = self.held(limit).held_usd - overruns_usd
            # A limit that is new, or lower than what is held, takes nothing back; it allows nothing more either.
            ceiling_usd = self.ceilings.get(limit, max(limit_usd, within_usd))
            assert within_usd <= max(ceiling_usd, limit_usd)
            self.ceilings[limit] = max(limit_usd, min(ceiling_usd, within_usd))

    @invariant()
    def it_adds_up_to_the_micro_dollar(self) -> None:
        for state in self.ledger.budget_states("emulator"):
            held = self.held(("standing", state.name))
            assert Totals(state.reserved_usd, state.spent_usd, state.unknown_usd) == held
            assert state.limit_usd == self.limits["standing", state.name]
        for run_id in RUNS:
            if self.ledger.run(run_id) is not None:
                assert self.ledger.totals(run_id) == self.held(("run", run_id))

    def teardown(self) -> None:
        self.ledger.close()


def test_whatever_happens_no_budget_is_passed(new_url: Callable[[], str]) -> None:
    class SpendingHere(Spending):
        pass

    SpendingHere.new_url = staticmethod(new_url)
    many = "://" not in new_url()
    run_state_machine_as_test(
        SpendingHere,
        settings=settings(
            max_examples=25 if many else 6,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
