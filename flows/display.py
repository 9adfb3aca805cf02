"""What a person sees while a film is made: one line a shot on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tasks.errors import ShotchainError
from tasks.plan.estimate import Estimate, ShotEstimate
from tasks.plan.lengths import seconds_of
from tasks.plan.model import Plan, PlannedCard, PlannedScene, number, usd
from tasks.plan.savings import Savings
from tasks.progress import Event, Observer, Stage

__all__ = [
    "console_on",
    "minutes",
    "print_error",
    "print_estimate",
    "print_outcome",
    "print_plan",
    "print_savings",
    "set_aside",
    "watching",
]

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
_shown: list[Live] = []  # the one board of this process, while it is on the terminal
_FILM = {
    Stage.JOINING: "joining the clips",
    Stage.DELIVERING: "making deliverables",
    Stage.DELIVERED: "making deliverables",
    Stage.PUBLISHING: "publishing the film",
    Stage.DONE: "published",
}


class _Console(Console):
    """A console whose reader may go away: it falls silent, and what is being done goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


def console_on(*, stderr: bool) -> Console:
    """A console on standard output or standard error."""
    console = _Console(stderr=stderr)
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no width to fit into
    return console


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
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        narrow = self._console.width < 60
        table.add_column("shot", max_width=16 if narrow else 40, no_wrap=True, overflow="ellipsis")
        if not narrow:
            table.add_column("mode", no_wrap=True)
        table.add_column("", overflow="ellipsis", no_wrap=True, min_width=10)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("paid", justify="right", no_wrap=True)
        shown = self._shown()
        for shot in self._plan.shots:
            if shot.id not in shown:
                continue
            line = self._lines[shot.id]
            state = Text(f"{line.stage}{': ' + line.message if line.message else ''}", _STYLES.get(line.stage, ""))
            paid = f"${usd(line.cost_usd)}" if line.cost_usd else ""
            mode = [] if narrow else [shot.mode.replace("_", " ")]
            table.add_row(Text(shot.id), *mode, state, line.elapsed(), paid)
        total = sum((line.cost_usd for line in self._lines.values()), Decimal(0))
        blank = [""] if narrow else ["", ""]
        done = sum(line.stage in _ENDS for line in self._lines.values())
        hidden = f"{done} of {len(self._lines)} shots done" if len(shown) < len(self._lines) else ""
        words = ", ".join(part for part in (hidden, self._film) if part)
        table.add_row(*blank, Text(words, "bold"), "", f"${usd(total)}")
        for note in self._notes[-_NOTES:]:
            table.add_row(*blank, Text(note, "yellow"), "", "")
        return table

    def _shown(self) -> set[str]:
        """The shots that there is room for: failed ones and those under way, then waiting, then done."""
        room = max(3, self._console.height - 3 - _NOTES)
        order = sorted(self._lines, key=lambda shot: _weight(self._lines[shot]))
        return set(order[:room])


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


