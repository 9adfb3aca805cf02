"""xfade's transitions, each on real frames: as many as the window has, both shots in step, and no colour moved."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tasks.errors import BadInput
from tasks.media.boxes import video_time_runs
from tasks.media.ffmpeg import binary
from tasks.sequence.blend import blend
from tasks.sequence.conform import conform
from tasks.sequence.encoding import parameter_sets
from tasks.sequence.timeline import FilmLayout
from tasks.storyboard.model import TransitionKind
from tests.media.barclips import bar_clip, codes_of, frames_of, parameter_sets_of
from tests.sequence.conftest import cut_of, names

SMALL = FilmLayout(64, 64, Fraction(24))
FILM = FilmLayout(320, 180, Fraction(24))
BLUE, ORANGE = (40, 60, 120), (230, 150, 60)
NAMED = [kind for kind in TransitionKind if kind.is_named]
THROUGH_A_COLOUR = {"fadeblack", "fadewhite", "circlecrop", "rectcrop", "fadegrays"}
# Those that move, blur or coarsen pictures cannot be told by bars.
IN_PLACE = ["wipeleft", "wipebr", "radial", "circleopen", "smoothup", "hlwind", "vdslice", "diagtl", "fadefast"]
FEW = 5


def planes_of(frame: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    """Luma, Cb and Cr of an I420 frame."""
    lines = frame.shape[0] // 6
    return [frame[: 4 * lines], frame[4 * lines : 5 * lines], frame[5 * lines :]]


@pytest.fixture(scope="module")
def flats(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("flats")
    colours = {"blue": BLUE, "orange": ORANGE}
    return [bar_clip(folder / f"{name}.mp4", frames=8, width=64, height=64, rgb=rgb) for name, rgb in colours.items()]


def test_there_is_every_name_that_ffmpeg_has() -> None:
    told = subprocess.run([binary(), "-hide_banner", "-h", "filter=xfade"], capture_output=True, text=True, check=True)
    known = set(re.findall(r"^ {5}([a-z]+) +-?\d+ ", told.stdout, re.MULTILINE))

    assert {str(kind) for kind in NAMED} == known - {"custom", "fade", "dissolve"}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", NAMED)
async def test_each_has_its_frames_from_the_one_to_the_other(
    tmp_path: Path, flats: list[Path], kind: TransitionKind
) -> None:
    window = await blend(cut_of(flats[0], 8, tail=FEW), cut_of(flats[1], 8, lead=FEW), SMALL, tmp_path, kind=kind)

    seen = frames_of(window.picture)
    assert len(seen) == window.frames == FEW
    before, after = (planes_of(frames_of(flat)[0]) for flat in flats)
    for number, frame in enumerate(seen):
        for plane, low, high in zip(planes_of(frame), before, after, strict=True):
            ends = sorted([float(low.mean()), float(high.mean())])
            if kind in THROUGH_A_COLOUR:
                ends = [min(ends[0], 16), max(ends[1], 235)]
            # The encoder adds something beside edges. Else there is nothing that was in neither picture.
            least, most = np.percentile(plane, [4, 96])
            assert ends[0] - 4 < least, number
            assert most < ends[1] + 4, number
    if kind not in THROUGH_A_COLOUR:
        steps = [float(planes_of(frame)[0].mean()) for frame in seen]
        assert steps == sorted(steps)
        start, end = float(before[0].mean()), float(after[0].mean())
        assert abs(steps[0] - start) < abs(steps[0] - end)
        assert abs(steps[-1] - end) < abs(steps[-1] - start)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [kind for kind in NAMED if kind not in THROUGH_A_COLOUR])
async def test_where_both_are_alike_nothing_changes(tmp_path: Path, flats: list[Path], kind: TransitionKind) -> None:
    going, coming = cut_of(flats[1], 8, tail=FEW), cut_of(flats[1], 8, lead=FEW)

    window = await blend(going, coming, SMALL, tmp_path, kind=kind)

    alone = planes_of(frames_of(flats[1])[0])
    for frame in frames_of(window.picture):
        for plane, same in zip(planes_of(frame), alone, strict=True):
            assert abs(float(plane.mean()) - float(same.mean())) < 0.6


@pytest.mark.thorough
@pytest.mark.parametrize("kind", IN_PLACE)
async def test_both_shots_are_in_step_and_no_frame_is_shown_twice(tmp_path: Path, kind: str) -> None:
    # Frames 30 ... 47 of the one are the same pictures as frames 0 ... 17 of the other.
    first, second = bar_clip(tmp_path / "a.mp4", frames=48), bar_clip(tmp_path / "b.mp4", frames=48, first=30)
    going, coming = cut_of(first, 48, tail=18), cut_of(second, 48, lead=18)

    window = await blend(going, coming, FILM, tmp_path, kind=TransitionKind(kind))
    bodies = [(await conform(cut, FILM, tmp_path)).picture for cut in (going, coming)]

    film = codes_of(bodies[0]) + codes_of(window.picture) + codes_of(bodies[1])
    assert film == list(range(30 + 48))


@pytest.mark.thorough
@pytest.mark.parametrize("frames", [1, 3, 7])
async def test_a_wipe_has_gone_so_far_in_each_frame(tmp_path: Path, frames: int) -> None:
    flats = [
        bar_clip(tmp_path / f"{name}.mp4", frames=8, width=64, height=64, rgb=rgb)
        for name, rgb in (("a", BLUE), ("b", ORANGE))
    ]

    going, coming = cut_of(flats[0], 8, tail=frames), cut_of(flats[1], 8, lead=frames)
    window = await blend(going, coming, SMALL, tmp_path, kind=TransitionKind.WIPE_LEFT)

    before, after = (float(planes_of(frames_of(flat)[0])[0].mean()) for flat in flats)
    for number, frame in enumerate(frames_of(window.picture)):
        luma = planes_of(frame)[0].astype(float)
        gone = int((np.abs(luma - after) < np.abs(luma - before)).all(axis=0).sum())
        assert abs(gone - 64 * (number + 1) / (frames + 1)) <= 1, number


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "grey", "colour"), [("fadeblack", 0, 16), ("fadewhite", 255, 235)])
async def test_black_and_white_are_those_of_the_film(tmp_path: Path, kind: str, grey: int, colour: int) -> None:
    flat = bar_clip(tmp_path / "flat.mp4", frames=8, width=64, height=64, rgb=(grey, grey, grey))
    going, coming = cut_of(flat, 8, tail=FEW), cut_of(flat, 8, lead=FEW)

    window = await blend(going, coming, SMALL, tmp_path, kind=TransitionKind(kind))

    for frame in frames_of(window.picture):
        assert [round(float(plane.mean())) for plane in planes_of(frame)] == [colour, 128, 128]


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "is_darker"), [("fadeblack", True), ("fadewhite", False)])
async def test_between_two_shots_there_is_black_or_white(
    tmp_path: Path, flats: list[Path], kind: str, is_darker: bool
) -> None:
    going, coming = cut_of(flats[1], 8, tail=FEW), cut_of(flats[1], 8, lead=FEW)

    window = await blend(going, coming, SMALL, tmp_path, kind=TransitionKind(kind))

    middle, alone = (
        float(planes_of(frame)[0].mean()) for frame in (frames_of(window.picture)[2], frames_of(flats[1])[0])
    )
    assert (middle < alone - 20) is is_darker
    assert (middle > alone + 20) is not is_darker


async def test_around_a_crop_there_is_the_black_of_the_film(tmp_path: Path, flats: list[Path]) -> None:
    going, coming = cut_of(flats[0], 8, tail=FEW), cut_of(flats[1], 8, lead=FEW)

    window = await blend(going, coming, SMALL, tmp_path, kind=TransitionKind.CIRCLE_CROP)

    corner = [plane[:4, :4] for plane in planes_of(frames_of(window.picture)[1])]
    assert [round(float(plane.mean())) for plane in corner] == [16, 128, 128]


async def test_sizes_and_rates_may_differ(tmp_path: Path) -> None:
    first = bar_clip(tmp_path / "a.mp4", frames=25, rate=Fraction(25))
    second = bar_clip(tmp_path / "b.mp4", frames=30, width=160, height=90, rate=Fraction(30), times=[*range(29), 31])
    going, coming = cut_of(first, 25, frames=24, tail=9), cut_of(second, 30, frames=24, lead=9)
    layout = FilmLayout(320, 180, Fraction(24000, 1001))

    window = await blend(going, coming, layout, tmp_path, kind=TransitionKind.SLIDE_UP)

    assert len(frames_of(window.picture)) == 9
    assert parameter_sets_of(window.picture) == await parameter_sets(layout)
    assert video_time_runs(window.picture) == 1


async def test_each_kind_is_kept_under_its_own_name(tmp_path: Path, flats: list[Path]) -> None:
    going, coming = cut_of(flats[0], 8, tail=4), cut_of(flats[1], 8, lead=4)

    made = {
        (await blend(going, coming, SMALL, tmp_path / "kept", kind=TransitionKind(kind))).picture
        for kind in ("dissolve", "wipeleft", "wiperight", "wipeleft")
    }

    assert len(made) == len(names(tmp_path / "kept")) == 3


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["cut", "fade"])
async def test_what_does_not_overlap_is_no_window(tmp_path: Path, flats: list[Path], kind: str) -> None:
    going, coming = cut_of(flats[0], 8, tail=4), cut_of(flats[1], 8, lead=4)

    with pytest.raises(BadInput):
        await blend(going, coming, SMALL, tmp_path, kind=TransitionKind(kind))
