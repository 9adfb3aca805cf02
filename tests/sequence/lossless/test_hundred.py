"""Films of a hundred clips in 720p: what they take, and that each frame is in its place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tasks.media.boxes import video_time_runs
from tasks.sequence.timeline import FilmLayout
from tests.media.barclips import codes_of
from tests.sequence.lossless.conftest import USUAL, write_clip

ROOT = Path(__file__).parents[3]
HD = FilmLayout(1280, 720, Fraction(24))

pytestmark = [pytest.mark.film, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five chained clips in 720p, as a generator's usual settings make them."""
    folder = tmp_path_factory.mktemp("hd")
    return [write_clip(folder / f"{number}.mp4", first=120 * number, layout=HD, settings=USUAL) for number in range(5)]


def measured(folder: Path, clips: Sequence[Path], count: int) -> dict[str, Any]:
    """Join so many in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sequence.lossless.measure", str(folder), str(count)],
        input="\n".join(map(str, clips)),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_hundred_clips_take_hardly_more_memory_than_ten(tmp_path: Path, clips: list[Path]) -> None:
    (tmp_path / "ten").mkdir()
    (tmp_path / "hundred").mkdir()
    ten = measured(tmp_path / "ten", clips, 10)
    hundred = measured(tmp_path / "hundred", clips, 100)

    assert hundred["peak_mb"] < 350
    assert hundred["peak_mb"] < 1.2 * ten["peak_mb"]
    assert (ten["frames"], hundred["frames"]) == (1201, 12001)
    assert Fraction(hundred["copied"], hundred["frames"]) >= Fraction(99, 100)
    # What remains when the last clip has come is a small part of it.
    assert hundred["copied_s"] < hundred["made_s"] / 4
    assert video_time_runs(tmp_path / "hundred" / "film.mp4") == 1
    # The five clips over and over: 120 frames of each, and at the very end the last one, too.
    expected = list(range(600)) * 20 + [600]
    assert codes_of(tmp_path / "hundred" / "film.mp4") == expected
