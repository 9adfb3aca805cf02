"""Reading videos: their facts, their frames, their sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

from tasks.emulator.prices import milliseconds

__all__ = [
    "ACCURATE",
    "ClipFacts",
    "UnreadableClipError",
    "read_clip_facts",
    "read_frames",
    "read_sound",
    "samples_of",
]

# Without both flags swscale rounds down, and every generation of a chain would darken by a code value.
ACCURATE = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


class UnreadableClipError(Exception):
    """A file that no decoder here takes for a video. Its words are ours: a decoder's own name the file."""


@dataclass(frozen=True)
class ClipFacts:
    """What a video is: pixels, its video stream's length, packets, frames a second, whether it sounds.

    `container` is `mp4` for an MP4 and a MOV, `webm` for a WebM and a Matroska, else ffmpeg's own word.
    """

    width: int
    height: int
    length_ms: int
    frame_count: int
    rate: Fraction
    has_sound: bool
    container: str


def read_clip_facts(path: Path) -> ClipFacts:
    """Measure a video's first video stream and decode its first frame.

    Raises:
        UnreadableClipError: It has no video that can be decoded.
    """
    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise UnreadableClipError("it has no video stream")
            stream = container.streams.video[0]
            frame = next(container.decode(stream), None)
            if frame is None:
                raise UnreadableClipError("it has no frame")
            sound = bool(container.streams.audio)
            names = container.format.name.split(",")
        with av.open(path) as container:
            stream = container.streams.video[0]
            packets = [packet for packet in container.demux(stream) if packet.size]
            time_base = stream.time_base or Fraction(1, 1000)
            rate = stream.average_rate or stream.guessed_rate or Fraction(24)
            if stream.duration is not None:
                length_s = stream.duration * time_base
            else:
                starts = [packet.pts for packet in packets if packet.pts is not None]
                length_s = (max(starts) - min(starts)) * time_base + 1 / rate if starts else len(packets) / rate
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise UnreadableClipError("it is no video, or it is damaged") from error
    kind = "webm" if "webm" in names else "mp4" if "mp4" in names else names[0]
    length_ms = int(milliseconds(Fraction(length_s)) * 1000)
    return ClipFacts(frame.width, frame.height, length_ms, len(packets), Fraction(rate), sound, kind)


def read_frames(path: Path, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """Decode all frames, in order, as yuv420p (BT.709, limited) of `width` x `height`.

    Yields:
        Arrays of width * height * 3 / 2 samples: the luma plane, then the two chroma planes.
    """
    with av.open(path) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            as_is = (
                frame.format.name == "yuv420p"
                and (frame.width, frame.height) == (width, height)
                and frame.color_range != ColorRange.JPEG
            )
            ready = (
                frame
                if as_is
                else frame.reformat(
                    width=width,
                    height=height,
                    format="yuv420p",
                    dst_colorspace=Colorspace.ITU709,
                    dst_color_range=ColorRange.MPEG,
                    interpolation=ACCURATE,
                )
            )
            yield samples_of(ready)


def samples_of(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """All samples of a yuv420p frame, plane after plane."""
    return np.asarray(frame.to_ndarray(), dtype=np.uint8).reshape(-1)


def read_sound(path: Path, samples_per_frame: int, layout: str = "stereo") -> Iterator[av.AudioFrame]:
    """Decode the first sound stream: 48 kHz planar float, `samples_per_frame` a frame, fewer in the last."""
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=48000, frame_size=samples_per_frame)
    with av.open(path) as container:
        for frame in container.decode(container.streams.audio[0]):
            yield from resampler.resample(frame)
    yield from resampler.resample(None)
