"""Work in threads that is waited for to its end, even when nobody wants it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["finish_in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


async def finish_in_thread(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Await a thread to its end even when cancelled: what it reads or writes may go away right after."""
    working = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **options))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.gather(working, return_exceptions=True)
        raise
