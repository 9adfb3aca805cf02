from __future__ import annotations

import asyncio
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.errors import MediaError
from tasks.media.boxes import video_time_runs
from tasks.media.frames import extract_frame
from tasks.media.probe import probe_video
from tasks.sequence.conform import conform, conformed_key
from tasks.sequence.encoding import fitted_size
from tasks.sequence.timeline import Cut, FilmLayout
from tests.media.barclips import BT601, BT709, UNTAGGED, bar_clip, codes_of, remuxed, soft_picture, still_clip
from tests.sequence.conftest import Conform, names

FILM = FilmLayout(320, 180, Fraction(24))


@pytest.mark.parametrize(("start", "stop"), [(0, 121), (1, 121), (0, 120), (37, 38), (5, 7), (120, 121)])
async def test_frames_are_exactly_those_of_the_cut(
    tmp_path: Path, conform_clip: Conform, start: int, stop: int
) -> None:
    part = await conform_clip(bar_clip(tmp_path / "clip.mp4"), FILM, start, stop)

    assert codes_of(part.picture) == list(range(start, stop))
    assert part.frames == stop - start


async def test_every_part_has_the_layout_of_the_film(tmp_path: Path, conform_clip: Conform) -> None:
    layout = FilmLayout(320, 240, Fraction(24000, 1001))
    parameter_sets = set()
    for name, clip in {
        "wide": bar_clip(tmp_path / "wide.mp4", frames=24, width=320, height=180),
        "tall": bar_clip(tmp_path / "tall.mp4", frames=24, width=180, height=320, matrix=BT601),
        "fast": bar_clip(tmp_path / "fast.webm", frames=24, rate=Fraction(30), codec="libvpx-vp9", matrix=UNTAGGED),
        "full": bar_clip(tmp_path / "full.mov", frames=24, full_range=True, sound_s=1),
        "one": bar_clip(tmp_path / "one.mp4", frames=1, rate=Fraction(25)),
    }.items():
        part = await conform_clip(clip, layout, 0, 1 if name == "one" else 24)
        facts = probe_video(part.picture)
        with av.open(str(part.picture)) as container:
            stream = container.streams.video[0]
            tags = (int(stream.color_range), int(stream.colorspace), int(stream.color_primaries), int(stream.color_trc))
            time_base = stream.time_base
            parameter_sets.add(bytes(stream.codec_context.extradata or b""))

        assert (facts.width, facts.height, facts.pix_fmt, facts.codec) == (320, 240, "yuv420p", "h264"), name
        assert facts.rate == layout.rate, name
        assert facts.sample_aspect_ratio == 1, name
        assert not facts.has_sound, name
        assert tags == (1, 1, 1, 1), name
        assert time_base == Fraction(1, 24000), name
        assert video_time_runs(part.picture) == 1, name
        assert (part.sound is not None) == (name == "full")
    # One set for the whole film: players are not asked to change decoders at a seam.
    assert len(parameter_sets) == 1


@pytest.mark.parametrize(("rate", "frames"), [(30, 151), (12, 61), (60, 300), (25, 126)])
async def test_another_rate_is_resampled_in_time(tmp_path: Path, conform_clip: Conform, rate: int, frames: int) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=frames, rate=Fraction(rate))
    part = await conform_clip(clip, FILM, 0, frames)

    shown = codes_of(part.picture)
    assert len(shown) == part.frames
    assert shown == sorted(shown)
    for number, code in enumerate(shown):
        assert abs(code / rate - number / 24) <= 0.5 / 24 + 0.5 / rate


async def test_nearly_the_films_rate_is_taken_frame_for_frame(tmp_path: Path, conform_clip: Conform) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", rate=Fraction(24000, 1001))

    assert codes_of((await conform_clip(clip, FILM)).picture) == list(range(121))


async def test_a_rate_that_is_not_constant_is_resampled(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=8, times=[0, 1, 2, 3, 6, 7, 8, 9])
    cut = Cut(shot="a", clip=clip, clip_id="a", start=0, stop=8, frames=10)

    part = await conform(cut, FILM, tmp_path)

    assert codes_of(part.picture) == [0, 1, 2, 3, 3, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(("frames", "expected"), [(14, [*range(10), 9, 9, 9, 9]), (6, list(range(6)))])
async def test_a_count_that_does_not_fit_is_filled_or_cut(tmp_path: Path, frames: int, expected: list[int]) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=10)
    cut = Cut(shot="a", clip=clip, clip_id="a", start=0, stop=10, frames=frames)

    assert codes_of((await conform(cut, FILM, tmp_path)).picture) == expected


async def test_frames_before_an_edit_list_do_not_count(tmp_path: Path, conform_clip: Conform) -> None:
    trimmed = remuxed(bar_clip(tmp_path / "whole.mp4"), tmp_path / "trimmed.mp4", before=("-ss", "1"))

    assert codes_of((await conform_clip(trimmed, FILM, 1, 97)).picture) == list(range(25, 121))


async def test_a_cut_past_the_end_of_the_clip_says_so(tmp_path: Path, conform_clip: Conform) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=120)

    with pytest.raises(MediaError, match="120 frames, not 121") as raised:
        await conform_clip(clip, FILM, 0, 121)

    assert (raised.value.shot, raised.value.file) == ("clip", str(clip))


