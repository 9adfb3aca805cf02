"""A limiter that looks ahead, by true peaks: how loud a sound may be made at each moment. Pure arithmetic.

Sound is looked at in cells of 128 samples. What it takes to bring each cell's true peak under the ceiling is known
before any sample is changed, so the gain can come down in time before a peak, and no sample moves. Gain goes in
straight lines from cell to cell.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.sequence.sound import Samples

__all__ = ["CELL_SAMPLES", "MARGIN_SAMPLES", "cell_peaks", "decibels", "gains", "with_gains"]

CELL_SAMPLES: Final = 128
MARGIN_SAMPLES: Final = 12
"""How far beside a sample those are that decide about the wave between it and the next."""

Cells = npt.NDArray[np.float64]

# In dB a cell: fast enough not to be heard before the peak, and to let a drum's sound back in behind its stroke.
_ATTACK_DB: Final = 2.0 * CELL_SAMPLES / 48
_RELEASE_DB: Final = 0.25 * CELL_SAMPLES / 48
# 5 ms, of half a wave of a bass note: the gain is not to swing along with it and bend it.
_HOLD_CELLS: Final = 2
# Gain is rounded to this: sums differ in their last bits from one processor to another, films should not.
_STEP_DB: Final = 1 / 64
_SILENCE: Final = 1e-9

# Interpolation to four times the rate, as ITU-R BS.1770 asks, by a windowed sinc; right up to 20 kHz. It is done as
# products of small matrices: a row of samples times this gives all points between 16 of them. Larger ones would be
# shared out among threads of the library's own, which get into each other's way here.
_TAPS: Final = 2 * MARGIN_SAMPLES
_ROW: Final = 16
_BETWEEN: Final = (0.25, 0.5, 0.75)


def _interpolation() -> npt.NDArray[np.float32]:
    matrix = np.zeros((_ROW + _TAPS - 1, len(_BETWEEN) * _ROW), dtype=np.float32)
    for phase, between in enumerate(_BETWEEN):
        away = np.arange(1 - MARGIN_SAMPLES, MARGIN_SAMPLES + 1) - between
        window = np.i0(6 * np.sqrt(1 - (away / MARGIN_SAMPLES) ** 2)) / np.i0(6)
        taps = np.sinc(away) * window
        for place in range(_ROW):
            matrix[place : place + _TAPS, len(_BETWEEN) * place + phase] = taps / taps.sum()
    return matrix


_MATRIX: Final = _interpolation()


def cell_peaks(padded: Samples) -> npt.NDArray[np.float32]:
    """The true peak of each cell, of either channel, as an amplitude.

    Args:
        padded: Whole cells of sound with `MARGIN_SAMPLES` more before and behind.

    Returns:
        `(cells,)`.
    """
    inside = padded[MARGIN_SAMPLES:-MARGIN_SAMPLES].reshape(-1, 2 * CELL_SAMPLES)
    peaks: npt.NDArray[np.float32] = np.abs(inside).max(axis=1)
    for channel in range(2):
        wave = np.ascontiguousarray(padded[1:, channel])
        rows = np.lib.stride_tricks.sliding_window_view(wave, len(_MATRIX))[::_ROW]
        cells = np.ascontiguousarray(rows).reshape(-1, CELL_SAMPLES // _ROW, len(_MATRIX))
        between = cells @ _MATRIX
        peaks = np.maximum(peaks, np.abs(between, out=between).max(axis=(1, 2)))
    return peaks


def gains(
    peaks: npt.NDArray[np.float32], gain_db: float, ceiling_db: npt.NDArray[np.float32] | float
) -> npt.NDArray[np.float32]:
    """Gain at the edges of the cells, between which it goes in straight lines: `(cells + 1,)`, as factors.

    Args:
        peaks: The true peak of each cell, as an amplitude.
        gain_db: What the whole sound is raised by.
        ceiling_db: What no cell's true peak may exceed after that, in dBTP; one for all, or one a cell.
    """
    # What follows works in place: there are 375 cells a second, and some tens of thousands of seconds in a long film.
    over_db = decibels(peaks)
    over_db += gain_db
    over_db -= ceiling_db
    np.maximum(over_db, 0, out=over_db)
    over_db[:] = np.ceil(over_db / _STEP_DB) * _STEP_DB
    # Straight lines in decibels, down to each peak and up from it; what is asked most of a cell counts.
    less_db = over_db.copy()
    for later in range(1, _HOLD_CELLS + 1):
        np.maximum(less_db[later:], over_db[:-later], out=less_db[later:])
    line = np.arange(len(peaks)) * _RELEASE_DB
    less_db += line
    np.maximum.accumulate(less_db, out=less_db)
    less_db -= line
    line *= _ATTACK_DB / _RELEASE_DB
    over_db -= line
    over_db[:] = np.maximum.accumulate(over_db[::-1])[::-1]
    over_db += line
    np.maximum(less_db, over_db, out=less_db)
    at_edges = np.append(less_db, less_db[-1:])
    np.maximum(at_edges[1:-1], less_db[:-1], out=at_edges[1:-1])
    return np.asarray(10 ** ((gain_db - at_edges) / 20), dtype=np.float32)


def with_gains(samples: Samples, edges: npt.NDArray[np.float32]) -> Samples:
    """Sound with its gain; `samples` are whole cells but for the last, `edges` as `gains` gives them for these."""
    ramp = np.arange(CELL_SAMPLES, dtype=np.float32) / CELL_SAMPLES
    factors = edges[:-1, None] + np.diff(edges)[:, None] * ramp
    return np.asarray(samples * factors.reshape(-1, 1)[: len(samples)], dtype=np.float32)


def decibels(amplitudes: npt.NDArray[np.float32]) -> Cells:
    """Amplitudes in dB of full scale; silence is -180."""
    return np.asarray(20 * np.log10(np.maximum(amplitudes, _SILENCE, dtype=np.float64)))
