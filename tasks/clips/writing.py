"""Reads and writes of the ledger from coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tasks.errors import LedgerError
from tasks.ledger import Attempt
from tasks.ledger.ledger import Ledger

__all__ = ["in_ledger", "read_again"]

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


async def read_again(ledger: Ledger, attempt: Attempt) -> Attempt:
    """An attempt as it is now.

    Raises:
        LedgerError: It is there no more.
    """
    current = await in_ledger(ledger.attempt, attempt.task_uuid)
    if current is None:
        raise LedgerError("an attempt is gone from the ledger", task_uuid=attempt.task_uuid)
    return current
