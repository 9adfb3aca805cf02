"""The steps of a run in words, for its log. Pure."""

from __future__ import annotations

import logging
from collections.abc import Collection

from tasks.plan.model import usd
from tasks.progress import Event, Stage
from tasks.redaction import redact

__all__ = ["line_of", "plain"]

_LONGEST = 400
_FILM = {Stage.JOINING: "film: joining the shots", Stage.PUBLISHING: "film: publishing"}
_LEVELS = {
    Stage.RETRYING: logging.WARNING,
    Stage.FAILED: logging.ERROR,
    Stage.SKIPPED: logging.WARNING,
    Stage.NOTE: logging.WARNING,
    Stage.DOWNLOADING: logging.DEBUG,
}
# What the steps that say more than their name are called.
_SUBMITTING = "not sent yet"


def line_of(event: Event, many_takes: Collection[str] = ()) -> tuple[int, str] | None:
    """One step as a line of a log, and how loud it is; None where there is nothing to say.

    Args:
        event: The step.
        many_takes: The shots of more than one take, whose lines name the take too.
    """
    if event.stage in {Stage.CONFORMING, Stage.DELIVERING}:
        return None  # told every moment, and over soon
    level = _LEVELS.get(event.stage, logging.INFO)
    message = _one_line(event.message)
    if event.shot is None:
        if event.stage is Stage.DELIVERED:
            message = f"delivered {message}"
        said = _FILM.get(event.stage) or (message and f"film: {message}")
        return (level, said) if said else None
    who = f"{event.shot} · take {event.take}" if event.shot in many_takes and event.take else event.shot
    if event.stage is Stage.SUBMITTING:
        return (logging.WARNING, f"{who}: {_SUBMITTING}: {message}") if message else None
    if event.stage is Stage.NOTE:
        return (level, f"{who}: {message}") if message else None
    what = str(event.stage)
    if event.stage is Stage.STORED and event.cost_usd is not None:
        what += f", ${usd(event.cost_usd)}"
    return level, f"{who}: {what}{': ' if message else ''}{message}"


def plain(text: str) -> str:
    """Text of a user on one line of Markdown, as it is: nothing in it is a link, a picture, a table or HTML."""
    for character in "\\`*_[]<>|#~":
        text = text.replace(
            character, f"\\{character}" if character not in "<>" else {"<": "&lt;", ">": "&gt;"}[character]
        )
    return " ".join(text.split())


def _one_line(text: str) -> str:
    line = " ".join(str(redact(text)).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
