"""Opening video and sound files: which formats are read, and how their damage is reported."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from tasks.errors import MediaError

__all__ = ["UNDECODED", "open_coded", "open_media", "open_sound", "open_video"]

# A playlist can name other files and addresses, and some demuxers draw text as video. Clips, films and
# references come in these containers; nothing else is opened, and never anything but a local file.
_VIDEO_FORMATS: Final = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf"
_SOUND_FORMATS: Final = f"wav,w64,mp3,flac,aac,aiff,caf,{_VIDEO_FORMATS}"

UNDECODED: Final[Mapping[str, str]] = {"codec_whitelist": "none"}
"""With these options libav decodes nothing of a file that it opens, which is nine tenths of the time that it takes.

It decodes to learn what a file's index may not say, such as the pixel format.
"""


@contextmanager
def open_media(path: Path, *, error: type[MediaError] = MediaError) -> Iterator[InputContainer]:
    """Open a local media file for reading.

    Whatever libav reports while the file is open, in the body of the `with` too, is raised as `error`; a file
    that is not there is a plain `MediaError`.
    """
    with _media(path, error, {}) as container:
        yield container


@contextmanager
def _media(path: Path, error: type[MediaError], options: Mapping[str, str]) -> Iterator[InputContainer]:
    if not path.is_file():
        raise MediaError("there is no such file", file=str(path))
    try:
        with _opened(path, _VIDEO_FORMATS, options) as container:
            yield container
    except av.FFmpegError as cause:
        reason = "not MP4, MOV, WebM or another known video format" if _is_unlisted(cause) else cause.strerror
        raise error(f"this file cannot be read as video: {reason}", file=str(path)) from cause


@contextmanager
def open_video(path: Path, *, error: type[MediaError] = MediaError) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a local video and find its picture stream; raises `error` when it has none."""
    with _media(path, error, {}) as container:
        yield container, _video_of(container, path, error)


@contextmanager
def open_coded(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open an MP4 of our own for its coded pictures: as `open_video`, in a tenth of the time.

    What its index does not say is unknown then; size, times and parameter sets it does.
    """
    with _media(path, MediaError, UNDECODED) as container:
        yield container, _video_of(container, path, MediaError)


@contextmanager
def open_sound(path: Path) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Open a local file of sound, or a video for its sound, and find its first sound stream.

    A cover picture is no obstacle. Whatever libav reports while the file is open is raised as `MediaError`, as is a
    file that is missing or has no sound.
    """
    if not path.is_file():
        raise MediaError("there is no such file", file=str(path))
    try:
        with _opened(path, _SOUND_FORMATS, {}) as container:
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


def _opened(path: Path, formats: str, options: Mapping[str, str]) -> InputContainer:
    allowed = {"format_whitelist": formats, "protocol_whitelist": "file", **options}
    # An absolute path cannot be taken for a protocol, whatever colons the name has.
    return av.open(str(path.absolute()), "r", options=allowed, metadata_errors="replace")


def _is_unlisted(cause: av.FFmpegError) -> bool:
    # Invalid argument is what a format outside the list gives.
    return isinstance(cause, av.ArgumentError) or cause.errno == errno.EINVAL


def _video_of(container: InputContainer, path: Path, error: type[MediaError]) -> VideoStream:
    """The first stream of moving pictures; a cover picture is not one."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.width and stream.height:
            return stream
    raise error("this file has no pictures in it", file=str(path))