def print_plan(console: Console, plan: Plan, reused: set[str] | frozenset[str], told: Estimate | None = None) -> None:
    """Show a plan: a line a shot, then what it adds up to. With an estimate, also the worst price and the times."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=Text(plan.title), title_justify="left")
    for name in ("shot", "mode", "boundary", "waits for"):
        table.add_column(name, no_wrap=name == "shot")
    more = [] if told is None else ["worst"] if told.schedule is None else ["worst", "there after"]
    for name in ("seconds", "made", "frames", "price", *more):
        table.add_column(name, justify="right")
    estimates = iter(() if told is None else told.shots)
    for shot in plan.scenes:
        if isinstance(shot, PlannedCard):
            seconds = number(seconds_of(shot.frames, plan.rate))
            table.add_row(
                shot.id, "card", _joined(shot), "", f"{seconds}", "", str(shot.frames), "free", *[""] * len(more)
            )
            continue
        new = sum(take.content_key not in reused for take in shot.takes)
        takes = f"{new} × " if new > 1 else ""
        cells = () if told is None else _worst_and_time(next(estimates))
        table.add_row(
            shot.id,
            shot.mode.replace("_", " "),
            _joined(shot),
            ", ".join(shot.depends_on),
            f"{number(shot.duration_s)}",
            f"{number(shot.generate_s)}",
            str(shot.frames),
            f"{takes}${usd(shot.price_usd)}" if new else "reused",
            *cells[: len(more)],
        )
    console.print(table)
    console.print(
        f"\n{plan.frames} frames, {number(plan.duration_s)} s at {plan.width}x{plan.height}{_ending(plan)}; "
        f"to pay: ${usd(plan.to_pay_usd(reused))} (of ${usd(plan.cost_usd)})",
        highlight=False,
    )
    if told is not None:
        print_estimate(console, told)
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


def _joined(shot: PlannedScene) -> str:
    """How a shot or card joins what is before; a transition with its frames."""
    boundary = "cut" if isinstance(shot, PlannedCard) else str(shot.boundary)
    return boundary if shot.transition is None else f"{shot.transition.kind} {shot.transition.frames}"


def _ending(plan: Plan) -> str:
    return "" if plan.ending is None else f", a {plan.ending.kind} of {plan.ending.frames} at its end"


def _worst_and_time(shot: ShotEstimate) -> tuple[str, str]:
    """Two cells; empty where nothing is generated."""
    if not shot.generated:
        return "", ""
    return f"${usd(shot.worst_usd)}", "" if shot.span is None else minutes(shot.span.ends_s)


def print_estimate(console: Console, told: Estimate) -> None:
    """What a plan costs at worst, and how long it takes."""
    lines = []
    if told.to_pay_usd:
        retries = "1 retry" if told.retries == 1 else f"{told.retries} retries"
        lines.append(f"at worst: ${usd(told.worst_usd)}, if every clip fails, is charged, and has all its {retries}")
    laid, times = told.schedule, told.times
    if laid is None:
        lines.append("time: unknown, for no clip of this model was made yet; --clip-seconds says what one takes")
    elif told.generated:
        path = " → ".join(laid.critical_path)
        clips = sum(time.samples for time in times.learnt.values())
        source = f"learnt from {clips} clip{'s' if clips != 1 else ''}" if times.learnt else "as stated a clip"
        lines.append(f"time: {minutes(laid.wall_s)} with at most {told.max_in_flight} at once ({source})")
        lines.append(f"critical path: {minutes(laid.critical_s)}: {path}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_savings(console: Console, budget: str, savings: Savings) -> None:
    """By how much a plan is over a budget, and the cheapest changes that bring it within."""
    told = f"over {budget} by ${usd(savings.over_usd)}: it has room for ${usd(savings.room_usd)}"
    console.print(told, style="bold red", markup=False, highlight=False, soft_wrap=True)
    fits = f"it costs ${usd(savings.left_usd)}" + ("" if savings.fits else ", which is still too much")
    if not savings.together:
        console.print("no change of takes, lengths or shots makes it cheaper", highlight=False)
    # A single change that is enough need not be told twice.
    told_already = savings.together if len(savings.together) == 1 else ()
    others = tuple(saving for saving in savings.alone if saving not in told_already)
    for title, changes in ((f"with these changes {fits}:", savings.together), ("or, each alone:", others)):
        for line in (title, *(f"  {saving.says}: saves ${usd(saving.saves_usd)}" for saving in changes)):
            if changes:
                console.print(line, markup=False, highlight=False, soft_wrap=True)


def minutes(seconds: Decimal) -> str:
    """Seconds as people read them: `42 s`, `2:05 min`, `1:03:20 h`."""
    whole = int(seconds.to_integral_value(ROUND_CEILING))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d} h"


def print_outcome(console: Console, outcome: dict[str, Any]) -> None:
    """Say what came of a run."""
    for warning in outcome["warnings"]:
        console.print(f"note: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    paid = f"${outcome['cost_usd']} {'of play money' if outcome['provider'] == 'emulator' else 'paid'}"
    for place in outcome["deliverables"].values():
        console.print(_near(place), markup=False, highlight=False, soft_wrap=True)
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
