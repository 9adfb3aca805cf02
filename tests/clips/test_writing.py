"""What is being written when a run is stopped is written before the run is over."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tasks.clips.writing import in_ledger
from tasks.errors import LedgerError


async def test_a_cancellation_waits_for_the_write() -> None:
    begun, go_on, written = threading.Event(), threading.Event(), []

    def write(value: int) -> None:
        begun.set()
        assert go_on.wait(5)
        written.append(value)

    writing = asyncio.create_task(in_ledger(write, 7))
    await asyncio.to_thread(begun.wait, 5)
    writing.cancel()
    await asyncio.sleep(0.01)
    assert not writing.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert written == [7]


async def test_a_write_that_fails_meanwhile_does_not_hide_the_cancellation() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        assert go_on.wait(5)
        raise LedgerError("no")

    writing = asyncio.create_task(in_ledger(write))
    await asyncio.to_thread(begun.wait, 5)
    writing.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await writing


async def test_results_and_errors_pass() -> None:
    assert await in_ledger(max, 1, 2) == 2

    def write() -> None:
        raise LedgerError("no")

    with pytest.raises(LedgerError):
        await in_ledger(write)
