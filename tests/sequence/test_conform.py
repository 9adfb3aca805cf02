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

from tasks.errors import BadInput, MediaError
from tasks.media.boxes import video_time_runs
from tasks.media.frames import extract_frame
from tasks.media.probe import probe_video
from tasks.sequence.conform import conform, conformed_key, overlay_id
from tasks.sequence.encoding import covering_size, fitted_size, parameter_sets
from tasks.sequence.join import Beside, Stretch, join
from tasks.sequence.parts import is_sealed
from tasks.sequence.timeline import Cut, FilmLayout
from tasks.storyboard.model import Fit
from tests.media.barclips import (
    BT601,
    BT709,
    UNTAGGED,
    bar_clip,
    codes_of,
    frames_of,
    packets_of,
    parameter_sets_of,
    remuxed,
    soft_picture,
    still_clip,
)
from tests.sequence.conftest import Conform, cut_of, names

FILM = FilmLayout(320, 180, Fraction(24))


@pytest.mark.thorough
@pytest.mark.parametrize(("start", "stop"), [(0, 121), (1, 121), (0, 120), (37, 38), (5, 7), (120, 121)])
async def test_frames_are_exactly_those_of_the_cut(
    tmp_path: Path, conform_clip: Conform, start: int, stop: int
) -> None:
    part = await conform_clip(bar_clip(tmp_path / "clip.mp4"), FILM, start, stop)

    assert codes_of(part.picture) == list(range(start, stop))
    assert part.frames == stop - start


@pytest.mark.thorough
@pytest.mark.parametrize(("lead", "tail"), [(0, 0), (7, 0), (0, 7), (20, 27)])
async def test_what_dissolves_is_left_to_the_dissolve(tmp_path: Path, lead: int, tail: int) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=50, sound_s=2)

    part = await conform(cut_of(clip, 50, start=1, frames=49, lead=lead, tail=tail), FILM, tmp_path)

    assert codes_of(part.picture) == list(range(1 + lead, 50 - tail))
    assert (part.frames, part.lead, part.tail, part.body) == (49, lead, tail, 49 - lead - tail)
    # The sound is that of all the frames: it crosses over where the pictures dissolve.
    assert part.sound is not None
    assert part.sound.stat().st_size == 49 * 2000 * 8


async def test_the_first_picture_of_a_part_needs_no_other(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=40)

    part = await conform(cut_of(clip, 40, lead=13), FILM, tmp_path)

    with av.open(str(part.picture)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    assert packets[0].is_keyframe
    assert packets[0].pts == min(packet.pts for packet in packets if packet.pts is not None) == 0


async def test_every_part_has_the_layout_of_the_film(tmp_path: Path, conform_clip: Conform) -> None:
    layout = FilmLayout(320, 240, Fraction(24000, 1001))
    found = set()
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
            found.add(bytes(stream.codec_context.extradata or b""))

        assert (facts.width, facts.height, facts.pix_fmt, facts.codec) == (320, 240, "yuv420p", "h264"), name
        assert facts.rate == layout.rate, name
        assert facts.sample_aspect_ratio == 1, name
        assert not facts.has_sound, name
        assert tags == (1, 1, 1, 1), name
        assert time_base == Fraction(1, 24000), name
        assert video_time_runs(part.picture) == 1, name
        assert (part.sound is not None) == (name == "full")
    # One set for the whole film: players are not asked to change decoders at a seam.
    assert found == {await parameter_sets(layout)}


@pytest.mark.thorough
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


async def test_of_frames_closer_than_the_films_the_nearest_are_taken(tmp_path: Path, conform_clip: Conform) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=60, rate=Fraction(60))

    assert codes_of((await conform_clip(clip, FILM, 0, 60)).picture)[:9] == [0, 2, 5, 7, 10, 12, 15, 17, 20]


