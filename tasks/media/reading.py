"""Opening video files: which formats are read, and how their damage is reported."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from tasks.errors import MediaError

__all__ = ["open_media", "open_video", "video_of"]

# A playlist can name other files and addresses, and some demuxers draw text as video. Clips, films and
# references come in these containers; nothing else is opened, and never anything but a local file.
_OPTIONS: Final = {
    "format_whitelist": "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf",
    "protocol_whitelist": "file",
}


@contextmanager
def open_media(path: Path, *, error: type[MediaError] = MediaError) -> Iterator[InputContainer]:
    """Open a local media file for reading.

    Whatever libav reports while the file is open, in the body of the `with` too, is raised as `error`; a file
    that is not there is a plain `MediaError`.
    """
    if not path.is_file():
        raise MediaError("there is no such file", file=str(path))
    try:
        # An absolute path cannot be taken for a protocol, whatever colons the name has.
        with av.open(str(path.absolute()), "r", options=dict(_OPTIONS), metadata_errors="replace") as container:
            yield container
    except av.FFmpegError as cause:
        # Invalid argument is what a format outside the list above gives.
        unlisted = isinstance(cause, av.ArgumentError) or cause.errno == errno.EINVAL
        reason = "not MP4, MOV, WebM or another known video format" if unlisted else cause.strerror
        raise error(f"this file cannot be read as video: {reason}", file=str(path)) from cause


@contextmanager
def open_video(path: Path, *, error: type[MediaError] = MediaError) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a local video and find its picture stream; raises `error` when it has none."""
    with open_media(path, error=error) as container:
        stream = video_of(container)
        if stream is None:
            raise error("this file has no pictures in it", file=str(path))
        yield container, stream


def video_of(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures; a cover picture is not one."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.width and stream.height:
            return stream
    return None
