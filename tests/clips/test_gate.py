"""The gate: the whole plan, less what is there, is reserved in one go, or nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from tasks.clips.gate import open_gate, refuse_unpinned
from tasks.errors import ApprovalNeeded, OverBudget, UnpinnedInput
from tasks.ledger import State
from tasks.plan.model import Plan, Unpinned
from tests.clips.house import House, make_plan
from tests.runware.provider import PRICE_USD, Provider

NewHouse = Callable[[Plan], House]


@pytest.fixture
def three(new_house: NewHouse) -> House:
    return new_house(make_plan("a tram", "a ferry", "a gull"))


async def test_it_reserves_the_whole_plan(three: House) -> None:
    async with three.run(None) as run:
        reserved = await open_gate(run.plan, run.store, run.ledger, "run")
        assert reserved.held_usd == 3 * PRICE_USD
        assert reserved.reused == frozenset()
        assert run.ledger.totals("run").reserved_usd == 3 * PRICE_USD
    assert three.states() == [State.RELEASED] * 3


async def test_without_room_for_all_nothing_is_reserved(three: House) -> None:
    async with three.run(None, budget="1.25") as run:
        with pytest.raises(OverBudget):
            await open_gate(run.plan, run.store, run.ledger, "run")
    assert three.attempts() == []


async def test_what_is_in_the_store_is_not_reserved(three: House, provider: Provider) -> None:
    await three.render(provider)
    changed = make_plan("a tram", "a ferry at night", "a gull")
    async with three.run(None, "next", plan=changed, budget="0.42") as run:
        reserved = await open_gate(run.plan, run.store, run.ledger, "next")
        assert len(reserved.reused) == 2
        assert reserved.held_usd == PRICE_USD


async def test_what_another_run_has_reserved_is_neither_held_nor_approved_here(three: House) -> None:
    async with three.run(None, "theirs", plan=make_plan("a tram", "a ferry")) as theirs:
        await open_gate(theirs.plan, theirs.store, theirs.ledger, "theirs")
        async with three.run(None, "mine", budget="0.42") as run:
            reserved = await open_gate(run.plan, run.store, run.ledger, "mine", PRICE_USD)
            assert reserved.held_usd == run.ledger.totals("mine").held_usd == PRICE_USD
            assert [attempt.run_id for attempt in reserved.attempts] == ["theirs", "theirs", "mine"]


@pytest.mark.parametrize(("approved", "enough"), [("1.26", True), ("1.25", False), (None, True), ("0", False)])
async def test_more_than_is_approved_needs_approval(three: House, approved: str | None, enough: bool) -> None:
    approved_usd = None if approved is None else Decimal(approved)
    async with three.run(None) as run:
        if enough:
            await open_gate(run.plan, run.store, run.ledger, "run", approved_usd)
            return
        with pytest.raises(ApprovalNeeded) as caught:
            await open_gate(run.plan, run.store, run.ledger, "run", approved_usd)
    assert (caught.value.exit_code, caught.value.cost_usd) == (4, 3 * PRICE_USD)
    assert {attempt.state for attempt in three.attempts()} == {State.RELEASED}


async def test_what_is_wanted_twice_is_paid_for_once(new_house: NewHouse) -> None:
    house = new_house(make_plan("a tram", "a tram"))
    async with house.run(None, budget="0.42") as run:
        reserved = await open_gate(run.plan, run.store, run.ledger, "run", PRICE_USD)
        assert reserved.held_usd == PRICE_USD


async def test_what_cannot_be_read_is_not_paid_for(three: House) -> None:
    gone = Unpinned("b", "https://example.test/a.png", "HTTP 404")
    plan = replace(three.plan, unpinned=(gone, gone))
    async with three.run(None) as run:
        with pytest.raises(UnpinnedInput, match=r"a\.png cannot be read \(HTTP 404\) \(and 1 more inputs\)") as caught:
            await open_gate(plan, run.store, run.ledger, "run")
    assert (caught.value.exit_code, caught.value.shot) == (6, "b")
    assert three.attempts() == []
    refuse_unpinned(three.plan)
