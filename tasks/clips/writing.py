"""Reads and writes of the ledger from coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["in_ledger"]

P = ParamSpec("P")
T = TypeVar("T")


async def in_ledger(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a method of the ledger in a thread. A cancellation waits until it has returned.

    So a row says how far a run came that was stopped, and nothing is written behind the back of a run that is over.
    """
    writing = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        if not writing.cancelled():
            writing.exception()  # the cancellation goes first
        raise
