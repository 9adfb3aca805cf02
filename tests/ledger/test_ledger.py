"""Runs, questions, settling, and the ledger as a whole under long sequences of everything that can happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tasks.errors import BadInput, Charged, LedgerError, OverBudget, ProviderFailed
from tasks.ledger import ALLOWED, LIVE, Attempt, Ledger, State, TimedClip, Totals, Wanted, open_ledger
from tasks.ledger.states import SETTLED_AS_FREE

Begin = Callable[..., str]
Want = Callable[..., Wanted]
AttemptIn = Callable[..., Attempt]


def test_beginning_a_run_twice_changes_nothing(ledger: Ledger, begin: Begin) -> None:
    begin(budget="1.00")
    first = ledger.run("run")
    begin(budget="1.00")
    assert ledger.run("run") == first
    assert ledger.runs() == [first]


def test_a_resumed_run_keeps_what_it_holds_and_takes_the_budget_given_now(
    ledger: Ledger, begin: Begin, want: Want
) -> None:
    begin(budget="1.00")
    (attempt,) = ledger.reserve("run", [want("a")])
    ledger.move(attempt.task_uuid, State.SUBMITTED)
    assert ledger.end_run("run", "failed")
    begin(budget="0.50", account="f00d")
    run = ledger.run("run")
    assert run is not None
    assert (run.finished_at, run.outcome, run.account) == (None, None, "f00d")
    with pytest.raises(OverBudget):
        ledger.reserve("run", [want("b", price="0.09")])


def test_a_run_stays_with_its_provider(ledger: Ledger, begin: Begin) -> None:
    begin()
    with pytest.raises(LedgerError, match="belongs to provider emulator"):
        begin(provider="runware")


def test_a_run_says_how_it_ended(ledger: Ledger, begin: Begin) -> None:
    begin()
    assert ledger.end_run("run", "done")
    assert not ledger.is_alive("run")
    run = ledger.run("run")
    assert run is not None
    assert run.outcome == "done"
    assert run.finished_at is not None
    assert run.finished_at >= run.started_at
    with pytest.raises(LedgerError, match="never begun"):
        ledger.end_run("nobody", "done")


def test_a_budget_finer_than_a_micro_dollar_is_refused(ledger: Ledger, begin: Begin) -> None:
    with pytest.raises(ValueError, match="finer"):
        begin(budget="0.0000001")
    assert ledger.run("run") is None


def test_at_a_runs_end_only_what_never_left_is_given_back(ledger: Ledger, begin: Begin, attempt_in: AttemptIn) -> None:
    sent = attempt_in(State.SUBMITTED, key="sent")
    attempt_in(State.RESERVED, key="unsent")
    attempt_in(State.RESERVED, key="theirs", run_id="theirs")
    assert ledger.release_unsubmitted("run") == 1
    assert ledger.release_unsubmitted("run") == 0
    assert {a.content_key: a.state for a in ledger.attempts()} == {
        "sent": State.SUBMITTED,
        "unsent": State.RELEASED,
        "theirs": State.RESERVED,
    }
    assert ledger.totals("run").held_usd == sent.reserved_usd
    assert ledger.live("emulator", "unsent") is None


def test_live_and_paid_answer_for_a_key_of_a_provider(ledger: Ledger, attempt_in: AttemptIn) -> None:
    assert ledger.live("emulator", "key") is None
    assert ledger.paid("emulator", "key") is None
    attempt = attempt_in(State.ACCEPTED)
    assert ledger.live("emulator", "key") == attempt
    assert ledger.paid("emulator", "key") is None
    assert ledger.live("runware", "key") is None
    succeeded = ledger.move(attempt.task_uuid, State.SUCCEEDED)
    assert ledger.live("emulator", "key") == ledger.paid("emulator", "key") == succeeded
    stored = ledger.move(attempt.task_uuid, State.STORED)
    assert ledger.live("emulator", "key") is None
    assert ledger.paid("emulator", "key") == stored


def test_paid_is_the_newest_one(ledger: Ledger, want: Want, attempt_in: AttemptIn) -> None:
    old = attempt_in(State.STORED)
    (new,) = ledger.reserve("run", [want("key", replaces=old.task_uuid)])
    assert ledger.paid("emulator", "key") == old
    for step in (State.SUBMITTED, State.SUCCEEDED, State.STORED):
        ledger.move(new.task_uuid, step)
    paid = ledger.paid("emulator", "key")
    assert paid is not None
    assert paid.task_uuid == new.task_uuid


def test_attempts_can_be_asked_for_by_what_they_are(ledger: Ledger, attempt_in: AttemptIn) -> None:
    a = attempt_in(State.FAILED, key="a")
    b = attempt_in(State.SUBMITTED, key="b")
    c = attempt_in(State.SUBMITTED, key="c", run_id="other")
    assert ledger.attempts() == [a, b, c]
    assert ledger.attempts(run_id="run") == [a, b]
    assert ledger.attempts(shot="c") == ledger.attempts(content_key="c") == [c]
    assert ledger.attempts(states={State.SUBMITTED}) == [b, c]
    assert ledger.attempts(states=[]) == ledger.attempts(provider="runware") == []
    assert ledger.attempts(run_id="run", states=LIVE) == [b]
    assert ledger.attempt(str(uuid4())) is None


def test_how_long_clips_took_is_told_of_the_latest_of_a_model_that_were_paid(
    ledger: Ledger, attempt_in: AttemptIn, begin: Begin, want: Want, change: Callable[..., list[Any]]
) -> None:
    def made(key: str, *steps: State, took_us: int | None = None, **facts: Any) -> None:
        if ledger.run(facts.get("provider", "emulator")) is None:
            begin(facts.get("provider", "emulator"), provider=facts.get("provider", "emulator"))
        facts = {"request": {"duration": 5, "positivePrompt": "A 'lake'"}, "provider": "emulator"} | facts
        (attempt,) = ledger.reserve(str(facts.pop("provider")), [want(key, **facts)])
        for step in steps or (State.SUBMITTED, State.ACCEPTED, State.SUCCEEDED, State.STORED):
            ledger.move(attempt.task_uuid, step)
        if took_us is not None:
            change(f"UPDATE attempts SET finished_at = accepted_at + {took_us} WHERE content_key = '{key}'")  # noqa: S608  # a test's own words

    assert ledger.clip_times("emulator", "kling") == []
    made("first", took_us=61_250_000)
    made("text", took_us=8_000_000, request={"duration": Decimal("7.5")})
    made("succeeded", State.SUBMITTED, State.ACCEPTED, State.SUCCEEDED, took_us=3_000_001)
    made("edit", took_us=1, request={"positivePrompt": "An edit"})
    made("nonsense", took_us=1, request={"duration": "long"})
    made("endless", took_us=1, request={"duration": "Infinity"})
    made("failed", State.SUBMITTED, State.ACCEPTED, State.FAILED, took_us=1)
    made("never accepted", State.SUBMITTED, State.SUCCEEDED)
    made("another", took_us=1, model="another")
    made("theirs", took_us=1, provider="runware")
    attempt_in(State.ACCEPTED, key="in work")

    told = ledger.clip_times("emulator", "kling")

    assert told == [
        TimedClip(Decimal(5), Decimal("61.25")),
        TimedClip(Decimal("7.5"), Decimal(8)),
        TimedClip(Decimal(5), Decimal("3.000001")),
    ]
    assert ledger.clip_times("emulator", "kling", latest=3) == told[-1:]  # the two that say nothing are the latest
    assert ledger.clip_times("runware", "kling") == [TimedClip(Decimal(5), Decimal("0.000001"))]


def test_totals_tell_held_spent_and_unknown_apart(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt_in(State.ACCEPTED, key="a")
    attempt_in(State.SUCCEEDED, key="b", cost_usd=Decimal("0.40"))
    attempt_in(State.UNKNOWN, key="c")
    attempt_in(State.FAILED, key="d", charged=Charged.UNKNOWN)
    attempt_in(State.FAILED, key="e", charged=Charged.NO)
    attempt_in(State.REFUSED, key="f", charged=Charged.YES, cost_usd=Decimal("0.000001"))
    assert ledger.totals("run") == Totals(Decimal("0.42"), Decimal("0.400001"), Decimal("0.84"))
    assert ledger.totals("nobody").held_usd == 0


def test_a_lost_request_is_posted_once_more_by_one_alone(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.SUBMITTED)
    again = ledger.count_post(attempt.task_uuid, posts=1)
    assert again is not None
    assert (again.posts, again.state) == (2, State.SUBMITTED)
    assert ledger.count_post(attempt.task_uuid, posts=1) is None
    ledger.move(attempt.task_uuid, State.ACCEPTED)
    assert ledger.count_post(attempt.task_uuid, posts=2) is None


def test_an_unknown_attempt_is_posted_once_more_too_unless_it_was_ever_accepted(
    ledger: Ledger, attempt_in: AttemptIn
) -> None:
    attempt = attempt_in(State.UNKNOWN)
    again = ledger.count_post(attempt.task_uuid, posts=1)
    assert again is not None
    assert (again.posts, again.state) == (2, State.SUBMITTED)  # nobody settles what may be leaving now
    assert ledger.settle(attempt.task_uuid, charged=Charged.NO) is None
    assert ledger.count_post(attempt.task_uuid, posts=1) is None
    accepted = attempt_in(State.ACCEPTED, key="other")
    ledger.move(accepted.task_uuid, State.UNKNOWN)
    assert ledger.count_post(accepted.task_uuid, posts=1) is None


@pytest.mark.parametrize(
    ("charged", "cost", "spent"),
    [(Charged.NO, None, "0"), (Charged.YES, None, "0.42"), (Charged.YES, "0.30", "0.30")],
)
@pytest.mark.parametrize("state", [State.UNKNOWN, State.FAILED, State.REFUSED])
def test_a_person_settles_what_nobody_could_tell(
    *, ledger: Ledger, attempt_in: AttemptIn, state: State, charged: Charged, cost: str | None, spent: str
) -> None:
    attempt = attempt_in(state, **({} if state is State.UNKNOWN else {"charged": Charged.UNKNOWN}))
    assert attempt.totals.unknown_usd == Decimal("0.42")
    cost_usd = None if cost is None else Decimal(cost)
    settled = ledger.settle(attempt.task_uuid, charged=charged, cost_usd=cost_usd)
    assert settled is not None
    is_over = state is State.UNKNOWN and charged is Charged.NO
    assert settled.state is (State.FAILED if is_over else state)
    assert ledger.totals("run") == Totals(Decimal(0), Decimal(spent), Decimal(0))
    if state is not State.UNKNOWN or is_over:
        assert ledger.settle(attempt.task_uuid, charged=charged) is None


def test_what_is_settled_as_charged_is_neither_posted_nor_bought_again(
    ledger: Ledger, attempt_in: AttemptIn, want: Want
) -> None:
    attempt = attempt_in(State.UNKNOWN)
    settled = ledger.settle(attempt.task_uuid, charged=Charged.YES)
    assert settled is not None
    assert ledger.count_post(attempt.task_uuid, posts=1) is None
    assert ledger.reserve("run", [want(attempt.content_key)]) == [settled]


def test_what_a_person_said_may_be_said_otherwise_until_the_provider_says_something(
    ledger: Ledger, attempt_in: AttemptIn
) -> None:
    attempt = attempt_in(State.UNKNOWN)
    for cost in ("0.30", "0.31"):
        ledger.settle(attempt.task_uuid, charged=Charged.YES, cost_usd=Decimal(cost))
        assert ledger.totals("run").spent_usd == Decimal(cost)
    taken_back = ledger.settle(attempt.task_uuid, charged=Charged.NO)
    assert taken_back is not None
    assert (taken_back.state, taken_back.charged, taken_back.cost_usd) == (State.FAILED, Charged.NO, None)
    assert taken_back.error_code == SETTLED_AS_FREE
    assert ledger.totals("run").held_usd == 0
    seen = attempt_in(State.SUCCEEDED, key="other", result={"videoURL": "https://x.test/a.mp4"})
    assert ledger.settle(seen.task_uuid, charged=Charged.NO) is None


@pytest.mark.parametrize(
    ("error", "charged", "spent"),
    [
        (ProviderFailed("it failed", charged=Charged.NO, cost_usd=Decimal(0)), Charged.NO, "0"),
        (ProviderFailed("it failed"), Charged.YES, "0.30"),
    ],
)
def test_the_providers_word_counts_more_than_a_persons(
    *, ledger: Ledger, attempt_in: AttemptIn, error: ProviderFailed, charged: Charged, spent: str
) -> None:
    attempt = attempt_in(State.UNKNOWN)
    ledger.settle(attempt.task_uuid, charged=Charged.YES, cost_usd=Decimal("0.30"))
    ended = ledger.move(attempt.task_uuid, State.FAILED, error=error)
    assert ended is not None
    assert (ended.charged, ledger.totals("run").held_usd) == (charged, Decimal(spent))


def test_a_settled_attempt_that_is_in_work_after_all_holds_its_price_again(
    ledger: Ledger, attempt_in: AttemptIn
) -> None:
    attempt = attempt_in(State.UNKNOWN)
    ledger.settle(attempt.task_uuid, charged=Charged.YES, cost_usd=Decimal("0.30"))
    accepted = ledger.move(attempt.task_uuid, State.ACCEPTED)
    assert accepted is not None
    assert (accepted.charged, accepted.cost_usd, accepted.totals.reserved_usd) == (None, None, Decimal("0.42"))


@pytest.mark.parametrize(
    ("charged", "state", "held"), [(Charged.YES, State.UNKNOWN, "0.42"), (Charged.NO, State.FAILED, "0")]
)
def test_what_is_in_work_for_ever_can_be_settled(
    ledger: Ledger, attempt_in: AttemptIn, charged: Charged, state: State, held: str
) -> None:
    attempt = attempt_in(State.ACCEPTED)
    assert ledger.settle(attempt.task_uuid, charged=charged) is None
    assert ledger.settle(attempt.task_uuid, charged=charged, overdue_after=timedelta(minutes=1)) is None
    assert ledger.attempt(attempt.task_uuid) == attempt
    ledger.hold_lease("studio", 60)
    ledger.take_wheel(attempt.task_uuid, "studio")
    with pytest.raises(BadInput, match="studio is working on this attempt"):
        ledger.settle(attempt.task_uuid, charged=charged, overdue_after=timedelta(0))
    ledger.end_lease("studio")
    settled = ledger.settle(attempt.task_uuid, charged=charged, overdue_after=timedelta(0))
    assert settled is not None
    assert (settled.state, settled.charged, settled.totals.held_usd) == (state, charged, Decimal(held))
    assert ledger.count_post(attempt.task_uuid, posts=1) is None


@pytest.mark.parametrize("charged", [Charged.YES, Charged.NO])
def test_nobody_settles_what_a_living_run_works_on(ledger: Ledger, attempt_in: AttemptIn, charged: Charged) -> None:
    attempt = attempt_in(State.UNKNOWN)
    ledger.hold_lease("studio/1", 60, run_id="studio")
    ledger.take_wheel(attempt.task_uuid, "studio/1", run_id="studio")
    with pytest.raises(BadInput, match="studio is working on this attempt") as refused:
        ledger.settle(attempt.task_uuid, charged=charged)
    assert (refused.value.exit_code, refused.value.task_uuid) == (2, attempt.task_uuid)
    ledger.end_lease("studio/1")
    assert ledger.settle(attempt.task_uuid, charged=charged) is not None


def test_settling_needs_an_answer_and_something_to_settle(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.UNKNOWN)
    with pytest.raises(LedgerError, match="needs an answer"):
        ledger.settle(attempt.task_uuid, charged=Charged.UNKNOWN)
    with pytest.raises(LedgerError, match="cannot have cost"):
        ledger.settle(attempt.task_uuid, charged=Charged.NO, cost_usd=Decimal("0.1"))
    with pytest.raises(LedgerError, match="knows no attempt"):
        ledger.settle(str(uuid4()), charged=Charged.NO)
    assert ledger.settle(attempt_in(State.STORED, key="fine").task_uuid, charged=Charged.NO) is None


PRICES = st.sampled_from([Decimal(text) for text in ("0", "0.000001", "0.42", "0.420001", "1.119999")])
LIMITS = {"tight": Decimal("1.00"), "wide": Decimal("3.141592"), "none": None}


class Life(RuleBasedStateMachine):
    """Three runs share six keys, and everything that can happen to an attempt happens, in any order."""

    new_url: ClassVar[Callable[[], str]]

    def __init__(self) -> None:
        super().__init__()
        self.ledger = open_ledger(type(self).new_url())

    @initialize()
    def runs_begin(self) -> None:
        for run_id, limit in LIMITS.items():
            self.ledger.begin_run(run_id=run_id, provider="emulator", account="", storyboard="", budget_usd=limit)
            self.ledger.hold_lease(run_id, 600)

    @rule(
        run_id=st.sampled_from(list(LIMITS)),
        plan=st.lists(st.tuples(st.sampled_from("abcdef"), PRICES), min_size=1, max_size=4),
    )
    def reserve(self, run_id: str, plan: list[tuple[str, Decimal]]) -> None:
        before = self.ledger.attempts()
        wanted = [Wanted(key, key, 1, "kling", price, {}) for key, price in plan]
        try:
            got = self.ledger.reserve(run_id, wanted)
        except OverBudget:
            assert self.ledger.attempts() == before
            return
        assert [attempt.content_key for attempt in got] == [key for key, _ in plan]
        assert all(attempt.state in LIVE | {State.STORED} for attempt in got)
        known = {attempt.task_uuid: attempt for attempt in before}
        for attempt in got:  # what was there costs nothing; this run's own reservations follow the price
            own = attempt.state is State.RESERVED and attempt.run_id == run_id
            assert own or attempt == known[attempt.task_uuid]
        for old in before:
            if old.state is State.STORED:
                assert self.ledger.live("emulator", old.content_key) is None

    @rule(
        pick=st.randoms(use_true_random=False),
        cost=st.none() | PRICES,
        charged=st.sampled_from([None, Charged.NO, Charged.UNKNOWN]),
    )
    def happen(self, pick: Random, cost: Decimal | None, charged: Charged | None) -> None:
        movable = [attempt for attempt in self.ledger.attempts() if ALLOWED[attempt.state]]
        if not movable:
            return
        attempt = pick.choice(movable)
        to = pick.choice(sorted(ALLOWED[attempt.state]))
        moved = self.ledger.move(
            attempt.task_uuid,
            to,
            cost_usd=cost if to in {State.SUCCEEDED, State.STORED} else None,
            charged=charged if to in {State.FAILED, State.REFUSED} else None,
        )
        assert moved is not None

    @rule(run_id=st.sampled_from(list(LIMITS)), price=PRICES)
    def retry(self, run_id: str, price: Decimal) -> None:
        over = self.ledger.attempts(states={State.FAILED, State.REFUSED, State.RELEASED})
        if not over:
            return
        before = self.ledger.attempts()
        try:
            again = self.ledger.retry(run_id, over[-1], price)
        except OverBudget:
            assert self.ledger.attempts() == before
        else:
            assert again.content_key == over[-1].content_key
            assert again.task_uuid != over[-1].task_uuid

    @rule(charged=st.sampled_from([Charged.NO, Charged.YES]))
    def settle(self, charged: Charged) -> None:
        for attempt in self.ledger.attempts(states={State.UNKNOWN, State.FAILED})[:1]:
            self.ledger.settle(attempt.task_uuid, charged=charged)

    @rule(run_id=st.sampled_from(list(LIMITS)))
    def die_and_come_back(self, run_id: str) -> None:
        self.ledger.end_lease(run_id)
        self.ledger.release_lapsed()
        assert self.ledger.totals(run_id).reserved_usd == sum(
            (it.totals.reserved_usd for it in self.ledger.attempts(run_id=run_id, states=LIVE - {State.RESERVED})),
            Decimal(0),
        )
        self.ledger.hold_lease(run_id, 600)

    @rule(run_id=st.sampled_from(list(LIMITS)))
    def end(self, run_id: str) -> None:
        self.ledger.release_unsubmitted(run_id)
        assert not self.ledger.attempts(run_id=run_id, states={State.RESERVED})

    @invariant()
    def nothing_passes_a_limit_but_the_providers_own_overruns(self) -> None:
        for run_id, limit in LIMITS.items():
            mine = self.ledger.attempts(run_id=run_id)
            held = self.ledger.totals(run_id).held_usd
            assert held == sum((attempt.totals.held_usd for attempt in mine), Decimal(0))
            overruns = sum(
                (max(Decimal(0), (attempt.cost_usd or Decimal(0)) - attempt.reserved_usd) for attempt in mine),
                Decimal(0),
            )
            assert limit is None or held <= limit + overruns

    @invariant()
    def a_key_has_at_most_one_live_attempt(self) -> None:
        live = Counter(attempt.content_key for attempt in self.ledger.attempts(states=LIVE))
        assert all(count == 1 for count in live.values())

    def teardown(self) -> None:
        self.ledger.close()


def test_whatever_happens_in_whatever_order(new_url: Callable[[], str]) -> None:
    class LifeHere(Life):
        pass

    LifeHere.new_url = staticmethod(new_url)
    many = "://" not in new_url()
    run_state_machine_as_test(
        LifeHere,
        settings=settings(
            max_examples=25 if many else 8,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
