"""A clip's sound, laid by its timestamps on the grid of the picture.

Sound of a part is raw PCM: 32-bit floats, little-endian, stereo interleaved, 48 kHz. Parts of coded sound
cannot be joined without a gap or a click at each seam; samples can.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer

from tasks.media.files import written_whole
from tasks.media.reading import open_media
from tasks.rounding import round_half_up
from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["BYTES_PER_SAMPLE", "read_sound", "write_sound"]

BYTES_PER_SAMPLE: Final = 8
_FADE_SAMPLES: Final = SAMPLE_RATE * 5 // 1000
# WebM stamps sound in whole milliseconds: inside this, frames of sound follow one another without a seam.
_JITTER_SAMPLES: Final = SAMPLE_RATE * 2 // 1000

Samples = npt.NDArray[np.float32]


def read_sound(clip: Path, start_s: Fraction, samples: int) -> Samples | None:
    """Decode the sound of a clip from `start_s` on. Blocks.

    Args:
        clip: The video file.
        start_s: Time in the clip, on its own clock, in seconds.
        samples: How many samples at 48 kHz to give.

    Returns:
        float32 `(samples, 2)`, silent where the clip has no sound, faded over 5 ms at both ends; `None` when
        the clip has no sound at all.

    Raises:
        MediaError: The clip cannot be decoded.
    """
    laid = np.zeros((samples, 2), dtype=np.float32)
    with open_media(clip) as container:
        if not container.streams.audio:
            return None
        follows: int | None = None
        for at_s, block in _blocks(container):
            at = round_half_up((at_s - start_s) * SAMPLE_RATE)
            if follows is not None and abs(at - follows) <= _JITTER_SAMPLES:
                at = follows
            follows = at + len(block)
            if at >= samples:
                break
            first, last = max(at, 0), min(follows, samples)
            if first < last:
                laid[first:last] = block[first - at : last - at]
    _fade(laid)
    return laid


def write_sound(clip: Path, start_s: Fraction, samples: int, output: Path) -> bool:
    """Write what `read_sound` gives as raw PCM, whole or not at all; says whether there was any sound."""
    laid = read_sound(clip, start_s, samples)
    if laid is None:
        return False
    with written_whole(output) as temporary:
        temporary.write_bytes(laid.astype("<f4", copy=False).tobytes())
    return True


def _blocks(container: InputContainer) -> Iterator[tuple[Fraction, Samples]]:
    """The sound as stereo at 48 kHz, each block with its time in seconds."""
    resampler = AudioResampler(format="flt", layout="stereo", rate=SAMPLE_RATE)
    for frame in container.decode(container.streams.audio[0]):
        yield from _timed(resampler.resample(frame))
    yield from _timed(resampler.resample(None))


def _timed(frames: list[AudioFrame]) -> Iterator[tuple[Fraction, Samples]]:
    for frame in frames:
        if frame.pts is not None and frame.time_base is not None:
            yield frame.pts * frame.time_base, np.asarray(frame.to_ndarray(), dtype=np.float32).reshape(-1, 2)


def _fade(laid: Samples) -> None:
    """Take the edges to zero, so that no seam clicks."""
    length = min(_FADE_SAMPLES, len(laid) // 2)
    if length:
        ramp = np.linspace(0, 1, length, endpoint=False, dtype=np.float32)[:, None]
        laid[:length] *= ramp
        laid[-length:] *= ramp[::-1]
