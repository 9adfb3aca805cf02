"""Stills are the frames that were asked for, in their colours; a sheet shows all of them, in order, and stays small."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tasks.errors import MediaError
from tasks.media.ffmpeg import binary
from tasks.sequence.poster import MOST_BYTES, Thumb, poster, sheet, thumbnail, thumbnail_width
from tests.media.barclips import BITS, bar_clip, remuxed, soft_picture, still_clip
from tests.sequence.conftest import names

Pixels = npt.NDArray[np.int64]


def pixels_of(picture: Path | Image.Image) -> Pixels:
    image = picture if isinstance(picture, Image.Image) else Image.open(picture)
    return np.asarray(image.convert("RGB")).astype(np.int64)


def number_on(picture: Path | Image.Image) -> int:
    """The number that a frame bears as bars, read from a picture of it."""
    row = pixels_of(picture).mean(axis=2)[pixels_of(picture).shape[0] // 2]
    return sum(1 << bit for bit in range(BITS) if row[int((bit + 0.5) * len(row) / BITS)] > 127)


def film_of(path: Path, frames: int = 60, keyframes: int = 12, rate: Fraction = Fraction(24)) -> Path:
    """Numbered frames, B-frames among them, with a keyframe at least every so many."""
    clip = bar_clip(path.with_name("whole.mp4"), frames=frames, rate=rate)
    options = ["-c:v", "libx264", "-crf", "12", "-bf", "2", "-g", str(keyframes), "-movflags", "+faststart"]
    subprocess.run(
        [binary(), "-v", "error", "-i", str(clip), *options, str(path)], check=True, stdin=subprocess.DEVNULL
    )
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_of(tmp_path_factory.mktemp("film") / "the film's 'name'\n[v] 50%.mp4")


# -- a frame ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_poster_is_the_frame_that_was_asked_for(tmp_path: Path, film: Path, suffix: str) -> None:
    for frame in (0, 1, 11, 12, 13, 35, 47, 48, 58, 59):
        poster(film, frame, tmp_path / f"poster.{suffix}")

        with Image.open(tmp_path / f"poster.{suffix}") as image:
            assert (image.format, image.size) == ({"jpg": "JPEG", "png": "PNG"}[suffix], (320, 180))
            assert number_on(image) == frame
    assert names(tmp_path) == [f"poster.{suffix}"]


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25), Fraction(60)])
def test_at_any_rate(tmp_path: Path, rate: Fraction) -> None:
    odd = film_of(tmp_path / "film.mp4", rate=rate)
    for frame in (0, 1, 23, 24, 59):
        assert number_on(thumbnail(odd, 320, frame)) == frame


def test_a_film_of_one_frame(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=1, first=7, width=64, height=36)
    poster(clip, 0, tmp_path / "poster.png")

    assert number_on(tmp_path / "poster.png") == 7


def test_only_the_frames_since_the_keyframe_are_decoded(tmp_path: Path, film: Path) -> None:
    poster(film, 55, tmp_path / "whole.png")
    with av.open(str(film)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        lost = [(packet.pos or 0, packet.size) for packet in packets[:48]]
    content = bytearray(film.read_bytes())
    for at, size in lost[3:]:  # the first ones are looked at when a file is opened
        content[at : at + size] = bytes(size)
    (tmp_path / "film.mp4").write_bytes(content)

    poster(tmp_path / "film.mp4", 55, tmp_path / "rest.png")

    assert packets[48].is_keyframe
    assert (tmp_path / "rest.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_colours_are_those_of_the_frame(tmp_path: Path, suffix: str) -> None:
    wanted = soft_picture(tmp_path / "soft.png")
    poster(still_clip(tmp_path / "soft.png", tmp_path / "still.mp4"), 1, tmp_path / f"poster.{suffix}")

    off = pixels_of(tmp_path / f"poster.{suffix}") - wanted
    assert np.abs(off).mean() < 1.5
    assert np.abs(off.mean(axis=(0, 1))).max() < 0.3


def test_a_turned_video_is_shown_upright(tmp_path: Path) -> None:
    clip = bar_clip(tmp_path / "clip.mp4", frames=3, first=0x00FF)
    turned = remuxed(clip, tmp_path / "turned.mp4", before=("-display_rotation", "90"))
    image = thumbnail(turned, 180)

    assert image.size == (180, 320)
    # Turned to the left: what was at the right is at the top.
    assert pixels_of(image)[:150].max() < 60
    assert pixels_of(image)[170:].min() > 200


@pytest.mark.parametrize("frame", [-1, 60, 61, 100_000])
def test_there_is_no_such_frame(tmp_path: Path, film: Path, frame: int) -> None:
    with pytest.raises(MediaError, match=f"no frame {frame}"):
        poster(film, frame, tmp_path / "poster.jpg")

    assert names(tmp_path) == []


def test_what_cannot_be_read_or_written_is_told(tmp_path: Path, film: Path) -> None:
    (tmp_path / "file").write_bytes(b"no video")

    with pytest.raises(MediaError, match="cannot be read as video"):
        poster(tmp_path / "file", 0, tmp_path / "poster.jpg")
    with pytest.raises(MediaError, match="cannot be written"):
        poster(film, 0, tmp_path / "file" / "poster.jpg")


# -- small pictures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "size"), [(160, (160, 90)), (64, (64, 36)), (320, (320, 180)), (900, (320, 180))])
def test_a_thumbnail_keeps_its_shape_and_is_not_blown_up(film: Path, width: int, size: tuple[int, int]) -> None:
    image = thumbnail(film, width, 37)

    assert image.size == size
    assert number_on(image) == 37


def test_more_shots_have_smaller_pictures() -> None:
    widths = [thumbnail_width(shots, 1280, 720) for shots in (0, 1, 10, 50, 100, 300, 1000, 100_000)]

    assert widths == sorted(widths, reverse=True)
    assert (widths[0], widths[-1]) == (320, 64)
    assert thumbnail_width(100, 1280, 720) > 200
    assert thumbnail_width(1, 64, 36) == 64
    for shots in (20, 100, 300):
        for width, height in [(1280, 720), (720, 1280), (960, 960)]:
            small = thumbnail_width(shots, width, height)
            assert shots * small * small * height / width <= 3_000_000


# -- the sheet -------------------------------------------------------------------------------------------------------


def flat(rgb: tuple[int, int, int], size: tuple[int, int] = (160, 90)) -> Image.Image:
    return Image.new("RGB", size, rgb)


# None of them grey, as words and ground are.
COLOURS = [
    (red, green, blue)
    for red in (0, 100, 200)
    for green in (0, 100, 200)
    for blue in (0, 100, 200)
    if len({red, green, blue}) > 1
]


def places_of(page: Pixels, colours: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Of each colour: how far its middle is down and across, and how many pixels it has."""
    found = []
    for rgb in colours:
        down, across = np.nonzero(np.abs(page - np.array(rgb)).max(axis=2) < 30)
        found.append((int(np.median(down)), int(np.median(across)), len(down)))
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12, 23])
@pytest.mark.parametrize("size", [(160, 90), (90, 160), (64, 36)])
def test_shots_stand_in_rows_in_their_order(tmp_path: Path, count: int, size: tuple[int, int]) -> None:
    thumbs = [Thumb(flat(rgb, size), f"shot-{number}", Fraction(number)) for number, rgb in enumerate(COLOURS[:count])]

    sheet(thumbs, tmp_path / "contact.jpg")

    page = pixels_of(tmp_path / "contact.jpg")
    places = places_of(page, COLOURS[:count])
    for (down, across, _), (next_down, next_across, _) in pairwise(places):
        is_same_row = abs(next_down - down) <= 6
        assert next_across > across + size[0] if is_same_row else next_down > down + size[1]
    for down, across, area in places:
        assert abs(area - size[0] * size[1]) <= 0.2 * size[0] * size[1]
        # Its words are under it.
        below = down + size[1] // 2
        assert page[below + 4 : below + 34, across - size[0] // 2 : across].max() > 120
    assert count < 4 or 0.8 < page.shape[1] / page.shape[0] < 2.5


def test_a_row_is_filled_where_that_is_possible(tmp_path: Path) -> None:
    size = (thumbnail_width(100, 1280, 720), 130)
    thumbs = [Thumb(flat((200, 90, 90), size), "shot", Fraction(0))] * 100

    sheet(thumbs, tmp_path / "contact.jpg")

    page = pixels_of(tmp_path / "contact.jpg")
    last = page[-120:, -120:]
    assert (np.abs(last - np.array([200, 90, 90])).max(axis=2) < 24).any()


def test_a_long_name_is_cut_and_the_time_is_told_to_a_tenth(tmp_path: Path) -> None:
    def page_of(shot: str, at_s: Fraction) -> Pixels:
        sheet([Thumb(flat((90, 0, 0)), shot, at_s), Thumb(flat((90, 0, 0)), "b", at_s)], tmp_path / "contact.jpg")
        return pixels_of(tmp_path / "contact.jpg")

    long, short = page_of("a" * 64, Fraction(0)), page_of("a", Fraction(0))
    assert long.shape == short.shape
    left, middle = long[:, :160], long[:, 172:184]
    assert np.abs(middle - short[:, 172:184]).max() < 40
    assert np.abs(left - short[:, :160]).max() > 100
    assert np.abs(page_of("a", Fraction(3599 * 20 + 1, 20)) - page_of("a", Fraction(3599))).max() > 60
    assert np.array_equal(page_of("a", Fraction(1, 100)), short)


def test_a_frame_that_is_not_there_is_told(film: Path) -> None:
    with pytest.raises(MediaError, match="no frame 60"):
        thumbnail(film, 160, 60)


@pytest.mark.parametrize("shots", [1, 100, 900])
def test_even_noise_is_at_most_a_megabyte(tmp_path: Path, shots: int) -> None:
    width = thumbnail_width(shots, 1280, 720)
    noise = np.random.default_rng(0).integers(0, 256, (width * 9 // 16, width, 3), dtype=np.uint8)
    thumbs = [Thumb(Image.fromarray(noise), f"shot-{number}", Fraction(number)) for number in range(shots)]

    sheet(thumbs, tmp_path / "contact.jpg")

    assert 0 < (tmp_path / "contact.jpg").stat().st_size <= MOST_BYTES


def test_a_sheet_needs_a_shot(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="at least one shot"):
        sheet([], tmp_path / "contact.jpg")

    assert names(tmp_path) == []
