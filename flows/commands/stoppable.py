"""Runs a coroutine so that Ctrl-C, SIGTERM and SIGHUP cancel it, and it can finish what must be finished.

The event loop runs in a thread of its own. In the main thread Prefect would answer SIGTERM by raising an exception at
whatever line happens to run, in the middle of a ledger's transaction if need be.
"""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import FrameType
from typing import Any, TypeVar

__all__ = ["STOPPING", "Stopped", "run_stoppable"]

T = TypeVar("T")

_GRACE_S = 7.0
# A terminal that is closed stops a run as Ctrl-C does.
STOPPING = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


class Stopped(BaseException):
    """A signal stopped the run.

    Attributes:
        exit_code: The one that shells expect of it.
        left: What is still under way elsewhere, in a sentence, if anything is.
        is_stuck: Whether the run was still not over after the grace time.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        self.left = ""
        self.is_stuck = False


def run_stoppable(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `make()` to its end and give back its result.

    Raises:
        Stopped: A signal came; the coroutine was cancelled, and waited for a few seconds at most.
    """
    outcome: Future[T] = Future()
    started = threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []
    received: list[int] = []

    async def main() -> T:
        task = asyncio.ensure_future(make())
        running.append((asyncio.get_running_loop(), task))
        started.set()
        return await task

    def work() -> None:
        try:
            outcome.set_result(asyncio.run(main()))
        except BaseException as error:  # noqa: BLE001 -- whatever it is, the main thread raises it
            outcome.set_exception(error)
        finally:
            started.set()

    def stop(number: int, _: FrameType | None) -> None:
        received.append(number)
        if running:
            loop, task = running[0]
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

    heeded = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work,), name="flow", daemon=True)
        thread.start()
        started.wait()
        while not received and thread.is_alive():
            thread.join(0.1)
        if received:
            thread.join(_GRACE_S)
            if not outcome.done() or outcome.exception() is not None:
                stopped = Stopped(received[0])
                stopped.is_stuck = thread.is_alive()
                raise stopped
        return outcome.result()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
