"""Which budgets lack how much for a sum; rules, whatever the sums."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.money.shortfall import Shortfall, lacks, refuse_without_room
from flows.outcome import Made
from tasks.errors import BadInput, ContentRefused, NeedFailed, OutcomeUnknown, OverBudget
from tasks.ledger import BudgetState, Period, Totals
from tasks.plan.model import PlannedShot
from tests.clips.house import chain, make_plan

USD = st.integers(0, 10**9).map(lambda micro: Decimal(micro) / 10**6)


def state(
    limit_usd: Decimal, spent_usd: Decimal, kind: Literal["run", "standing"] = "standing", name: str = "acme"
) -> BudgetState:
    nothing = Decimal(0)
    return BudgetState(kind, name, Period.FOREVER, "UTC", None, None, limit_usd, nothing, spent_usd, nothing)


@given(limit_usd=USD, spent_usd=USD, sum_usd=USD)
def test_what_is_lacking_raised_is_enough_and_no_more_than_that(
    limit_usd: Decimal, spent_usd: Decimal, sum_usd: Decimal
) -> None:
    found = lacks([state(limit_usd, spent_usd)], sum_usd)
    if not found:
        assert sum_usd == 0 or spent_usd + sum_usd <= limit_usd
        return
    (lack,) = found
    assert lack.to_usd == limit_usd + lack.by_usd == spent_usd + sum_usd
    assert lack.by_usd > 0
    assert lacks([state(lack.to_usd, spent_usd)], sum_usd) == ()
    assert lacks([state(lack.to_usd - Decimal("0.000001"), spent_usd)], sum_usd)


@given(limit_usd=USD, held_usd=USD, sum_usd=USD)
def test_a_sum_is_refused_exactly_where_a_budget_has_no_room(
    limit_usd: Decimal, held_usd: Decimal, sum_usd: Decimal
) -> None:
    states = [state(limit_usd, held_usd)]
    facts: dict[str, Any] = {"run_id": "r", "run_usd": None, "held_usd": Decimal(0)}
    if sum_usd == 0 or held_usd + sum_usd <= limit_usd:
        refuse_without_room(states, sum_usd, **facts)
        return
    with pytest.raises(OverBudget) as caught:
        refuse_without_room(states, sum_usd, **facts)
    assert (caught.value.scope, caught.value.budget, caught.value.needed_usd) == ("standing", "acme", sum_usd)


def test_the_runs_own_budget_goes_first() -> None:
    with pytest.raises(OverBudget) as caught:
        refuse_without_room(
            [state(Decimal(1), Decimal(1))],
            Decimal("0.42"),
            run_id="r",
            run_usd=Decimal("0.80"),
            held_usd=Decimal("0.42"),
        )
    assert (caught.value.scope, caught.value.held_usd) == ("run", Decimal("0.42"))


def test_it_says_what_is_missing_and_how_the_rest_is_had() -> None:
    refused = OverBudget("r", needed_usd=Decimal("0.42"), limit_usd=Decimal(1), held_usd=Decimal(1))
    found = lacks([state(Decimal(1), Decimal(1), "run", "r"), state(Decimal(2), Decimal("1.80"))], Decimal("0.84"))
    short = Shortfall(refused, ("a", "b"), Decimal("0.84"), found)
    assert short.says == "missing: shots 'a', 'b'; to finish: $0.84"
    assert "Raise the run's budget by $0.84, to $1.84. Raise the budget 'acme' by $0.64, to $2.64." in short.advice
    assert short.as_dict()["budgets"][1] == {
        "scope": "standing",
        "budget": "acme",
        "period": "forever",
        "limit_usd": "2.00",
        "held_usd": "1.80",
        "by_usd": "0.64",
        "to_usd": "2.64",
    }
    there = Shortfall(refused, ("a",), Decimal("0.42"), ())
    assert there.advice.startswith("By now there is room for that.")


def test_what_lacks_money_alone_may_go_on_with_what_waits_for_it_and_nothing_else() -> None:
    plan = replace(chain("a lake", "a hill", "a barn"), shots=(*chain("a lake", "a hill", "a barn").shots, *others()))
    made = Made(plan)
    need = NeedFailed("not begun")
    made.failures = {
        "a": OverBudget("r", needed_usd=Decimal(1), limit_usd=Decimal(1), held_usd=Decimal(1)),
        "b": need,
        "c": need,
        "x": ContentRefused("no"),
        "y": OverBudget("r", needed_usd=Decimal(1), limit_usd=Decimal(1), held_usd=Decimal(1), scope="shot", shot="y"),
        "z": OutcomeUnknown("nobody can tell"),
    }
    assert made.unpaid() == ["a", "b", "c", "z"]
    assert made.ran_out is made.failures["a"]
    made.failures["a"] = ContentRefused("no")
    assert made.unpaid() == ["z"]
    assert made.ran_out is None


def test_a_run_that_ran_out_ends_so_whatever_else_failed() -> None:
    refused = OverBudget("r", needed_usd=Decimal(1), limit_usd=Decimal(1), held_usd=Decimal(1))
    made = Made(make_plan("a lake", "a hill"))
    made.failures = {"a": refused, "b": BadInput("no such picture")}
    nothing = Decimal(0)
    totals = Totals(reserved_usd=nothing, spent_usd=nothing, unknown_usd=nothing)
    assert made.incomplete(totals, {}).exit_code == BadInput.exit_code
    made.shortfall = Shortfall(refused, ("a",), Decimal(1), ())
    assert made.incomplete(totals, {}).exit_code == 3


def others() -> list[PlannedShot]:
    """Three shots that need nothing of any other."""
    return [
        replace(shot, id=name) for shot, name in zip(make_plan("a tram", "a gull", "a bell").shots, "xyz", strict=True)
    ]
