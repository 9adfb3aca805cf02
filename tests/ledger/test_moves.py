"""One move of one attempt: what is allowed, what it writes, and who wins."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from tasks.errors import Charged, ClipDamaged, LedgerError, ProviderFailed, RateLimited, StorageUnreachable
from tasks.ledger import ALLOWED, Attempt, Ledger, State

AttemptIn = Callable[..., Attempt]


@pytest.mark.parametrize(("state", "to"), list(product(State, State)))
def test_the_database_moves_exactly_as_the_table_says(
    ledger: Ledger, attempt_in: AttemptIn, state: State, to: State
) -> None:
    attempt = attempt_in(state)
    if to in ALLOWED[state]:
        moved = ledger.move(attempt.task_uuid, to)
        assert moved is not None
        assert moved.state is to
        assert ledger.attempt(attempt.task_uuid) == moved
    elif to is state and to is not State.RESERVED:
        assert ledger.move(attempt.task_uuid, to) is None  # another brought it there before
        assert ledger.attempt(attempt.task_uuid) == attempt
    else:
        if to is not state:
            with pytest.raises(LedgerError):
                ledger.move(attempt.task_uuid, to)
        with pytest.raises(LedgerError):
            ledger.move(attempt.task_uuid, to, expect={state})
        assert ledger.attempt(attempt.task_uuid) == attempt


def test_who_expects_another_state_learns_that_somebody_was_first(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.ACCEPTED)
    assert ledger.move(attempt.task_uuid, State.SUBMITTED, expect={State.RESERVED}) is None
    assert ledger.move(attempt.task_uuid, State.UNKNOWN, expect={State.SUBMITTED}) is None
    assert ledger.attempt(attempt.task_uuid) == attempt


def test_who_expects_a_post_less_learns_that_it_was_posted_again(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.SUBMITTED)
    ledger.count_post(attempt.task_uuid, posts=1)
    assert ledger.move(attempt.task_uuid, State.RELEASED, posts=1) is None
    released = ledger.move(attempt.task_uuid, State.RELEASED, posts=2)
    assert released is not None
    assert (released.state, released.posts) == (State.RELEASED, 2)


@pytest.mark.parametrize("to", [State.SUCCEEDED, State.FAILED, State.ACCEPTED, State.SUBMITTED])
@pytest.mark.parametrize(
    "answer",
    [
        {"charged": Charged.YES, "cost_usd": Decimal("0.50")},
        {"charged": Charged.YES, "cost_usd": Decimal("0.42")},
        {"charged": Charged.YES},
        {"charged": Charged.NO},
    ],
    ids=str,
)
def test_who_knows_less_of_its_money_learns_that_somebody_spoke(
    ledger: Ledger, attempt_in: AttemptIn, answer: dict[str, Any], to: State
) -> None:
    attempt = attempt_in(State.UNKNOWN)
    said = ledger.settle(attempt.task_uuid, **answer)
    assert ledger.move(attempt.task_uuid, to, known=attempt) is None
    assert ledger.attempt(attempt.task_uuid) == said
    if said is not None and said.state is State.UNKNOWN:
        moved = ledger.move(attempt.task_uuid, to, known=said)
        assert moved is not None
        assert moved.state is to


def test_who_read_it_in_another_state_may_not_move_it(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.SUBMITTED)
    accepted = ledger.move(attempt.task_uuid, State.ACCEPTED)
    assert ledger.move(attempt.task_uuid, State.FAILED, known=attempt) is None
    assert ledger.attempt(attempt.task_uuid) == accepted
    with pytest.raises(LedgerError, match="cannot follow submitted"):
        ledger.move(attempt.task_uuid, State.STORED, known=attempt)


def test_expecting_nothing_is_a_mistake(ledger: Ledger, attempt_in: AttemptIn) -> None:
    with pytest.raises(LedgerError, match="cannot follow nothing"):
        ledger.move(attempt_in(State.RESERVED).task_uuid, State.SUBMITTED, expect=set())


def test_an_attempt_that_does_not_exist_cannot_move(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="knows no attempt"):
        ledger.move(str(uuid4()), State.SUBMITTED, expect={State.RESERVED})


def test_each_step_leaves_its_time(ledger: Ledger, attempt_in: AttemptIn) -> None:
    stored = attempt_in(State.STORED)
    times = [stored.created_at, stored.submitted_at, stored.accepted_at, stored.finished_at, stored.stored_at]
    assert None not in times
    known = [time for time in times if time is not None]
    assert known == sorted(known)
    assert stored.updated_at == stored.stored_at
    assert {str(time.tzinfo) for time in known} == {"UTC"}


def test_submitting_counts_the_post_and_names_the_account(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.SUBMITTED, account="f00d")
    assert (attempt.posts, attempt.account) == (1, "f00d")


def test_success_settles_the_cost_and_keeps_the_result(ledger: Ledger, attempt_in: AttemptIn) -> None:
    result = {"videoURL": "https://cdn.example/clip.mp4?signature=abc", "cost": Decimal("0.4")}
    attempt = attempt_in(State.SUCCEEDED, cost_usd=Decimal("0.4"), result=result)
    assert (attempt.cost_usd, attempt.charged) == (Decimal("0.40"), Charged.YES)
    assert attempt.result == {"videoURL": "https://cdn.example/clip.mp4?signature=abc", "cost": "0.4"}


def test_a_finer_cost_is_rounded_and_never_loses_the_result(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.SUCCEEDED, cost_usd=Decimal("0.4200005"))
    assert attempt.cost_usd == Decimal("0.420001")


def test_what_success_settled_stays_settled_when_the_clip_is_damaged(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.SUCCEEDED, cost_usd=Decimal("0.40"))
    failed = ledger.move(attempt.task_uuid, State.FAILED, error=StorageUnreachable("no room on the disk"))
    assert failed is not None
    assert (failed.charged, failed.cost_usd) == (Charged.YES, Decimal("0.40"))
    assert failed.totals.spent_usd == Decimal("0.40")


@pytest.mark.parametrize(
    ("to", "facts", "charged"),
    [
        (State.FAILED, {}, Charged.UNKNOWN),
        (State.FAILED, {"charged": Charged.NO}, Charged.NO),
        (State.FAILED, {"error": ProviderFailed("out of memory")}, Charged.UNKNOWN),
        (State.FAILED, {"error": ProviderFailed("out of memory", charged=Charged.NO)}, Charged.NO),
        (
            State.FAILED,
            {"error": ProviderFailed("no", charged=Charged.NO), "charged": Charged.YES},
            Charged.YES,
        ),
        (
            State.FAILED,
            {"error": StorageUnreachable("disk")},
            Charged.UNKNOWN,
        ),  # says nothing of the provider
        (State.FAILED, {"cost_usd": Decimal("0.1")}, Charged.YES),
        (State.REFUSED, {}, Charged.NO),
        (State.REFUSED, {"error": RateLimited("slow down")}, Charged.NO),
        (State.REFUSED, {"charged": Charged.YES}, Charged.YES),
        (State.RELEASED, {}, Charged.NO),
    ],
)
def test_whether_it_was_charged(attempt_in: AttemptIn, to: State, facts: dict[str, Any], charged: Charged) -> None:
    assert attempt_in(to, **facts).charged is charged


def test_an_error_is_kept_with_its_code_and_without_secrets(attempt_in: AttemptIn) -> None:
    error = ProviderFailed("the model failed", code="modelError", details={"apiKey": "k1234", "n": Decimal("1.5")})
    attempt = attempt_in(State.FAILED, error=error)
    assert attempt.error_code == "modelError"
    assert attempt.error is not None
    assert attempt.error["message"] == "the model failed"
    assert attempt.error["details"] == {"apiKey": "***", "n": "1.5"}


def test_errors_of_others_are_kept_too(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.UNKNOWN, error=TimeoutError("no answer"))
    assert attempt.error == {"type": "TimeoutError", "message": "no answer"}
    again = attempt_in(State.FAILED, key="other", error={"code": "timeoutProvider", "message": "x"})
    assert again.error_code == "timeoutProvider"


def test_what_was_unclear_is_forgotten_once_it_is_clear(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.UNKNOWN, error=TimeoutError("no answer"), error_code="lost")
    accepted = ledger.move(attempt.task_uuid, State.ACCEPTED)
    assert accepted is not None
    assert (accepted.error, accepted.error_code) == (None, None)


@pytest.mark.parametrize(
    ("to", "facts"),
    [
        (State.SUBMITTED, {"cost_usd": Decimal(1)}),
        (State.ACCEPTED, {"charged": Charged.YES}),
        (State.SUCCEEDED, {"charged": Charged.NO}),
        (State.STORED, {"error": ClipDamaged("cut short")}),
        (State.RELEASED, {"cost_usd": Decimal(1)}),
        (State.UNKNOWN, {"result": {}}),
        (State.FAILED, {"charged": Charged.NO, "cost_usd": Decimal("0.1")}),
    ],
)
def test_facts_that_contradict_the_state_are_refused(
    ledger: Ledger, attempt_in: AttemptIn, to: State, facts: dict[str, Any]
) -> None:
    attempt = attempt_in(State.SUBMITTED)
    with pytest.raises(LedgerError):
        ledger.move(attempt.task_uuid, to, **facts)
    assert ledger.attempt(attempt.task_uuid) == attempt


def test_a_cost_that_is_no_money_changes_nothing(ledger: Ledger, attempt_in: AttemptIn) -> None:
    attempt = attempt_in(State.ACCEPTED)
    with pytest.raises(ValueError, match="negative"):
        ledger.move(attempt.task_uuid, State.SUCCEEDED, cost_usd=Decimal("-0.1"))
    assert ledger.attempt(attempt.task_uuid) == attempt
