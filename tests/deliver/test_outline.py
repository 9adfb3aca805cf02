"""What a preset makes of a film, in pixels and frames."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from tasks.deliver.outline import outline_of
from tasks.deliver.preset_file import read_presets
from tasks.deliver.presets import Codec, Container, Preset, Size
from tasks.sequence.timeline import FilmLayout
from tasks.sequence.verify import FilmFacts

FILM = FilmFacts(
    frames=1181,
    duration_s=Decimal("49.208"),
    width=1280,
    height=720,
    rate=Fraction(24),
    has_sound=True,
    size_bytes=1,
    sha256="0" * 64,
)
PLAIN = Preset(name="plain", container=Container.MP4, codec=Codec.H264)


def test_left_alone_it_is_the_films_own() -> None:
    outline = outline_of(FILM, PLAIN)

    assert outline.layout == FilmLayout(1280, 720, Fraction(24))
    assert (outline.frames, outline.shown_frames, outline.samples) == (1181, 1181, 1181 * 2000)
    assert (outline.is_cut, outline.is_resampled, outline.duration_s) == (False, False, Decimal("49.208"))


@pytest.mark.parametrize(
    ("film", "most", "size"),
    [
        ((1280, 720), 480, (480, 270)),
        ((720, 1280), 480, (480, 854)),
        ((1280, 720), 1280, (1280, 720)),
        ((1280, 720), 4000, (1280, 720)),
        ((1440, 1440), 100, (100, 100)),
    ],
)
def test_a_width_is_a_limit_and_shape_stays(film: tuple[int, int], most: int, size: tuple[int, int]) -> None:
    outline = outline_of(replace(FILM, width=film[0], height=film[1]), replace(PLAIN, max_width=most))

    assert (outline.layout.width, outline.layout.height) == size


def test_a_size_is_what_it_says() -> None:
    outline = outline_of(FILM, replace(PLAIN, size=Size(1080, 1920)))

    assert (outline.layout.width, outline.layout.height) == (1080, 1920)


@pytest.mark.parametrize(
    ("first_s", "rate", "shown", "frames"),
    [
        ("10", None, 240, 240),
        ("0.01", None, 1, 1),
        ("10.01", None, 241, 241),
        ("60", None, 1181, 1181),
        ("10", Fraction(25, 2), 240, 125),
        ("0.01", Fraction(1), 1, 1),
        (None, Fraction(30000, 1001), 1181, 1475),
    ],
)
def test_length_and_rate(first_s: str | None, rate: Fraction | None, shown: int, frames: int) -> None:
    preset = replace(PLAIN, first_s=None if first_s is None else Decimal(first_s), rate=rate)

    outline = outline_of(FILM, preset)

    assert (outline.shown_frames, outline.frames, outline.samples) == (shown, frames, shown * 2000)
    assert outline.is_cut == (shown < 1181)


def test_a_gif_is_no_faster_than_players_are() -> None:
    fast = replace(FILM, rate=Fraction(60))

    outline = outline_of(fast, replace(PLAIN, container=Container.GIF, codec=Codec.GIF))
    assert (outline.layout.rate, outline.frames) == (Fraction(50), 984)
    assert outline_of(fast, PLAIN).layout.rate == 60


def test_a_preview_of_ten_seconds_has_125_frames() -> None:
    assert outline_of(FILM, read_presets()["gif"]).frames == 125