async def test_a_rate_that_is_not_constant_is_resampled(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=8, times=[0, 1, 2, 3, 6, 7, 8, 9])
    cut = Cut(shot="a", clip=clip, clip_id="a", start=0, stop=8, frames=10)

    part = await conform(cut, FILM, tmp_path)

    assert codes_of(part.picture) == [0, 1, 2, 3, 3, 3, 4, 5, 6, 7]


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
@pytest.mark.parametrize("size", [(480, 180), (320, 320), (96, 160), (640, 200)])
async def test_a_picture_that_fills_the_film_is_cut_at_both_sides(tmp_path: Path, size: tuple[int, int]) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=3, width=size[0], height=size[1], first=21845)

    part = await conform(cut_of(clip, 3, fit=Fit.FILL), FILM, tmp_path)

    width = covering_size(*size, FILM.width, FILM.height)[0]
    bar = width / 16
    for number, frame in enumerate(frames_of(part.picture)):
        row = frame[90]
        for bit in range(16):
            middle = (bit + 0.5) * bar - (width - 320) // 4 * 2
            if 0 <= middle < 320:
                assert (row[int(middle)] > 126) == bool((21845 + number) >> bit & 1), (number, bit)


@pytest.mark.thorough
@pytest.mark.parametrize("size", [(90, 160), (640, 200), (322, 322)])
async def test_a_picture_may_stand_before_itself_blurred(tmp_path: Path, size: tuple[int, int]) -> None:
    clip = still_clip(soft_still(tmp_path / "still.png", *size), tmp_path / "clip.mp4")

    fitted, blurred = [
        frames_of((await conform(cut_of(clip, 3, fit=fit), FILM, tmp_path)).picture)[0][:180].astype(float)
        for fit in (Fit.FIT, Fit.BLUR)
    ]

    width, height = fitted_size(*size, FILM)
    x, y = (320 - width) // 4 * 2, (180 - height) // 4 * 2
    inside = (slice(y + 2, y + height - 2), slice(x + 2, x + width - 2))
    assert np.abs(fitted[inside] - blurred[inside]).mean() < 1.5
    outside = np.ones((180, 320), dtype=bool)
    outside[max(0, y - 2) : y + height + 2, max(0, x - 2) : x + width + 2] = False
    assert 25 < blurred[outside].mean() < 0.8 * fitted[inside].mean(), "darker than the picture, and not black"
    steps = np.abs(np.diff(blurred, axis=1))[:, :-1][outside[:, :-2]]
    assert steps.mean() < np.abs(np.diff(fitted[inside], axis=1)).mean() / 2, "nothing in it is sharp"


@pytest.mark.thorough
@pytest.mark.parametrize("fit", list(Fit))
async def test_a_picture_of_the_films_shape_is_the_same_however_it_is_fitted(tmp_path: Path, fit: Fit) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=5, width=640, height=360)

    assert codes_of((await conform(cut_of(clip, 5, fit=fit), FILM, tmp_path)).picture) == list(range(5))


@given(st.integers(16, 4000), st.integers(16, 4000))
def test_a_covering_size_covers_the_film_and_no_more(width: int, height: int) -> None:
    covering = covering_size(width, height, FILM.width, FILM.height)

    assert covering[0] == 320 or covering[1] == 180
    assert covering[0] >= 320
    assert covering[1] >= 180
    assert covering[0] % 2 == covering[1] % 2 == 0


@given(st.integers(16, 4000), st.integers(16, 4000))
def test_a_fitted_size_touches_the_film_and_never_exceeds_it(width: int, height: int) -> None:
    fitted = fitted_size(width, height, FILM)

    assert fitted[0] == 320 or fitted[1] == 180
    assert 2 <= fitted[0] <= 320
    assert 2 <= fitted[1] <= 180
    assert fitted[0] % 2 == fitted[1] % 2 == 0


def soft_still(png: Path, width: int, height: int) -> Path:
    soft_picture(png, width, height)
    return png


@pytest.mark.thorough
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


@pytest.mark.thorough
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
    assert names(tmp_path / "conformed") == sorted([first.sound.name, f"{first.sound.name}.sha256", first.picture.name])


