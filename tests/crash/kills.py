"""When a process kills itself, exactly: at its n-th commit, its n-th rename or its n-th child process.

Nothing in what runs knows of it. SQLAlchemy tells of every commit, and Python's audit events of every rename and every
process.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

from tasks.ledger import State

__all__ = ["At", "Kill", "arrange"]

At: TypeAlias = Literal["before-commit", "after-commit", "rename", "process"]
_WRITES = re.compile(
    r"\s*(INSERT INTO|UPDATE|DELETE FROM|CREATE (?:UNIQUE )?\w+|ALTER TABLE|DROP \w+)\s+\"?(\w+)", re.IGNORECASE
)
_STATES = {str(state) for state in State}
# How often there are depends on how long a run takes.
_BEATS = {"leases"}
_IN_THE_MIDDLE_S = 0.05


@dataclass(frozen=True)
class Kill:
    """Kill at the `nth` (from 1) of what `at` names: alone, or with all child processes (`group`)."""

    at: At
    nth: int
    group: bool = False

    def __str__(self) -> str:
        return f"{self.at}-{self.nth}"


def arrange(kill: Kill, note: Path) -> None:
    """Have this process killed at that point; what it was about to do is written to `note`."""

    def die(what: str) -> None:
        note.write_text(f"{kill.at}: {what}", encoding="utf-8")
        if kill.group:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    _watch(kill.at, lambda number, what: die(what) if number == kill.nth else None)


def _watch(at: At, seen: Callable[[int, str], None]) -> None:
    if at in {"before-commit", "after-commit"}:
        _watch_commits(seen, before=at == "before-commit")
    else:
        _watch_audits(seen, renames=at == "rename")


def _watch_commits(seen: Callable[[int, str], None], *, before: bool) -> None:
    numbers = itertools.count(1)

    @event.listens_for(Engine, "after_cursor_execute")
    def _executed(connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        written = _WRITES.match(statement)
        if written:
            values = parameters[0] if isinstance(parameters, list) and parameters else parameters
            state = next((value for value in values or () if isinstance(value, str) and value in _STATES), "")
            connection.info.setdefault("written", set()).add(f"{written[2]} {state}".strip())

    @event.listens_for(Engine, "commit")
    def _committing(connection: Any) -> None:
        written = connection.info.pop("written", set()) - _BEATS
        if not written:
            return  # it only read, or the run only said that it is alive
        point = next(numbers), ", ".join(sorted(written))
        if before:
            seen(*point)
        else:
            connection.info["committed"] = point

    @event.listens_for(Pool, "checkin")
    def _back(_dbapi: Any, record: Any) -> None:
        # SQLAlchemy says nothing after a commit; but the connection goes back into the pool then.
        record.info.pop("written", None)
        committed = record.info.pop("committed", None)
        if committed is not None:
            seen(*committed)


def _watch_audits(seen: Callable[[int, str], None], *, renames: bool) -> None:
    numbers = itertools.count(1)

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        if renames and name == "os.rename":
            seen(next(numbers), _kind_of_file(Path(os.fsdecode(arguments[1]))))
        elif not renames and name == "subprocess.Popen":
            number, command = next(numbers), "ffmpeg"
            # The process is about to start; it is to be in the middle of its work.
            threading.Timer(_IN_THE_MIDDLE_S, seen, (number, command)).start()

    sys.addaudithook(hook)


def _kind_of_file(path: Path) -> str:
    if "clips" in path.parts and path.suffix == ".json":
        return "the record of a clip"
    if "clips" in path.parts:
        return "a clip"
    if "conformed" in path.parts:
        return f"a conformed part ({path.suffix})"
    if path.name.endswith("manifest.json"):
        return "the manifest"
    return "the film" if path.suffix == ".mp4" else f"another file ({path.suffix})"
