"""Costs of attempts that are over can be corrected to what the provider's books say, and nothing else can."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from tasks.errors import Charged, LedgerError
from tasks.ledger import Attempt, Ledger, State

AttemptIn = Callable[..., Attempt]


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.STORED])
def test_a_clip_may_have_cost_something_else(ledger: Ledger, attempt_in: AttemptIn, state: State) -> None:
    attempt = attempt_in(state)
    corrected = ledger.correct(attempt, charged=Charged.YES, cost_usd=Decimal("0.63"))
    assert corrected is not None
    assert (corrected.state, corrected.cost_usd, corrected.charged) == (state, Decimal("0.63"), Charged.YES)
    assert ledger.totals("run").spent_usd == Decimal("0.63")


@pytest.mark.parametrize("state", [State.FAILED, State.REFUSED])
def test_a_failure_that_was_taken_for_free_may_have_cost(ledger: Ledger, attempt_in: AttemptIn, state: State) -> None:
    attempt = attempt_in(state, charged=Charged.NO)
    corrected = ledger.correct(attempt, charged=Charged.YES, cost_usd=Decimal("0.42"))
    assert corrected is not None
    assert (corrected.state, corrected.charged) == (state, Charged.YES)
    assert ledger.totals("run").spent_usd == Decimal("0.42")
    back = ledger.correct(corrected, charged=Charged.NO)
    assert back is not None
    assert (back.charged, back.cost_usd) == (Charged.NO, None)
    assert ledger.totals("run").held_usd == 0


def test_without_a_cost_it_is_the_whole_reservation(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.FAILED, charged=Charged.NO)
    assert ledger.correct(attempt, charged=Charged.YES) is not None
    assert ledger.totals("run").spent_usd == Decimal("0.42")


def test_a_cost_finer_than_a_micro_dollar_is_rounded(ledger: Ledger, attempt_in: AttemptIn) -> None:
    corrected = ledger.correct(attempt_in(State.STORED), charged=Charged.YES, cost_usd=Decimal("0.4200005"))
    assert corrected is not None
    assert corrected.cost_usd == Decimal("0.420001")


def test_what_has_changed_meanwhile_is_left(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.STORED)
    now = ledger.correct(attempt, charged=Charged.YES, cost_usd=Decimal("0.63"))
    assert ledger.correct(attempt, charged=Charged.YES, cost_usd=Decimal("0.10")) is None
    assert ledger.attempt(attempt.task_uuid) == now


@pytest.mark.parametrize(
    "state", [State.RESERVED, State.SUBMITTED, State.ACCEPTED, State.UNKNOWN, State.RELEASED], ids=str
)
def test_what_is_not_over_is_not_corrected(ledger: Ledger, attempt_in: AttemptIn, state: State) -> None:
    attempt = attempt_in(state)
    with pytest.raises(LedgerError, match="cannot be corrected"):
        ledger.correct(attempt, charged=Charged.YES, cost_usd=Decimal("0.42"))
    assert ledger.attempt(attempt.task_uuid) == attempt


@pytest.mark.parametrize(
    ("state", "charged", "cost"),
    [
        (State.STORED, Charged.NO, None),
        (State.STORED, Charged.UNKNOWN, None),
        (State.FAILED, Charged.UNKNOWN, None),
        (State.FAILED, Charged.NO, "0.42"),
    ],
)
def test_what_makes_no_sense_is_refused(
    ledger: Ledger, attempt_in: AttemptIn, state: State, charged: Charged, cost: str | None
) -> None:
    attempt = attempt_in(state)
    with pytest.raises(LedgerError, match="cannot be corrected"):
        ledger.correct(attempt, charged=charged, cost_usd=None if cost is None else Decimal(cost))
