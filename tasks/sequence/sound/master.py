"""The film's mixed sound, brought to its loudness, kept under its true peak, and coded: measured as it will be heard.

Gain is one number for the whole film, so that what was loud and what was quiet stay as far apart as they were; only
peaks that would stand over the ceiling are limited. Coding changes loudness a little and peaks by up to some decibels,
nobody knows where. So the coded sound is decoded and measured, and where it exceeds what is allowed, the ceiling is
lowered there and then, and those spans are coded again.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.media.files import written_whole
from tasks.media.thread import Stop, in_thread_of
from tasks.sequence.sound import limiter
from tasks.sequence.sound.cells import CELL_SAMPLES, decibels
from tasks.sequence.sound.coder import Bench, Coder, Sound
from tasks.sequence.sound.gain import MOST_GAIN_DB, gain_for
from tasks.sequence.sound.loudness import Measured, integrated_lufs
from tasks.sequence.sound.spans import Cores

__all__ = ["MOST_GAIN_DB", "TRUE_PEAK_DBTP", "Loudness", "master", "master_ahead"]

TRUE_PEAK_DBTP: Final = Decimal("-1.5")
"""No true peak of a mastered film exceeds this."""
# Other meters of true peaks find a little more than ours, mostly where a sound begins at once.
_ALLOWED_DBTP: Final = float(TRUE_PEAK_DBTP) - 0.15
_SILENT_DBTP: Final = -70
# What coding adds to peaks is rarely more than this.
_HEADROOM_DB: Final = 1.0
_CLEARLY_UNDER_DB: Final = 0.1
# Coding takes some loudness away, mostly where there is much noise: about as much as this, rarely over half a decibel.
_CODING_LOSS_LU: Final = 0.1
_ON_TARGET_LU: Final = 0.4
# Gain is one of few, so that what is coded can be kept when one more shot makes the whole a little louder.
_STEP_DB: Final = 0.5
_MOST_ROUNDS: Final = 8
_MOST_CORRECTIONS: Final = 2
# A frame of AAC spreads what it gets wrong over its 2048 samples.
_AROUND_PEAK_CELLS: Final = 2048 // CELL_SAMPLES

# Each waits for threads that do the work. Other work in threads is not to wait for these.
_THREADS: Final = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="sound")

Cells = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Loudness:
    """What was measured of a film's finished sound, decoded from its AAC.

    `integrated_lufs` is its loudness by EBU R128; None where nothing in it is louder than -70 LUFS for 400 ms.
    `true_peak_dbtp` is None in digital silence. `gain_db` is by how much the mix was raised, `limited_db` by how much
    its worst peak was then brought down.
    """

    integrated_lufs: Decimal | None
    true_peak_dbtp: Decimal | None
    gain_db: Decimal
    limited_db: Decimal

    @property
    def is_silent(self) -> bool:
        """Whether nothing can be heard in it, though it is there."""
        return self.true_peak_dbtp is None or self.true_peak_dbtp < _SILENT_DBTP

    def as_dict(self) -> dict[str, float | None]:
        """As JSON numbers."""
        return {
            "integrated_lufs": _json(self.integrated_lufs),
            "true_peak_dbtp": _json(self.true_peak_dbtp),
            "gain_db": _json(self.gain_db),
            "limited_db": _json(self.limited_db),
        }


async def master(sound: Sound, target_lufs: Decimal | None, bench: Bench, output: Path) -> Loudness:
    """Bring a film's sound to its loudness and code it as AAC, in an MP4 of nothing else.

    Every sample stays in its place. The work is done in threads, on all cores; some seconds of sound are in memory,
    and some kilobytes of what was measured for each second. Equal sound gives equal bytes, however many cores there
    are, and whatever was worked out ahead.

    Args:
        sound: The mixed sound.
        target_lufs: The integrated loudness wanted. It is missed, without an error, by sound that would need more
            than `MOST_GAIN_DB`, or that has no loudness: silence, or less than 400 ms. None codes the sound as it
            is, louder than full scale where the mix is.
        bench: What was worked out ahead, and takes what is worked out.
        output: The MP4; it appears whole, or not at all.

    Returns:
        What was measured of `output`.

    Raises:
        StorageUnreachable: There is no room for it.
    """

    def work(stop: Stop) -> Loudness:
        with written_whole(output) as temporary:
            coder = Coder(sound, bench, Cores(stop))
            loudness = _coded(coder, target_lufs, 0.0)
            coder.write(temporary)
            return loudness

    return await in_thread_of(_THREADS, work)


async def master_ahead(sound: Sound, target_lufs: Decimal | None, bench: Bench, may_change_db: float = 0.0) -> None:
    """Work out of a sound what will be right of a film of which it is most: the rest is not there yet.

    All else that this machine does comes first.

    Args:
        sound: The mix, silent where something is missing.
        target_lufs: See `master`.
        bench: Takes what is worked out.
        may_change_db: By how much what is missing may change the loudness of the whole: for each gain that it can
            then need, the sound is coded.

    Raises:
        StorageUnreachable: There is no room for it.
    """

    def work(stop: Stop) -> None:
        coder = Coder(sound, bench, Cores(stop, is_yielding=True))
        for off_db in dict.fromkeys((0.0, -may_change_db, may_change_db)):
            _coded(coder, target_lufs, off_db)
        bench.tidy()

    await in_thread_of(_THREADS, work)


def _coded(coder: Coder, target_lufs: Decimal | None, off_db: float) -> Loudness:
    """Code a sound with the gain that it needs, or with that which it would need if it were as much louder."""
    if target_lufs is None:
        return _told(coder.code(None), 0.0, 0.0)
    return _at_loudness(coder.measured(), float(target_lufs), coder, off_db)


def _at_loudness(mixed: Measured, target_lufs: float, coder: Coder, off_db: float) -> Loudness:
    ceiling_db = np.full(len(mixed.peaks), _ALLOWED_DBTP - _HEADROOM_DB, dtype=np.float32)
    aim_lufs, corrections = target_lufs + _CODING_LOSS_LU, 0
    other_db = _in_steps(gain_for(aim_lufs, mixed, ceiling_db) - off_db)
    for round_number in range(_MOST_ROUNDS):
        gain_db = other_db
        gains = limiter.gains(mixed.peaks, gain_db, ceiling_db)
        heard = coder.code(gains)
        over_db = decibels(heard.peaks) - _ALLOWED_DBTP
        loudness = integrated_lufs(heard.momentary_lufs)
        off_lu = 0.0 if loudness is None else target_lufs - loudness
        if abs(off_lu) > _ON_TARGET_LU and corrections < _MOST_CORRECTIONS:
            corrections, aim_lufs = corrections + 1, aim_lufs + off_lu
            other_db = _in_steps(gain_for(aim_lufs, mixed, ceiling_db))
        if other_db == gain_db and not (over_db > 0).any():
            break
        # What AAC makes of a peak hangs on little things. If it came out too high again, it is lowered by more.
        lower_by_db = np.where(over_db > 0, over_db + _CLEARLY_UNDER_DB * 2**round_number, 0)
        _lower(ceiling_db, lower_by_db, decibels(mixed.peaks * np.maximum(gains[:-1], gains[1:])))
    return _told(heard, gain_db, max(0.0, float(gain_db - decibels(gains).min())))


def _in_steps(gain_db: float) -> float:
    """The nearest gain of those that there are, which one more shot changes only where it changes much."""
    return round(gain_db / _STEP_DB) * _STEP_DB


def _lower(ceiling_db: npt.NDArray[np.float32], lower_by_db: Cells, peaks_db: Cells) -> None:
    """Lower the ceiling around each peak that is still too high, by what it takes under the peaks that were coded."""
    for cell in np.flatnonzero(lower_by_db):
        around = slice(max(0, cell - _AROUND_PEAK_CELLS), cell + _AROUND_PEAK_CELLS + 1)
        ceiling_db[around] = np.minimum(ceiling_db[around], peaks_db[around].max() - lower_by_db[cell])


def _told(heard: Measured, gain_db: float, limited_db: float) -> Loudness:
    loudness, peak = integrated_lufs(heard.momentary_lufs), heard.peaks.max(initial=0)
    return Loudness(
        integrated_lufs=None if loudness is None else _decimal(loudness),
        true_peak_dbtp=_decimal(float(decibels(peak))) if peak else None,
        gain_db=_decimal(gain_db),
        limited_db=_decimal(limited_db),
    )


def _decimal(value: float) -> Decimal:
    return Decimal(f"{value:.2f}")


def _json(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
