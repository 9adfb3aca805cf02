"""By how much to raise a sound, so that it is as loud as wanted when its peaks are limited. Pure arithmetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.sequence.sound import limiter
from tasks.sequence.sound.cells import CELL_SAMPLES, decibels
from tasks.sequence.sound.loudness import HOP_SAMPLES, Measured, integrated_lufs

__all__ = ["MOST_GAIN_DB", "gain_for"]

MOST_GAIN_DB: Final = Decimal(20)
"""Sound that would need more than this is left quieter: by then it is the noise behind it that is heard."""

# What is missing is made up for in steps.
_MOST_STEP_DB: Final = 1.0
_LEAST_STEP_DB: Final = 0.05
_ENOUGH_LU: Final = 0.05
# Each decibel of gain has to bring so much: the rest only makes loud what is quiet.
_WORTH_LU: Final = 0.3
_NO_POWER: Final = 1e-12
_HOPS_PER_BLOCK: Final = 4

Cells = npt.NDArray[np.float64]
Gains = npt.NDArray[np.float32]


def gain_for(target_lufs: float, mixed: Measured, ceiling_db: Gains) -> float:
    """By how many decibels to raise the whole sound, so that it is as loud as wanted when its peaks are limited.

    Where that cannot be had, it is raised as long as this makes it louder, and not only its peaks more limited.
    """
    loudness = integrated_lufs(mixed.momentary_lufs)
    if loudness is None:
        return 0.0

    def missing_lu(gain_db: float) -> float:
        limited = integrated_lufs(_momentary_lufs(mixed, limiter.gains(mixed.peaks, gain_db, ceiling_db)))
        return np.inf if limited is None else target_lufs - limited

    most_db = float(MOST_GAIN_DB)
    gain_db = round(min(most_db, target_lufs - loudness), 2)
    missing = missing_lu(gain_db)
    if missing > _MOST_STEP_DB:
        # Much is lost in the limiter. It is seen from where it begins whether what is gained is worth it.
        gain_db = round(min(gain_db, float((ceiling_db - decibels(mixed.peaks)).min())), 2)
        missing = missing_lu(gain_db)
    best_db, best = gain_db, missing + _WORTH_LU * gain_db
    while missing > _ENOUGH_LU and gain_db < most_db:
        # Limiting takes loudness away, so a step of what is missing falls short, but never goes too far.
        gain_db = round(min(most_db, gain_db + max(_LEAST_STEP_DB, min(_MOST_STEP_DB, missing))), 2)
        missing = missing_lu(gain_db)
        if missing <= _ENOUGH_LU or missing + _WORTH_LU * gain_db < best:
            best_db, best = gain_db, missing + _WORTH_LU * gain_db
    return best_db


def _momentary_lufs(mixed: Measured, gains: Gains) -> Cells:
    """Momentary loudness of the mix with its gains, from the energy that they leave in each block of 400 ms."""
    power = ((gains[:-1] + gains[1:]) / 2) ** 2
    hops = len(mixed.momentary_lufs)
    before, after = _in_blocks(mixed.energy, hops), _in_blocks(mixed.energy * power, hops)
    change = np.divide(after, before, out=np.ones_like(before), where=before > 0)
    return np.asarray(mixed.momentary_lufs + 10 * np.log10(np.maximum(change, _NO_POWER)))


def _in_blocks(energy: Gains | Cells, hops: int) -> Cells:
    """The energy of the 400 ms before the end of each tenth of a second."""
    if not hops:
        return np.empty(0)
    begins = np.arange(hops) * HOP_SAMPLES // CELL_SAMPLES
    by_hop = np.add.reduceat(energy[: hops * HOP_SAMPLES // CELL_SAMPLES], begins, dtype=np.float64)
    return np.convolve(by_hop, np.ones(_HOPS_PER_BLOCK))[:hops]
