"""Standing budgets as they are remembered: periods, latest words, raises, and how they stand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tasks.errors import LedgerError, OverBudget
from tasks.ledger import Attempt, BudgetState, Ledger, Period, StandingBudget, State, Wanted

Begin = Callable[..., str]
Want = Callable[..., Wanted]
AttemptIn = Callable[..., Attempt]
Change = Callable[..., object]


def studio(limit: str = "1.00", period: Period = Period.FOREVER, timezone: str = "UTC") -> StandingBudget:
    return StandingBudget("studio", Decimal(limit), period, timezone)


def backdate(change: Change, moment: datetime) -> None:
    """Let everything have been reserved at `moment`."""
    micro = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    change(f"UPDATE attempt_budgets SET reserved_at = {micro}")  # noqa: S608


def state_of(ledger: Ledger) -> BudgetState:
    (state,) = ledger.budget_states("emulator")
    return state


class TestPeriods:
    @pytest.mark.parametrize("period", [Period.DAY, Period.WEEK, Period.MONTH])
    def test_a_new_one_is_full_again(
        self, ledger: Ledger, begin: Begin, want: Want, change: Change, period: Period
    ) -> None:
        begin(budgets=[studio("0.42", period, "Asia/Kathmandu")])
        ledger.reserve("run", [want("a")])
        with pytest.raises(OverBudget):
            ledger.reserve("run", [want("b")])
        state = state_of(ledger)
        assert state.since is not None
        backdate(change, state.since)
        with pytest.raises(OverBudget):
            ledger.reserve("run", [want("b")])
        backdate(change, state.since - timedelta(microseconds=1))
        assert state_of(ledger).held_usd == 0
        assert len(ledger.reserve("run", [want("b")])) == 1
        assert state_of(ledger).held_usd == Decimal("0.42")

    def test_a_cost_counts_in_the_period_of_its_reservation(
        self, ledger: Ledger, begin: Begin, want: Want, change: Change
    ) -> None:
        begin(budgets=[studio("0.42", Period.DAY)])
        (attempt,) = ledger.reserve("run", [want("a")])
        backdate(change, datetime.now(UTC) - timedelta(days=1))
        for step in (State.SUBMITTED, State.SUCCEEDED):
            ledger.move(attempt.task_uuid, step)
        assert state_of(ledger).held_usd == 0
        assert ledger.totals("run").spent_usd == Decimal("0.42")

    def test_what_is_reserved_anew_counts_today(self, ledger: Ledger, begin: Begin, want: Want, change: Change) -> None:
        begin(budgets=[studio("0.60", Period.DAY)])
        ledger.reserve("run", [want("a")])
        backdate(change, datetime.now(UTC) - timedelta(days=1))
        ledger.reserve("run", [want("a")])
        assert state_of(ledger).held_usd == 0  # the same reservation as yesterday
        with pytest.raises(OverBudget) as refused:
            ledger.reserve("run", [want("a", price="0.61")])
        assert (refused.value.needed_usd, refused.value.held_usd) == (Decimal("0.61"), Decimal(0))
        ledger.reserve("run", [want("a", price="0.60")])
        assert state_of(ledger).held_usd == Decimal("0.60")

    def test_another_period_or_zone_counts_what_was_reserved_before(
        self, ledger: Ledger, begin: Begin, want: Want
    ) -> None:
        begin(budgets=[studio("0.84", Period.DAY)])
        ledger.reserve("run", [want("a")])
        begin(budgets=[studio("0.84", Period.MONTH)])
        assert (state_of(ledger).period, state_of(ledger).held_usd) == (Period.MONTH, Decimal("0.42"))
        begin(budgets=[studio("0.84")])
        assert (state_of(ledger).since, state_of(ledger).held_usd) == (None, Decimal("0.42"))


class TestWords:
    def test_the_latest_word_counts_for_runs_under_way_too(self, ledger: Ledger, begin: Begin, want: Want) -> None:
        begin("one", budgets=[studio("1.00")])
        ledger.reserve("one", [want("a")])
        begin("two", budgets=[studio("0.50")])
        with pytest.raises(OverBudget) as refused:
            ledger.reserve("one", [want("b")])
        assert refused.value.limit_usd == Decimal("0.50")
        begin("three", budgets=[studio("1.00")])
        assert len(ledger.reserve("one", [want("b")])) == 1

    def test_a_raise_holds_until_something_new_is_said(self, ledger: Ledger, begin: Begin) -> None:
        begin("one", budgets=[studio("1.00", Period.MONTH)])
        ledger.raise_budget("emulator", "studio", Decimal("5.00"))
        begin("two", budgets=[studio("1.00", Period.MONTH)])
        assert state_of(ledger).limit_usd == 5
        begin("three", budgets=[studio("2.00", Period.MONTH)])
        assert state_of(ledger).limit_usd == 2

    def test_a_raise_is_for_the_period_in_which_it_was_made(self, ledger: Ledger, begin: Begin, change: Change) -> None:
        begin(budgets=[studio("1.00", Period.DAY)])
        ledger.raise_budget("emulator", "studio", Decimal("5.00"))
        assert state_of(ledger).limit_usd == 5
        change(f"UPDATE budgets SET raised_period = raised_period - {24 * 3600 * 1_000_000}")  # noqa: S608
        assert state_of(ledger).limit_usd == 1

    def test_a_limit_can_be_lowered_below_what_is_held(self, ledger: Ledger, begin: Begin, want: Want) -> None:
        begin(budgets=[studio()])
        ledger.reserve("run", [want("a")])
        ledger.raise_budget("emulator", "studio", Decimal("0.40"))
        assert (state_of(ledger).room_usd, state_of(ledger).overrun_usd) == (Decimal(0), Decimal("0.02"))
        assert len(ledger.reserve("run", [want("a")])) == 1
        assert len(ledger.reserve("run", [want("a", price="0.41")])) == 1  # asks for less
        with pytest.raises(OverBudget):
            ledger.reserve("run", [want("b", price="0.01")])

    def test_what_nobody_was_ever_under_cannot_be_raised(self, ledger: Ledger, begin: Begin) -> None:
        begin(budgets=[studio()])
        for provider, name in (("runware", "studio"), ("emulator", "acme")):
            with pytest.raises(LedgerError, match="knows no budget"):
                ledger.raise_budget(provider, name, Decimal(1))
        with pytest.raises(ValueError, match="finer"):
            ledger.raise_budget("emulator", "studio", Decimal("0.0000001"))

    def test_two_of_one_name_begin_nothing(self, ledger: Ledger, begin: Begin) -> None:
        with pytest.raises(ValueError, match="two budgets"):
            begin(budgets=[studio(), studio("2.00")])
        assert ledger.runs() == []


class TestStates:
    def test_everything_about_a_budget(self, ledger: Ledger, begin: Begin, attempt_in: AttemptIn) -> None:
        begin(budget="3.00", budgets=[studio("2.00", Period.DAY, "America/New_York")])
        attempt_in(State.ACCEPTED, key="a")
        attempt_in(State.SUCCEEDED, key="b", cost_usd=Decimal("0.40"))
        attempt_in(State.UNKNOWN, key="c")
        own, shared = ledger.budget_states("emulator", "run")
        assert (own.scope, own.name, own.period, own.since) == ("run", "run", Period.FOREVER, None)
        assert (own.limit_usd, shared.limit_usd) == (Decimal(3), Decimal(2))
        assert (shared.scope, shared.name) == ("standing", "studio")
        for state in (own, shared):
            assert (state.reserved_usd, state.spent_usd) == (Decimal("0.42"), Decimal("0.40"))
            assert (state.unknown_usd, state.held_usd) == (Decimal("0.42"), Decimal("1.24"))
        assert (shared.room_usd, shared.overrun_usd) == (Decimal("0.76"), Decimal(0))
        assert shared.since is not None
        assert shared.until is not None
        assert shared.since <= datetime.now(UTC) < shared.until
        there = shared.since_there
        assert there is not None
        assert (there.hour, there.minute, there.tzinfo) == (0, 0, ZoneInfo("America/New_York"))
        assert shared.as_dict() == {
            "scope": "standing",
            "name": "studio",
            "period": "day",
            "timezone": "America/New_York",
            "since": there.isoformat(),
            "until": shared.until.astimezone(ZoneInfo("America/New_York")).isoformat(),
            "limit_usd": "2.00",
            "reserved_usd": "0.42",
            "spent_usd": "0.40",
            "unknown_usd": "0.42",
            "held_usd": "1.24",
            "room_usd": "0.76",
            "overrun_usd": "0.00",
        }
        assert own.as_dict()["until"] is None

    def test_those_of_a_run_and_those_of_all(self, ledger: Ledger, begin: Begin) -> None:
        acme = StandingBudget("acme", Decimal(1), match={"client": "acme"})
        begin("one", budgets=[studio(), acme])
        begin("two", budgets=[studio(), acme], tags={"client": "acme"})
        assert [state.name for state in ledger.budget_states("emulator", "one")] == ["studio"]
        assert [state.name for state in ledger.budget_states("emulator", "two")] == ["acme", "studio"]
        assert [state.name for state in ledger.budget_states("emulator")] == ["acme", "studio"]
        assert ledger.budget_states("runware") == []
        with pytest.raises(LedgerError, match="never begun"):
            ledger.budget_states("emulator", "nobody")

    def test_given_ones_are_told_as_they_would_be_and_nothing_is_written(
        self, ledger: Ledger, begin: Begin, want: Want
    ) -> None:
        begin(budgets=[studio()])
        ledger.reserve("run", [want("a")])
        ledger.raise_budget("emulator", "studio", Decimal("1.50"))
        fresh = StandingBudget("fresh", Decimal("7.00"), Period.WEEK)
        told = ledger.budget_states("emulator", budgets=[studio(), fresh])
        assert [(it.name, it.limit_usd, it.held_usd) for it in told] == [
            ("studio", Decimal("1.50"), Decimal("0.42")),
            ("fresh", 7, 0),
        ]
        (lowered,) = ledger.budget_states("emulator", budgets=[studio("0.40")])
        assert (lowered.limit_usd, lowered.overrun_usd) == (Decimal("0.40"), Decimal("0.02"))
        assert [state.limit_usd for state in ledger.budget_states("emulator")] == [Decimal("1.50")]


class TestTags:
    def test_they_come_back_with_the_run(self, ledger: Ledger, begin: Begin) -> None:
        begin(tags={"project": "Häfen", "deployment": "render/nightly"}, shot_budget_usd=Decimal("0.5"))
        run = ledger.run("run")
        assert run is not None
        assert run.tags == {"project": "Häfen", "deployment": "render/nightly"}
        assert (run.deployment, run.shot_budget_usd) == ("render/nightly", Decimal("0.50"))

    def test_a_resumed_run_takes_those_given_now(self, ledger: Ledger, begin: Begin) -> None:
        begin(tags={"project": "one", "deployment": "render/nightly"}, shot_budget_usd=Decimal(1))
        begin(tags={"project": "two"})
        run = ledger.run("run")
        assert run is not None
        assert (run.tags, run.deployment, run.shot_budget_usd) == ({"project": "two"}, None, None)


def test_a_raise_that_may_not_lower_leaves_a_higher_limit_alone(ledger: Ledger, begin: Begin) -> None:
    begin(budgets=[StandingBudget("studio", Decimal("1.00"))])
    ledger.raise_budget("emulator", "studio", Decimal("5.00"))
    ledger.raise_budget("emulator", "studio", Decimal("2.00"), may_lower=False)
    assert [state.limit_usd for state in ledger.budget_states("emulator")] == [Decimal("5.00")]
    ledger.raise_budget("emulator", "studio", Decimal("6.00"), may_lower=False)
    assert [state.limit_usd for state in ledger.budget_states("emulator")] == [Decimal("6.00")]


def test_a_runs_own_limit_is_set_without_another_word_on_standing_budgets(ledger: Ledger, begin: Begin) -> None:
    begin("early", budget="1.00", budgets=[StandingBudget("studio", Decimal("5.00"))])
    begin("late", budgets=[StandingBudget("studio", Decimal("1.30"))])
    ledger.set_run_budget("early", Decimal("1.68"))
    states = {state.name: state.limit_usd for state in ledger.budget_states("emulator", "early")}
    assert states == {"early": Decimal("1.68"), "studio": Decimal("1.30")}
    with pytest.raises(LedgerError, match="never begun"):
        ledger.set_run_budget("nobody", None)
