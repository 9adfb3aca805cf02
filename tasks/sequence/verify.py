"""The finished film, held against what was planned and against the parts that it was joined from.

Every part was decoded to its end when it was made, while other shots were still being generated. What is left to see
is that the film holds these very pictures: each coded picture is compared byte by byte with that of its part, and the
parameter sets that it is decoded by with those of every part. So the check costs little, however long the film is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal, NoReturn

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from tasks.errors import FilmWrong
from tasks.media.boxes import moov_before_mdat, video_time_runs
from tasks.media.files import sha256_of
from tasks.media.reading import open_coded, open_media
from tasks.rounding import milliseconds
from tasks.sequence.join import Stretch
from tasks.sequence.sound.master import Loudness
from tasks.sequence.timeline import SAMPLE_RATE, FilmLayout, sample_at

__all__ = ["FilmFacts", "check_film"]

_AAC_FRAME_SAMPLES: Final = 1024


@dataclass(frozen=True, slots=True)
class FilmFacts:
    """A film that passed its check. `duration_s` is that of the pictures, in whole milliseconds.

    `loudness` is what was measured of its sound, `None` for a film without any. `seam` is how its clips were joined,
    `copied_frames` how many frames are the clips' own to the bit, `not_lossless` why they were encoded again, where
    they were to be copied if that was safe.
    """

    frames: int
    duration_s: Decimal
    width: int
    height: int
    rate: Fraction
    has_sound: bool
    size_bytes: int
    sha256: str
    loudness: Loudness | None = None
    seam: Literal["conform", "lossless"] = "conform"
    copied_frames: int = 0
    not_lossless: tuple[str, ...] = ()


async def check_film(
    path: Path, layout: FilmLayout, stretches: Sequence[Stretch], sound: Path | None, *, has_captions: bool = False
) -> FilmFacts:
    """Compare a film, in a thread, with what it was to be made of.

    Checked are: the count of frames, that each comes one frame after the one before, that the index has one run of
    durations (players stumble over more) and comes before the pictures, that every coded picture and the whole coded
    sound are those of the parts, the length of the sound within one frame of AAC (21 ms), and which tracks there are.

    Args:
        path: The film, an MP4.
        layout: Its planned size and rate.
        stretches: The parts that it was joined from, in order; each was decoded when it was made.
        sound: The file whose sound it has; None for a film without sound.
        has_captions: Whether it is to have a track of captions.

    Raises:
        FilmWrong: Something differs; the message says what.
        MediaError: A file cannot be read.
    """
    return await asyncio.to_thread(_check, path, layout, stretches, sound, has_captions)


def _check(
    path: Path, layout: FilmLayout, stretches: Sequence[Stretch], sound: Path | None, has_captions: bool
) -> FilmFacts:
    if not moov_before_mdat(path):
        _fail("the film's index is behind its pictures", path)
    runs = video_time_runs(path)
    if runs != 1:
        _fail(f"the film's frames have {runs} runs of durations, not one", path)
    frames = sum(stretch.frames for stretch in stretches)
    with open_coded(path) as (container, stream):
        _check_tracks(container, sound is not None, has_captions, path)
        if (stream.width, stream.height) != (layout.width, layout.height):
            _fail(
                f"the film's frames are {stream.width}x{stream.height} pixels, not {layout.width}x{layout.height}", path
            )
        _check_pictures(container, stream, layout, stretches, path)
    if sound is not None:
        _check_sound(path, sound, sample_at(frames, layout.rate))
    return FilmFacts(
        frames=frames,
        duration_s=milliseconds(frames / layout.rate),
        width=layout.width,
        height=layout.height,
        rate=layout.rate,
        has_sound=sound is not None,
        size_bytes=path.stat().st_size,
        sha256=sha256_of(path),
    )


def _check_tracks(container: InputContainer, has_sound: bool, has_captions: bool, path: Path) -> None:
    if bool(container.streams.audio) != has_sound:
        _fail(f"the film has {'a' if container.streams.audio else 'no'} sound track", path)
    if bool(container.streams.subtitles) != has_captions:
        _fail(f"the film has {'a' if container.streams.subtitles else 'no'} track of captions", path)


def _check_pictures(
    container: InputContainer, stream: VideoStream, layout: FilmLayout, stretches: Sequence[Stretch], path: Path
) -> None:
    """Hold every coded picture of the film, in the order of the file, against those of its parts."""
    film = _coded(container, stream)
    shown: list[int] = []
    extradata = stream.codec_context.extradata
    for stretch in stretches:
        with open_coded(stretch.picture) as (part, pictures):
            if pictures.codec_context.extradata != extradata:
                _fail("a part of the film needs other parameter sets to be decoded than the film has", stretch.picture)
            count = 0
            for planned in _coded(part, pictures):
                found = next(film, None)
                if found is None or found[1] != planned[1]:
                    _fail(f"frame {len(shown)} of the film, as coded, is not that of {stretch.picture.name}", path)
                shown.append(found[0])
                count += 1
            if count != stretch.frames:
                _fail(f"a part of the film has {count} frames, not {stretch.frames}", stretch.picture)
    if next(film, None) is not None:
        _fail(f"the film has more than {len(shown)} frames", path)
    tick_s = stream.time_base or Fraction(0)
    for number, pts in enumerate(sorted(shown)):
        # A tick of tolerance would hide a drift; times are exact in the film's timescale.
        if pts * tick_s != number / layout.rate:
            _fail(
                f"frame {number} of the film is shown at {float(pts * tick_s):.6f} s, "
                f"planned for {float(number / layout.rate):.6f} s",
                path,
            )


def _check_sound(path: Path, sound: Path, planned: int) -> None:
    """Hold the film's coded sound against the file that it was taken from, and its length against the pictures'."""
    with open_media(path) as film, open_media(sound) as source:
        ours, theirs = film.streams.audio[0], source.streams.audio[0]
        if ours.codec_context.extradata != theirs.codec_context.extradata:
            _fail("the film's sound is coded otherwise than it was made", path)
        for number, (one, other) in enumerate(zip(_coded(film, ours), _coded(source, theirs), strict=False)):
            if one[1] != other[1]:
                _fail(f"block {number} of the film's sound is another one than was made", path)
        length_s = (ours.duration or 0) * (ours.time_base or Fraction(0))
    if abs(length_s * SAMPLE_RATE - planned) > _AAC_FRAME_SAMPLES:
        _fail(
            f"the film's sound lasts {float(length_s):.3f} s, not {float(Fraction(planned, SAMPLE_RATE)):.3f} s", path
        )


def _coded(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[tuple[int, bytes]]:
    """Time and bytes of each coded picture, or block of sound, in the order of the file."""
    for packet in container.demux(stream):
        if packet.size:
            yield (packet.pts if packet.pts is not None else -1), bytes(packet)


def _fail(message: str, path: Path) -> NoReturn:
    raise FilmWrong(message, file=str(path))
