"""Sound in cells of 128 samples: the true peak of each, and what it counts for in loudness. Pure arithmetic."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.sequence.sound.decode import Samples

__all__ = ["CELL_SAMPLES", "MARGIN_SAMPLES", "decibels", "levels"]

CELL_SAMPLES: Final = 128
MARGIN_SAMPLES: Final = 12
"""How far beside a sample those are that decide about the wave between it and the next."""

Amplitudes = npt.NDArray[np.float32]

_SILENCE: Final = 1e-9
# The head filter of ITU-R BS.1770, which raises what is above some 2 kHz by 4 dB, without its delay: the middle of a
# symmetrical filter, and what comes on either side of it, fitted to within 0.3 dB. The other filter of the standard
# takes away what is under some 60 Hz; that can be left out where like is compared with like.
_HEAD: Final = (
    *(1.6467, -0.1448, 0.0576, -0.1261, 0.0456, -0.0957),
    *(0.0291, -0.0625, 0.0134, -0.0340, 0.0029, -0.0140),
)

_TAPS: Final = 2 * MARGIN_SAMPLES
_ROW: Final = 16
_BETWEEN: Final = (0.25, 0.5, 0.75)


def _matrix() -> Amplitudes:
    """What a row of samples is multiplied with, for what is wanted of 16 of them.

    The first columns give the three points after each sample by which its rate becomes four times as high, as
    BS.1770 asks for true peaks: a windowed sinc, right up to 20 kHz. The last give each sample as it counts for
    loudness.
    """
    matrix = np.zeros((_ROW + _TAPS - 1, (len(_BETWEEN) + 1) * _ROW), dtype=np.float32)
    away = np.arange(1 - MARGIN_SAMPLES, MARGIN_SAMPLES + 1)
    weighting = np.append(_HEAD[:0:-1], _HEAD)
    for place in range(_ROW):
        for phase, between in enumerate(_BETWEEN):
            window = np.i0(6 * np.sqrt(1 - ((away - between) / MARGIN_SAMPLES) ** 2))
            taps = np.sinc(away - between) * window
            matrix[place : place + _TAPS, phase * _ROW + place] = taps / taps.sum()
        matrix[place : place + len(weighting), len(_BETWEEN) * _ROW + place] = weighting
    return matrix


_MATRIX: Final = _matrix()


def levels(padded: Samples) -> tuple[Amplitudes, Amplitudes]:
    """Look at whole cells of sound.

    Args:
        padded: The sound, with `MARGIN_SAMPLES` more before and behind.

    Returns:
        The true peak of each cell, of either channel, as an amplitude; and the energy of each, of both channels
        together and weighted as it is heard. `(cells,)` each.
    """
    inside = padded[MARGIN_SAMPLES:-MARGIN_SAMPLES].reshape(-1, 2 * CELL_SAMPLES)
    peaks: Amplitudes = np.abs(inside).max(axis=1)
    energy: Amplitudes = np.zeros_like(peaks)
    for channel in range(2):
        wave = np.ascontiguousarray(padded[1:, channel])
        rows = np.lib.stride_tricks.sliding_window_view(wave, len(_MATRIX))[::_ROW]
        # Products of small matrices: large ones would be shared out among threads of the library's own, which get
        # into the way of ours.
        points = np.ascontiguousarray(rows).reshape(-1, CELL_SAMPLES // _ROW, len(_MATRIX)) @ _MATRIX
        weighted = points[:, :, len(_BETWEEN) * _ROW :]
        energy += np.einsum("cij,cij->c", weighted, weighted)
        between = points[:, :, : len(_BETWEEN) * _ROW]
        peaks = np.maximum(peaks, np.abs(between, out=between).max(axis=(1, 2)))
    return peaks, energy


def decibels(amplitudes: Amplitudes) -> npt.NDArray[np.float64]:
    """Amplitudes in dB of full scale; silence is -180."""
    return np.asarray(20 * np.log10(np.maximum(amplitudes, _SILENCE, dtype=np.float64)))
