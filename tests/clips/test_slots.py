"""So many at once, the longest remaining path first, and no place is ever lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.clips.slots import Slots


async def enter(slots: Slots, priority: int, order: list[int], hold: asyncio.Event | None = None) -> None:
    async with slots.take(priority, priority):
        order.append(priority)
        await (hold.wait() if hold else asyncio.sleep(0))


@pytest.mark.parametrize("arrival", list(itertools.permutations([1, 2, 3, 4])))
async def test_whoever_waits_is_let_in_by_priority(arrival: Sequence[int]) -> None:
    slots, order, hold = Slots(1), list[int](), asyncio.Event()
    first = asyncio.create_task(enter(slots, 0, order, hold))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(enter(slots, priority, order)) for priority in arrival]
    await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(first, *waiting)
    assert order == [0, 4, 3, 2, 1]


async def test_equals_go_in_the_order_in_which_they_came() -> None:
    slots, order, hold = Slots(1), list[str](), asyncio.Event()

    async def named(name: str) -> None:
        async with slots.take(5):
            order.append(name)
            await hold.wait()

    tasks = []
    for name in "abc":
        tasks.append(asyncio.create_task(named(name)))
        await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c"]


@settings(max_examples=60, deadline=None)
@given(
    places=st.integers(1, 3),
    takers=st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 6), st.integers(0, 3)), max_size=12),
)
def test_never_too_many_and_none_is_lost_whoever_is_cancelled_when(
    places: int, takers: list[tuple[int, int | None, int]]
) -> None:
    async def play() -> None:
        slots = Slots(places)
        inside = most = 0

        async def taker(priority: int, steps: int) -> None:
            nonlocal inside, most
            async with slots.take(priority):
                inside += 1
                most = max(most, inside)
                try:
                    for _ in range(steps):
                        await asyncio.sleep(0)
                finally:
                    inside -= 1

        tasks = [asyncio.create_task(taker(priority, steps)) for priority, _, steps in takers]
        for turn in range(8):
            for task, (_, cancelled_at, _) in zip(tasks, takers, strict=True):
                if cancelled_at == turn:
                    task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert most <= places
        # All places are there again.
        async with asyncio.timeout(5):
            holds = [slots.take(0) for _ in range(places)]
            for hold in holds:
                await hold.__aenter__()
            for hold in holds:
                await hold.__aexit__(None, None, None)

    asyncio.run(play())


class TestAnnounced:
    """Those who can come at once are waited for, so that the first to come is not the first to go."""

    async def test_they_go_by_priority_whoever_comes_first(self) -> None:
        slots, order = Slots(1, patience_s=5), list[int]()
        slots.expect([1, 2, 3])
        tasks = []
        for priority in (1, 2, 3):
            tasks.append(asyncio.create_task(enter(slots, priority, order)))
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        assert order == [3, 2, 1]

    async def test_one_that_needs_no_place_is_not_waited_for(self) -> None:
        slots, order = Slots(1, patience_s=30), list[int]()
        slots.expect([1, 2])
        task = asyncio.create_task(enter(slots, 1, order))
        await asyncio.sleep(0.01)
        assert order == []
        slots.waive(2)
        await asyncio.wait_for(task, 5)

    async def test_patience_ends(self) -> None:
        slots, order = Slots(1, patience_s=0.02), list[int]()
        slots.expect([1, 2])
        await asyncio.wait_for(enter(slots, 1, order), 5)
        assert order == [1]

    async def test_where_there_are_places_for_all_nobody_waits(self) -> None:
        slots, order = Slots(2, patience_s=30), list[int]()
        slots.expect([1, 2])
        await asyncio.wait_for(enter(slots, 1, order), 5)


async def test_a_place_here_waits_for_one_that_machines_share() -> None:
    shared = asyncio.Semaphore(1)
    held: list[int] = []

    @asynccontextmanager
    async def one_for_all() -> AsyncIterator[None]:
        async with shared:
            held.append(1)
            yield
            held.pop()

    slots = Slots(3, shared=one_for_all)

    async def enter_and_look(priority: int) -> None:
        async with slots.take(priority):
            assert held == [1]
            await asyncio.sleep(0)

    await asyncio.gather(*[enter_and_look(priority) for priority in range(5)])
    assert held == []


async def test_whoever_is_cancelled_while_waiting_for_a_shared_place_gives_back_its_own() -> None:
    shared = asyncio.Lock()
    await shared.acquire()

    @asynccontextmanager
    async def never() -> AsyncIterator[None]:
        async with shared:
            yield

    slots, order = Slots(1, shared=never), list[int]()
    waiting = asyncio.create_task(enter(slots, 1, order))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    shared.release()
    await asyncio.wait_for(enter(slots, 2, order), 1)
    assert order == [2]
