"""What a video or a picture is: size, rate, length, colours. Read in-process, without an ffprobe."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image, UnidentifiedImageError

from tasks.errors import MediaError
from tasks.media.reading import open_sound, open_video
from tasks.rounding import milliseconds

__all__ = ["PictureFacts", "SoundFacts", "VideoFacts", "probe_picture", "probe_sound", "probe_video"]

_BT709 = 1
_MICROSECONDS = 1_000_000
_EXIF_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video file says of itself.

    `width` and `height` are in stored pixels, before `rotation` (degrees, of the first picture) and
    `sample_aspect_ratio`. `frames_declared` is the container's own count, `None` where it keeps none
    (WebM); only decoding tells the truth. `duration_s` is the length of the pictures, not of the sound, in
    whole milliseconds. `tagged_bt709` is true where the file itself names bt709 as its colour matrix.
    """

    width: int
    height: int
    rate: Fraction
    frames_declared: int | None
    duration_s: Decimal
    codec: str
    pix_fmt: str
    has_sound: bool
    sample_aspect_ratio: Fraction
    rotation: int
    tagged_bt709: bool


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """A picture's size in pixels, as it is shown, and its format by Pillow's name: PNG, JPEG, WEBP."""

    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class SoundFacts:
    """A sound file's length in whole milliseconds, and its codec by ffmpeg's name."""

    duration_s: Decimal
    codec: str


def probe_sound(path: Path) -> SoundFacts:
    """Find the sound of a local file, of a video too, and decode its beginning. Blocks for some milliseconds.

    Raises:
        MediaError: The file is missing, has no sound, or its sound cannot be decoded.
    """
    with open_sound(path) as (container, stream):
        if next(iter(container.decode(stream)), None) is None:
            raise MediaError("nothing of this sound can be decoded", file=str(path))
        length_s = Fraction(container.duration or 0, _MICROSECONDS)
        if stream.duration and stream.time_base:
            length_s = stream.duration * stream.time_base
        return SoundFacts(milliseconds(length_s), stream.codec_context.name)


def probe_video(path: Path) -> VideoFacts:
    """Read what a local video says of itself and decode its first picture. Blocks for some milliseconds.

    Raises:
        MediaError: The file is missing, is no video, or its first picture cannot be decoded.
    """
    with open_video(path) as (container, stream):
        first = next(iter(container.decode(stream)), None)
        if first is None:
            raise MediaError("not one picture of this video can be decoded", file=str(path))
        rate = stream.average_rate or stream.guessed_rate
        length_s = _declared_length_s(container, stream)
        if not rate or not length_s:
            counted, decoded_s = _decoded_length(path)
            length_s = length_s or decoded_s
            rate = rate or (counted / decoded_s if decoded_s else None)
        if not rate or not length_s:
            raise MediaError("this video has no length, and its pictures have no times", file=str(path))
        return VideoFacts(
            width=first.width,
            height=first.height,
            rate=rate,
            frames_declared=stream.frames or None,
            duration_s=milliseconds(length_s),
            codec=stream.codec_context.name,
            pix_fmt=first.format.name,
            has_sound=bool(container.streams.audio),
            sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
            rotation=first.rotation,
            tagged_bt709=int(first.colorspace) == _BT709,
        )


def probe_picture(path: Path) -> PictureFacts:
    """Decode a local picture to its last row. Blocks for some milliseconds.

    Raises:
        MediaError: The file is missing, is no picture that Pillow knows, or is damaged.
    """
    try:
        with Image.open(path) as image:
            image.load()
            width, height = image.size
            if image.getexif().get(_EXIF_ORIENTATION) in _TURNED:
                width, height = height, width
            # A phone's MPO is a JPEG with more pictures behind it.
            kind = "JPEG" if image.format == "MPO" else image.format or ""
    except FileNotFoundError as cause:
        raise MediaError("there is no such picture", file=str(path)) from cause
    except UnidentifiedImageError as cause:
        raise MediaError("this file is not a picture", file=str(path)) from cause
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as cause:
        raise MediaError(f"this picture cannot be decoded: {cause}", file=str(path)) from cause
    return PictureFacts(width, height, kind)


def _declared_length_s(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    if container.duration:
        return Fraction(container.duration, _MICROSECONDS)
    return None


def _decoded_length(path: Path) -> tuple[int, Fraction]:
    """Count and length by decoding it all: the last resort, for streams without any declared length."""
    counted = 0
    start = end = Fraction(0)
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if frame.pts is not None and frame.time_base is not None:
                start = frame.pts * frame.time_base if not counted else start
                end = max(end, (frame.pts + frame.duration) * frame.time_base)
            counted += 1
    return counted, end - start
