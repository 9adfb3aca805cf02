"""Sound files and the sound of clips, decoded to samples: a clip's by its timestamps, on the grid of the picture.

Sound is raw PCM: 32-bit floats, little-endian, stereo interleaved, 48 kHz. Parts of coded sound cannot be joined
without a gap or a click at each seam; samples can.

A mono sound is on both channels unchanged, as every player plays it. More channels are brought to two by ITU-R
BS.775: centre and surround 3 dB lower, without the channel of low-frequency effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from tasks.errors import MediaError
from tasks.media.files import written_whole
from tasks.media.reading import open_media, open_sound
from tasks.media.thread import Stop
from tasks.rounding import round_half_up
from tasks.sequence.timeline import SAMPLE_RATE

__all__ = ["BYTES_PER_SAMPLE", "Reader", "Samples", "write_file_sound", "write_sound"]

BYTES_PER_SAMPLE: Final = 8

Samples = npt.NDArray[np.float32]
"""Sound as float32 `(samples, 2)`."""

Reader = Callable[[int, int], Iterable[Samples]]
"""Gives a sound from one sample to before another, block by block."""

# WebM stamps sound in whole milliseconds: inside this, frames of sound follow one another without a seam.
_JITTER_SAMPLES: Final = SAMPLE_RATE * 2 // 1000
_REFUSED_AT_MOST: Final = 2
_SOFTENED_SAMPLES: Final = SAMPLE_RATE * 5 // 1000


def write_sound(clip: Path, start_s: Fraction, samples: int, output: Path, stop: Stop | None = None) -> bool:
    """Write the sound of a clip from `start_s` on as PCM, whole or not at all. Blocks; holds some frames at a time.

    Where the clip has no sound there is silence, into which it goes over 5 ms. At the ends of what is written
    nothing is faded: what comes before and behind is the mixer's to know.

    Args:
        clip: The video file.
        start_s: Time in the clip, on its own clock, in seconds.
        samples: How many samples at 48 kHz to write.
        output: Where they go.
        stop: Ends the work early, with a `CancelledError`.

    Returns:
        Whether the clip has sound at all; if not, nothing is written.

    Raises:
        MediaError: The clip cannot be decoded.
        StorageUnreachable: There is no room for the samples.
    """
    stop = stop or Stop()
    with open_media(clip) as container:
        if not container.streams.audio:
            return False
        with written_whole(output) as temporary, temporary.open("w+b") as pcm:
            first, end = _lay(container, start_s, samples, pcm, stop)
            pcm.truncate(samples * BYTES_PER_SAMPLE)
            if 0 < first < end:
                _soften(pcm, first, min(_SOFTENED_SAMPLES, end - first), rising=True)
            if first < end < samples:
                length = min(_SOFTENED_SAMPLES, end - first)
                _soften(pcm, end - length, length, rising=False)
    return True


def write_file_sound(source: Path, output: Path, most: int | None = None, stop: Stop | None = None) -> int:
    """Write a sound file as PCM, whole or not at all. Blocks; holds some frames at a time.

    Args:
        source: Music, a voice: a sound file, or a video of which the sound is taken.
        output: Where the samples go.
        most: How many samples are of use, at least one: no more is written, and what lies behind them is not even
            decoded. All of them if None.
        stop: Ends the work early, with a `CancelledError`.

    Returns:
        How many samples were written.

    Raises:
        MediaError: The file is missing, has no sound, or cannot be decoded as far as it is of use.
        StorageUnreachable: There is no room for the samples.
    """
    stop, samples = stop or Stop(), 0
    with open_sound(source) as (container, stream), written_whole(output) as temporary, temporary.open("wb") as pcm:
        decoding = _Decoding(source)
        # One after the other: the times of a file of sound alone say nothing that its samples do not.
        for _, block in _blocks(decoding.frames(container, stream, stop)):
            kept = block if most is None else block[: most - samples]
            pcm.write(_bytes(kept))
            samples += len(kept)
            if samples == most:
                break
        decoding.check()
        if not samples:
            raise MediaError(
                "not one sample of this sound can be decoded", file=str(source), advice="export it again, as WAV say"
            )
    return samples


def _lay(container: InputContainer, start_s: Fraction, samples: int, pcm: BinaryIO, stop: Stop) -> tuple[int, int]:
    """Put each block of a clip's sound where its time says; gives where sound begins and where it ends."""
    follows: int | None = None
    begin, end = samples, 0
    for at_s, block in _blocks(container.decode(container.streams.audio[0])):
        stop.check()
        if at_s is None:
            continue
        at = round_half_up((at_s - start_s) * SAMPLE_RATE)
        if follows is not None and abs(at - follows) <= _JITTER_SAMPLES:
            at = follows
        follows = at + len(block)
        if at >= samples:
            break
        first, last = max(at, 0), min(follows, samples)
        if first < last:
            pcm.seek(first * BYTES_PER_SAMPLE)
            pcm.write(_bytes(block[first - at : last - at]))
            begin, end = min(begin, first), max(end, last)
    return begin, end


