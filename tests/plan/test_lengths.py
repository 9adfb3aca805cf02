"""How long a shot is generated, what the film keeps of it, and how many frames that is: exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.plan.lengths import (
    default_length_s,
    edit_length,
    exact_rate,
    film_frames,
    generated_length,
    seconds_of,
)

RATE = Fraction(24)
RATES = st.sampled_from([Fraction(24), Fraction(25), Fraction(30), Fraction(60), Fraction(24000, 1001), Fraction(12)])
SECONDS = st.decimals(Decimal("0.01"), Decimal(10), places=2)


def test_how_long_frames_last() -> None:
    assert seconds_of(121, RATE) == Decimal("5.042")
    assert seconds_of(121, Fraction(24000, 1001)) == Decimal("5.047")
    assert str(seconds_of(120, RATE)) == "5.000"


@pytest.mark.parametrize(
    ("clip_frames", "film_rate", "frames"),
    [
        (121, "24", 121),
        (121, "30", 151),  # 151.25
        (122, "30", 153),  # 152.5
        (120, "25", 125),
        (121, "12", 61),  # 60.5
        (121, "24000/1001", 121),  # 120.879
        (121, "60", 303),  # 302.5
        (1, "1", 1),  # never nothing
    ],
)
def test_film_frames_at_another_rate(clip_frames: int, film_rate: str, frames: int) -> None:
    assert film_frames(clip_frames, RATE, Fraction(film_rate)) == frames


@given(st.integers(1, 500), RATES, RATES)
def test_film_frames_last_as_long_as_the_clip_frames_to_half_a_frame(
    frames: int, clip_rate: Fraction, film_rate: Fraction
) -> None:
    shown = film_frames(frames, clip_rate, film_rate)

    assert shown >= 1
    if shown > 1:
        assert abs(shown / film_rate - frames / clip_rate) <= Fraction(1, 2) / film_rate
    assert film_frames(frames, clip_rate, clip_rate) == frames
    assert film_frames(frames + 1, clip_rate, film_rate) >= shown


@pytest.mark.parametrize(
    ("wanted_s", "generate_s", "last_kept", "clip_frames", "kept"),
    [
        ("5", 5, None, 121, 121),
        ("5.0", 5, None, 121, 121),
        ("10", 10, None, 241, 241),
        ("4", 5, 96, 121, 97),
        ("2.5", 5, 60, 121, 61),
        ("2.52", 5, 60, 121, 61),  # 60.48
        ("2.5208334", 5, 61, 121, 62),  # 60.50
        ("4.99", 5, 120, 121, 121),
        ("7", 10, 168, 241, 169),
        ("0.01", 5, 0, 121, 1),
    ],
)
def test_a_shot_is_trimmed_from_the_next_longer_choice(
    wanted_s: str, generate_s: int, last_kept: int | None, clip_frames: int, kept: int
) -> None:
    length = generated_length(Decimal(wanted_s), (5, 10), RATE, 1)

    assert length is not None
    assert (length.generate_s, length.duration_s) == (Decimal(generate_s), Decimal(wanted_s))
    assert (length.last_kept, length.clip_frames, length.kept_frames) == (last_kept, clip_frames, kept)


def test_no_choice_is_long_enough() -> None:
    assert generated_length(Decimal("10.001"), (5, 10), RATE, 1) is None


def test_without_a_frame_at_both_ends_a_clip_cannot_keep_more_than_it_has() -> None:
    length = generated_length(Decimal("4.99"), (5, 10), RATE, 0)

    assert length is not None
    assert (length.clip_frames, length.last_kept, length.kept_frames) == (120, 120, 120)


@given(SECONDS, RATES, st.integers(0, 1))
def test_what_is_kept_lasts_as_long_as_was_wanted(wanted_s: Decimal, rate: Fraction, extra: int) -> None:
    length = generated_length(wanted_s, (3, 4, 5, 6, 7, 8, 9, 10), rate, extra)

    assert length is not None
    assert wanted_s <= length.generate_s < max(wanted_s + 1, Decimal("3.01"))
    assert 1 <= length.kept_frames <= length.clip_frames
    assert (length.last_kept is None) == (wanted_s == length.generate_s)
    if length.last_kept is not None:
        assert abs(length.last_kept / rate - Fraction(wanted_s)) <= Fraction(1, 2) / rate


@pytest.mark.parametrize(
    ("default_s", "choices", "length_s"), [(5, (5, 10), 5), (5, (3, 4), 4), (5, (4, 8), 8), (5, (3, 4, 5, 6), 5)]
)
def test_the_default_is_a_length_that_can_be_asked_for(default_s: int, choices: tuple[int, ...], length_s: int) -> None:
    assert default_length_s(default_s, choices) == length_s


@pytest.mark.parametrize(
    ("source_s", "wanted_s", "last_kept", "clip_frames", "kept"),
    [
        ("6.000", None, None, 144, 144),
        ("6.000", "6", None, 144, 144),
        ("6.000", "4", 96, 144, 97),
        ("5.042", None, None, 121, 121),
        ("5.042", "5.04", 121, 121, 121),
    ],
)
def test_an_edit_is_as_long_as_its_source(
    source_s: str, wanted_s: str | None, last_kept: int | None, clip_frames: int, kept: int
) -> None:
    length = edit_length(Decimal(source_s), None if wanted_s is None else Decimal(wanted_s), RATE)

    assert length is not None
    assert length.generate_s == Decimal(source_s)
    assert length.duration_s == Decimal(wanted_s or source_s)
    assert (length.last_kept, length.clip_frames, length.kept_frames) == (last_kept, clip_frames, kept)


def test_an_edit_cannot_be_longer_than_its_source() -> None:
    assert edit_length(Decimal(6), Decimal("6.001"), RATE) is None


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        ("24", "24"),
        ("25", "25"),
        ("23.976", "24000/1001"),
        ("23.98", "24000/1001"),
        ("29.97", "30000/1001"),
        ("47.952", "48000/1001"),
        ("59.94", "60000/1001"),
        ("12.5", "25/2"),
        ("30", "30"),
    ],
)
def test_television_rates_are_meant_exactly(fps: str, rate: str) -> None:
    assert exact_rate(Decimal(fps)) == Fraction(rate)
