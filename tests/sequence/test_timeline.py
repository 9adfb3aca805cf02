from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.sequence.timeline import Cut, FilmLayout, film_frames, round_half_up, sample_at, starts

RATES = st.sampled_from([Fraction(24), Fraction(25), Fraction(30), Fraction(24000, 1001), Fraction(60000, 1001)])


@given(st.integers(1, 5000), RATES)
def test_at_its_own_rate_a_clip_keeps_its_frames(frames: int, rate: Fraction) -> None:
    assert film_frames(frames, rate, rate) == frames


@pytest.mark.parametrize(
    ("frames", "clip_rate", "film_rate", "expected"),
    [(121, 24, 30, 151), (151, 30, 24, 121), (1, 60, 24, 1), (5, 48, 24, 3)],
)
def test_at_another_rate_it_lasts_as_long(frames: int, clip_rate: int, film_rate: int, expected: int) -> None:
    assert film_frames(frames, Fraction(clip_rate), Fraction(film_rate)) == expected


@given(st.integers(1, 5000), RATES, RATES)
def test_no_clip_is_more_than_half_a_frame_off(frames: int, clip_rate: Fraction, film_rate: Fraction) -> None:
    film = film_frames(frames, clip_rate, film_rate)

    assert film >= 1
    assert film == 1 or abs(film / film_rate - frames / clip_rate) <= Fraction(1, 2) / film_rate


@given(st.fractions(min_value=-1000, max_value=1000))
def test_rounding_takes_halves_up(value: Fraction) -> None:
    assert -Fraction(1, 2) <= value - round_half_up(value) < Fraction(1, 2)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=50), RATES)
def test_sound_never_drifts_from_the_picture(lengths: list[int], rate: Fraction) -> None:
    for frame in starts(lengths):
        assert abs(sample_at(frame, rate) - frame * 48000 / rate) <= Fraction(1, 2)


@given(RATES)
def test_a_frame_is_a_whole_number_of_ticks(rate: Fraction) -> None:
    layout = FilmLayout(16, 16, rate)

    assert layout.timescale >= 10_000
    assert Fraction(layout.frame_ticks, layout.timescale) == 1 / rate


@pytest.mark.parametrize(("width", "height", "rate"), [(1281, 720, 24), (1280, 0, 24), (-2, 720, 24), (16, 16, 0)])
def test_layouts_that_no_film_can_have(width: int, height: int, rate: int) -> None:
    with pytest.raises(BadInput):
        FilmLayout(width, height, Fraction(rate))


@pytest.mark.parametrize(("start", "stop", "frames"), [(5, 5, 1), (-1, 5, 6), (6, 5, 1), (0, 5, 0)])
def test_cuts_of_nothing(start: int, stop: int, frames: int) -> None:
    with pytest.raises(BadInput, match="'a'"):
        Cut(shot="a", clip=Path("a.mp4"), clip_id="a", start=start, stop=stop, frames=frames)
