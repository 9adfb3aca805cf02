"""The finished film, decoded from end to end and held against what was planned."""

from __future__ import annotations

import asyncio
import hashlib
import os
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Final

from av.video.frame import VideoFrame

from tasks.errors import FilmWrong
from tasks.media.boxes import moov_before_mdat, video_time_runs
from tasks.media.reading import open_video
from tasks.rounding import milliseconds
from tasks.sequence.timeline import SAMPLE_RATE, FilmLayout, sample_at

__all__ = ["FilmFacts", "check_film"]

_AAC_FRAME_SAMPLES: Final = 1024


@dataclass(frozen=True, slots=True)
class FilmFacts:
    """A film that passed its check. `duration_s` is that of the pictures, in whole milliseconds."""

    frames: int
    duration_s: Decimal
    width: int
    height: int
    rate: Fraction
    has_sound: bool
    size_bytes: int
    sha256: str


async def check_film(path: Path, layout: FilmLayout, frames: int, has_sound: bool) -> FilmFacts:
    """Decode a film to its end, in a thread, and compare it with the plan.

    Checked are: the count of frames, the size of every one, that each comes one frame after the one before,
    that the index has one run of durations (players stumble over more), the length of the sound within one
    frame of AAC (21 ms), and that the index comes before the pictures.

    Args:
        path: The film, an MP4.
        layout: Its planned size and rate.
        frames: Its planned length in frames.
        has_sound: Whether it is to have a sound track.

    Raises:
        FilmWrong: Something differs; the message says what.
        MediaError: The file cannot be decoded.
    """
    return await asyncio.to_thread(_check, path, layout, frames, has_sound)


def _check(path: Path, layout: FilmLayout, frames: int, has_sound: bool) -> FilmFacts:
    if not moov_before_mdat(path):
        raise FilmWrong("the film's index is behind its pictures", file=str(path))
    runs = video_time_runs(path)
    if runs != 1:
        raise FilmWrong(f"the film's frames have {runs} runs of durations, not one", file=str(path))
    pieces = _pieces(path, has_sound, os.cpu_count() or 1)
    with ThreadPoolExecutor(len(pieces) + 1) as pool:
        heard = pool.submit(_count_samples, path) if has_sound else None
        counts = [pool.submit(_count_frames, path, layout, piece) for piece in pieces]
        count = sum(counted.result() for counted in counts)
        samples = heard.result() if heard else 0
    if count != frames:
        raise FilmWrong(f"the film has {count} frames, not {frames}", file=str(path))
    planned = sample_at(frames, layout.rate)
    if has_sound and abs(samples - planned) > _AAC_FRAME_SAMPLES:
        raise FilmWrong(
            f"the film's sound has {samples} samples at {SAMPLE_RATE} Hz, not {planned}",
            file=str(path),
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FilmFacts(
        frames=count,
        duration_s=milliseconds(count / layout.rate),
        width=layout.width,
        height=layout.height,
        rate=layout.rate,
        has_sound=has_sound,
        size_bytes=path.stat().st_size,
        sha256=digest,
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of the film from a keyframe to before the next piece: its times, and its first frame's number."""

    start_pts: int
    stop_pts: int | None
    first: int


def _pieces(path: Path, has_sound: bool, most: int) -> list[_Piece]:
    """Cut the film at keyframes into about equal pieces, which can be decoded side by side."""
    with open_video(path) as (container, stream):
        sound = container.streams.audio[0] if container.streams.audio else None
        if (sound is not None) != has_sound:
            raise FilmWrong(f"the film has {'a' if sound else 'no'} sound track", file=str(path))
        packets = [(packet.pts, packet.is_keyframe) for packet in container.demux(stream) if packet.size]
    shown = sorted(pts for pts, _ in packets if pts is not None)
    keys = [pts for pts, is_key in packets if is_key and pts is not None]
    starts = sorted({keys[len(keys) * part // most] for part in range(most)}) if keys else [0]
    return [
        _Piece(start, starts[place + 1] if place + 1 < len(starts) else None, bisect_left(shown, start) if place else 0)
        for place, start in enumerate(starts)
    ]


def _count_frames(path: Path, layout: FilmLayout, piece: _Piece) -> int:
    """Decode a piece; gives how many frames it has, each of which is as it should be."""
    count = 0
    with open_video(path) as (container, stream):
        stream.codec_context.thread_count = 1  # the pieces are what runs side by side
        if piece.first:
            container.seek(piece.start_pts, stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and piece.first and frame.pts < piece.start_pts:
                continue
            if piece.stop_pts is not None and frame.pts is not None and frame.pts >= piece.stop_pts:
                break
            _check_frame(frame, piece.first + count, layout, path)
            count += 1
    return count


def _count_samples(path: Path) -> int:
    with open_video(path) as (container, _):
        return sum(frame.samples for frame in container.decode(container.streams.audio[0]))


def _check_frame(frame: VideoFrame, number: int, layout: FilmLayout, path: Path) -> None:
    if (frame.width, frame.height) != (layout.width, layout.height):
        raise FilmWrong(
            f"frame {number} of the film is {frame.width}x{frame.height} pixels, not {layout.width}x{layout.height}",
            file=str(path),
        )
    at_s = (frame.pts or 0) * (frame.time_base or 0)
    # A tick of tolerance would hide a drift; times are exact in the film's timescale.
    if frame.is_corrupt or at_s != number / layout.rate:
        raise FilmWrong(
            f"frame {number} of the film is {'damaged' if frame.is_corrupt else 'shown'}"
            f" at {float(at_s):.6f} s, planned for {float(number / layout.rate):.6f} s",
            file=str(path),
        )
