"""Which state may follow which, and what each holds of the money: the whole table, written out once more."""

from __future__ import annotations

from itertools import product

import pytest

from tasks.errors import Charged
from tasks.ledger.states import (
    ALLOWED,
    ENDS,
    FACTS,
    LIVE,
    OVER,
    PAID,
    State,
    Weight,
    sources,
    weigh,
    weight_of,
)

#          to: reserved submitted accepted succeeded stored refused failed unknown released
TABLE = """
reserved       .        x        .        .        .       .       .       .       x
submitted      .        .        x        x        .       x       x       x       x
accepted       .        .        .        x        .       x       x       x       .
succeeded      .        .        .        .        x       .       x       .       .
stored         .        .        .        .        .       .       .       .       .
refused        .        .        .        .        .       .       .       .       .
failed         .        .        .        .        .       .       .       .       .
unknown        .        x        x        x        .       x       x       .       .
released       .        .        .        .        .       .       .       .       .
"""
COLUMNS = [state.value for state in State]
RULES = {
    (line.split()[0], to): mark == "x"
    for line in TABLE.strip().splitlines()
    for to, mark in zip(COLUMNS, line.split()[1:], strict=True)
}


@pytest.mark.parametrize(("state", "to"), list(product(State, State)))
def test_every_pair(state: State, to: State) -> None:
    assert (to in ALLOWED[state]) is RULES[state.value, to.value]
    assert (state in sources(to)) is RULES[state.value, to.value]


def test_the_table_above_has_every_state_in_this_order() -> None:
    assert TABLE.split()[:: len(State) + 1] == COLUMNS


def test_every_state_has_its_place_in_the_tables() -> None:
    assert set(ALLOWED) == set(FACTS) == set(State)


def test_nothing_follows_an_end() -> None:
    assert {State.STORED, State.REFUSED, State.FAILED, State.RELEASED} == ENDS


def test_a_key_is_held_until_its_attempt_has_ended() -> None:
    assert set(State) - ENDS == LIVE


def test_only_what_is_over_without_a_clip_may_be_tried_again() -> None:
    assert ENDS - PAID == OVER


def test_a_request_that_may_have_been_accepted_is_never_released() -> None:
    assert sources(State.RELEASED) == {State.RESERVED, State.SUBMITTED}


def test_nothing_leaves_without_having_been_reserved() -> None:
    assert sources(State.SUBMITTED) == {State.RESERVED, State.UNKNOWN}  # the latter once more, under its own UUID
    assert not sources(State.RESERVED)


NO, UNKNOWN, YES = Charged.NO, Charged.UNKNOWN, Charged.YES


@pytest.mark.parametrize(
    ("state", "charged", "cost", "weight"),
    [
        (State.RESERVED, None, None, Weight(reserved=42)),
        (State.SUBMITTED, None, None, Weight(reserved=42)),
        (State.ACCEPTED, None, None, Weight(reserved=42)),
        (State.UNKNOWN, None, None, Weight(unknown=42)),
        (State.SUCCEEDED, YES, 40, Weight(spent=40)),
        (State.SUCCEEDED, YES, None, Weight(spent=42)),
        (State.SUCCEEDED, YES, 0, Weight()),
        (State.STORED, YES, 50, Weight(spent=50)),
        (State.STORED, YES, None, Weight(spent=42)),
        (State.FAILED, NO, None, Weight()),
        (State.FAILED, UNKNOWN, None, Weight(unknown=42)),
        (State.FAILED, YES, None, Weight(spent=42)),
        (State.FAILED, YES, 7, Weight(spent=7)),
        (State.REFUSED, NO, None, Weight()),
        (State.REFUSED, UNKNOWN, None, Weight(unknown=42)),
        (State.REFUSED, YES, 7, Weight(spent=7)),
        (State.RELEASED, NO, None, Weight()),
    ],
)
def test_what_each_state_holds_of_a_reservation_of_42(
    state: State, charged: Charged | None, cost: int | None, weight: Weight
) -> None:
    assert weigh(state, charged, 42, cost) == weight


def test_weights_add_up() -> None:
    assert weight_of([Weight(reserved=1), Weight(spent=2), Weight(unknown=3), Weight(4, 5, 6)]) == (5, 7, 9)
