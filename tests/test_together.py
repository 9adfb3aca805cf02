"""Work that is done side by side ends together: whatever becomes of one part, nothing is left running."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import BadInput, MediaError
from tasks.together import together


class Work:
    """Parts of a work, of which some take their time to end."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def lasting(self, name: str, ends_after_s: float) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(2):  # one who is told to end twice is still not hurried
                await asyncio.sleep(ends_after_s / 2)
            self.ended.append(name)
        return name

    async def failing(self, error: Exception) -> str:
        await asyncio.sleep(0)
        raise error


async def test_what_each_returns_comes_in_the_order_of_the_work() -> None:
    async def slowly(name: str, duration_s: float) -> str:
        await asyncio.sleep(duration_s)
        return name

    assert await together([slowly("a", 0.02), slowly("b", 0.0), slowly("c", 0.01)]) == ["a", "b", "c"]
    assert await together([]) == []


async def test_who_is_cancelled_waits_for_the_slowest() -> None:
    work = Work()
    running = asyncio.create_task(together([work.lasting("quick", 0.0), work.lasting("slow", 0.1)]))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work.ended == ["quick", "slow"]


async def test_one_that_fails_ends_the_others_and_is_told_when_all_have_ended() -> None:
    work = Work()
    with pytest.raises(MediaError, match="gone"):
        await together([work.lasting("slow", 0.1), work.failing(MediaError("gone"))])
    assert work.ended == ["slow"]


async def test_of_several_failures_the_first_of_the_work_is_told() -> None:
    work = Work()
    with pytest.raises(BadInput, match="first"):
        await together([work.failing(BadInput("first")), work.failing(MediaError("second"))])
