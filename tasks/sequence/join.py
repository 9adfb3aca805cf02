"""Parts into one file: pictures copied as they are, sound encoded once for the whole film."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, ParamSpec

import ffmpeg

from tasks.errors import MediaError
from tasks.media.ffmpeg import run
from tasks.media.files import written_whole
from tasks.rounding import round_half_up
from tasks.sequence.conform import Conformed
from tasks.sequence.sound import BYTES_PER_SAMPLE
from tasks.sequence.timeline import SAMPLE_RATE, FilmLayout, sample_at, starts

__all__ = ["join"]

P = ParamSpec("P")

_SOUND: Final = {"acodec": "aac", "b:a": "192k"}
# How far x264 lets pictures be decoded ahead of being shown, at the preset that conforming uses.
_REORDER_FRAMES: Final = 2
_MICROSECONDS: Final = 1_000_000
_COPY_BYTES: Final = 1 << 20


async def join(parts: Sequence[Conformed], layout: FilmLayout, output: Path, *, metadata: Mapping[str, str]) -> None:
    """Join conformed parts to a film that can start playing before all of it has arrived.

    Each part's sound stands where its pictures begin, counted from the start of the film, so that rounding
    does not add up; parts without sound are silent, and a film of such parts has no sound track.

    Args:
        parts: In the film's order, all conformed to `layout`.
        layout: The film's size and rate.
        output: The film, an `.mp4`; it appears whole, or not at all.
        metadata: Tags such as `title`.

    Raises:
        MediaError: There are no parts, or ffmpeg could not join them.
    """
    if not parts:
        raise MediaError("a film needs at least one part", file=str(output))
    output.parent.mkdir(parents=True, exist_ok=True)
    with (
        written_whole(output) as temporary,
        tempfile.TemporaryDirectory(dir=output.parent, prefix=".join-") as scratch,
    ):
        listing, pcm = Path(scratch) / "parts.ffconcat", Path(scratch) / "sound.f32"
        listing.write_text(_listing(parts, layout), encoding="utf-8")
        streams = [ffmpeg.input(str(listing.absolute()), format="concat", safe=0)["v:0"]]
        options: dict[str, str | int] = {}
        if any(part.sound for part in parts):
            await _finish_in_thread(_lay_sound, parts, layout, pcm)
            streams.append(ffmpeg.input(str(pcm.absolute()), format="f32le", ar=SAMPLE_RATE, ac=2)["a:0"])
            options.update(_SOUND)
        await run(
            ffmpeg.output(
                *streams,
                str(temporary.absolute()),
                vcodec="copy",
                video_track_timescale=layout.timescale,
                movflags="+faststart",
                **{"bsf:v": _one_run(layout)},
                **{f"metadata:g:{number}": f"{name}={value}" for number, (name, value) in enumerate(metadata.items())},
                **options,
            ),
            what=f"join {len(parts)} parts",
        )


async def _finish_in_thread(work: Callable[P, None], *arguments: P.args, **options: P.kwargs) -> None:
    """Await a thread to its end even when cancelled: it writes into a folder that then goes away."""
    working = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **options))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.gather(working, return_exceptions=True)
        raise


def _one_run(layout: FilmLayout) -> str:
    """Decoding times one frame apart from end to end; without this a seam can leave uneven ones in the index.

    The times of showing have to be repeated, or `setts` would take the times of decoding for them too.
    """
    ticks = layout.frame_ticks
    return f"setts=pts=PTS:dts=N*{ticks}-{_REORDER_FRAMES * ticks}"


def _listing(parts: Sequence[Conformed], layout: FilmLayout) -> str:
    """The script of ffmpeg's concat demuxer.

    It keeps time in microseconds. Each part is told where the next begins, rounded once from the start of the
    film, and the muxer's coarser ticks then land on whole frames however many parts there are.
    """
    begins = [round_half_up(frame * _MICROSECONDS / layout.rate) for frame in starts(part.frames for part in parts)]
    lines = ["ffconcat version 1.0"]
    for part, begin, end in zip(parts, begins[:-1], begins[1:], strict=True):
        lines.append(f"file {_quoted(part.picture)}")
        lines.append(f"duration {end - begin}us")
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    name = str(path.absolute())
    if "\n" in name or "\r" in name:
        raise MediaError("a line break in this path keeps ffmpeg from reading it", file=name)
    return "'" + name.replace("'", "'\\''") + "'"


def _lay_sound(parts: Sequence[Conformed], layout: FilmLayout, output: Path) -> None:
    """Write the film's sound part by part; no part is held in memory whole."""
    begins = starts(part.frames for part in parts)
    with output.open("wb") as laid:
        for part, frame in zip(parts, begins[1:], strict=True):
            if part.sound is not None:
                wanted = sample_at(frame, layout.rate) * BYTES_PER_SAMPLE - laid.tell()
                with part.sound.open("rb") as sound:
                    _copy(sound, laid, wanted)
            # What is missing is silence: a slot can be one sample longer than the part's own sound.
            laid.truncate(sample_at(frame, layout.rate) * BYTES_PER_SAMPLE)
            laid.seek(0, 2)


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size > 0 and (block := source.read(min(size, _COPY_BYTES))):
        target.write(block)
        size -= len(block)
