"""What a person sees while a film is made: one line a shot on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tasks.errors import ShotchainError
from tasks.plan.model import Plan, number, usd
from tasks.progress import Event, Observer, Stage

__all__ = ["print_error", "print_outcome", "print_plan", "watching"]

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
_FILM = {
    Stage.JOINING: "joining the clips",
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
    """All lines, and the table that shows them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lines = {shot.id: _Line() for shot in plan.shots}
        self._film = ""
        self._notes: list[str] = []

    def tell(self, event: Event) -> None:
        line = self._lines.get(event.shot or "")
        if line is None or event.stage is Stage.NOTE:
            self._film = _FILM.get(event.stage, self._film)
            if event.message:
                self._notes.append(event.message)
            return
        now = time.monotonic()
        line.stage, line.message = event.stage, event.message
        line.began_s = line.began_s or now
        line.cost_usd += event.cost_usd or 0
        if event.stage in _ENDS:
            line.ended_s = line.ended_s or now

    def __rich__(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("shot", "mode", "", "time", "paid"):
            table.add_column(name, justify="right" if name in {"time", "paid"} else "left", no_wrap=name != "")
        for shot in self._plan.shots:
            line = self._lines[shot.id]
            words = f"{line.stage}{': ' + line.message if line.message else ''}"
            paid = f"${usd(line.cost_usd)}" if line.cost_usd else ""
            state = Text(words, style=_STYLES.get(line.stage, ""))
            table.add_row(shot.id, shot.mode.replace("_", " "), state, line.elapsed(), paid)
        total = sum((line.cost_usd for line in self._lines.values()), Decimal(0))
        table.add_row("", "", Text(self._film, style="bold"), "", f"${usd(total)}")
        for note in self._notes[-3:]:
            table.add_row("", "", Text(note, style="yellow"), "", "")
        return table


@contextmanager
def watching(console: Console, plan: Plan) -> Iterator[Observer]:
    """Show a run on `console` while the block lasts; gives the observer to tell."""
    if console.is_terminal:
        board = _Board(plan)
        with Live(board, console=console, refresh_per_second=8):
            yield board.tell
        return
    began_s = time.monotonic()
    last: dict[tuple[str | None, int | None], tuple[Stage, str]] = {}

    def line(event: Event) -> None:
        if last.get((event.shot, event.take)) == (event.stage, event.message):
            return
        last[event.shot, event.take] = (event.stage, event.message)
        what = f"{event.shot} · take {event.take}" if event.take else event.shot or "film"
        paid = f" ${usd(event.cost_usd)}" if event.cost_usd is not None else ""
        told = f": {event.message}" if event.message else ""
        words = _FILM.get(event.stage, str(event.stage))
        console.print(
            f"{time.monotonic() - began_s:7.1f} s  {what}: {words}{paid}{told}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    yield line


def print_plan(console: Console, plan: Plan, reused: set[str]) -> None:
    """Show a plan: a line a shot, then what it adds up to."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=plan.title, title_justify="left")
    for name in ("shot", "mode", "boundary", "waits for"):
        table.add_column(name, no_wrap=name == "shot")
    for name in ("seconds", "made", "frames", "price"):
        table.add_column(name, justify="right")
    for shot in plan.shots:
        new = [take for take in shot.takes if take.content_key not in reused]
        takes = f"{len(shot.takes)} × " if len(shot.takes) > 1 else ""
        table.add_row(
            shot.id,
            shot.mode.replace("_", " "),
            str(shot.boundary),
            ", ".join(shot.depends_on),
            f"{number(shot.duration_s)}",
            f"{number(shot.generate_s)}",
            str(shot.frames),
            f"{takes}${usd(shot.price_usd)}" if new else "reused",
        )
    console.print(table)
    console.print(
        f"\n{plan.frames} frames, {number(plan.duration_s)} s at {plan.width}x{plan.height}; "
        f"to pay: ${usd(plan.to_pay_usd(reused))} (of ${usd(plan.cost_usd)})",
        highlight=False,
    )
    for warning in plan.warnings:
        console.print(f"note: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    for item in plan.unpinned:
        console.print(
            f"unread: {item.uri} ({item.reason}); it has to be readable before anything is paid",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def print_outcome(console: Console, outcome: dict[str, Any]) -> None:
    """Say what came of a run."""
    for warning in outcome["warnings"]:
        console.print(f"note: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    paid = f"${outcome['cost_usd']} {'of play money' if outcome['provider'] == 'emulator' else 'paid'}"
    console.print(
        f"{_near(outcome['output'])}: {outcome['frames']} frames, {outcome['duration_s']} s; "
        f"{outcome['generated']} generated, {outcome['reused']} reused, {paid}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _near(path: str) -> str:
    """A path below the current folder, as one would type it here."""
    here = f"{Path.cwd()}/"
    return path.removeprefix(here)


def print_error(console: Console, error: ShotchainError) -> None:
    """Say what went wrong, where, and what to do."""
    console.print(Text("error: ", style="bold red").append(str(error), style="not bold default"), soft_wrap=True)
