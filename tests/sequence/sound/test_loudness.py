from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.media.thread import Stop
from tasks.sequence.sound.cells import decibels
from tasks.sequence.sound.loudness import Measured, integrated_lufs, joined, measure
from tasks.sequence.sound.spans import Cores, Span, spans_of
from tests.sequence.sound.sounds import (
    SECOND,
    Sound,
    bursts,
    music,
    opinion_of_pcm,
    pcm,
    pink,
    reader,
    square_with_peaks,
    tone,
    white,
)


def measured(sound: Sound) -> Measured:
    """Measured in spans, as a film is."""
    spans = spans_of(len(sound))
    return joined(Cores(Stop()).each(lambda span: measure(reader(sound), span, len(sound)), spans))


def lufs(sound: Sound) -> float | None:
    return integrated_lufs(measured(sound).momentary_lufs)


@pytest.mark.parametrize("level_db", [-23, -33, 0])
def test_a_tone_has_the_loudness_that_the_standard_gives_it(level_db: float) -> None:
    # EBU Tech 3341, cases 1 and 2: 1 kHz on both channels is as many LUFS as it has dBFS.
    assert lufs(tone(20 * SECOND, 1000, amplitude=10 ** (level_db / 20))) == pytest.approx(level_db, abs=0.05)


def test_what_is_much_quieter_does_not_count() -> None:
    # EBU Tech 3341, case 3: 10 s at -36, 60 s at -23, 10 s at -36 dBFS are -23 LUFS.
    quiet, loud = 10 ** (-36 / 20), 10 ** (-23 / 20)
    row = [tone(10 * SECOND, 1000, quiet), tone(60 * SECOND, 1000, loud), tone(10 * SECOND, 1000, quiet)]

    assert lufs(np.concatenate(row)) == pytest.approx(-23, abs=0.05)


SOUNDS: dict[str, Callable[[], Sound]] = {
    "noise": lambda: white(13 * SECOND + 77),
    "rain": lambda: pink(5 * SECOND),
    "voice": lambda: bursts(14 * SECOND + 1),
    "music": lambda: music(13 * SECOND - 1),
    "square": lambda: square_with_peaks(5 * SECOND),
    "quiet": lambda: tone(5 * SECOND, 440, 0.001),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_it_is_of_one_opinion_with_ffmpeg(tmp_path: Path, name: str) -> None:
    sound = SOUNDS[name]()
    loudness_lufs, peak_dbtp = opinion_of_pcm(pcm(tmp_path / "sound.f32", sound))
    found = measured(sound)

    assert integrated_lufs(found.momentary_lufs) == pytest.approx(loudness_lufs, abs=0.06)
    # ffmpeg's interpolation ends a little earlier below half the rate than ours, and its tenths are rounded.
    assert decibels(found.peaks).max() == pytest.approx(peak_dbtp, abs=0.2)


@pytest.mark.parametrize("name", ["voice", "music"])
def test_spans_are_as_good_as_the_whole(name: str) -> None:
    sound = SOUNDS[name]()
    whole, spans = measure(reader(sound), Span(0, len(sound)), len(sound)), measured(sound)

    assert len(spans_of(len(sound))) > 1
    np.testing.assert_array_equal(spans.peaks, whole.peaks)
    np.testing.assert_array_equal(spans.energy, whole.energy)
    heard = whole.momentary_lufs > -70
    np.testing.assert_allclose(spans.momentary_lufs[heard], whole.momentary_lufs[heard], atol=0.002)


@pytest.mark.parametrize("samples", [1, 127, 128, 4799, 19_000, 76_800, 100_001])
def test_any_length_is_measured_to_its_end(samples: int) -> None:
    sound = np.zeros((samples, 2), dtype="<f4")
    sound[-1] = 0.5
    found = measured(sound)

    assert len(found.momentary_lufs) == samples // 4800
    assert len(found.peaks) == len(found.energy) == -(-samples // 128)
    assert found.peaks[-1] == pytest.approx(0.5, abs=0.02)
    assert found.energy[-1] > 0.4 * found.energy.sum() > 0


def test_silence_and_moments_have_no_loudness() -> None:
    assert lufs(np.zeros((2 * SECOND, 2), dtype="<f4")) is None
    assert lufs(tone(19_199, 1000)) is None
    assert lufs(tone(19_200, 1000)) == pytest.approx(-6, abs=0.3)
