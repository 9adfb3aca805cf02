"""When a budget has no room midway: nothing more is sent, what is in flight is kept, a raise lets it go on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from decimal import Decimal

from tasks.clips.gate import open_gate, still_to_buy_usd
from tasks.clips.taken import Taken
from tasks.errors import ContentRefused, OverBudget
from tasks.ledger import State, open_ledger
from tasks.plan.model import Plan
from tests.clips.house import House, Run, make_plan, until
from tests.runware.provider import PRICE_USD, Provider

NewHouse = Callable[[Plan], House]

CHARGED = {"code": "providerTimeout", "message": "sorry", "cost": 0.42}


async def end(run: Run, index: int) -> object:
    """What becomes of a shot: its take, or the error."""
    shot = run.plan.shots[index]
    return (await asyncio.gather(run.generator.take(shot, shot.takes[0], {}), return_exceptions=True))[0]


async def test_what_waits_is_not_sent_and_is_given_back_once_a_retry_finds_no_room(
    new_house: NewHouse, provider: Provider
) -> None:
    house = new_house(make_plan("a tram", "a ferry", "a gull"))
    provider.endings = deque([CHARGED])
    async with house.run(provider, budget="1.26", places=1) as run:
        await open_gate(run.plan, run.store, run.ledger, "run")
        first = await end(run, 0)
        waiting = [await end(run, index) for index in (1, 2)]
        held_usd = run.ledger.totals("run").held_usd
    assert all(isinstance(error, OverBudget) for error in (first, *waiting))
    assert [error.shot for error in waiting if isinstance(error, OverBudget)] == ["b", "c"]
    assert len(provider.submitted) == 1
    assert (sorted(house.states()), held_usd) == ([State.FAILED, State.RELEASED, State.RELEASED], PRICE_USD)


async def test_what_is_in_flight_is_kept(new_house: NewHouse, provider: Provider) -> None:
    house = new_house(make_plan("a tram", "a ferry"))
    provider.polls = float("inf")
    async with house.run(provider, budget="0.84") as run:
        await open_gate(run.plan, run.store, run.ledger, "run")
        flying = asyncio.create_task(end(run, 0))
        await until(lambda: len(provider.tasks) == 1)
        provider.endings = deque([CHARGED])
        provider.polls = 0
        assert isinstance(await end(run, 1), OverBudget)
        for task in provider.tasks.values():
            task.polls = 0
        assert isinstance(await flying, Taken)
    assert sorted(house.states()) == [State.FAILED, State.STORED]


async def test_a_shots_own_limit_stops_that_shot_alone(new_house: NewHouse, provider: Provider) -> None:
    house = new_house(make_plan("a tram", "a ferry"))
    provider.endings = deque([CHARGED])
    async with house.run(provider, places=1) as run:
        run.ledger.begin_run(
            run_id="run",
            provider=run.plan.provider,
            account="",
            storyboard="Harbour",
            budget_usd=None,
            shot_budget_usd=Decimal("0.42"),
        )
        await open_gate(run.plan, run.store, run.ledger, "run")
        ended = [await end(run, index) for index in (0, 1)]
    assert [isinstance(one, OverBudget) for one in ended] == [True, False]
    assert len(provider.submitted) == 2


async def test_after_a_raise_it_goes_on_and_what_failed_for_another_reason_stays_failed(
    new_house: NewHouse, provider: Provider
) -> None:
    house = new_house(make_plan("a tram", "a ferry", "a gull"))
    refused = {"code": "contentPolicyViolation", "message": "no", "cost": 0.42}
    provider.endings = deque([refused, CHARGED])
    async with house.run(provider, budget="1.26", places=1) as run:
        await open_gate(run.plan, run.store, run.ledger, "run")
        before = [type(await end(run, index)) for index in range(3)]
        run.ledger.begin_run(
            run_id="run", provider=run.plan.provider, account="", storyboard="Harbour", budget_usd=Decimal("1.68")
        )
        run.generator.go_on(None)
        after = [type(await end(run, index)) for index in range(3)]
    assert before == [ContentRefused, OverBudget, OverBudget]
    assert after == [ContentRefused, Taken, Taken]
    assert len(provider.submitted) == 4


async def test_what_is_under_way_or_paid_for_is_not_bought_again(new_house: NewHouse, provider: Provider) -> None:
    house = new_house(make_plan("a tram", "a ferry", "a gull"))
    provider.polls = float("inf")
    async with house.run(provider, "theirs", plan=make_plan("a tram")) as theirs:
        await open_gate(theirs.plan, theirs.store, theirs.ledger, "theirs")
        with open_ledger(str(house.folder / "ledger.db")) as ledger:
            plan, price = house.plan, PRICE_USD
            assert still_to_buy_usd(plan, (), ledger, "mine") == 2 * price
            assert still_to_buy_usd(plan, (), ledger, "theirs") == 3 * price
            assert still_to_buy_usd(plan, {plan.shots[1].takes[0].content_key}, ledger, "mine") == price
        making = asyncio.create_task(theirs.first())
        await until(lambda: State.ACCEPTED in house.states())
        assert still_to_buy_usd(house.plan, (), theirs.ledger, "theirs") == 2 * PRICE_USD
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)


async def test_what_is_paid_for_anew_is_in_the_sum_to_finish(new_house: NewHouse, provider: Provider) -> None:
    house = new_house(make_plan("a tram", "a ferry"))
    await house.render(provider, "first")
    for file in house.files():
        file.unlink()
    provider.lost = set(provider.tasks)
    async with house.run(provider, "run", budget="0.42", rebuy_lost=True, places=1) as run:
        await open_gate(run.plan, run.store, run.ledger, "run")
        ended = [await end(run, index) for index in (0, 1)]
        lost = run.generator.setbacks.lost
        assert [isinstance(one, OverBudget) for one in ended] == [False, True]
        assert lost == {run.plan.shots[1].takes[0].content_key}
        reused = await run.store.has(run.plan.content_keys)
        assert still_to_buy_usd(run.plan, reused, run.ledger, "run") == 0
        assert still_to_buy_usd(run.plan, reused, run.ledger, "run", lost) == PRICE_USD
        run.ledger.set_run_budget("run", Decimal("0.84"))
        run.generator.go_on(None)
        assert isinstance(await end(run, 1), Taken)
        assert not run.generator.setbacks.lost
