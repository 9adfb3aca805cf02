from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import MediaError
from tasks.sequence.lossless.preflight import why_not_lossless
from tasks.sequence.timeline import Cut, FilmLayout
from tests.media.barclips import remuxed
from tests.sequence.lossless.conftest import FILM, USUAL, cut_of, write_clip

FRAMES = 13


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirteen frames as the row's clips have them."""
    return write_clip(tmp_path_factory.mktemp("clip") / "good.mp4", frames=FRAMES)


@pytest.fixture(scope="session")
def good(clip: Path) -> Cut:
    return cut_of(clip, stop=FRAMES)


def test_a_row_that_can_be_joined(row: list[Cut]) -> None:
    assert why_not_lossless(row, FILM) == []
    assert why_not_lossless([], FILM) == []


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(60)])
def test_any_rate_that_is_the_films(tmp_path: Path, rate: Fraction) -> None:
    layout = FilmLayout(64, 48, rate)

    assert why_not_lossless([cut_of(write_clip(tmp_path / "a.mp4", layout=layout))], layout) == []


@pytest.mark.parametrize(
    "options",
    [
        ("clip.mov",),
        ("clip.mkv",),  # times in whole milliseconds
        ("clip.mp4", "-video_track_timescale", "1000"),
        ("clip.mp4", "-video_track_timescale", "90000"),
        ("clip.mp4", "-output_ts_offset", "3"),
        ("clip.mp4", "-movflags", "frag_keyframe+empty_moov"),
        ("clip.mp4", "-bsf:v", "filter_units=remove_types=6"),
    ],
)
def test_what_makes_no_difference(tmp_path: Path, clip: Path, good: Cut, options: tuple[str, ...]) -> None:
    other = remuxed(clip, tmp_path / options[0], *options[1:])

    assert why_not_lossless([good, cut_of(other, start=1, stop=FRAMES)], FILM) == []


def test_untagged_colours_are_bt709(tmp_path: Path) -> None:
    tags = {"color_range": 0, "colorspace": 2, "color_primaries": 2, "color_trc": 2}

    assert why_not_lossless([cut_of(write_clip(tmp_path / "a.mp4", tags=tags), stop=9)], FILM) == []


Making = Callable[[Path, Path], Path]

CLIPS: dict[str, tuple[Making, str]] = {
    "codec": (
        lambda folder, _: write_clip(
            folder / "x.mp4", frames=FRAMES, codec="libx265", settings={"x265-params": "log-level=none"}
        ),
        "its clip is hevc, not h264",
    ),
    "size": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES, layout=FilmLayout(96, 160, FILM.rate)),
        "its clip is 96x160 pixels, not 160x96",
    ),
    "rate": (
        lambda folder, _: write_clip(
            folder / "x.mp4", frames=FRAMES, layout=FilmLayout(160, 96, Fraction(24000, 1001))
        ),
        "its clip has 23.976 frames a second, not 24",
    ),
    "uneven times": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES, times=[*range(6), *range(7, 14)]),
        "frames a second, not 24",
    ),
    "pixels": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES, aspect=Fraction(4, 3)),
        "its clip has pixels that are 4/3 as wide as high, not square ones",
    ),
    "pixel format": (
        lambda folder, clip: encoded_again(clip, folder / "x.mp4", "-pix_fmt", "yuv444p"),
        "its clip is yuv444p, not yuv420p",
    ),
    "ten bits": (
        lambda folder, clip: encoded_again(clip, folder / "x.mp4", "-pix_fmt", "yuv420p10le"),
        "its clip is yuv420p10le, not yuv420p",
    ),
    "range": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES, tags={"color_range": 2}),
        "its clip has the colour range 2, not 1 (bt709 in limited range)",
    ),
    "matrix": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES, tags={"colorspace": 6}),
        "its clip has the colour matrix 6, not 1 (bt709 in limited range)",
    ),
    "primaries": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES, tags={"color_primaries": 5}),
        "its clip has the colour primaries 5, not 1 (bt709 in limited range)",
    ),
    "transfer": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES, tags={"color_trc": 13}),
        "its clip has the colour transfer 13, not 1 (bt709 in limited range)",
    ),
    "tags of the film's other clips": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES, tags={"color_trc": 2}),
        "its clip has other colour tags than that of shot 'good'",
    ),
    "profile": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES, settings={**USUAL, "profile": "main"}),
        "its clip has the profile Main, not the High of shot 'good'",
    ),
    "parameter sets": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES, settings={**USUAL, "crf": "21"}),
        "its clip was encoded with other parameters (SPS, PPS) than that of shot 'good'",
    ),
    "parameter sets inside": (
        lambda folder, clip: in_band(clip, folder / "x.mp4"),
        "its clip tells decoders something new on the way (parameter sets inside)",
    ),
    "no parameter sets before": (
        lambda folder, clip: remuxed(clip, folder / "x.ts"),
        "its clip does not keep its parameter sets as MP4 does",
    ),
    "interlaced": (
        lambda folder, clip: encoded_again(clip, folder / "x.mp4", "-x264-params", "interlaced=1"),
        "its clip is interlaced",
    ),
    "turned": (
        lambda folder, clip: remuxed(clip, folder / "x.mp4", before=("-display_rotation", "90")),
        "its clip is shown turned by 90 degrees",
    ),
    "edit list at the beginning": (
        lambda folder, clip: remuxed(clip, folder / "x.mp4", before=("-ss", "0.2")),
        "an edit list hides the others",
    ),
    "no times": (
        lambda folder, clip: remuxed(clip, folder / "x.avi"),
        "shot 'x': its clip ",
    ),
    "open group": (
        lambda folder, _: from_the_middle(folder),
        "its clip has an open group of pictures at its beginning",
    ),
    "too few frames": (
        lambda folder, _: write_clip(folder / "x.mp4", frames=FRAMES - 1),
        "its clip has 12 frames, not 13",
    ),
}


