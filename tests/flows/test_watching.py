"""What a person sees while deliverables are made: how far each is on a terminal, a line for each elsewhere."""

from __future__ import annotations

import io

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
