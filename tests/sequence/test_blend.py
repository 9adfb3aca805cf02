"""A dissolve mixes just the frames that two shots share, by weights that are exact in every frame."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tasks.errors import BadInput, MediaError
from tasks.media.boxes import video_time_runs
from tasks.sequence.blend import blend
from tasks.sequence.conform import conform
from tasks.sequence.encoding import parameter_sets
from tasks.sequence.timeline import FilmLayout
from tasks.storyboard.model import Fit
from tests.media.barclips import bar_clip, codes_of, frames_of, parameter_sets_of
from tests.sequence.conftest import cut_of, names

FILM = FilmLayout(320, 180, Fraction(24))
GREY, ORANGE = (90, 90, 90), (230, 120, 30)


def flat_clip(path: Path, rgb: tuple[int, int, int], frames: int = 40, **options: Any) -> Path:
    return bar_clip(path, frames=frames, width=64, height=64, rgb=rgb, **options)


def means_of(picture: Path) -> list[tuple[float, float, float]]:
    """The mean luma, Cb and Cr of every frame."""
    means = []
    for frame in frames_of(picture):
        lines = frame.shape[0] // 6
        luma, cb, cr = frame[: 4 * lines], frame[4 * lines : 5 * lines], frame[5 * lines :]
        means.append((float(luma.mean()), float(cb.mean()), float(cr.mean())))
    return means


@pytest.mark.parametrize("frames", [1, 2, 5, 12, 24, 31])
async def test_every_frame_has_its_weight(tmp_path: Path, frames: int) -> None:
    layout = FilmLayout(64, 64, Fraction(24))
    earlier, later = flat_clip(tmp_path / "grey.mp4", GREY), flat_clip(tmp_path / "orange.mp4", ORANGE)

    window = await blend(cut_of(earlier, 40, tail=frames), cut_of(later, 40, lead=frames), layout, tmp_path)

    seen = means_of(window.picture)
    before, after = np.array(means_of(earlier)[0]), np.array(means_of(later)[0])
    assert len(seen) == window.frames == frames
    for number, mean in enumerate(seen):
        weight = (number + 1) / (frames + 1)
        # Half a code value is rounding, the rest the encoder's.
        assert np.abs(mean - (before * (1 - weight) + after * weight)).max() < 0.8, number


async def test_each_pixel_is_rounded_to_the_nearest(tmp_path: Path) -> None:
    # Bars have two values: in each frame of the window, a pixel is one of four mixtures.
    first, second = (
        bar_clip(tmp_path / "a.mp4", frames=12, first=0x5555),
        bar_clip(tmp_path / "b.mp4", frames=12, first=0x3300),
    )

    window = await blend(cut_of(first, 12, tail=6), cut_of(second, 12, lead=6), FILM, tmp_path)

    going, coming = frames_of(first)[6:], frames_of(second)[:6]
    for number, frame in enumerate(frames_of(window.picture)):
        exact = (going[number].astype(float) * (6 - number) + coming[number].astype(float) * (number + 1)) / 7
        assert abs(float((frame - exact).mean())) < 0.3


async def test_only_the_window_and_every_frame_of_it_once(tmp_path: Path) -> None:
    # The high bits tell the shots apart: where both are white or black, so is the mixture.
    first, second = bar_clip(tmp_path / "a.mp4", frames=48), bar_clip(tmp_path / "b.mp4", frames=48, first=30)

    window = await blend(cut_of(first, 48, tail=18), cut_of(second, 48, lead=18), FILM, tmp_path)

    # Frames 30 … 47 of the one are the same pictures as frames 0 … 17 of the other.
    assert codes_of(window.picture) == list(range(30, 48))


async def test_both_sides_are_cut_out_of_what_their_bodies_are(tmp_path: Path) -> None:
    first = bar_clip(tmp_path / "a.mp4", frames=50, rate=Fraction(25))
    second = bar_clip(tmp_path / "b.webm", frames=60, rate=Fraction(30), codec="libvpx-vp9")
    going, coming = cut_of(first, 50, frames=48, tail=10), cut_of(second, 60, frames=48, lead=10)
    whole = [
        codes_of((await conform(cut_of(clip, count, frames=48), FILM, tmp_path)).picture)
        for clip, count in ((first, 50), (second, 60))
    ]

    bodies = [codes_of((await conform(cut, FILM, tmp_path)).picture) for cut in (going, coming)]
    window = await blend(going, coming, FILM, tmp_path)

    assert bodies == [whole[0][:38], whole[1][10:]]
    seen = frames_of(window.picture)
    ours = [(frames_of(first)[whole[0][38 + number]], frames_of(second)[whole[1][number]]) for number in range(10)]
    for number, (frame, (before, after)) in enumerate(zip(seen, ours, strict=True)):
        weight = (number + 1) / 11
        assert np.abs(frame - (before * (1 - weight) + after.astype(float) * weight)).mean() < 2.5, number


async def test_a_clip_may_dissolve_into_itself(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "a.mp4", frames=8)

    window = await blend(cut_of(clip, 8, tail=4), cut_of(clip, 8, lead=4), FILM, tmp_path)
    same = await blend(cut_of(clip, 8, frames=5, tail=4), cut_of(clip, 8, frames=5, lead=4), FILM, tmp_path)

    assert len(frames_of(window.picture)) == len(frames_of(same.picture)) == 4


async def test_sizes_rates_and_colours_may_differ(tmp_path: Path) -> None:
    first = flat_clip(tmp_path / "a.mp4", ORANGE, full_range=True)
    second = bar_clip(
        tmp_path / "b.mp4", frames=40, width=96, height=54, rate=Fraction(30000, 1001), rgb=ORANGE, matrix=6
    )
    layout = FilmLayout(64, 36, Fraction(24000, 1001))

    window = await blend(
        cut_of(first, 40, tail=7, fit=Fit.FILL), cut_of(second, 40, frames=32, lead=7), layout, tmp_path
    )

    expected = np.array(means_of(flat_clip(tmp_path / "truth.mp4", ORANGE))[0])
    assert all(np.abs(mean - expected).max() < 1.5 for mean in means_of(window.picture))
    assert parameter_sets_of(window.picture) == await parameter_sets(layout)
    assert video_time_runs(window.picture) == 1


async def test_a_caption_is_put_over_every_frame_of_the_window(tmp_path: Path) -> None:
    clips = [flat_clip(tmp_path / "grey.mp4", GREY), flat_clip(tmp_path / "orange.mp4", ORANGE)]
    pixels = np.zeros((64, 64, 4), dtype=np.uint8)
    pixels[32:] = 255
    Image.fromarray(pixels).save(tmp_path / "50%d.png")
    layout = FilmLayout(64, 64, Fraction(24))
    told: list[int] = []

    going, coming = cut_of(clips[0], 40, tail=6), cut_of(clips[1], 40, lead=6)
    plain = await blend(going, coming, layout, tmp_path)
    window = await blend(going, coming, layout, tmp_path, overlay=tmp_path / "50%d.png", on_frames=told.append)

    assert window != plain
    for frame, clear in zip(frames_of(window.picture), frames_of(plain.picture), strict=True):
        assert np.abs(frame[34:64].astype(int) - 235).max() <= 1
        assert np.abs(frame[:30].astype(int) - clear[:30]).max() <= 1
    assert told[-1] == 6


async def test_a_window_is_made_once_and_named_for_all_of_it(tmp_path: Path) -> None:
    clips = [bar_clip(tmp_path / f"{name}.mp4", frames=12) for name in "ab"]
    going, coming = cut_of(clips[0], 12, tail=4), cut_of(clips[1], 12, lead=4)

    first = await blend(going, coming, FILM, tmp_path / "kept")
    again = await blend(going, coming, FILM, tmp_path / "kept")
    others = [
        await blend(cut_of(clips[1], 12, tail=4), cut_of(clips[0], 12, lead=4), FILM, tmp_path / "kept"),
        await blend(cut_of(clips[0], 12, tail=3), cut_of(clips[1], 12, lead=3), FILM, tmp_path / "kept"),
        await blend(cut_of(clips[0], 12, tail=4, start=1, frames=11), coming, FILM, tmp_path / "kept"),
        await blend(going, cut_of(clips[1], 12, lead=4, fit=Fit.FILL), FILM, tmp_path / "kept"),
    ]

    assert again == first
    assert len({first, *others}) == 5
    assert len(names(tmp_path / "kept")) == 5


async def test_shots_that_do_not_share_frames_cannot_dissolve(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "a.mp4", frames=12)

    with pytest.raises(BadInput, match=r"'a' ends with a dissolve of 4 frames, 'a' begins with 3"):
        await blend(cut_of(clip, 12, tail=4), cut_of(clip, 12, lead=3), FILM, tmp_path)
    with pytest.raises(BadInput, match="0 frames"):
        await blend(cut_of(clip, 12), cut_of(clip, 12), FILM, tmp_path)


async def test_a_clip_that_is_too_short_is_named(tmp_path: Path) -> None:
    long, short = bar_clip(tmp_path / "long.mp4", frames=12), bar_clip(tmp_path / "short.mp4", frames=6)

    with pytest.raises(MediaError, match="6 frames, not 12") as raised:
        await blend(cut_of(short, 12, tail=4), cut_of(long, 12, lead=4), FILM, tmp_path / "kept")

    assert (raised.value.shot, raised.value.file) == ("short", str(short))
    assert names(tmp_path / "kept") == []
