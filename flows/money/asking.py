"""The terminal at which a run may ask something while it is under way, if there is one.

What is shown of the run's progress is set aside meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Terminal", "ask_at", "terminal"]


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a person sits.

    `read` shows a question and gives back the line that was typed; it blocks. `aside` clears the place for a question
    while its block lasts.
    """

    read: Callable[[str], str]
    aside: Callable[[], AbstractContextManager[None]] = nullcontext

    async def ask(self, question: str, timeout_s: float) -> str | None:
        """The line that was typed, without blanks around it; None if there was none in time, or never will be."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def told(line: str | None) -> None:
            if not answer.done():
                answer.set_result(line)

        def read() -> None:
            try:
                line: str | None = self.read(question).strip()
            except Exception:  # noqa: BLE001  # whoever sat there is gone, or what was typed is no text: no answer
                line = None
            if not loop.is_closed():
                loop.call_soon_threadsafe(told, line)

        with self.aside():
            # Nobody waits for this thread: a run that is stopped while it asks must not hang on a key.
            threading.Thread(target=read, name="question", daemon=True).start()
            try:
                return await asyncio.wait_for(answer, timeout_s)
            except TimeoutError:
                return None


_terminal: ContextVar[Terminal | None] = ContextVar("shotchain_terminal", default=None)


def terminal() -> Terminal | None:
    """Where the current run may ask; None where nobody sits."""
    return _terminal.get()


def ask_at(place: Terminal | None) -> None:
    """Let runs started in this context ask at `place`."""
    _terminal.set(place)
