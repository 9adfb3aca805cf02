"""What a person is told on the terminal: a plan and its price, how a run ended, what is wrong."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from flows.tables import plain_table, print_table
from tasks.errors import ShotchainError
from tasks.plan.estimate import Estimate, ShotEstimate
from tasks.plan.lengths import seconds_of
from tasks.plan.model import Plan, PlannedCard, PlannedScene, number, usd
from tasks.plan.savings import Savings

__all__ = [
    "console_on",
    "minutes",
    "plain_table",
    "print_error",
    "print_outcome",
    "print_plan",
    "print_savings",
]


_NO_WIDTH = 100_000


class _Console(Console):
    """A console whose reader may go away: it falls silent, and what is being done goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


def console_on(*, stderr: bool) -> Console:
    """A console on standard output or standard error."""
    console = _Console(stderr=stderr)
    if not console.is_terminal:
        console.width = _NO_WIDTH  # a file or a pipe has none to fit into
    return console


def print_plan(console: Console, plan: Plan, reused: set[str] | frozenset[str], told: Estimate | None = None) -> None:
    """Show a plan: a line a shot, then what it adds up to. With an estimate, also the worst price and the times."""
    console.print(Text(plan.title, "italic"), soft_wrap=True)
    table = plain_table()
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
    print_table(console, table)
    frames = "1 frame" if plan.frames == 1 else f"{plan.frames} frames"
    console.print(
        f"\n{frames}, {number(plan.duration_s)} s at {plan.width}x{plan.height}{_ending(plan)}; "
        f"to pay: ${usd(plan.to_pay_usd(reused))} (of ${usd(plan.cost_usd)})",
        highlight=False,
    )
    if told is not None:
        _print_estimate(console, told)
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


def _print_estimate(console: Console, told: Estimate) -> None:
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
