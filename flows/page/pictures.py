"""Small pictures of a video: its first frame and its last, as JPEG. For people to look at, not to go on from."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from tasks.errors import MediaError
from tasks.media.frames import image_of
from tasks.media.reading import open_video

__all__ = ["data_uri", "ends_of", "small_jpeg"]

_HEAD: Final = "data:image/jpeg;base64,"
_QUALITIES: Final = (80, 65, 50, 35, 20)
_NARROWEST: Final = 16


def ends_of(video: Path, *, width: int, most_chars: int, both: bool = True) -> tuple[str, ...]:
    """The first picture of a video and, with `both`, its last, each as a data URI. Blocks.

    Args:
        video: A local file.
        width: Of the pictures, in pixels.
        most_chars: How long each URI is at most.
        both: Whether the last one is wanted too.

    Raises:
        MediaError: It cannot be read, or there is no picture in it.
    """
    with open_video(video) as (container, stream):
        frames = [next(container.decode(stream), None)]
        if both:
            frames.append(_last(container, stream))
    found = [frame for frame in frames if frame is not None]
    if len(found) < len(frames):
        raise MediaError("there is no picture in this file", file=str(video))
    return tuple(data_uri(small_jpeg(image_of(frame), width, most_chars)) for frame in found)


def small_jpeg(image: Image.Image, width: int, most_chars: int) -> bytes:
    """A picture as a JPEG of this width, coarser, then smaller, until its data URI has at most `most_chars`."""
    most_bytes = (most_chars - len(_HEAD)) // 4 * 3
    while True:
        small = image.resize((width, max(1, round(width * image.height / image.width))), Image.Resampling.BOX)
        for quality in _QUALITIES:
            buffer = io.BytesIO()
            small.save(buffer, format="JPEG", quality=quality, optimize=True)
            if buffer.tell() <= most_bytes or (quality == _QUALITIES[-1] and width <= _NARROWEST):
                return buffer.getvalue()
        width = max(_NARROWEST, width * 3 // 4)


def data_uri(jpeg: bytes) -> str:
    """A JPEG as an address that holds it."""
    return _HEAD + base64.b64encode(jpeg).decode()


def _last(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    """The last picture, with as little decoded as possible: the end alone, and first without what nothing needs."""
    last: VideoFrame | None = None
    for skipped in ("NONREF", "DEFAULT") if stream.duration else ():
        last = None
        try:
            stream.codec_context.skip_frame = skipped
            container.seek((stream.start_time or 0) + (stream.duration or 0), stream=stream, backward=True)
            for frame in container.decode(stream):
                last = frame
        except av.FFmpegError:
            continue  # a file that cannot be wound is read from its beginning
        if last is not None and _is_at_end(last, stream):
            return last
    container.seek(0)
    for frame in container.decode(stream):
        last = frame
    return last


def _is_at_end(frame: VideoFrame, stream: VideoStream) -> bool:
    """Whether a frame is shown to the end, as far as the file says when that is."""
    if frame.pts is None or not stream.duration:
        return False
    return frame.pts + max(1, frame.duration) >= (stream.start_time or 0) + stream.duration
