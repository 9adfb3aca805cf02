"""Whether there is room: in the run's own budget, in that of each shot, and in every standing one."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import Charged, OverBudget
from tasks.ledger import Attempt, Ledger, Period, StandingBudget, State, Wanted
from tasks.ledger.budget import Bound, check_room

Begin = Callable[..., str]
Want = Callable[..., Wanted]
AttemptIn = Callable[..., Attempt]

STUDIO = StandingBudget("studio", Decimal("1.00"))
amounts = st.integers(min_value=0, max_value=100)


@given(limit=amounts, needed=st.integers(-100, 100), held=amounts)
def test_what_fits_is_let_through_and_what_does_not_is_refused(limit: int, needed: int, held: int) -> None:
    if held + needed <= limit or needed <= 0:
        check_room(Bound("run", limit), held, needed)
    else:
        with pytest.raises(OverBudget):
            check_room(Bound("run", limit), held, needed)


def test_the_refusal_says_what_was_needed_what_the_limit_is_and_what_is_held() -> None:
    with pytest.raises(OverBudget) as refused:
        check_room(Bound("run", 1_000_000), 600_000, 420_000)
    error = pickle.loads(pickle.dumps(refused.value))  # noqa: S301  # it may cross to another process
    assert (error.needed_usd, error.limit_usd, error.held_usd) == (Decimal("0.42"), Decimal(1), Decimal("0.60"))
    assert (error.scope, error.budget, error.period, error.shot) == ("run", None, None, None)
    assert error.as_dict().items() >= {"needed_usd": "0.42", "limit_usd": "1.00", "held_usd": "0.60"}.items()
    assert "the budget is $1.00, of which $0.60" in str(error)
    assert error.exit_code == 3


def test_the_refusal_names_a_standing_budget_and_its_period() -> None:
    bound = Bound("run", 1_000_000, "standing", "studio", Period.MONTH)
    with pytest.raises(OverBudget) as refused:
        check_room(bound, 0, 1_000_001)
    error = pickle.loads(pickle.dumps(refused.value))  # noqa: S301
    assert (error.scope, error.budget, error.period) == ("standing", "studio", "month")
    assert error.as_dict().items() >= {"scope": "standing", "budget": "studio", "period": "month"}.items()
    assert "the budget 'studio' is $1.00 a month" in str(error)
    assert "wait for the next month" in str(error)


def test_the_refusal_names_a_shot() -> None:
    with pytest.raises(OverBudget) as refused:
        check_room(Bound("run", 1_000_000, "shot", "opening"), 0, 1_000_001)
    assert (refused.value.scope, refused.value.shot, refused.value.budget) == ("shot", "opening", None)
    assert "shot 'opening': this needs $1.000001, and a shot's budget is $1.00" in str(refused.value)


class TestShots:
    def test_takes_and_retries_of_a_shot_share_its_budget(self, ledger: Ledger, begin: Begin, want: Want) -> None:
        run = begin(shot_budget_usd=Decimal("0.84"))
        takes = [want(f"{shot}{take}", shot=shot, take=take) for shot in "ab" for take in (1, 2)]
        first = ledger.reserve(run, takes)[0]
        with pytest.raises(OverBudget) as refused:
            ledger.reserve(run, [want("a3", shot="a", take=3), want("c", shot="c")])
        assert (refused.value.scope, refused.value.shot, refused.value.held_usd) == ("shot", "a", Decimal("0.84"))
        ledger.move(first.task_uuid, State.SUBMITTED)
        failed = ledger.move(first.task_uuid, State.FAILED, charged=Charged.YES)
        assert failed is not None
        with pytest.raises(OverBudget):
            ledger.retry(run, failed, Decimal("0.42"))

    def test_a_failure_that_cost_nothing_leaves_its_room_to_the_retry(
        self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn
    ) -> None:
        begin(shot_budget_usd=Decimal("0.42"))
        failed = attempt_in(State.FAILED, charged=Charged.NO)
        assert ledger.retry("run", failed, Decimal("0.42")).number == 2

    def test_an_unsent_take_that_moves_to_another_shot_takes_its_money_along(
        self, ledger: Ledger, begin: Begin, want: Want
    ) -> None:
        run = begin(shot_budget_usd=Decimal("0.50"))
        ledger.reserve(run, [want("key", shot="a")])
        ledger.reserve(run, [want("key", shot="b", price="0.50")])
        assert len(ledger.reserve(run, [want("other", shot="a", price="0.50")])) == 1
        with pytest.raises(OverBudget):
            ledger.reserve(run, [want("third", shot="b", price="0.01")])


class TestStanding:
    def test_runs_share_one(self, ledger: Ledger, begin: Begin, want: Want) -> None:
        begin("one", budgets=[STUDIO])
        begin("two", budgets=[STUDIO], budget="0.84")
        ledger.reserve("one", [want("a")])
        ledger.reserve("two", [want("b")])
        with pytest.raises(OverBudget) as refused:
            ledger.reserve("two", [want("c")])
        error = refused.value
        assert (error.scope, error.budget, error.period) == ("standing", "studio", "forever")
        assert (error.needed_usd, error.held_usd) == (Decimal("0.42"), Decimal("0.84"))
        assert [attempt.content_key for attempt in ledger.attempts()] == ["a", "b"]

    def test_what_is_given_back_is_there_for_others(
        self, ledger: Ledger, begin: Begin, want: Want, attempt_in: AttemptIn
    ) -> None:
        begin(budgets=[STUDIO])
        begin("other", budgets=[STUDIO])
        attempt_in(State.RELEASED, key="a")
        attempt_in(State.REFUSED, key="b")
        attempt_in(State.FAILED, key="c", charged=Charged.NO)
        attempt_in(State.STORED, key="d", cost_usd=Decimal("0.16"))
        assert len(ledger.reserve("other", [want("e"), want("f")])) == 2

    def test_what_a_dead_run_had_reserved_too(self, ledger: Ledger, begin: Begin, want: Want) -> None:
        begin("dead", budgets=[STUDIO])
        begin("alive", budgets=[STUDIO])
        ledger.reserve("dead", [want("a"), want("b")])
        with pytest.raises(OverBudget):
            ledger.reserve("alive", [want("c")])
        ledger.end_lease("dead")
        assert len(ledger.reserve("alive", [want("c")])) == 1

    @pytest.mark.parametrize("state", [State.SUBMITTED, State.ACCEPTED, State.UNKNOWN, State.FAILED])
    def test_what_may_have_been_charged_stays(
        self, ledger: Ledger, begin: Begin, want: Want, attempt_in: AttemptIn, state: State
    ) -> None:
        begin(budgets=[StandingBudget("studio", Decimal("0.83"))])
        attempt_in(state, key="a")
        ledger.end_lease("run")
        ledger.release_lapsed()
        with pytest.raises(OverBudget):
            ledger.reserve("run", [want("b")])

    def test_a_cost_above_its_price_is_booked_and_refuses_the_next(
        self, ledger: Ledger, begin: Begin, want: Want, attempt_in: AttemptIn
    ) -> None:
        begin(budgets=[STUDIO])
        attempt_in(State.SUCCEEDED, cost_usd=Decimal("1.50"))
        (state,) = ledger.budget_states("emulator")
        assert (state.spent_usd, state.room_usd, state.overrun_usd) == (Decimal("1.50"), Decimal(0), Decimal("0.50"))
        with pytest.raises(OverBudget):
            ledger.reserve("run", [want("b", price="0.000001")])
        assert len(ledger.reserve("run", [want("free", price="0")])) == 1

    def test_what_another_run_pays_is_adopted_for_nothing(
        self, ledger: Ledger, begin: Begin, want: Want, attempt_in: AttemptIn
    ) -> None:
        theirs = attempt_in(State.ACCEPTED, run_id="theirs")
        begin(budgets=[StandingBudget("studio", Decimal(0))])
        assert ledger.reserve("run", [want("key")]) == [theirs]

    def test_another_providers_dollars_are_others(self, ledger: Ledger, begin: Begin, want: Want) -> None:
        begin("previs", budgets=[STUDIO])
        begin("real", provider="runware", budgets=[STUDIO])
        ledger.reserve("previs", [want("a"), want("b")])
        assert len(ledger.reserve("real", [want("a"), want("b")])) == 2
        assert [state.held_usd for state in ledger.budget_states("runware")] == [Decimal("0.84")]

    def test_each_of_many_must_have_room(self, ledger: Ledger, begin: Begin, want: Want) -> None:
        acme = StandingBudget("acme", Decimal("0.50"), match={"client": "acme"})
        begin("theirs", budgets=[acme, STUDIO], tags={"client": "acme"})
        begin("other", budgets=[acme, STUDIO], tags={"client": "other"})
        ledger.reserve("theirs", [want("a")])
        with pytest.raises(OverBudget) as refused:
            ledger.reserve("theirs", [want("b")])
        assert refused.value.budget == "acme"
        ledger.reserve("other", [want("b")])
        with pytest.raises(OverBudget) as refused:
            ledger.reserve("other", [want("c")])
        assert refused.value.budget == "studio"

    def test_an_unsent_reservation_follows_price_and_budgets(self, ledger: Ledger, begin: Begin, want: Want) -> None:
        acme = StandingBudget("acme", Decimal("0.50"), match={"client": "acme"})
        begin(budgets=[acme, STUDIO])
        ledger.reserve("run", [want("a")])
        begin(budgets=[acme, STUDIO], tags={"client": "acme"})
        with pytest.raises(OverBudget) as refused:
            ledger.reserve("run", [want("a", price="0.51")])
        # It is in `studio` already, and is new to `acme`.
        assert (refused.value.budget, refused.value.needed_usd) == ("acme", Decimal("0.51"))
        ledger.reserve("run", [want("a", price="0.50")])
        assert {it.name: it.held_usd for it in ledger.budget_states("emulator")} == {
            "acme": Decimal("0.50"),
            "studio": Decimal("0.50"),
        }
        begin(budgets=[STUDIO])
        ledger.reserve("run", [want("a")])
        assert {it.name: it.held_usd for it in ledger.budget_states("emulator")} == {
            "acme": Decimal(0),
            "studio": Decimal("0.42"),
        }