@pytest.mark.parametrize("size", [(320, 180), (480, 180), (320, 320), (160, 180), (640, 360)])
async def test_other_shapes_are_fitted_and_padded(tmp_path: Path, conform_clip: Conform, size: tuple[int, int]) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=6, width=size[0], height=size[1], first=21845)
    part = await conform_clip(clip, FILM, 0, 6)

    width, height = fitted_size(*size, FILM)
    box = ((320 - width) // 4 * 2, (180 - height) // 4 * 2, width, height)
    assert codes_of(part.picture, box) == list(range(21845, 21851))
    extract_frame(part.picture, 0, tmp_path / "frame.png")
    picture = np.asarray(Image.open(tmp_path / "frame.png")).astype(int)
    outside = np.ones((180, 320), dtype=bool)
    outside[box[1] : box[1] + height, box[0] : box[0] + width] = False
    assert not outside.any() or picture[outside].max() <= 12


@given(st.integers(16, 4000), st.integers(16, 4000))
def test_a_fitted_size_touches_the_film_and_never_exceeds_it(width: int, height: int) -> None:
    fitted = fitted_size(width, height, FILM)

    assert fitted[0] == 320 or fitted[1] == 180
    assert 2 <= fitted[0] <= 320
    assert 2 <= fitted[1] <= 180
    assert fitted[0] % 2 == fitted[1] % 2 == 0


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [BT709, UNTAGGED, BT601])
@pytest.mark.parametrize("size", [(64, 64), (96, 64)])
async def test_colours_come_through_whatever_the_clip_is_coded_in(
    tmp_path: Path, conform_clip: Conform, matrix: int, full_range: bool, size: tuple[int, int]
) -> None:
    layout = FilmLayout(64, 64, Fraction(24))
    for rgb in [(200, 60, 40), (40, 190, 70), (50, 60, 210), (90, 90, 90)]:
        clip = bar_clip(
            tmp_path / f"{rgb}.mp4",
            frames=2,
            width=size[0],
            height=size[1],
            rgb=rgb,
            matrix=matrix,
            full_range=full_range,
        )
        part = await conform_clip(clip, layout, 0, 2)
        extract_frame(part.picture, 0, tmp_path / "frame.png")

        seen = np.asarray(Image.open(tmp_path / "frame.png"))[32, 32].astype(int)
        assert np.abs(seen - rgb).max() <= 3, (rgb, seen)


@pytest.mark.parametrize("scale", [1, 2, 3])
async def test_pictures_come_through_without_a_shift(tmp_path: Path, conform_clip: Conform, scale: int) -> None:
    truth = soft_picture(tmp_path / "still.png", 320 * scale, 180 * scale)
    clip = still_clip(tmp_path / "still.png", tmp_path / "clip.mp4")
    part = await conform_clip(clip, FILM, 0, 3)
    extract_frame(part.picture, -1, tmp_path / "frame.png")

    seen = np.asarray(Image.open(tmp_path / "frame.png")).astype(int)
    expected = truth.reshape(180, scale, 320, scale, 3).mean(axis=(1, 3))
    error, slope = seen - expected, np.gradient(expected, axis=1)
    shift_px = (error * slope).sum(axis=(0, 1)) / (slope**2).sum(axis=(0, 1))
    assert np.abs(shift_px).max() < 0.05
    assert np.abs(error).mean() < 2.5
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.5


async def test_a_result_is_made_once(tmp_path: Path, conform_clip: Conform) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12, sound_s=1)
    first = await conform_clip(clip, FILM, 0, 12)
    assert first.sound is not None
    before = (first.picture.stat().st_ino, first.sound.stat().st_ino)

    again = await conform_clip(clip, FILM, 0, 12)

    assert again == first
    assert (first.picture.stat().st_ino, first.sound.stat().st_ino) == before
    assert names(tmp_path / "conformed") == sorted([first.sound.name, first.picture.name])


async def test_a_result_that_was_damaged_is_made_again(tmp_path: Path, conform_clip: Conform) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12, sound_s=1)
    part = await conform_clip(clip, FILM, 0, 12)
    assert part.sound is not None
    whole = part.picture.read_bytes(), part.sound.read_bytes()
    part.picture.write_bytes(whole[0][:-100])
    part.sound.write_bytes(b"")

    await conform_clip(clip, FILM, 0, 12)

    assert (part.picture.read_bytes(), part.sound.read_bytes()) == whole


async def test_the_same_result_may_be_made_by_several_at_once(tmp_path: Path, conform_clip: Conform) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12, sound_s=1)

    parts = await asyncio.gather(*(conform_clip(clip, FILM, 0, 12) for _ in range(4)))

    assert len(set(parts)) == 1
    assert codes_of(parts[0].picture) == list(range(12))
    assert len(names(tmp_path / "conformed")) == 2


def test_a_result_is_named_after_all_that_it_depends_on() -> None:
    def key(layout: FilmLayout = FILM, **changed: object) -> str:
        fields = {"shot": "a", "clip": Path("a.mp4"), "clip_id": "x", "start": 0, "stop": 9, "frames": 9} | changed
        return conformed_key(Cut(**fields), layout)  # type: ignore[arg-type]

    different = [key(clip_id="y"), key(start=1), key(stop=10), key(frames=8), key(FilmLayout(320, 180, Fraction(25)))]
    assert len({key(), *different}) == 6
    assert key(shot="b", clip=Path("b.mp4")) == key()


async def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12)
    clip.write_bytes(clip.read_bytes()[:2000])
    cut = Cut(shot="a", clip=clip, clip_id="a", start=0, stop=12, frames=12)

    with pytest.raises(MediaError):
        await conform(cut, FILM, tmp_path / "conformed")

    assert names(tmp_path / "conformed") == []
