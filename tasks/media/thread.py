"""Blocking work in threads that is waited for to its end, even when nobody wants it any more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Concatenate, Final, ParamSpec, TypeVar

__all__ = ["Stop", "finish_in_thread", "in_thread", "in_thread_of"]

P = ParamSpec("P")
T = TypeVar("T")

# Decoding takes a core and the frames that a decoder holds, and a thread keeps some memory for the next time: so few,
# always the same, however many films are joined at once.
_THREADS: Final = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="media")


class Stop:
    """Says to a thread that nobody waits for it any more."""

    def __init__(self) -> None:
        self._event = Event()

    def set(self) -> None:
        """Let the next `check` raise."""
        self._event.set()

    def check(self) -> None:
        """Raise `concurrent.futures.CancelledError` if the work is to end."""
        if self._event.is_set():
            raise CancelledError


async def in_thread(work: Callable[Concatenate[Stop, P], T], *arguments: P.args, **options: P.kwargs) -> T:
    """Await `work(stop, …)` in one of a few threads; when cancelled, stop it and wait until it has tidied up."""
    return await in_thread_of(_THREADS, work, *arguments, **options)


async def in_thread_of(
    threads: ThreadPoolExecutor, work: Callable[Concatenate[Stop, P], T], *arguments: P.args, **options: P.kwargs
) -> T:
    """The same in a thread of others than those few: for work that takes long, so that others need not wait for it."""
    stop = Stop()
    running = threads.submit(partial(work, stop, *arguments, **options))
    waiting = asyncio.wrap_future(running)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        stop.set()
        # What has not begun never will.
        if not running.cancel():
            await _end_of(waiting)
        raise


async def _end_of(waiting: asyncio.Future[T]) -> None:
    while not waiting.done():
        # Cancelled once more while it tidies up, which takes a moment: leaving now would leave files behind.
        with suppress(asyncio.CancelledError):
            await asyncio.wait([waiting])
    # Nobody wants to know any more how it ended, and asyncio complains of what nobody asked for.
    if not waiting.cancelled():
        waiting.exception()


async def finish_in_thread(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Await what is soon over in a thread, to its end even when cancelled: what it reads or writes may go away."""
    working = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **options))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await _end_of(working)
        raise
