from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Event

import numpy as np
import numpy.typing as npt
import pytest

from tasks.sequence.sound.cells import decibels
from tasks.sequence.sound.coder import Coder
from tests.sequence.sound.sounds import SECOND, Sound, clicks, decoded, music, reader, tone

SAMPLES = 13 * SECOND
CELLS = SAMPLES // 128


def flat(gain_db: float) -> npt.NDArray[np.float32]:
    return np.full(CELLS + 1, 10 ** (gain_db / 20), dtype=np.float32)


def test_what_is_heard_is_what_the_file_holds(tmp_path: Path) -> None:
    sound = tone(SAMPLES, 440)
    coder = Coder(reader(sound), SAMPLES, tmp_path / "film.m4a", tmp_path, Event())

    as_it_is, quieter = coder.code(None), coder.code(flat(-6))

    assert decibels(as_it_is.peaks).max() == pytest.approx(-6, abs=0.1)
    assert decibels(quieter.peaks).max() == pytest.approx(-12, abs=0.1)
    assert np.abs(decoded(tmp_path / "film.m4a")).max() == pytest.approx(0.25, abs=0.005)


def test_only_what_changed_is_coded_again(tmp_path: Path) -> None:
    read_from: list[int] = []
    sound = music(SAMPLES)

    def read(first: int, last: int) -> Iterator[Sound]:
        read_from.append(first)
        yield from reader(sound)(first, last)

    coder = Coder(read, SAMPLES, tmp_path / "film.m4a", tmp_path, Event())
    coder.code(flat(0))
    assert len(read_from) == 2
    again, changed = flat(0), flat(0)
    changed[CELLS * 3 // 4] = 0.1

    coder.code(again)
    assert len(read_from) == 2
    heard = coder.code(changed)
    assert len(read_from) == 3
    fresh = Coder(reader(sound), SAMPLES, tmp_path / "fresh.m4a", tmp_path / "fresh", Event())
    (tmp_path / "fresh").mkdir()

    np.testing.assert_allclose(heard.peaks, fresh.code(changed).peaks, atol=0.01)
    assert (tmp_path / "film.m4a").read_bytes() == (tmp_path / "fresh.m4a").read_bytes()


def test_spans_that_do_not_agree_are_coded_in_one_go(tmp_path: Path) -> None:
    # A sound that is another one each time: no two spans of it can be joined.
    silent, loud = np.zeros((SAMPLES, 2), dtype="<f4"), clicks(SAMPLES, tuple(range(1000, SAMPLES - 1000, 512)))

    def read(first: int, last: int) -> Iterator[Sound]:
        yield from reader(loud if first // (6 * SECOND) % 2 else silent)(first, last)

    heard = Coder(read, SAMPLES, tmp_path / "film.m4a", tmp_path, Event()).code(None)

    assert len(decoded(tmp_path / "film.m4a")) == SAMPLES
    assert len(heard.peaks) == CELLS


def test_it_can_be_stopped(tmp_path: Path) -> None:
    stop = Event()
    stop.set()

    with pytest.raises(CancelledError):
        Coder(reader(music(SAMPLES)), SAMPLES, tmp_path / "film.m4a", tmp_path, stop).code(None)
