"""What a person sees while deliverables are made: how far each is on a terminal, a line for each elsewhere."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from flows.watching import watching
from tasks.plan.build import build_plan
from tasks.progress import Event, Stage
from tasks.storyboard.read import read_storyboard

BOARD = "title: A lake\nshots: [{id: a, prompt: A lake, duration: 2}]"


@pytest.mark.parametrize("terminal", [True, False])
def test_how_far_deliverables_are(terminal: bool) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=100)

    with watching(console, build_plan(read_storyboard(BOARD), {}, "emulator")) as tell:
        tell(Event(Stage.JOINING))
        tell(Event(Stage.DELIVERING, message="gif: 12 frames"))
        tell(Event(Stage.DELIVERING, message="h265: 40 frames"))
        tell(Event(Stage.DELIVERED, message="gif"))

    if terminal:
        assert "making deliverables: gif (done), h265 40 frames" in shown.getvalue()
    else:
        said = [line.split("s  ")[1] for line in shown.getvalue().splitlines()]
        assert said == ["film: joining the clips", "film: delivered: gif"]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_long_message_takes_no_room_from_names_times_and_sums(width: int) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, color_system=None, width=width)
    board = BOARD.replace("{id: a, ", "{id: lake-at-high-noon-in-june, ")

    with watching(console, build_plan(read_storyboard(board), {}, "emulator")) as tell:
        tell(Event(Stage.STORED, shot="lake-at-high-noon-in-june", take=1, cost_usd=Decimal("0.42")))
        tell(Event(Stage.FAILED, shot="lake-at-high-noon-in-june", message="this needs more than there is; " * 8))
        tell(Event(Stage.NOTE, message="a note is long, too; " * 8))

    last = shown.getvalue().rpartition("shot ")[2].splitlines()
    (line,) = (line for line in last if line.startswith("lake-at"))
    assert line.split()[-1] == "$0.42"
    assert line.split()[-2] == "s"
    assert "failed: t" in line
    assert max(len(line.rstrip()) for line in last) <= width
    assert len([line for line in last if "a note" in line]) == 1
