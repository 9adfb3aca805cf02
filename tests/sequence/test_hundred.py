"""Films of a hundred clips in 720p, with sound: what they take, and that sound and picture are in their places."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.media.barclips import bar_clip, codes_of, peak_s, sound_of

ROOT = Path(__file__).parents[2]
MILLISECOND = 0.001

pytestmark = [pytest.mark.film, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five chained clips in 720p, the last frame of each the first of the next, with a click at 2 s in each."""
    folder = tmp_path_factory.mktemp("hd")
    return [
        bar_clip(folder / f"{number}.mp4", first=120 * number, width=1280, height=720, sound_s=5.2, clicks_s=[2.0])
        for number in range(5)
    ]


def measured(folder: Path, clips: Sequence[Path], count: int) -> dict[str, Any]:
    """Conform and join so many in a process of its own."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tests.sequence.joining", str(folder), str(count)],
        input="\n".join(map(str, clips)),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    print(count, result)  # noqa: T201 -- what was measured is worth reading
    return result


def test_a_hundred_clips_take_hardly_more_memory_than_ten_and_stay_in_step(tmp_path: Path, clips: list[Path]) -> None:
    ten = measured(tmp_path / "ten", clips, 10)
    hundred = measured(tmp_path / "hundred", clips, 100)

    assert hundred["peak_mb"] <= 1.2 * ten["peak_mb"]
    assert (ten["frames"], hundred["frames"]) == (1201, 12001)
    film = tmp_path / "hundred" / "film.mp4"
    # The five clips over and over; only the very first shows its first frame.
    assert codes_of(film) == [0, *list(range(1, 601)) * 20]
    sound = sound_of(film)
    for number in (0, 1, 50, 98, 99):
        # The dropped first frame takes its sound along.
        click_s = 2 + number * 120 / 24
        assert abs(peak_s(sound, click_s) - click_s) < MILLISECOND
    assert hundred["loudness"]["true_peak_dbtp"] <= -1.5