@pytest.mark.thorough
@pytest.mark.parametrize("harm", ["cut off", "one bit", "emptied", "not sealed", "another"])
async def test_a_result_that_was_damaged_is_made_again(tmp_path: Path, conform_clip: Conform, harm: str) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12, sound_s=1)
    part = await conform_clip(clip, FILM, 0, 12)
    assert part.sound is not None
    whole = part.picture.read_bytes(), part.sound.read_bytes()
    middle = len(whole[0]) // 2
    harmed = {
        "cut off": whole[0][:-100],
        "one bit": whole[0][:middle] + bytes([whole[0][middle] ^ 1]) + whole[0][middle + 1 :],
        "emptied": b"",
        "not sealed": whole[0][:-56],
        "another": whole[0][-56:],
    }
    part.picture.write_bytes(harmed[harm])
    part.sound.write_bytes(b"")

    await conform_clip(clip, FILM, 0, 12)

    assert (part.picture.read_bytes(), part.sound.read_bytes()) == whole


@pytest.mark.thorough
@pytest.mark.parametrize("harm", ["zeroed", "one bit", "cut off", "gone", "no proof", "another's proof"])
async def test_sound_that_was_damaged_is_made_again(tmp_path: Path, conform_clip: Conform, harm: str) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12, sound_s=1, clicks_s=[0.25])
    part = await conform_clip(clip, FILM, 0, 12)
    assert part.sound is not None
    proof = part.sound.with_name(f"{part.sound.name}.sha256")
    whole = part.sound.read_bytes(), proof.read_bytes()
    assert any(whole[0])
    middle = len(whole[0]) // 2
    harmed = {
        "zeroed": (bytes(len(whole[0])), whole[1]),
        "one bit": (whole[0][:middle] + bytes([whole[0][middle] ^ 1]) + whole[0][middle + 1 :], whole[1]),
        "cut off": (whole[0][:-8], whole[1]),
        "gone": (None, whole[1]),
        "no proof": (bytes(len(whole[0])), None),
        "another's proof": (whole[0], b"0" * 64),
    }
    for path, content in zip((part.sound, proof), harmed[harm], strict=True):
        path.unlink() if content is None else path.write_bytes(content)

    again = await conform_clip(clip, FILM, 0, 12)

    assert again == part
    assert (part.sound.read_bytes(), proof.read_bytes()) == whole


async def test_the_same_result_may_be_made_by_several_at_once(tmp_path: Path, conform_clip: Conform) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12, sound_s=1)

    parts = await asyncio.gather(*(conform_clip(clip, FILM, 0, 12) for _ in range(4)))

    assert len(set(parts)) == 1
    assert codes_of(parts[0].picture) == list(range(12))
    assert len(names(tmp_path / "conformed")) == 3


def test_a_result_is_named_after_all_that_it_depends_on() -> None:
    def key(layout: FilmLayout = FILM, **changed: object) -> str:
        fields = {"shot": "a", "clip": Path("a.mp4"), "clip_id": "x", "start": 0, "stop": 9, "frames": 9} | changed
        return conformed_key(Cut(**fields), layout)  # type: ignore[arg-type]

    different = [
        *[key(clip_id="y"), key(start=1), key(stop=10), key(frames=8), key(fit=Fit.FILL)],
        *[key(lead=1), key(tail=1), key(fade_in=1), key(fade_out=1)],
        *[key(FilmLayout(320, 180, Fraction(25))), key(FilmLayout(322, 180, FILM.rate))],
        *[
            conformed_key(Cut(shot="a", clip=Path("a.mp4"), clip_id="x", start=0, stop=9, frames=9), FILM, it)
            for it in "xy"
        ],
    ]
    assert len({key(), *different}) == len(different) + 1
    assert key(shot="b", clip=Path("b.mp4")) == key()


async def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=12)
    clip.write_bytes(clip.read_bytes()[:2000])
    cut = Cut(shot="a", clip=clip, clip_id="a", start=0, stop=12, frames=12)

    with pytest.raises(MediaError):
        await conform(cut, FILM, tmp_path / "conformed")

    assert names(tmp_path / "conformed") == []