def _soften(pcm: BinaryIO, at: int, length: int, *, rising: bool) -> None:
    """Fade so many samples of a file from silence, or into it: a sound that stops short would click."""
    pcm.seek(at * BYTES_PER_SAMPLE)
    edge = np.frombuffer(pcm.read(length * BYTES_PER_SAMPLE), dtype="<f4").reshape(-1, 2)
    ramp = np.linspace(0, 1, length, endpoint=False, dtype=np.float32)[:, None]
    pcm.seek(at * BYTES_PER_SAMPLE)
    pcm.write(_bytes(edge * (ramp if rising else ramp[::-1])))


def _bytes(block: Samples) -> bytes:
    # What is no number in one file would make the whole film silent, or worse.
    return np.nan_to_num(block, nan=0, posinf=0, neginf=0).astype("<f4", copy=False).tobytes()


@dataclass(slots=True)
class _Decoding:
    """A file's frames without the odd piece that is no sound: song files have tags and rests between and behind."""

    source: Path
    pieces: int = 0
    refused: int = 0

    def frames(self, container: InputContainer, stream: AudioStream, stop: Stop) -> Iterator[AudioFrame]:
        for packet in container.demux(stream):
            stop.check()
            self.pieces += 1
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                self.refused += 1
                continue
            yield from frames

    def check(self) -> None:
        """Raise `MediaError` if of what was read too much is no sound."""
        if self.refused > max(_REFUSED_AT_MOST, self.pieces // 100):
            raise MediaError(
                f"{self.refused} of {self.pieces} pieces of this sound cannot be decoded",
                file=str(self.source),
                advice="see whether it plays to its end, and export it again",
            )


def _blocks(frames: Iterable[AudioFrame]) -> Iterator[tuple[Fraction | None, Samples]]:
    """The sound as stereo at 48 kHz, each block with its time in seconds, if it has one."""
    resampler, shape = None, None
    for frame in frames:
        # Broadcasts and chained streams go over to other channels or another rate on the way.
        if resampler is None or shape != (frame.format.name, frame.layout.name, frame.sample_rate):
            if resampler is not None:
                yield from _timed(resampler.resample(None))
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
            resampler = AudioResampler(format="flt", layout=layout, rate=SAMPLE_RATE)
        yield from _timed(resampler.resample(frame))
    if resampler is not None:
        yield from _timed(resampler.resample(None))


def _timed(frames: list[AudioFrame]) -> Iterator[tuple[Fraction | None, Samples]]:
    for frame in frames:
        at_s = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        block = np.asarray(frame.to_ndarray(), dtype=np.float32).reshape(-1, frame.layout.nb_channels)
        yield at_s, block if block.shape[1] == 2 else np.repeat(block, 2, axis=1)
