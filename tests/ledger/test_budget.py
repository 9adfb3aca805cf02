"""Whether there is room."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import OverBudget
from tasks.ledger.budget import check_room, weight_of
from tasks.ledger.states import Weight

amounts = st.integers(min_value=0, max_value=100)


@given(limit=amounts, needed=amounts, held=st.builds(Weight, amounts, amounts, amounts))
def test_what_is_reserved_spent_and_unknown_all_counts(limit: int, needed: int, held: Weight) -> None:
    fits = sum(held) + needed <= limit
    if fits or not needed:
        check_room("run", limit, held, needed)
    else:
        with pytest.raises(OverBudget):
            check_room("run", limit, held, needed)


def test_exactly_the_limit_fits_and_a_micro_dollar_more_does_not() -> None:
    check_room("run", 100, Weight(30, 20, 10), 40)
    with pytest.raises(OverBudget):
        check_room("run", 100, Weight(30, 20, 10), 41)


def test_without_a_budget_everything_fits() -> None:
    check_room("run", None, Weight(spent=10**15), 10**15)


def test_a_budget_of_nothing_allows_nothing_new() -> None:
    check_room("run", 0, Weight(), 0)
    with pytest.raises(OverBudget):
        check_room("run", 0, Weight(), 1)


def test_an_overrun_does_not_refuse_what_costs_nothing_new() -> None:
    check_room("run", 100, Weight(spent=150), 0)


def test_the_refusal_says_what_was_needed_what_the_limit_is_and_what_is_held() -> None:
    with pytest.raises(OverBudget) as refused:
        check_room("run", 1_000_000, Weight(300_000, 200_000, 100_000), 420_000)
    error = pickle.loads(pickle.dumps(refused.value))  # noqa: S301  # it may cross to another process
    assert (error.needed_usd, error.limit_usd, error.held_usd) == (
        Decimal("0.42"),
        Decimal(1),
        Decimal("0.60"),
    )
    assert error.as_dict().items() >= {"needed_usd": "0.42", "limit_usd": "1.00", "held_usd": "0.60"}.items()
    assert "0.42" in str(error)
    assert error.exit_code == 3


def test_weights_add_up() -> None:
    assert weight_of([Weight(reserved=1), Weight(spent=2), Weight(unknown=3), Weight(4, 5, 6)]) == (5, 7, 9)
