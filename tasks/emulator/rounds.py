"""The thread in which everything is sent, and what deliveries share there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Coroutine
from typing import Any

from tasks.emulator.outgoing import Line

__all__ = ["Rounds", "StoppedError"]

_LOG = logging.getLogger(__name__)
_AT_ONCE = 64
_GRACE_S = 0.3


class StoppedError(Exception):
    """The emulator is being stopped; the next one goes on."""


class Rounds:
    """Deliveries under way, in a thread that begins with this object.

    Attributes:
        line: What they are sent by.
        at_once: How many may be on the line.
    """

    def __init__(self) -> None:
        self.line = Line()
        self.at_once = asyncio.Semaphore(_AT_ONCE)
        self._held: list[tuple[int, asyncio.Event]] = []
        self._passed = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="emulator-couriers", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        await self._is_ending.wait()
        for _number, turn in self._held:
            turn.set()
        # What waits ends with that; what is on the line may have a moment more.
        if self._tasks:
            _done, late = await asyncio.wait(self._tasks, timeout=_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self.line.close()

    def add(self, delivery: Coroutine[Any, Any, None]) -> None:
        """Begin a delivery. From any thread."""
        self._loop.call_soon_threadsafe(self._begin, delivery)

    def _begin(self, delivery: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(self._guarded(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _guarded(delivery: Coroutine[Any, Any, None]) -> None:
        try:
            await delivery
        except StoppedError:
            # It is undelivered, and noted so.
            return
        except Exception:  # noqa: BLE001  the others go on; what this one left undone, the next emulator does
            _LOG.exception("a result could not be delivered")

    async def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            StoppedError: The emulator is being stopped.
        """
        if seconds > 0 and not self._is_ending.is_set():
            try:
                await asyncio.wait_for(self._is_ending.wait(), seconds)
            except TimeoutError:
                return
        if self._is_ending.is_set():
            raise StoppedError

    async def let_pass(self, count: int, at_most_s: float) -> None:
        """Wait until so many other webhooks have been sent.

        Raises:
            StoppedError: The emulator is being stopped.
        """
        if not count:
            return
        turn = asyncio.Event()
        self._held.append((self._passed + count, turn))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(turn.wait(), at_most_s)
        await self.pause(0)

    def passed(self) -> None:
        """A webhook has been sent for the first time."""
        self._passed += 1
        for number, turn in self._held:
            if self._passed >= number:
                turn.set()
        self._held = [(number, turn) for number, turn in self._held if not turn.is_set()]

    def stop(self) -> None:
        """End the thread, within a moment. From any other thread."""
        self._loop.call_soon_threadsafe(self._is_ending.set)
        self._thread.join()
