"""Whatever a clip is coded in, at whatever rate and in whatever shape: the film shows its frames, each in its place."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.media.boxes import video_time_runs
from tasks.media.probe import probe_video
from tasks.plan.lengths import film_frames
from tasks.sequence.blend import blend
from tasks.sequence.conform import Conformed, conform
from tasks.sequence.encoding import fitted_size, parameter_sets
from tasks.sequence.join import Beside, Stretch, join
from tasks.sequence.source import inspect
from tasks.sequence.timeline import Cut, FilmLayout, sample_at
from tests.media.barclips import bar_clip, codes_of, frames_of, parameter_sets_of, recoded, remuxed
from tests.sequence.conftest import cut_of

FILM = FilmLayout(320, 180, Fraction(24))
SMALL = (64, 36)
FRAMES = 48

X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "12")
NTSC_FILM, NTSC = Fraction(24000, 1001), Fraction(30000, 1001)

Make = Callable[[Path], Path]


def base(folder: Path) -> Path:
    return bar_clip(folder / "base.mp4", frames=FRAMES, sound_s=2)


def coded(name: str, *options: str) -> Make:
    return lambda folder: recoded(base(folder), folder / name, *options)


def packed(name: str, *options: str, before: tuple[str, ...] = ()) -> Make:
    return lambda folder: remuxed(base(folder), folder / name, *options, before=before)


def turned(degrees: int, back: str) -> Make:
    """A clip that is stored turned, and says so."""

    def make(folder: Path) -> Path:
        stored = recoded(base(folder), folder / "stored.mp4", "-vf", back, *X264)
        return remuxed(stored, folder / "turned.mp4", before=("-display_rotation", str(degrees)))

    return make


KINDS: dict[str, Make] = {
    "4:4:4": coded("clip.mp4", *X264, "-pix_fmt", "yuv444p"),
    "4:2:2 with ten bits": coded("clip.mov", "-c:v", "prores_ks"),
    "ten bits": coded("clip.mp4", *X264, "-pix_fmt", "yuv420p10le"),
    "RGB": coded("clip.mp4", "-c:v", "libx264rgb", "-crf", "12"),
    "full range": lambda folder: bar_clip(folder / "clip.mov", frames=FRAMES, full_range=True),
    "bt601": lambda folder: bar_clip(folder / "clip.mp4", frames=FRAMES, matrix=6),
    "odd sizes in 4:4:4": coded("clip.mp4", *X264, "-pix_fmt", "yuv444p", "-vf", "scale=321:181"),
    "odd sizes in VP9": coded("clip.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-vf", "scale=321:181"),
    "VP8": coded("clip.webm", "-c:v", "libvpx", "-b:v", "2M", "-deadline", "realtime"),
    "VP9": coded("clip.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime"),
    "HEVC": coded("clip.mp4", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"),
    "AV1": coded("clip.mp4", "-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime"),
    "MPEG-4 in AVI": coded("clip.avi", "-c:v", "mpeg4", "-q:v", "2"),
    "JPEGs in AVI": coded("clip.avi", "-c:v", "mjpeg", "-q:v", "2"),
    "Matroska": packed("clip.mkv"),
    "MOV": packed("clip.mov"),
    "a transport stream": packed("clip.ts", "-an"),
    "fragments": packed("clip.mp4", "-movflags", "frag_keyframe+empty_moov"),
    "open groups of pictures": coded("clip.mp4", *X264, "-x264-params", "open-gop=1:keyint=12"),
    "no B-frames": coded("clip.mp4", *X264, "-bf", "0"),
    "fields": coded("clip.mp4", *X264, "-flags", "+ilme+ildct", "-x264-params", "tff=1"),
    "few ticks": packed("clip.mp4", "-video_track_timescale", "24"),
    "other ticks": packed("clip.mp4", "-video_track_timescale", "24000"),
    "ticks that are no frames": packed("clip.mp4", "-video_track_timescale", "1000"),
    "many ticks": packed("clip.mp4", "-video_track_timescale", "1000000"),
    "a late start": packed("clip.mp4", before=("-itsoffset", "0.7")),
    "a late start in a transport stream": packed("clip.ts", "-an", before=("-itsoffset", "0.7")),
    "turned by 90°": turned(90, "transpose=1"),
    "turned by 180°": turned(180, "hflip,vflip"),
    "turned by 270°": turned(-90, "transpose=2"),
    "pixels that are wider": packed("clip.mp4", "-an", "-bsf:v", "h264_metadata=sample_aspect_ratio=4/3"),
    "pixels that are higher": coded("clip.mp4", *X264, "-vf", "setsar=3/4"),
    "upright": coded("clip.mp4", *X264, "-vf", "scale=192:320"),
    "upright and turned": turned(90, "scale=192:320,transpose=1"),
}
QUICK = ("4:4:4", "RGB", "odd sizes in VP9", "few ticks", "a late start", "turned by 90°", "pixels that are wider")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK else (pytest.mark.film,)) for kind in KINDS]
)
async def test_every_kind_of_clip_gives_its_frames(tmp_path: Path, kind: str) -> None:
    clip = KINDS[kind](tmp_path)
    source = inspect(cut_of(clip, FRAMES), FILM)

    parts = [
        await conform(cut_of(clip, FRAMES, **cut), FILM, tmp_path / "kept")
        for cut in (
            {},
            {"start": 1, "frames": FRAMES - 1},
            {"start": 9, "stop": 30, "frames": 21, "lead": 4, "tail": 5},
        )
    ]

    width, height = fitted_size(source.picture.width, source.picture.height, FILM)
    box = ((320 - width) // 4 * 2, (180 - height) // 4 * 2, width, height)
    assert [codes_of(part.picture, box) for part in parts] == [
        list(range(FRAMES)),
        list(range(1, FRAMES)),
        list(range(13, 25)),
    ]
    for part in parts:
        assert parameter_sets_of(part.picture) == await parameter_sets(FILM)
        assert video_time_runs(part.picture) == 1


RATES = {
    "23.976": NTSC_FILM,
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": NTSC,
    "30": Fraction(30),
    "60": Fraction(60),
}


def judge(shown: list[int], frames: int, clip_rate: Fraction, film_rate: Fraction, slack: float = 0.01) -> None:
    """Each frame of the film shows the clip's frame that is nearest, or the one before until the next is nearest."""
    assert shown[0] == 0
    assert all(earlier <= later for earlier, later in pairwise(shown))
    # Clip frames for a film frame.
    ratio = float(clip_rate / film_rate)
    for number, code in enumerate(shown):
        if code == frames - 1:
            assert code <= number * ratio + max(0.5, ratio / 2) + slack
        else:
            assert code - number * ratio <= max(0.5, ratio / 2) + slack, (number, code)
            assert number * ratio - code <= max(0.5, 1 - ratio / 2) + slack, (number, code)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("clip", "film"),
    [
        pytest.param(clip, film, marks=() if "24" in (clip, film) else (pytest.mark.film,))
        for clip in RATES
        for film in RATES
    ],
)
async def test_every_rate_comes_to_every_other(tmp_path: Path, clip: str, film: str) -> None:
    rate, layout = RATES[clip], FilmLayout(*SMALL, RATES[film])
    path = bar_clip(tmp_path / "clip.mp4", frames=40, rate=rate, width=SMALL[0], height=SMALL[1])
    frames = film_frames(40, rate, layout.rate)

    part = await conform(cut_of(path, 40, frames=frames), layout, tmp_path)
    middle = await conform(cut_of(path, 40, frames=frames, lead=5, tail=6), layout, tmp_path)

    shown = codes_of(part.picture)
    assert len(shown) == frames
    judge(shown, 40, rate, layout.rate)
    if abs(rate / layout.rate - 1) < Fraction(1, 500):
        assert shown == list(range(40))
    assert codes_of(middle.picture) == shown[5:-6]
    assert probe_video(part.picture).rate == layout.rate


