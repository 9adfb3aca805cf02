"""One clip to the film's layout: size, rate, pixel format, colours, sound. Kept by content, so made once."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NoReturn

import ffmpeg

from tasks.errors import MediaError
from tasks.media.colour import is_full_range, matrix_name
from tasks.media.ffmpeg import run
from tasks.media.files import mark_used, written_whole
from tasks.media.reading import open_video
from tasks.sequence.encoding import ENCODER, VERSION, Picture, encoded
from tasks.sequence.sound import BYTES_PER_SAMPLE, write_sound
from tasks.sequence.timeline import Cut, FilmLayout, sample_at

__all__ = ["Conformed", "conform", "conformed_key", "holds_frames"]

# A frame that comes at most this much of a frame early or late is that frame of the film.
_ON_THE_GRID: Final = Fraction(1, 4)


@dataclass(frozen=True, slots=True)
class Conformed:
    """A cut in the film's layout: `frames` pictures as H.264 without sound, and its sound, if any, as PCM."""

    shot: str
    picture: Path
    sound: Path | None
    frames: int


@dataclass(frozen=True, slots=True)
class _Source:
    """What the conversion has to know of a clip; `start_s` is when the cut's first frame is shown in it."""

    stream_index: int
    width: int
    height: int
    matrix: str
    full_range: bool
    has_sound: bool
    start_s: Fraction
    frame_for_frame: bool


async def conform(cut: Cut, layout: FilmLayout, folder: Path) -> Conformed:
    """Bring a cut to the film's layout, or find it done.

    The picture has exactly `cut.frames` frames: the clip's own where they fall on the film's frames, else
    resampled by time, the last one held if they run short.

    Args:
        cut: Which frames of which clip.
        layout: What they are brought to; smaller or other shapes are fitted and padded with black.
        folder: Where results are kept, under names made from content. Made if missing.

    Raises:
        MediaError: The clip has too few frames, or cannot be decoded or converted.
    """
    key = conformed_key(cut, layout)
    picture, sound = folder / f"{key}.mp4", folder / f"{key}.f32"
    try:
        source = await asyncio.to_thread(_inspect, cut, layout)
        samples = sample_at(cut.frames, layout.rate)
        if source.has_sound and not _has_size(sound, samples * BYTES_PER_SAMPLE):
            await asyncio.to_thread(write_sound, cut.clip, source.start_s, samples, sound)
        if not await asyncio.to_thread(holds_frames, picture, cut.frames):
            with written_whole(picture) as temporary:
                await run(_graph(cut, layout, source, temporary), what=f"conform {cut.clip.name}")
                if not await asyncio.to_thread(holds_frames, temporary, cut.frames):
                    _fail(f"conforming did not give {cut.frames} frames", cut)
    except MediaError as error:
        error.shot = cut.shot
        raise
    for made in (picture, sound) if source.has_sound else (picture,):
        mark_used(made)
    return Conformed(cut.shot, picture, sound if source.has_sound else None, cut.frames)


def conformed_key(cut: Cut, layout: FilmLayout) -> str:
    """The name of a result: a hash of the clip's content, the frames, the layout and the settings."""
    facts = {
        "clip": cut.clip_id,
        "frames": [cut.start, cut.stop, cut.frames],
        "layout": [layout.width, layout.height, str(layout.rate)],
        "encoder": ENCODER,
        "version": VERSION,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:40]


def _inspect(cut: Cut, layout: FilmLayout) -> _Source:
    with open_video(cut.clip) as (container, stream):
        tick_s = stream.time_base or Fraction(0)
        packets = [item for item in container.demux(stream) if item.size and not item.is_discard]
        pts = sorted(item.pts for item in packets if item.pts is not None)
        container.seek(0)
        first = next(iter(container.decode(stream)), None)
        if first is None:
            raise MediaError("not one picture of this clip can be decoded", file=str(cut.clip))
        if len(pts) < len(packets) or not tick_s:
            raise MediaError("the pictures of this clip have no times", file=str(cut.clip))
        if len(pts) < cut.stop:
            raise MediaError(f"this clip has {len(pts)} frames, not {cut.stop}", file=str(cut.clip))
        width, height = round(first.width * (stream.sample_aspect_ratio or 1)), first.height
        if first.rotation % 180:
            width, height = height, width
        shown = pts[cut.start : cut.stop]
        return _Source(
            stream_index=stream.index,
            width=width,
            height=height,
            matrix=matrix_name(first),
            full_range=is_full_range(first),
            has_sound=bool(container.streams.audio),
            start_s=shown[0] * tick_s,
            frame_for_frame=cut.frames == len(shown) and _on_the_grid(shown, tick_s * layout.rate),
        )


def _on_the_grid(pts: Sequence[int], film_frames_per_tick: Fraction) -> bool:
    return all(abs((at - pts[0]) * film_frames_per_tick - index) <= _ON_THE_GRID for index, at in enumerate(pts))


def _graph(cut: Cut, layout: FilmLayout, source: _Source, output: Path) -> Any:
    rate = f"{layout.rate.numerator}/{layout.rate.denominator}"
    stream = ffmpeg.input(str(cut.clip.absolute()))[str(source.stream_index)]
    stream = stream.filter("trim", start_frame=cut.start, end_frame=cut.stop)
    if not source.frame_for_frame:
        stream = (
            stream.filter("setpts", "PTS-STARTPTS")
            .filter("fps", fps=rate, round="near")
            .filter("tpad", stop=-1, stop_mode="clone")
            .filter("trim", end_frame=cut.frames)
        )
    return encoded(stream, Picture(source.width, source.height, source.matrix, source.full_range), layout, output)


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def holds_frames(picture: Path, frames: int) -> bool:
    """Whether a conformed picture is there with so many frames; a file that was damaged since is not."""
    try:
        with open_video(picture) as (container, stream):
            return sum(1 for packet in container.demux(stream) if packet.size) == frames
    except MediaError:
        return False


def _fail(message: str, cut: Cut) -> NoReturn:
    raise MediaError(message, file=str(cut.clip))
