from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tasks.media.thread import Stop
from tasks.sequence.sound.cells import decibels
from tasks.sequence.sound.coder import Bench, Coder
from tasks.sequence.sound.loudness import measure
from tasks.sequence.sound.spans import Cores, Span
from tests.sequence.conftest import names
from tests.sequence.sound.sounds import SECOND, Held, Sound, bursts, clicks, decoded, music, reader, tone

SAMPLES = 13 * SECOND
CELLS = SAMPLES // 128


def flat(gain_db: float) -> npt.NDArray[np.float32]:
    return np.full(CELLS + 1, 10 ** (gain_db / 20), dtype=np.float32)


def tone_and_silence(samples: int) -> Sound:
    on = (np.arange(samples) // (7 * SECOND) % 2)[:, None]
    return np.asarray(tone(samples, 440) * on, dtype="<f4")


def coder_of(sound: Sound, folder: Path) -> Coder:
    return Coder(Held(sound), Bench(folder), Cores(Stop()))


def test_what_is_heard_is_what_the_file_holds(tmp_path: Path) -> None:
    coder = coder_of(tone(SAMPLES, 440), tmp_path / "bench")

    as_it_is, quieter = coder.code(None), coder.code(flat(-6))
    coder.write(tmp_path / "film.m4a")

    assert decibels(as_it_is.peaks).max() == pytest.approx(-6, abs=0.1)
    assert decibels(quieter.peaks).max() == pytest.approx(-12, abs=0.1)
    assert np.abs(decoded(tmp_path / "film.m4a")).max() == pytest.approx(0.25, abs=0.005)


@pytest.mark.thorough
@pytest.mark.parametrize("sound", [bursts, tone_and_silence])
def test_it_hears_each_span_as_the_whole_file_is_heard(tmp_path: Path, sound: Callable[[int], Sound]) -> None:
    samples = 33 * SECOND
    coder = coder_of(sound(samples), tmp_path / "bench")
    heard = coder.code(None)
    coder.write(tmp_path / "film.m4a")

    whole = measure(reader(decoded(tmp_path / "film.m4a")), Span(0, samples), samples)
    np.testing.assert_allclose(heard.peaks, whole.peaks, atol=0.003)
    loud = whole.momentary_lufs > -50
    np.testing.assert_allclose(heard.momentary_lufs[loud], whole.momentary_lufs[loud], atol=0.05)


def test_only_what_changed_is_coded_again(tmp_path: Path) -> None:
    bench = tmp_path / "bench"
    coder = coder_of(music(SAMPLES), bench)
    coder.code(flat(0))
    assert len(names(bench)) == 2
    again, changed = flat(0), flat(0)
    changed[CELLS * 3 // 4] = 0.1

    coder.code(again)
    assert len(names(bench)) == 2
    heard = coder.code(changed)
    assert len(names(bench)) == 3
    coder.write(tmp_path / "film.m4a")
    fresh = coder_of(music(SAMPLES), tmp_path / "fresh")

    np.testing.assert_array_equal(heard.peaks, fresh.code(changed).peaks)
    fresh.write(tmp_path / "fresh.m4a")
    assert (tmp_path / "film.m4a").read_bytes() == (tmp_path / "fresh.m4a").read_bytes()


def test_spans_that_do_not_agree_are_coded_as_one(tmp_path: Path) -> None:
    # Where a sound is another one each time it is read, no two spans of it can be joined.
    silent, loud = np.zeros((3 * SAMPLES, 2), dtype="<f4"), clicks(3 * SAMPLES, tuple(range(1000, 3 * SAMPLES, 512)))

    class Torn(Held):
        def read(self, first: int, last: int) -> Iterator[Sound]:
            is_second = 4 * SECOND < first < 7 * SECOND
            yield from reader(loud if is_second else silent)(first, last)

    coder = Coder(Torn(silent), Bench(tmp_path / "bench"), Cores(Stop()))
    heard = coder.code(None)
    coder.write(tmp_path / "film.m4a")

    assert len(decoded(tmp_path / "film.m4a")) == 3 * SAMPLES
    assert len(heard.peaks) == 3 * CELLS
    assert not heard.peaks.any()  # the second span was read with the one before it


def test_it_can_be_stopped(tmp_path: Path) -> None:
    stop = Stop()
    stop.set()

    with pytest.raises(CancelledError):
        Coder(Held(music(SAMPLES)), Bench(tmp_path), Cores(stop)).code(None)