@pytest.mark.thorough
@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001)])
@pytest.mark.parametrize("frames", [1, 2, 50])
async def test_what_is_conformed_already_is_copied(tmp_path: Path, rate: Fraction, frames: int) -> None:
    layout = FilmLayout(320, 180, rate)
    clip = bar_clip(tmp_path / "clip.mp4", frames=frames, rate=rate)
    part = await conform(cut_of(clip, frames), layout, tmp_path)

    again = await conform(cut_of(part.picture, frames), layout, tmp_path)

    assert again.picture != part.picture
    assert packets_of(again.picture) == packets_of(part.picture)
    assert parameter_sets_of(again.picture) == parameter_sets_of(part.picture)
    assert is_sealed(again.picture)
    await join([Stretch(it.picture, frames) for it in (again, part, again)], layout, tmp_path / "film.mp4", Beside())
    assert codes_of(tmp_path / "film.mp4") == [*range(frames)] * 3
    assert video_time_runs(tmp_path / "film.mp4") == 1


async def test_a_whole_film_of_one_part_with_its_sound_is_copied_too(tmp_path: Path) -> None:
    loud = bar_clip(tmp_path / "loud.mp4", frames=48, sound_s=2, clicks_s=[1.0])
    part = await conform(cut_of(loud, 48), FILM, tmp_path)
    both = remuxed(part.picture, tmp_path / "both.mp4", "-map", "1:v", "-map", "0:a", before=("-i", str(loud)))

    again = await conform(cut_of(both, 48), FILM, tmp_path)

    assert again.sound is not None
    assert packets_of(again.picture) == packets_of(part.picture)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "changed",
    [
        {"start": 1, "frames": 47},
        {"stop": 47, "frames": 47},
        {"frames": 49},
        {"lead": 3},
        {"tail": 3},
        {"fade_in": 3},
        {"fade_out": 3},
    ],
)
async def test_what_is_conformed_but_not_shown_as_it_is_is_coded_anew(tmp_path: Path, changed: dict[str, int]) -> None:
    part = await conform(cut_of(bar_clip(tmp_path / "clip.mp4", frames=48), 48), FILM, tmp_path)

    again = await conform(cut_of(part.picture, 48, **changed), FILM, tmp_path)

    assert packets_of(again.picture) != packets_of(part.picture)
    assert len(codes_of(again.picture)) == again.body


@pytest.mark.thorough
@pytest.mark.parametrize(
    "options",
    [("-c:v", "libx264", "-crf", "17"), ("-c:v", "libx264", "-preset", "superfast", "-crf", "17", "-bf", "0")],
)
async def test_other_parameters_are_never_copied_into_a_film(tmp_path: Path, options: tuple[str, ...]) -> None:
    tags = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
    clip = remuxed(
        bar_clip(tmp_path / "a.mp4", frames=24), tmp_path / "b.mp4", *options, *tags, "-video_track_timescale", "12288"
    )
    assert parameter_sets_of(clip) != await parameter_sets(FILM)

    part = await conform(cut_of(clip, 24), FILM, tmp_path)

    assert parameter_sets_of(part.picture) == await parameter_sets(FILM)
    assert codes_of(part.picture) == list(range(24))


async def test_frames_hidden_by_an_edit_list_are_not_copied_into_a_film(tmp_path: Path) -> None:
    part = await conform(cut_of(bar_clip(tmp_path / "clip.mp4", frames=48), 48), FILM, tmp_path)
    trimmed = remuxed(part.picture, tmp_path / "trimmed.mp4", "-video_track_timescale", "12288", before=("-ss", "0.5"))

    assert codes_of((await conform(cut_of(trimmed, 36), FILM, tmp_path)).picture) == list(range(12, 48))


