from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.sequence.timeline import Cut, FilmLayout, sample_at, starts

RATES = st.sampled_from([Fraction(24), Fraction(25), Fraction(30), Fraction(24000, 1001), Fraction(60000, 1001)])


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
