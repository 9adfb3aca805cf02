"""Work that is done side by side and ends together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["together"]

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all at once, and leave none of it running.

    `asyncio.gather` is done as soon as one part of the work is: where it fails, or is cancelled first, the rest goes on
    with nobody to wait for it, while what it needs (a client, a folder) is taken down around it.

    Args:
        work: What is to be run; each part ends when it is cancelled, in its own time.

    Returns:
        What each has returned, in the order of `work`.

    Raises:
        BaseException: What one of them raised, when all have ended; of several, that of the first in `work`. The others
            are cancelled.
    """
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(part) for part in work]
    except BaseExceptionGroup:
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error from None
        raise
    return [task.result() for task in tasks]
