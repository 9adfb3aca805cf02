from __future__ import annotations

import numpy as np
import pytest

from tasks.sequence.sound import limiter
from tasks.sequence.sound.gain import gain_for
from tasks.sequence.sound.limiter import with_gains
from tasks.sequence.sound.loudness import Measured, integrated_lufs, measure
from tasks.sequence.sound.spans import Span
from tests.sequence.sound.sounds import SECOND, Sound, bursts, clicks, music, reader, square_with_peaks, tone, white

CEILING_DB = -2.5


def measured(sound: Sound) -> Measured:
    return measure(reader(sound), Span(0, len(sound)), len(sound))


def gain_db(sound: Sound, target_lufs: float) -> float:
    mixed = measured(sound)
    return gain_for(target_lufs, mixed, np.full(len(mixed.peaks), CEILING_DB, dtype=np.float32))


def loudness_with(sound: Sound, gain_db: float) -> float | None:
    """Limited for real, and measured for real."""
    peaks = measured(sound).peaks
    limited = with_gains(sound, limiter.gains(peaks, gain_db, CEILING_DB))
    return integrated_lufs(measured(limited).momentary_lufs)


@pytest.mark.parametrize(
    ("sound", "target_lufs"),
    [
        (tone(5 * SECOND, 1000, 0.05), -16),
        (white(5 * SECOND, 0.3), -30),
        (bursts(5 * SECOND), -16),
        (bursts(5 * SECOND), -11),
        (music(5 * SECOND), -14),
        (music(5 * SECOND) * 10, -16),
        (square_with_peaks(5 * SECOND), -16),
    ],
    ids=["tone", "noise", "voice", "loud voice", "music", "music far too loud", "square"],
)
def test_the_gain_makes_the_limited_sound_as_loud_as_wanted(sound: Sound, target_lufs: float) -> None:
    assert loudness_with(sound, gain_db(sound, target_lufs)) == pytest.approx(target_lufs, abs=0.25)


def test_what_needs_no_limiting_is_raised_by_what_is_missing() -> None:
    sound = tone(10 * SECOND, 1000, 10 ** (-30 / 20))

    assert gain_db(sound, -16) == pytest.approx(14, abs=0.05)


def test_no_sound_is_raised_by_more_than_twenty_decibels() -> None:
    assert gain_db(tone(10 * SECOND, 1000, 0.0005), -16) == 20


def test_silence_and_moments_are_left_as_they_are() -> None:
    assert gain_db(np.zeros((5 * SECOND, 2), dtype="<f4"), -16) == 0
    assert gain_db(music(SECOND // 4), -16) == 0


def test_gain_that_makes_nothing_louder_is_not_given() -> None:
    # One click: however much gain goes into the limiter, the same comes out.
    assert gain_db(clicks(10 * SECOND, (SECOND,)), -16) < 2


def test_a_single_bang_does_not_keep_a_quiet_film_quiet() -> None:
    sound = tone(30 * SECOND, 1000, 10 ** (-30 / 20))
    sound[SECOND : SECOND + 4800] = white(4800, 0.3)

    assert gain_db(sound, -16) == pytest.approx(14, abs=0.5)