async def test_parts_say_how_far_they_are(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=121)
    told: list[int] = []

    await conform(cut_of(clip, 121), FILM, tmp_path / "kept", on_frames=told.append)
    assert told == sorted(told)
    assert told[-1] == 121

    told.clear()
    await conform(cut_of(clip, 121), FILM, tmp_path / "kept", on_frames=told.append)
    assert told == []


def caption(png: Path, size: tuple[int, int] = (320, 180)) -> Path:
    """Half of it clear, a quarter red and half seen through, a quarter green."""
    pixels = np.zeros((size[1], size[0], 4), dtype=np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = (255, 0, 0, 128)
    pixels[: size[1] // 2, size[0] // 2 :] = (0, 255, 0, 255)
    Image.fromarray(pixels).save(png)
    return png


async def test_a_caption_is_put_over_every_frame_and_moves_no_other_pixel(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=9, rgb=(90, 90, 90))
    png = caption(tmp_path / "50%d 'caption'.png")

    plain = await conform(cut_of(clip, 9), FILM, tmp_path)
    part = await conform(cut_of(clip, 9), FILM, tmp_path, overlay=png)

    assert part.picture != plain.picture
    for number, clear in enumerate(frames_of(plain.picture)):
        extract_frame(part.picture, number, tmp_path / "frame.png")
        seen = np.asarray(Image.open(tmp_path / "frame.png")).astype(int)
        for (y, x), rgb in {(45, 80): (173, 45, 45), (45, 240): (0, 255, 0), (135, 160): (90, 90, 90)}.items():
            assert np.abs(seen[y, x] - rgb).max() <= 4, (number, seen[y, x])
        assert np.abs(frames_of(part.picture)[number][100:180].astype(int) - clear[100:180]).max() <= 1


async def test_a_caption_is_part_of_what_a_result_is_by_its_content(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=3)
    one, same, other = (caption(tmp_path / f"{name}.png") for name in ("one", "same", "other"))
    Image.new("RGBA", (320, 180), (0, 0, 0, 9)).save(other)

    parts = [await conform(cut_of(clip, 3), FILM, tmp_path / "kept", overlay=png) for png in (one, same, other)]

    assert parts[0] == parts[1] != parts[2]
    assert overlay_id(one, FILM) == overlay_id(same, FILM)


async def test_a_caption_of_another_size_or_none_says_so(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=3)

    with pytest.raises(MediaError, match="64x36 cannot be put over a film of 320x180"):
        await conform(cut_of(clip, 3), FILM, tmp_path / "kept", overlay=caption(tmp_path / "small.png", (64, 36)))
    with pytest.raises(MediaError, match="no such picture"):
        await conform(cut_of(clip, 3), FILM, tmp_path / "kept", overlay=tmp_path / "none.png")

    assert names(tmp_path / "kept") == []


@pytest.mark.thorough
@pytest.mark.parametrize("changed", [{"lead": 2, "fade_in": 2}, {"tail": 2, "fade_out": 2}])
async def test_an_end_that_dissolves_does_not_fade(tmp_path: Path, changed: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="cannot fade where it dissolves"):
        await conform(cut_of(bar_clip(tmp_path / "clip.mp4", frames=12), 12, **changed), FILM, tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize("frames", [24, 36])
async def test_a_picture_that_cannot_be_decoded_is_not_filled_up(tmp_path: Path, frames: int) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=24)
    with av.open(str(clip)) as container:
        where = [(packet.pos, packet.size) for packet in container.demux(container.streams.video[0]) if packet.size]
    position, size = where[12]
    assert position is not None
    damaged = bytearray(clip.read_bytes())
    damaged[position + 4 : position + size] = bytes(size - 4)
    clip.write_bytes(damaged)

    with pytest.raises(MediaError, match=r"could not conform clip\.mp4"):
        await conform(cut_of(clip, 24, frames=frames), FILM, tmp_path / "kept")

    assert names(tmp_path / "kept") == []


async def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=240)
    making = asyncio.create_task(conform(cut_of(clip, 240), FILM, tmp_path / "kept"))
    await asyncio.sleep(0.1)

    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making

    assert names(tmp_path / "kept") == []
