"""What a run may spend, and what a yes or a raise makes of that."""

from __future__ import annotations

from decimal import Decimal

import pytest

from flows.money.terms import Terms
from tasks.ledger import Limits


def terms(budget_usd: str | None, approved_usd: str | None) -> Terms:
    own = None if budget_usd is None else Decimal(budget_usd)
    return Terms({}, Limits(run_usd=own), None if approved_usd is None else Decimal(approved_usd))


@pytest.mark.parametrize(
    ("budget_usd", "approved_usd", "run_usd", "ask_above_usd"),
    [
        (None, None, None, None),
        ("2", None, "2", None),
        (None, "1", "1", "1"),
        ("2", "1", "1", "1"),
        ("1", "1", "1", None),
        ("1", "2", "1", None),
    ],
)
def test_the_lower_of_budget_and_approved_sum_counts_and_a_yes_helps_only_below_the_budget(
    budget_usd: str | None, approved_usd: str | None, run_usd: str | None, ask_above_usd: str | None
) -> None:
    found = terms(budget_usd, approved_usd)
    assert found.run_usd == (None if run_usd is None else Decimal(run_usd))
    assert found.ask_above_usd == (None if ask_above_usd is None else Decimal(ask_above_usd))


@pytest.mark.parametrize(
    ("budget_usd", "approved_usd", "after"),
    [
        ("1", None, ("3", None)),
        (None, "1", (None, "3")),
        ("5", "1", ("5", "3")),
        ("1", "5", ("3", "5")),
        ("1", "1", ("3", "3")),
    ],
)
def test_a_raise_lifts_what_is_lower_and_leaves_the_other_as_it_is(
    budget_usd: str | None, approved_usd: str | None, after: tuple[str | None, str | None]
) -> None:
    raised = terms(budget_usd, approved_usd).raised(Decimal(3))
    assert raised == terms(*after)
    assert raised.run_usd == 3
