from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tasks.sequence.sound.cells import CELL_SAMPLES, MARGIN_SAMPLES, decibels, levels
from tests.sequence.sound.sounds import SECOND, Sound, faded, tone, true_peak_dbtp, under_20_khz, white


def levels_of(sound: Sound) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    return levels(np.pad(sound, ((MARGIN_SAMPLES, MARGIN_SAMPLES), (0, 0))))


def peaks_of(sound: Sound) -> npt.NDArray[np.float32]:
    return levels_of(sound)[0]


@pytest.mark.parametrize("hz", [997, 6000, 12_000, 16_000, 19_500])
def test_a_waves_peak_is_found_between_its_samples(hz: float) -> None:
    sound = faded(tone(128 * 300, hz, amplitude=1, phase=np.pi / 4))

    # Four points for each sample: the true peak can be half a point away from the nearest.
    missed_db = -20 * np.log10(np.cos(np.pi * hz / SECOND / 4))
    assert -missed_db - 0.05 < decibels(peaks_of(sound)).max() < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_true_peaks_are_those_of_the_wave(seed: int) -> None:
    sound = faded(under_20_khz(white(128 * 200, seed=seed)))

    assert decibels(peaks_of(sound)).max() == pytest.approx(true_peak_dbtp(sound), abs=0.15)


def test_a_peak_is_found_in_its_cell() -> None:
    sound = np.zeros((CELL_SAMPLES * 9, 2), dtype="<f4")
    sound[CELL_SAMPLES * 4 + 5, 1] = -0.5

    peaks = peaks_of(sound)

    assert int(peaks.argmax()) == 4
    assert peaks[4] == pytest.approx(0.5)
    assert (peaks[[0, 1, 2, 6, 7, 8]] == 0).all()


@pytest.mark.parametrize(
    ("hz", "raised_db"), [(100, 0), (500, 0.05), (1000, 0.67), (2000, 3.0), (4000, 3.9), (12_000, 4)]
)
def test_energy_is_weighted_as_the_standard_says(hz: float, raised_db: float) -> None:
    sound = faded(tone(SECOND // 128 * 128, hz))

    raised = levels_of(sound)[1].sum() / (sound.astype(float) ** 2).sum()
    assert 10 * np.log10(raised) == pytest.approx(raised_db, abs=0.3)


def test_energy_is_counted_in_its_cell_and_of_both_channels() -> None:
    sound = np.zeros((CELL_SAMPLES * 5, 2), dtype="<f4")
    sound[CELL_SAMPLES * 2 : CELL_SAMPLES * 3] = tone(CELL_SAMPLES, 750) * [1, 0.5]

    energy = levels_of(sound)[1]

    assert energy[2] / energy.sum() > 0.95
    assert energy[2] == pytest.approx((sound**2).sum(), rel=0.15)
    assert energy[[0, 4]].sum() == 0
