"""The gate: adopt what exists, reserve the rest, all of it or none."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import pytest

from tasks.errors import LedgerError, OverBudget
from tasks.ledger import Attempt, Ledger, State, Totals, Wanted

Begin = Callable[..., str]
Want = Callable[..., Wanted]
AttemptIn = Callable[..., Attempt]


def test_a_whole_plan_is_reserved_one_attempt_a_take(ledger: Ledger, begin: Begin, want: Want) -> None:
    run = begin(budget="1.26", account="f00d", storyboard="Harbour")
    plan = [want("b", shot="two"), want("a", shot="one"), want("c", shot="one", take=2)]
    attempts = ledger.reserve(run, plan)
    assert [attempt.content_key for attempt in attempts] == ["b", "a", "c"]
    assert len({UUID(attempt.task_uuid) for attempt in attempts}) == 3
    one = attempts[2]
    assert (one.shot, one.take, one.model, one.storyboard) == ("one", 2, "kling", "Harbour")
    assert (one.state, one.number, one.posts, one.account) == (State.RESERVED, 1, 0, "f00d")
    assert one.request == {"positivePrompt": "c"}
    assert ledger.totals(run).reserved_usd == Decimal("1.26")


def test_no_room_for_all_means_none(ledger: Ledger, begin: Begin, want: Want) -> None:
    run = begin(budget="1.00")
    ledger.reserve(run, [want("first")])
    with pytest.raises(OverBudget) as refused:
        ledger.reserve(run, [want("a"), want("b")])
    assert isinstance(refused.value, OverBudget)
    assert refused.value.needed_usd == Decimal("0.84")
    assert refused.value.limit_usd == Decimal(1)
    assert refused.value.held_usd == Decimal("0.42")
    assert [attempt.content_key for attempt in ledger.attempts()] == ["first"]


def test_reserving_the_same_again_gives_the_same_and_costs_nothing(ledger: Ledger, begin: Begin, want: Want) -> None:
    run = begin(budget="0.84")
    plan = [want("a"), want("b")]
    assert ledger.reserve(run, plan) == ledger.reserve(run, plan)
    assert ledger.totals(run).reserved_usd == Decimal("0.84")


def test_equal_takes_in_one_plan_share_one_attempt(ledger: Ledger, begin: Begin, want: Want) -> None:
    run = begin(budget="0.42")
    one, other = ledger.reserve(run, [want("same", shot="one"), want("same", shot="other")])
    assert one == other
    assert one.shot == "one"


@pytest.mark.parametrize("state", [State.SUBMITTED, State.ACCEPTED, State.SUCCEEDED, State.UNKNOWN, State.STORED])
def test_what_another_run_began_or_paid_is_adopted_for_nothing(
    ledger: Ledger, begin: Begin, want: Want, attempt_in: AttemptIn, state: State
) -> None:
    theirs = attempt_in(state, run_id="theirs")
    mine = begin("mine", budget="0")
    assert ledger.reserve(mine, [want("key")]) == [theirs]
    assert ledger.totals(mine).held_usd == 0


def test_an_unsent_reservation_follows_the_price(ledger: Ledger, begin: Begin, want: Want) -> None:
    run = begin(budget="0.50")
    (first,) = ledger.reserve(run, [want("key", price="0.42")])
    (dearer,) = ledger.reserve(run, [want("key", price="0.50")])
    assert (dearer.task_uuid, dearer.reserved_usd) == (first.task_uuid, Decimal("0.50"))
    with pytest.raises(OverBudget):
        ledger.reserve(run, [want("key", price="0.51")])
    (cheaper,) = ledger.reserve(run, [want("key", price="0.10")])
    assert cheaper.reserved_usd == ledger.totals(run).held_usd == Decimal("0.10")


def test_another_providers_attempt_is_not_adopted(
    ledger: Ledger, begin: Begin, want: Want, attempt_in: AttemptIn
) -> None:
    placeholder = attempt_in(State.STORED, run_id="previs")
    (real,) = ledger.reserve(begin("real", provider="runware"), [want("key")])
    assert real.task_uuid != placeholder.task_uuid
    assert real.number == 1


@pytest.mark.parametrize("state", [State.REFUSED, State.FAILED, State.RELEASED])
def test_what_came_to_nothing_is_reserved_anew(
    ledger: Ledger, begin: Begin, want: Want, attempt_in: AttemptIn, state: State
) -> None:
    before = attempt_in(state)
    (again,) = ledger.reserve("run", [want("key")])
    assert again.task_uuid != before.task_uuid
    assert (again.state, again.number) == (State.RESERVED, 2)
    assert ledger.attempt(before.task_uuid) == before


def test_a_lost_clip_is_bought_again_only_when_asked_and_only_once(
    ledger: Ledger, begin: Begin, want: Want, attempt_in: AttemptIn
) -> None:
    lost = attempt_in(State.STORED)
    run = begin("again")
    assert ledger.reserve(run, [want("key")]) == [lost]
    rebuy = want("key", replaces=lost.task_uuid)
    (bought,) = ledger.reserve(run, [rebuy])
    assert (bought.number, bought.state) == (2, State.RESERVED)
    assert ledger.reserve(run, [rebuy]) == [bought]
    for step in (State.SUBMITTED, State.SUCCEEDED, State.STORED):
        ledger.move(bought.task_uuid, step)
    (adopted,) = ledger.reserve(begin("late", budget="0"), [rebuy])
    assert adopted.task_uuid == bought.task_uuid


def test_only_an_attempt_of_the_same_key_can_be_replaced(ledger: Ledger, want: Want, attempt_in: AttemptIn) -> None:
    other = attempt_in(State.STORED, key="other")
    with pytest.raises(LedgerError, match="none of this take's"):
        ledger.reserve("run", [want("key", replaces=other.task_uuid)])


def test_requests_are_kept_without_secrets_and_without_pictures(ledger: Ledger, begin: Begin, want: Want) -> None:
    picture = "data:image/png;base64," + "A" * 500
    request = {"apiKey": "k1234", "seed": Decimal("0.5"), "inputs": {"frameImages": [{"image": picture}]}}
    (attempt,) = ledger.reserve(begin(), [want("key", request=request)])
    assert attempt.request == {
        "apiKey": "***",
        "seed": "0.5",
        "inputs": {"frameImages": [{"image": "data:image/png;base64,…"}]},
    }


def test_a_run_that_was_never_begun_or_has_ended_reserves_nothing(ledger: Ledger, begin: Begin, want: Want) -> None:
    with pytest.raises(LedgerError, match="never begun"):
        ledger.reserve("nobody", [want()])
    run = begin()
    ledger.end_run(run, "done")
    with pytest.raises(LedgerError, match="finished"):
        ledger.reserve(run, [want()])
    begin(run)
    assert len(ledger.reserve(run, [want()])) == 1


def test_a_large_plan_is_one_reservation(ledger: Ledger, begin: Begin, want: Want) -> None:
    run = begin(budget="1.2")
    plan = [want(f"{n}", price="0.001") for n in range(1200)]
    assert [attempt.content_key for attempt in ledger.reserve(run, plan)] == [f"{n}" for n in range(1200)]
    assert ledger.totals(run) == Totals(Decimal("1.20"), Decimal(0), Decimal(0))


def test_nothing_wanted_is_nothing_reserved(ledger: Ledger, begin: Begin) -> None:
    assert ledger.reserve(begin(budget="0"), []) == []


@pytest.mark.parametrize("state", [State.FAILED, State.REFUSED, State.RELEASED])
def test_a_retry_is_a_new_attempt_at_the_same_take(ledger: Ledger, attempt_in: AttemptIn, state: State) -> None:
    over = attempt_in(state)
    again = ledger.retry("run", over, Decimal("0.50"))
    assert again.task_uuid != over.task_uuid
    assert (again.state, again.number, again.reserved_usd) == (State.RESERVED, 2, Decimal("0.50"))
    assert (again.shot, again.take, again.content_key) == (over.shot, over.take, over.content_key)
    assert again.request == over.request


@pytest.mark.parametrize(
    "state", [State.RESERVED, State.SUBMITTED, State.ACCEPTED, State.SUCCEEDED, State.STORED, State.UNKNOWN]
)
def test_what_is_not_over_is_never_tried_again(ledger: Ledger, attempt_in: AttemptIn, state: State) -> None:
    with pytest.raises(LedgerError, match="only what is over"):
        ledger.retry("run", attempt_in(state), Decimal("0.42"))
    assert len(ledger.attempts()) == 1


def test_a_retry_needs_room_beside_what_the_failure_may_have_cost(
    ledger: Ledger, begin: Begin, attempt_in: AttemptIn
) -> None:
    begin(budget="0.83")
    failed = attempt_in(State.FAILED)  # charged: unknown
    with pytest.raises(OverBudget):
        ledger.retry("run", failed, Decimal("0.42"))
    assert ledger.attempts() == [failed]
    begin(budget="0.84")
    assert ledger.retry("run", failed, Decimal("0.42")).number == 2


def test_two_who_retry_share_one_attempt(ledger: Ledger, begin: Begin, attempt_in: AttemptIn) -> None:
    failed = attempt_in(State.FAILED)
    first = ledger.retry("run", failed, Decimal("0.42"))
    assert ledger.retry("run", failed, Decimal("0.42")) == first
    for step in (State.SUBMITTED, State.SUCCEEDED, State.STORED):
        ledger.move(first.task_uuid, step)
    late = ledger.retry(begin("late", budget="0"), failed, Decimal("0.42"))
    assert (late.task_uuid, late.state) == (first.task_uuid, State.STORED)
