"""A limiter that looks ahead, by true peaks: how loud a sound may be made at each moment. Pure arithmetic.

What it takes to bring the true peak of each cell of sound under the ceiling is known before any sample is changed, so
the gain can come down in time before a peak, and no sample moves. Gain goes in straight lines from cell to cell.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.sequence.sound.cells import CELL_SAMPLES, decibels
from tasks.sequence.sound.decode import Samples

__all__ = ["gains", "with_gains"]

# In dB a cell: fast enough not to be heard before the peak, and to let a drum's sound back in behind its stroke.
_ATTACK_DB: Final = 2.0 * CELL_SAMPLES / 48
_RELEASE_DB: Final = 0.25 * CELL_SAMPLES / 48
# 5 ms, most of half a wave of a bass note: the gain is not to swing along with it and bend it.
_HOLD_CELLS: Final = 2
# Gain is rounded to this: sums differ in their last bits from one processor to another, films should not.
_STEP_DB: Final = 1 / 64


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
