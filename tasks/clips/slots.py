"""Decides who goes next: at most so many clips at the provider at once, the longest remaining path first."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

__all__ = ["Slots"]


class Slots:
    """So many places. Whoever waits is let in by priority, and by who came first among equals.

    Those who can come at once do not come in the same moment, and the first to come need not be the one who should
    go first. So they can be announced: where there are more of them than places, no place is given until each has
    come or has waived, or `patience_s` have passed since the first came.

    Args:
        places: How many.
        patience_s: Seconds to wait for those who were announced.
        shared: Makes what holds a place among all machines, if they share places. Whoever has one here waits for one
            there.
    """

    def __init__(
        self,
        places: int,
        *,
        patience_s: float = 1.0,
        shared: Callable[[], AbstractAsyncContextManager[None]] | None = None,
    ) -> None:
        self._shared = shared or nullcontext
        self._places = places
        self._free = places
        self._patience_s = patience_s
        self._expected: set[Hashable] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._counter = itertools.count()

    def expect(self, tickets: Iterable[Hashable]) -> None:
        """Announce who can come at once, by any names."""
        announced = set(tickets)
        if len(announced) > self._places:
            self._expected = announced

    def waive(self, ticket: Hashable) -> None:
        """Whoever was announced by this name needs no place, or has come."""
        self._expected.discard(ticket)
        if not self._expected:
            self._let_in()

    @asynccontextmanager
    async def take(self, priority: int, ticket: Hashable = None) -> AsyncIterator[None]:
        """Hold a place for the block; a greater `priority` goes first. `ticket` is the name it was announced by."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-priority, next(self._counter), turn))
        if self._expected and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._patience_s, self._lose_patience)
        self._expected.discard(ticket)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            # The place may have been given in the same moment; it must not be lost.
            if turn.done() and not turn.cancelled():
                self._give_back()
            raise
        try:
            async with self._shared():
                yield
        finally:
            self._give_back()

    def _lose_patience(self) -> None:
        self._expected.clear()
        self._let_in()

    def _give_back(self) -> None:
        self._free += 1
        self._let_in()

    def _let_in(self) -> None:
        if self._expected:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._free and self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self._free -= 1
                turn.set_result(None)
