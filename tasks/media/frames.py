"""Exact frames: counting a clip by decoding all of it, and taking frames out without moving their colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from PIL import Image

from tasks.errors import ClipDamaged, MediaError
from tasks.media.boxes import declared_size_bytes
from tasks.media.colour import rgb_of
from tasks.media.files import written_whole
from tasks.media.reading import open_video
from tasks.rounding import milliseconds

__all__ = ["DecodedFacts", "decode_whole", "extract_frame", "extract_frames", "image_of"]

_RATE_TOLERANCE = Fraction(1, 1000)
# Level 1 is three times faster than Pillow's own choice and the file some tenths larger.
_PNG_COMPRESSION = 1


@dataclass(frozen=True, slots=True)
class DecodedFacts:
    """What a clip turned out to be when all of it was decoded.

    `rate` is in frames a second: the declared one where the pictures' times agree with it, else the mean.
    `constant_rate` says whether every picture comes one such step after the one before. `duration_s` is the
    length of the pictures, `sound_duration_s` that of the decoded sound, `None` without any.
    """

    frames: int
    width: int
    height: int
    rate: Fraction
    constant_rate: bool
    duration_s: Decimal
    has_sound: bool
    sound_duration_s: Decimal | None


def decode_whole(path: Path, stills: Mapping[int, Path] | None = None) -> DecodedFacts:
    """Decode a clip's pictures and sound to the end. Blocks; about 0.2 s for 5 s of 720p.

    Args:
        path: The clip.
        stills: Frames to write on the way, `{index: png}`, as `extract_frames` does; an index that the clip does not
            have is left out.

    Raises:
        ClipDamaged: It is truncated, cannot be decoded to its end, or has no pictures.
        MediaError: There is no such file.
    """
    if not path.is_file():
        raise MediaError("there is no such file", file=str(path))
    declared, size = declared_size_bytes(path), path.stat().st_size
    if declared is not None and declared > size:
        raise ClipDamaged(f"this file was cut off at {size} bytes", file=str(path))
    with open_video(path, error=ClipDamaged) as (container, stream):
        stream.thread_type = "AUTO"
        pts: list[int] = []
        samples = sound_rate = last_duration = 0
        wanted, found = stills or {}, dict[int, VideoFrame]()
        shape: tuple[int, int] | None = None
        sound = container.streams.audio[0] if container.streams.audio else None
        for packet in container.demux(*([stream] if sound is None else [stream, sound])):
            if packet.is_corrupt:
                raise ClipDamaged("a part of this file is missing", file=str(path))
            for frame in packet.decode():
                if isinstance(frame, AudioFrame):
                    samples += frame.samples
                    sound_rate = frame.sample_rate
                    continue
                if not isinstance(frame, VideoFrame):
                    continue
                if frame.is_corrupt:
                    raise ClipDamaged(f"frame {len(pts)} is damaged", file=str(path))
                shape = shape or (frame.width, frame.height)
                if len(pts) in wanted:
                    found[len(pts)] = frame
                if -1 in wanted:
                    found[-1] = frame
                pts.append(len(pts) if frame.pts is None else frame.pts)
                last_duration = frame.duration
        if shape is None:
            raise ClipDamaged("not one picture of this file can be decoded", file=str(path))
        rate, constant = _rate(pts, stream.time_base, stream.average_rate or stream.guessed_rate)
        step_s = last_duration * (stream.time_base or 0) or 1 / rate
        for index, frame in found.items():
            _write_png(frame, wanted[index])
        return DecodedFacts(
            frames=len(pts),
            width=shape[0],
            height=shape[1],
            rate=rate,
            constant_rate=constant,
            duration_s=milliseconds((pts[-1] - pts[0]) * (stream.time_base or Fraction(0)) + step_s),
            has_sound=samples > 0,
            sound_duration_s=milliseconds(Fraction(samples, sound_rate)) if samples else None,
        )


def extract_frame(path: Path, index: int, png: Path) -> None:
    """Write one picture of a video as a lossless 8-bit RGB PNG, whole or not at all. Blocks.

    Args:
        path: The video.
        index: 0-based, in the order in which frames are shown; -1 is the last.
        png: Where the picture goes, in stored pixels, turned as the video says.

    Raises:
        MediaError: The video cannot be read, or has no such frame.
    """
    extract_frames(path, {index: png})


def extract_frames(path: Path, pictures: Mapping[int, Path]) -> None:
    """Write several pictures of a video (`{index: png}`) in one pass; see `extract_frame`. Blocks.

    Nothing is written unless every index exists. Each wanted frame is held in memory until then.
    """
    unknown = [index for index in pictures if index < -1]
    if unknown:
        raise MediaError(f"frames are counted from 0, and -1 is the last; there is no {unknown[0]}", file=str(path))
    found: dict[int, VideoFrame] = {}
    furthest = max(pictures, default=0)
    count = 0
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        # All of it is decoded for the last frame: clips have one keyframe, so seeking would gain nothing, and
        # declared counts and lengths are wrong often enough.
        for frame in container.decode(stream):
            if count in pictures:
                found[count] = frame
            if -1 in pictures:
                found[-1] = frame
            elif count >= furthest:
                break
            count += 1
    missing = [index for index in pictures if index not in found]
    if missing:
        raise MediaError(f"there is no frame {missing[0]}: this video has {count}", file=str(path))
    for index, png in pictures.items():
        _write_png(found[index], png)


def image_of(frame: VideoFrame) -> Image.Image:
    """A decoded frame as an RGB picture, turned as players show it; see `rgb_of`."""
    image = Image.fromarray(rgb_of(frame).to_ndarray())
    return image.rotate(frame.rotation, expand=True) if frame.rotation % 360 else image


def _write_png(frame: VideoFrame, png: Path) -> None:
    image = image_of(frame)
    try:
        with written_whole(png) as temporary:
            image.save(temporary, format="PNG", compress_level=_PNG_COMPRESSION)
    except OSError as cause:
        raise MediaError(f"the picture cannot be written: {cause}", file=str(png)) from cause


def _rate(pts: Sequence[int], time_base: Fraction | None, declared: Fraction | None) -> tuple[Fraction, bool]:
    """The rate that the pictures' times tell, and whether they keep to it."""
    if len(pts) < 2 or not time_base or pts[-1] <= pts[0]:
        return declared or Fraction(1), len(pts) < 2
    step = Fraction(pts[-1] - pts[0], len(pts) - 1)
    # Times are rounded to ticks; a coarse tick must not hide a frame that is left out.
    slack = min(Fraction(1), step / 4)
    constant = all(abs(at - pts[0] - index * step) <= slack for index, at in enumerate(pts))
    measured = 1 / (step * time_base)
    if declared and abs(declared - measured) <= measured * _RATE_TOLERANCE:
        return declared, constant
    return measured, constant
