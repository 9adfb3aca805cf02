from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.sequence.sound.cells import CELL_SAMPLES, decibels
from tasks.sequence.sound.limiter import gains, with_gains
from tests.sequence.sound.sounds import SECOND, Sound, faded, music, tone, true_peak_dbtp, under_20_khz, white
from tests.sequence.sound.test_cells import peaks_of


@st.composite
def cells(draw: st.DrawFn) -> npt.NDArray[np.float32]:
    count = draw(st.integers(1, 300))
    peaks = np.zeros(count, dtype=np.float32)
    for _ in range(draw(st.integers(0, 6))):
        peaks[draw(st.integers(0, count - 1))] = draw(st.floats(0, 12, width=32))
    return np.maximum(peaks, np.float32(draw(st.floats(0, 1, width=32))))


@settings(deadline=None)
@given(cells(), st.floats(-30, 20), st.floats(-20, 0))
def test_no_cell_comes_out_over_the_ceiling_and_none_is_raised_more_than_asked(
    peaks: npt.NDArray[np.float32], gain_db: float, ceiling_db: float
) -> None:
    edges = gains(peaks, gain_db, ceiling_db)

    assert len(edges) == len(peaks) + 1
    assert (edges <= 10 ** (gain_db / 20) * 1.00001).all()
    assert (decibels(peaks * np.maximum(edges[:-1], edges[1:])) <= ceiling_db + 0.001).all()


@settings(deadline=None)
@given(cells(), st.floats(-30, 20), st.floats(-20, 0))
def test_gain_comes_down_before_a_peak_holds_and_comes_up_again_in_straight_lines(
    peaks: npt.NDArray[np.float32], gain_db: float, ceiling_db: float
) -> None:
    """By the definition, cell by cell: 2 dB a millisecond down, held for two cells, a quarter of a dB up."""
    over_db = np.ceil(np.maximum(0, decibels(peaks) + gain_db - ceiling_db) * 64) / 64
    cell_ms = CELL_SAMPLES / 48
    less_db = np.zeros(len(peaks))
    for at in range(len(peaks)):
        for peak in range(len(peaks)):
            since = at - peak
            slope_db = -2.0 * since if since < 0 else 0.25 * max(0, since - 2)
            less_db[at] = max(less_db[at], over_db[peak] - slope_db * cell_ms)
    edges_db = gain_db - np.maximum(np.append(less_db[:1], less_db), np.append(less_db, less_db[-1:]))

    np.testing.assert_allclose(gains(peaks, gain_db, ceiling_db), 10 ** (edges_db / 20), rtol=1e-4)


def test_a_ceiling_may_be_lower_here_than_there() -> None:
    peaks, ceiling_db = np.ones(100, dtype=np.float32), np.full(100, -1, dtype=np.float32)
    ceiling_db[50] = -9

    edges_db = decibels(gains(peaks, 0, ceiling_db))

    assert edges_db[50] == edges_db[51] == pytest.approx(-9, abs=0.02)
    assert edges_db[[0, -1]] == pytest.approx(-1, abs=0.02)


def test_what_is_under_the_ceiling_is_only_raised() -> None:
    sound = white(CELL_SAMPLES * 100, 0.01)

    np.testing.assert_allclose(with_gains(sound, gains(peaks_of(sound), 6, -2)), sound * 10 ** (6 / 20), rtol=1e-6)


@pytest.mark.parametrize("gain_db", [3, 12])
@pytest.mark.parametrize("make", [white, music], ids=["noise", "music"])
def test_true_peaks_come_out_under_the_ceiling(make: Callable[[int], Sound], gain_db: float) -> None:
    sound = faded(under_20_khz(make(128 * 750)))

    limited = with_gains(sound, gains(peaks_of(sound), gain_db, -2))

    # By sixteen points a sample, of which the limiter sees four.
    assert true_peak_dbtp(limited) < -2 + 0.25
    assert true_peak_dbtp(limited) > -3


@pytest.mark.parametrize("hz", [50, 80, 200])
def test_a_bass_note_is_not_bent(hz: float) -> None:
    sound = tone(2 * SECOND, hz, amplitude=0.75)
    limited = with_gains(sound, gains(peaks_of(sound), 6, -2.5))[SECOND // 2 : SECOND // 2 + SECOND, 0]

    spectrum = np.abs(np.fft.rfft(limited * np.hanning(SECOND))) ** 2
    own = spectrum[int(hz) - 3 : int(hz) + 4].sum()
    assert np.sqrt((spectrum.sum() - own) / own) < 0.002


def test_no_sample_moves_and_the_last_cell_may_be_cut_short() -> None:
    sound = np.zeros((CELL_SAMPLES * 5 + 17, 2), dtype="<f4")
    sound[[0, 300, CELL_SAMPLES * 5 + 16]] = 2
    peaks = peaks_of(np.pad(sound, ((0, CELL_SAMPLES - 17), (0, 0))))

    limited = with_gains(sound, gains(peaks, 0, -6))

    assert limited.shape == sound.shape
    assert np.flatnonzero(limited[:, 0]).tolist() == np.flatnonzero(sound[:, 0]).tolist()
    assert limited.max() == pytest.approx(0.5, abs=0.01)