@pytest.mark.thorough
@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30), Fraction(60), NTSC])
async def test_times_in_whole_milliseconds_are_near_enough(tmp_path: Path, rate: Fraction) -> None:
    clip = remuxed(bar_clip(tmp_path / "clip.mp4", frames=60, rate=rate), tmp_path / "clip.mkv")
    frames = film_frames(60, rate, FILM.rate)

    judge(codes_of((await conform(cut_of(clip, 60, frames=frames), FILM, tmp_path)).picture), 60, rate, FILM.rate, 0.07)


@settings(max_examples=12, deadline=None)
@example([1, 1, 3], 60)
@given(st.lists(st.integers(1, 5), min_size=3, max_size=30), st.sampled_from([24, 30, 48, 60]))
async def test_frames_at_any_times_stand_where_they_are_nearest(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], ticks_per_s: int
) -> None:
    times = [0, *np.cumsum(steps).tolist()]
    folder = tmp_path_factory.mktemp("times")
    clip = bar_clip(
        folder / "clip.mp4", frames=len(times), rate=Fraction(ticks_per_s), times=times, width=SMALL[0], height=SMALL[1]
    )
    layout = FilmLayout(*SMALL, Fraction(24))
    frames = times[-1] * 24 // ticks_per_s + 1

    shown = codes_of((await conform(cut_of(clip, len(times), frames=frames), layout, folder)).picture)

    assert len(shown) == frames
    assert shown == sorted(shown)
    places = [Fraction(at * 24, ticks_per_s) for at in times]
    for number, code in enumerate(shown):
        assert places[code] <= number + Fraction(1, 2), "too early"
        if code + 1 < len(places) and len(set(steps)) > 1:
            assert places[code + 1] >= number + Fraction(1, 2) - Fraction(1, 100), "held too long"


