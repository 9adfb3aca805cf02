"""What a person sees while a film is made: one line a shot on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flows.tables import plain_table
from tasks.plan.model import Plan, usd
from tasks.progress import Event, Observer, Stage

__all__ = ["set_aside", "watching"]

_ENDS = {Stage.REUSED, Stage.STORED, Stage.CONFORMED, Stage.FAILED, Stage.SKIPPED}
_STYLES = {
    Stage.WAITING: "dim",
    Stage.REUSED: "cyan",
    Stage.STORED: "green",
    Stage.CONFORMED: "green",
    Stage.FAILED: "bold red",
    Stage.SKIPPED: "red",
    Stage.RETRYING: "yellow",
}
_NOTES = 3
_NARROW = 60  # columns
_OTHERS = 28  # of a state, a time and a sum, with what is between them
_LEAST_NAME = 4
_shown: list[Live] = []  # the one board of this process, while it is on the terminal
_FILM = {
    Stage.JOINING: "joining the clips",
    Stage.DELIVERING: "making deliverables",
    Stage.DELIVERED: "making deliverables",
    Stage.PUBLISHING: "publishing the film",
    Stage.DONE: "published",
}


@dataclass
class _Line:
    """One shot, as shown."""

    stage: Stage = Stage.WAITING
    message: str = ""
    began_s: float | None = None
    ended_s: float | None = None
    cost_usd: Decimal = Decimal(0)

    def elapsed(self) -> str:
        if self.began_s is None:
            return ""
        return f"{(self.ended_s or time.monotonic()) - self.began_s:5.1f} s"


class _Board:
    """All lines, and the table that shows them: as many shots as fit, those under way first."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._console = console
        self._lines = {shot.id: _Line() for shot in plan.shots}
        self._film = ""
        self._notes: list[str] = []
        self._delivered: dict[str, Event] = {}

    def tell(self, event: Event) -> None:
        line = self._lines.get(event.shot or "")
        if line is None or event.stage is Stage.NOTE:
            self._film = _FILM.get(event.stage, self._film)
            if event.stage in {Stage.DELIVERING, Stage.DELIVERED}:
                self._delivered[event.message.partition(":")[0]] = event
                told = [f"{name}{_so_far(it)}" for name, it in self._delivered.items()]
                self._film = f"{self._film}: {', '.join(told)}"
            elif event.message:
                self._notes.append(event.message)
            return
        now = time.monotonic()
        line.stage, line.message = event.stage, event.message
        line.began_s = line.began_s or now
        line.cost_usd += event.cost_usd or 0
        # What had failed for want of money may go on.
        line.ended_s = (line.ended_s or now) if event.stage in _ENDS else None

    def __rich__(self) -> Table:
        table = plain_table()
        narrow = self._console.width < _NARROW
        table.add_column("shot", max_width=_shot_width(self._console.width), no_wrap=True, overflow="ellipsis")
        if not narrow:
            table.add_column("mode", no_wrap=True)
        # The one column that may shrink: a long message takes no room from the names of shots. Its cells do not wrap.
        table.add_column("", min_width=10)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("paid", justify="right", no_wrap=True)
        shown = self._shown()
        for shot in self._plan.shots:
            if shot.id not in shown:
                continue
            line = self._lines[shot.id]
            state = _cell(f"{line.stage}{': ' + line.message if line.message else ''}", _STYLES.get(line.stage, ""))
            paid = f"${usd(line.cost_usd)}" if line.cost_usd else ""
            mode = [] if narrow else [shot.mode.replace("_", " ")]
            table.add_row(Text(shot.id), *mode, state, line.elapsed(), paid)
        total = sum((line.cost_usd for line in self._lines.values()), Decimal(0))
        blank = [""] if narrow else ["", ""]
        done = sum(line.stage in _ENDS for line in self._lines.values())
        hidden = f"{done} of {len(self._lines)} shots done" if len(shown) < len(self._lines) else ""
        words = ", ".join(part for part in (hidden, self._film) if part)
        table.add_row(*blank, _cell(words, "bold"), "", f"${usd(total)}")
        for note in self._notes[-_NOTES:]:
            table.add_row(*blank, _cell(note, "yellow"), "", "")
        return table

    def _shown(self) -> set[str]:
        """The shots that there is room for: failed ones and those under way, then waiting, then done."""
        room = max(3, self._console.height - 3 - _NOTES)
        order = sorted(self._lines, key=lambda shot: _weight(self._lines[shot]))
        return set(order[:room])


def _shot_width(width: int) -> int:
    """How long a shot's name is shown: on a narrow terminal, no longer than leaves the other columns theirs."""
    return 40 if width >= _NARROW else max(_LEAST_NAME, min(16, width - _OTHERS))


def _cell(words: str, style: str) -> Text:
    return Text(words, style, no_wrap=True, overflow="ellipsis")


def _so_far(event: Event) -> str:
    """How far a deliverable is."""
    return " (done)" if event.stage is Stage.DELIVERED else event.message.partition(":")[2]


def _weight(line: _Line) -> int:
    if line.stage in {Stage.FAILED, Stage.SKIPPED}:
        return 0
    if line.stage is Stage.WAITING:
        return 2
    return 3 if line.stage in _ENDS else 1


@contextmanager
def watching(console: Console, plan: Plan) -> Iterator[Observer]:
    """Show a run on `console` while the block lasts; gives the observer to tell.

    A console that goes away (a closed pipe, a full disk) ends the showing and not the run.
    """
    if console.is_terminal:
        board = _Board(plan, console)
        with Live(board, console=console, refresh_per_second=8) as live:
            _shown.append(live)
            try:
                yield board.tell
            finally:
                _shown.remove(live)
        return
    told = _plain(console)
    gone = False

    def tell(event: Event) -> None:
        nonlocal gone
        if gone:
            return
        try:
            told(event)
        except (OSError, ValueError):
            gone = True

    yield tell


@contextmanager
def set_aside() -> Iterator[None]:
    """Take what is shown of a run off the terminal for the block, so that something can be asked there."""
    live = _shown[-1] if _shown else None
    if live is not None:
        live.stop()
    try:
        yield
    finally:
        if live is not None and live in _shown:
            live.start(refresh=True)


def _plain(console: Console) -> Observer:
    """One line a step."""
    began_s = time.monotonic()
    last: dict[tuple[str | None, int | None], tuple[Stage, str]] = {}

    def line(event: Event) -> None:
        if event.stage in {Stage.CONFORMING, Stage.DELIVERING}:
            return  # told every moment: for a terminal, and not for a log
        if last.get((event.shot, event.take)) == (event.stage, event.message):
            return
        last[event.shot, event.take] = (event.stage, event.message)
        what = f"{event.shot} · take {event.take}" if event.take else event.shot or "film"
        paid = f" ${usd(event.cost_usd)}" if event.cost_usd is not None else ""
        told = f": {event.message}" if event.message else ""
        words = str(event.stage) if event.stage is Stage.DELIVERED else _FILM.get(event.stage, str(event.stage))
        console.print(
            f"{time.monotonic() - began_s:7.1f} s  {what}: {words}{paid}{told}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    return line