def encoded_again(clip: Path, output: Path, *options: str) -> Path:
    return remuxed(clip, output, "-c:v", "libx264", *options)


def in_band(clip: Path, output: Path) -> Path:
    """The sets of another clip between the frames: two clips joined as one must not be."""
    other = write_clip(output.with_name("other.mp4"), first=50, frames=6, settings={**USUAL, "crf": "30"})
    listing = output.with_name("list.ffconcat")
    beginning = remuxed(clip, output.with_name("beginning.mp4"), "-frames:v", "7")
    listing.write_text(f"ffconcat version 1.0\nfile '{beginning}'\nfile '{other}'\n")
    return remuxed(listing, output, before=("-f", "concat", "-safe", "0"))


def from_the_middle(folder: Path) -> Path:
    """What is left of a clip with open groups when its first one is cut off."""
    settings = {**USUAL, "x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0:b-adapt=0:bframes=3"}
    whole = write_clip(folder / "whole.mp4", frames=40, settings=settings)
    return remuxed(whole, folder / "x.mp4", "-bsf:v", "noise=drop='lt(n,12)'")


@pytest.mark.parametrize("kind", CLIPS)
def test_why_a_clip_cannot_be_joined(tmp_path: Path, clip: Path, good: Cut, kind: str) -> None:
    make, words = CLIPS[kind]
    other = cut_of(make(tmp_path, clip), start=1, stop=FRAMES, shot="x")

    found = why_not_lossless([good, other, replace(good, shot="z", start=1, frames=FRAMES - 1)], FILM)

    assert any(words in reason for reason in found), found
    # It is the clip in the middle, and no other.
    assert all(reason.startswith("shot 'x': ") for reason in found)


def test_a_film_may_differ_from_all_its_clips(good: Cut) -> None:
    assert why_not_lossless([good], FilmLayout(320, 192, Fraction(25))) == [
        "shot 'good': its clip is 160x96 pixels, not 320x192",
        "shot 'good': its clip has 24 frames a second, not 25",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lead": 2}, "2 of its frames dissolve with those of another shot"),
        ({"tail": 3}, "3 of its frames dissolve with those of another shot"),
        ({"fade_in": 2, "fade_out": 3}, "5 of its frames fade from or to black"),
        ({"frames": 24}, "its 12 frames become 24 of the film"),
        ({"start": 2, "frames": 11}, "2 frames are cut off at its beginning, which cannot be left out by copying"),
    ],
)
def test_why_a_cut_cannot_be_copied(good: Cut, changes: dict[str, Any], words: str) -> None:
    plain = replace(good, shot="x", start=1, frames=FRAMES - 1)

    assert why_not_lossless([good, plain], FILM) == []
    assert why_not_lossless([good, replace(plain, **changes)], FILM) == [f"shot 'x': {words}"]


def test_a_film_begins_with_a_first_frame(good: Cut) -> None:
    (reason,) = why_not_lossless([replace(good, start=1, frames=FRAMES - 1)], FILM)

    assert "the film begins with its frame 1" in reason
    # Further on in a film it may.
    assert why_not_lossless([replace(good, start=1, frames=FRAMES - 1)] * 2, FILM, from_start=False) == []


def test_a_shot_keeps_at_least_one_frame(good: Cut) -> None:
    one = replace(good, shot="one", stop=1, frames=1)
    behind = replace(good, shot="behind", start=1, frames=FRAMES - 1)

    assert why_not_lossless([one, behind], FILM) == ["shot 'one': its only frame is also the first of shot 'behind'"]
    assert why_not_lossless([one, good], FILM) == []


def test_every_reason_is_told(tmp_path: Path, good: Cut) -> None:
    other = write_clip(tmp_path / "x.mp4", frames=9, layout=FilmLayout(96, 64, Fraction(30)), tags={"color_range": 2})

    found = why_not_lossless([good, replace(cut_of(other, stop=9), lead=1, frames=8)], FILM)

    assert [reason.removeprefix("shot 'x': ") for reason in found] == [
        "1 of its frames dissolve with those of another shot",
        "its 9 frames become 8 of the film",
        "its clip is 96x64 pixels, not 160x96",
        "its clip is yuvj420p, not yuv420p",
        "its clip has the colour range 2, not 1 (bt709 in limited range)",
        "its clip has 30 frames a second, not 24",
    ]


def test_a_file_that_is_no_clip_is_told_with_its_shot(tmp_path: Path, good: Cut) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no clip")

    with pytest.raises(MediaError, match="cannot be read as video") as caught:
        why_not_lossless([good, cut_of(tmp_path / "x.mp4")], FILM)

    assert caught.value.shot == "x"
