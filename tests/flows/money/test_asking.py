"""A question at a terminal, while a run is under way: it waits for one line, and never for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flows.money.asking import Terminal, ask_at, terminal


async def test_a_line_is_given_back_and_what_is_shown_is_set_aside_meanwhile() -> None:
    told: list[str] = []

    @contextmanager
    def aside() -> Iterator[None]:
        told.append("aside")
        yield
        told.append("back")

    def read(question: str) -> str:
        told.append(question)
        return " y \n"

    assert await Terminal(read, aside).ask("Raise it? ", 5) == "y"
    assert told == ["aside", "Raise it? ", "back"]


async def test_without_an_answer_in_time_there_is_none() -> None:
    answered = threading.Event()

    def read(_: str) -> str:
        answered.wait(10)
        return "y"

    assert await Terminal(read).ask("Raise it? ", 0.05) is None
    answered.set()


async def test_whoever_is_gone_has_said_nothing() -> None:
    def read(_: str) -> str:
        raise EOFError

    assert await Terminal(read).ask("Raise it? ", 5) is None


async def test_what_is_no_text_is_no_answer_and_nobody_waits_for_another() -> None:
    def read(_: str) -> str:
        return b"\xe4".decode()

    assert await asyncio.wait_for(Terminal(read).ask("Raise it? ", 60), 5) is None


def test_nobody_sits_where_nobody_was_named() -> None:
    assert terminal() is None
    place = Terminal(lambda _: "")
    ask_at(place)
    try:
        assert terminal() is place
    finally:
        ask_at(None)
