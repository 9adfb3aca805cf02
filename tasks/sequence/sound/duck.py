"""Music goes down while something else is heard, in time before it and slowly behind it. Pure arithmetic.

What is heard is known before any of it is played, so music is down when a voice begins, and stays down between words.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.sequence.sound.decode import Samples
from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["BEFORE", "BEHIND", "WINDOW_SAMPLES", "heard_in", "lowered"]

WINDOW_SAMPLES: Final = SAMPLE_RATE // 100
"""Whether something is heard is asked for each hundredth of a second."""

_HEARD_RMS: Final = 10 ** (-40 / 20)
_ATTACK: Final = 30
_HOLD: Final = 50
_RELEASE: Final = 100

BEFORE: Final = _ATTACK
"""So many windows ahead of a window in which something is heard, music begins to go down."""

BEHIND: Final = _HOLD + _RELEASE
"""So many behind it, music is back."""


def heard_in(samples: Samples) -> npt.NDArray[np.bool_]:
    """Whether a sound is heard in each of its windows: louder than -40 dBFS, by its mean power. `(windows,)`."""
    short = -len(samples) % WINDOW_SAMPLES
    power = np.pad(samples, ((0, short), (0, 0))).reshape(-1, 2 * WINDOW_SAMPLES) ** 2
    return np.asarray(power.mean(axis=1, dtype=np.float64) > _HEARD_RMS**2)


def lowered(heard: npt.NDArray[np.bool_], duck_db: float) -> npt.NDArray[np.float32]:
    """Factors for a sound that goes down by `duck_db` under what is heard: `(samples, 1)`, for the windows between.

    Args:
        heard: Whether something is heard in each window, for `BEHIND` windows before those that are wanted and
            `BEFORE` behind them.
        duck_db: Decibels, positive.
    """
    place = np.arange(len(heard))
    last = np.maximum.accumulate(np.where(heard, place, -len(heard) - BEHIND))
    following = np.minimum.accumulate(np.where(heard, place, 2 * len(heard) + BEFORE)[::-1])[::-1]
    # At the edges of windows: the window before an edge ends there, the one behind it begins there.
    edges = np.arange(BEHIND, len(heard) - BEFORE + 1)
    since = edges - 1 - last[edges - 1]
    until = following[np.minimum(edges, len(heard) - 1)] - edges
    down = np.maximum(1 - (since - _HOLD) / _RELEASE, 1 - until / _ATTACK)
    at_edges = np.clip(down, 0, 1) * -duck_db
    ramp = np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES
    in_db = at_edges[:-1, None] + np.diff(at_edges)[:, None] * ramp
    return np.asarray(10 ** (in_db.reshape(-1, 1) / 20), dtype=np.float32)