async def test_an_edit_list_hides_the_start_and_the_end(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=96, sound_s=4, clicks_s=[3.0])
    late = remuxed(clip, tmp_path / "late.mp4", before=("-ss", "1"))
    both = remuxed(clip, tmp_path / "both.mp4", "-t", "2", before=("-ss", "1"))
    count = len(codes_of(both))

    assert codes_of((await conform(cut_of(late, 72), FILM, tmp_path)).picture) == list(range(24, 96))
    assert codes_of((await conform(cut_of(both, count), FILM, tmp_path)).picture) == list(range(24, 24 + count))


async def test_a_size_that_changes_on_the_way_loses_no_frame(tmp_path: Path) -> None:
    halves = [
        bar_clip(tmp_path / "first.mp4", frames=24),
        bar_clip(tmp_path / "second.mp4", frames=24, first=24, width=640, height=360),
    ]
    listing = tmp_path / "halves.ffconcat"
    listing.write_text("ffconcat version 1.0\n" + "".join(f"file {half}\n" for half in halves))
    clip = remuxed(listing, tmp_path / "clip.mp4", before=("-f", "concat", "-safe", "0"))

    whole = await conform(cut_of(clip, 48), FILM, tmp_path)
    middle = await conform(cut_of(clip, 40, start=5, frames=35, lead=4, tail=4), FILM, tmp_path)

    assert codes_of(whole.picture) == list(range(48))
    assert codes_of(middle.picture) == list(range(9, 36))


async def test_frames_held_at_the_end_are_the_last_one(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=30, rate=Fraction(30))

    part = await conform(cut_of(clip, 30, frames=40), FILM, tmp_path)
    tail = await conform(cut_of(clip, 30, frames=40, lead=25), FILM, tmp_path)

    assert codes_of(part.picture)[23:] == [29] * 17
    assert codes_of(tail.picture) == [29] * 15


ROW: list[tuple[str, Callable[[Path], Path], int]] = [
    ("a", lambda folder: bar_clip(folder / "a.mp4", frames=48), 48),
    ("b", lambda folder: bar_clip(folder / "b.webm", frames=60, rate=Fraction(30), codec="libvpx-vp9"), 60),
    ("c", lambda folder: bar_clip(folder / "c.mp4", frames=120, rate=Fraction(60), width=640, height=360), 120),
    ("d", lambda folder: bar_clip(folder / "d.mp4", frames=48, rate=NTSC_FILM, full_range=True), 48),
    ("e", lambda folder: bar_clip(folder / "e.mp4", frames=50, rate=Fraction(25), matrix=6), 50),
]


async def test_bodies_and_windows_hold_every_frame_of_the_film_once(tmp_path: Path) -> None:
    window = 9
    cuts: list[Cut] = []
    for place, (_, make, count) in enumerate(ROW):
        lead, tail = window if place else 0, window if place + 1 < len(ROW) else 0
        start = 1 if place else 0
        frames = film_frames(count - start, probe_video(clip := make(tmp_path)).rate, FILM.rate)
        cuts.append(cut_of(clip, count, start=start, frames=frames, lead=lead, tail=tail))

    whole = [frames_of((await conform(_alone(cut), FILM, tmp_path)).picture) for cut in cuts]
    parts: list[Conformed] = [await conform(cut, FILM, tmp_path) for cut in cuts]
    windows = [await blend(one, other, FILM, tmp_path) for one, other in pairwise(cuts)]
    row = [Stretch(parts[0].picture, parts[0].body)]
    for part, mixed in zip(parts[1:], windows, strict=True):
        row += [Stretch(mixed.picture, mixed.frames), Stretch(part.picture, part.body)]
    await join(row, FILM, tmp_path / "film.mp4", Beside())

    film = frames_of(tmp_path / "film.mp4")
    assert len(film) == sum(cut.frames for cut in cuts) - window * (len(cuts) - 1)
    begin = 0
    for place, cut in enumerate(cuts):
        begin -= cut.lead
        for number in range(cut.lead, cut.frames - cut.tail):
            assert np.abs(film[begin + number].astype(int) - whole[place][number]).mean() < 2, (cut.shot, number)
        for number in range(cut.tail):
            weight = (number + 1) / (cut.tail + 1)
            at = cut.frames - cut.tail + number
            expected = whole[place][at] * (1 - weight) + whole[place + 1][number] * weight
            assert np.abs(film[begin + at] - expected).mean() < 2.5, (cut.shot, at)
        begin += cut.frames
    assert video_time_runs(tmp_path / "film.mp4") == 1
    assert all(
        part.sound is None or part.sound.stat().st_size == sample_at(part.frames, FILM.rate) * 8 for part in parts
    )


def _alone(cut: Cut) -> Cut:
    return cut_of(cut.clip, cut.stop, start=cut.start, frames=cut.frames)
