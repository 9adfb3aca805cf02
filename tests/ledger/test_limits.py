"""What limits say, and which of them are for a run."""

from __future__ import annotations

import pickle
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.ledger import Limits, Period, StandingBudget

tags = st.dictionaries(st.sampled_from(["project", "client", "deployment"]), st.sampled_from("abc"))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"name": ""}, "needs a name"),
        ({"limit_usd": Decimal("0.0000001")}, "finer"),
        ({"limit_usd": Decimal(-1)}, "negative"),
        ({"limit_usd": 1.0}, "Decimal"),
        ({"approve_above_usd": Decimal("NaN")}, "not an amount"),
        ({"timezone": "Europe/Bielefeld"}, "no time zone"),
    ],
)
def test_a_budget_is_checked_where_it_is_made(facts: dict[str, Any], said: str) -> None:
    good: dict[str, Any] = {"name": "studio", "limit_usd": Decimal(1)}
    with pytest.raises(ValueError, match=said):
        StandingBudget(**(good | facts))


@pytest.mark.parametrize("name", [field.name for field in fields(Limits) if field.name.endswith("_usd")])
def test_so_are_limits(name: str) -> None:
    with pytest.raises(ValueError, match="Decimal"):
        Limits(**{name: 0.5})  # type: ignore[arg-type]


def test_two_budgets_of_one_name_are_a_mistake() -> None:
    twins = [StandingBudget("studio", Decimal(1)), StandingBudget("studio", Decimal(2), Period.DAY)]
    with pytest.raises(ValueError, match="two budgets are called 'studio'"):
        Limits(standing=tuple(twins))


@given(match=tags, given_tags=tags)
def test_a_budget_matches_a_run_that_has_all_its_tags(match: dict[str, str], given_tags: dict[str, str]) -> None:
    budget = StandingBudget("studio", Decimal(1), match=match)
    assert budget.matches(given_tags) == (match.items() <= given_tags.items())
    assert Limits(standing=(budget,)).for_tags(given_tags).standing == ((budget,) if budget.matches(given_tags) else ())


def test_without_tags_to_match_it_is_for_every_run() -> None:
    assert StandingBudget("studio", Decimal(1)).matches({})


def test_the_smallest_sum_that_needs_a_yes_counts() -> None:
    studio = StandingBudget("studio", Decimal(100), approve_above_usd=Decimal(20))
    acme = StandingBudget("acme", Decimal(50), match={"client": "acme"}, approve_above_usd=Decimal(5))
    limits = Limits(standing=(studio, acme), approve_above_usd=Decimal(10))
    assert limits.ask_above_usd == 5
    assert limits.for_tags({"client": "other"}).ask_above_usd == 10
    assert Limits(standing=(studio,)).ask_above_usd == 20
    assert Limits().ask_above_usd is None


def test_limits_cross_to_another_process() -> None:
    limits = Limits(Decimal(1), Decimal(2), (StandingBudget("studio", Decimal(3), Period.WEEK, match={"a": "b"}),))
    assert pickle.loads(pickle.dumps(limits)) == limits  # noqa: S301
