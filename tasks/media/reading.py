"""Opening video and sound files: which formats are read, and how their damage is reported."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from tasks.errors import MediaError

__all__ = ["open_media", "open_sound", "open_video"]

# A playlist can name other files and addresses, and some demuxers draw text as video. Clips, films and
# references come in these containers; nothing else is opened, and never anything but a local file.
_VIDEO_FORMATS: Final = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf"
_SOUND_FORMATS: Final = f"wav,w64,mp3,flac,aac,aiff,caf,{_VIDEO_FORMATS}"


@contextmanager
def open_media(path: Path, *, error: type[MediaError] = MediaError) -> Iterator[InputContainer]:
    """Open a local media file for reading.

    Whatever libav reports while the file is open, in the body of the `with` too, is raised as `error`; a file
    that is not there is a plain `MediaError`.
    """
    if not path.is_file():
        raise MediaError("there is no such file", file=str(path))
    try:
        with _opened(path, _VIDEO_FORMATS) as container:
            yield container
    except av.FFmpegError as cause:
        reason = "not MP4, MOV, WebM or another known video format" if _is_unlisted(cause) else cause.strerror
        raise error(f"this file cannot be read as video: {reason}", file=str(path)) from cause


@contextmanager
def open_video(path: Path, *, error: type[MediaError] = MediaError) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a local video and find its picture stream; raises `error` when it has none."""
    with open_media(path, error=error) as container:
        stream = _video_of(container)
        if stream is None:
            raise error("this file has no pictures in it", file=str(path))
        yield container, stream


@contextmanager
def open_sound(path: Path) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Open a local file of sound, or a video for its sound, and find its first sound stream.

    A cover picture is no obstacle. Whatever libav reports while the file is open is raised as `MediaError`, as is a
    file that is missing or has no sound.
    """
    if not path.is_file():
        raise MediaError("there is no such file", file=str(path))
    try:
        with _opened(path, _SOUND_FORMATS) as container:
            if not container.streams.audio:
                raise MediaError("this file has no sound in it", file=str(path), advice="name a file that has sound")
            yield container, container.streams.audio[0]
    except av.FFmpegError as cause:
        if _is_unlisted(cause):
            raise MediaError(
                "this file cannot be read as sound: it is in none of the known formats",
                file=str(path),
                advice="give WAV, MP3, FLAC, Ogg, M4A or AIFF",
            ) from cause
        raise MediaError(
            f"this file cannot be read as sound: {cause.strerror}",
            file=str(path),
            advice="see whether it plays, and export it again",
        ) from cause


def _opened(path: Path, formats: str) -> InputContainer:
    options = {"format_whitelist": formats, "protocol_whitelist": "file"}
    # An absolute path cannot be taken for a protocol, whatever colons the name has.
    return av.open(str(path.absolute()), "r", options=options, metadata_errors="replace")


def _is_unlisted(cause: av.FFmpegError) -> bool:
    # Invalid argument is what a format outside the list gives.
    return isinstance(cause, av.ArgumentError) or cause.errno == errno.EINVAL


def _video_of(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures; a cover picture is not one."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.width and stream.height:
            return stream
    return None
