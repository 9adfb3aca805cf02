"""Stills beside a film: its poster, and a contact sheet with one small picture a shot."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image, ImageDraw, ImageFont

from tasks.errors import MediaError
from tasks.media.files import written_whole
from tasks.media.frames import image_of
from tasks.media.reading import open_video
from tasks.rounding import round_half_up
from tasks.sequence.letters import face_of

__all__ = ["MOST_BYTES", "Thumb", "poster", "sheet", "thumbnail", "thumbnail_width"]

MOST_BYTES: Final = 1_000_000
"""How large a contact sheet is at most."""

# Of a poster, with colours as sharp as the rest; of a sheet, from the best on, until it is small enough.
_POSTER: Final = 92
_QUALITIES: Final = (85, 75, 65, 50, 35, 20)
# How many pixels the pictures of a sheet have together, and how wide each is at most and at least.
_SHEET_PIXELS: Final = 3_000_000
_WIDEST: Final = 320
_NARROWEST: Final = 64
# A sheet's width to its height, about.
_SHAPE: Final = 1.4
_GAP: Final = 12
_NARROWEST_CELL: Final = 96
_GROUND: Final = (24, 25, 28)
_NAME: Final = (235, 235, 235)
_TIME: Final = (165, 168, 175)


@dataclass(frozen=True, slots=True)
class Thumb:
    """A shot on a contact sheet: a picture of it, its id, and when in the film that picture is, in seconds."""

    picture: Image.Image
    shot: str
    at_s: Fraction


def poster(film: Path, frame: int, output: Path) -> None:
    """Write one frame of a film as a picture, whole or not at all. Blocks.

    Decoding begins at the keyframe before, so a late frame costs as little as an early one.

    Args:
        film: A video with one rate from end to end, as films are.
        frame: 0-based, in the order shown.
        output: A `.jpg` or a `.png`, in the film's size.

    Raises:
        MediaError: The film cannot be read or has no such frame, or the picture cannot be written.
    """
    with _opened(film) as (container, stream):
        image = image_of(_frame_at(container, stream, frame, film))
    _save(image, output)


def thumbnail(picture: Path, width: int, frame: int = 0) -> Image.Image:
    """One frame of a video, `width` pixels wide in its own shape, or as wide as it is where that is less. Blocks.

    So a sheet can be made of a film's parts while others are still to come. The first frame of a part that fades in
    is black: take frame `fade_in` there.

    Raises:
        MediaError: See `poster`.
    """
    with _opened(picture) as (container, stream):
        return _small(image_of(_frame_at(container, stream, frame, picture)), width)


def thumbnail_width(shots: int, width: int, height: int) -> int:
    """How wide, in pixels, each picture of a sheet of so many shots is, of a film of this size (or this shape)."""
    each = math.isqrt(_SHEET_PIXELS * width // (max(1, shots) * height))
    return min(width, max(_NARROWEST, min(_WIDEST, each)))


def sheet(thumbs: Sequence[Thumb], output: Path) -> None:
    """Write a contact sheet: the shots in rows, each with its id and its time under it. Blocks.

    Args:
        thumbs: In the film's order, all about as wide as `thumbnail_width` says.
        output: A JPEG of at most `MOST_BYTES`, written whole or not at all.

    Raises:
        MediaError: There are no shots, or it cannot be written.
    """
    if not thumbs:
        raise MediaError("a contact sheet needs at least one shot", file=str(output))
    width = max(_NARROWEST_CELL, *(thumb.picture.width for thumb in thumbs))
    height = max(thumb.picture.height for thumb in thumbs)
    letters = max(10, width // 16)
    font, line = face_of(None, letters), round(1.35 * letters)
    across, down = width + _GAP, height + 2 * line + 2 * _GAP
    columns = _columns(len(thumbs), across, down)
    rows = -(-len(thumbs) // columns)
    page = Image.new("RGB", (columns * across + _GAP, rows * down + _GAP), _GROUND)
    draw = ImageDraw.Draw(page)
    for number, thumb in enumerate(thumbs):
        x, y = _GAP + number % columns * across, _GAP + number // columns * down
        page.paste(thumb.picture, (x + (width - thumb.picture.width) // 2, y + (height - thumb.picture.height) // 2))
        y += height + _GAP // 2
        draw.text((x, y), _shortened(thumb.shot, font, width), fill=_NAME, font=font)
        draw.text((x, y + line), _clock(thumb.at_s), fill=_TIME, font=font)
    _write(_small_enough(page), output)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    with open_video(path) as (container, stream):
        # Threads would decode frames ahead that nobody wants.
        stream.codec_context.thread_count = 1
        yield container, stream


def _rate(stream: VideoStream, path: Path) -> Fraction:
    rate = stream.average_rate or stream.guessed_rate
    if not rate:
        raise MediaError("the pictures of this video have no times", file=str(path))
    return rate


def _frame_at(container: InputContainer, stream: VideoStream, number: int, path: Path) -> VideoFrame:
    """The frame with this number, decoded from the keyframe before it on."""
    step = 1 / (_rate(stream, path) * (stream.time_base or 1))
    wanted = (stream.start_time or 0) + round_half_up(number * step)
    if number >= 0:
        container.seek(wanted, stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts > wanted - step / 2:
                return frame
    raise MediaError(f"there is no frame {number} in this video", file=str(path))


def _small(image: Image.Image, width: int) -> Image.Image:
    if width >= image.width:
        return image
    height = max(1, round(image.height * width / image.width))
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2)


def _columns(count: int, across: int, down: int) -> int:
    """How many columns of cells make about the wanted shape and leave few cells of the last row empty."""
    wanted = math.sqrt(count * _SHAPE * down / across)
    return min(range(1, count + 1), key=lambda columns: -count % columns / count + abs(math.log(columns / wanted)))


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _clock(at_s: Fraction) -> str:
    seconds, tenth = divmod(round_half_up(at_s * 10), 10)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}.{tenth}" if hours else f"{minutes}:{seconds:02}.{tenth}"


def _small_enough(page: Image.Image) -> bytes:
    """The page as JPEG; where even the coarsest is too large, in smaller pixels."""
    while True:
        for quality in _QUALITIES:
            content = _coded(page, "JPEG", quality=quality)
            if len(content) <= MOST_BYTES:
                return content
        page = page.resize((page.width // 2, page.height // 2), Image.Resampling.BOX)


def _save(image: Image.Image, output: Path) -> None:
    if output.suffix.lower() == ".png":
        _write(_coded(image, "PNG"), output)
    else:
        _write(_coded(image, "JPEG", quality=_POSTER, subsampling="4:4:4"), output)


def _coded(image: Image.Image, kind: str, **options: Any) -> bytes:
    coded = io.BytesIO()
    image.save(coded, kind, **options)
    return coded.getvalue()


def _write(content: bytes, output: Path) -> None:
    try:
        with written_whole(output) as temporary:
            temporary.write_bytes(content)
    except OSError as cause:
        raise MediaError(f"the picture cannot be written: {cause}", file=str(output)) from cause
