"""README's commands print what README says, and its demo is the film that it promises."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import av
import pytest

from tasks.plan.build import build_plan
from tasks.plan.catalog import Mode
from tasks.storyboard.model import Boundary
from tasks.storyboard.read import read_storyboard
from tests.flows.conftest import Home, Shotchain

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BROKEN = "shots:\n  - id: heron\n    prompt: A heron lands\n    duration: soon\n"


def transcripts() -> list[tuple[str, str]]:
    """Every command of README's console blocks, with what it prints."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            found.append((command, printed))
    return found


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.mark.timeout(180)
@pytest.mark.runs
def test_every_transcript_is_what_the_command_prints_and_the_demo_is_frame_exact(
    home: Home, shotchain: Shotchain
) -> None:
    (home.folder / "configs").symlink_to(ROOT / "configs")
    home.storyboard(BROKEN, "broken.yaml")
    assert len(transcripts()) >= 4
    for command, printed in transcripts():
        program, *arguments = shlex.split(command)
        assert program == "shotchain"
        ran = shotchain(*arguments)
        said = ran.out if ran.code == 0 else ran.err
        assert lines(said) == lines(printed), command

    manifest = json.loads((home.folder / "demo" / "film.manifest.json").read_text())
    with av.open(str(home.folder / "demo" / "film.mp4")) as film:
        assert film.streams.audio, "the edit keeps its source's sound"
        decoded = sum(1 for _ in film.decode(video=0))
    assert decoded == manifest["plan"]["frames"] == manifest["film"]["frames"]
    # No seam frame twice: each clip that begins on the frame before begins one frame later in the film.
    for shot in manifest["shots"]:
        assert shot["film"]["first_frame"] == (1 if shot["seam"] else 0)


def test_the_demo_uses_every_mode_and_every_way_to_join() -> None:
    import asyncio
    import tempfile

    from tasks.storyboard.inputs import inspect_inputs

    board = read_storyboard(ROOT / "configs" / "storyboards" / "demo.yaml")
    with tempfile.TemporaryDirectory() as cache:
        plan = build_plan(board, asyncio.run(inspect_inputs(board, Path(cache))), "emulator")
    assert {shot.mode for shot in plan.shots} == set(Mode)
    assert {shot.boundary for shot in plan.shots} == set(Boundary)
    frames = {tuple(part.role for part in shot.inputs) for shot in plan.shots if shot.mode is Mode.FRAMES}
    assert frames == {("first_frame",), ("first_frame", "last_frame")}
    assert max(plan.priority.values()) == 3
    bridge = plan.shot("drift")
    assert bridge.depends_on == ("greenhouse", "planetarium")


def test_readmes_own_storyboard_plans(tmp_path: Path) -> None:
    text = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert text is not None
    plan = build_plan(read_storyboard(tmp_path / "board.yaml", text=text.group(1)), {}, "emulator")
    assert plan.frames == 73 + 120 + 121 - 12  # half a second of both shots
