"""Stretches of pictures into one file, with sound, captions and chapters beside them. All of it is copied."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ffmpeg

from tasks.errors import MediaError
from tasks.media.ffmpeg import run
from tasks.media.files import written_whole
from tasks.media.reading import UNDECODED
from tasks.rounding import round_half_up
from tasks.sequence.timeline import FilmLayout, starts

__all__ = ["Beside", "Stretch", "join", "put_beside"]

# How far x264 lets pictures be decoded ahead of being shown, at the preset that conforming uses.
_REORDER_FRAMES: Final = 2
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the film: a file of so many pictures in the film's layout, beginning with a keyframe."""

    picture: Path
    frames: int


@dataclass(frozen=True, slots=True)
class Beside:
    """What goes into the film beside its pictures.

    `sound` is a file whose coded sound is taken as it is, `captions` are WebVTT (in SubRip some words are markup),
    `metadata` is in ffmpeg's own form and holds tags and chapters.
    """

    sound: Path | None = None
    captions: Path | None = None
    metadata: Path | None = None


async def join(stretches: Sequence[Stretch], layout: FilmLayout, output: Path, beside: Beside) -> None:
    """Join stretches to a film that can start playing before all of it has arrived.

    Args:
        stretches: In the film's order, all in `layout` and with the same parameter sets.
        layout: The film's size and rate.
        output: The film, an `.mp4`; it appears whole, or not at all.
        beside: What goes with the pictures.

    Raises:
        MediaError: There are no stretches, or ffmpeg could not join them.
    """
    if not stretches:
        raise MediaError("a film needs at least one part", file=str(output))
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".join-") as scratch:
        listing = Path(scratch) / "parts.ffconcat"
        # Left to itself, the demuxer puts the parameter sets before every keyframe again.
        pictures = _input(listing, format="concat", safe=0, auto_convert=0)["v:0"]
        what, bsf = f"join {len(stretches)} parts", _one_run(layout)
        listing.write_text(_listing(stretches, layout, UNDECODED), encoding="utf-8")
        try:
            await _copy(pictures, beside, output, what=what, bsf=bsf, layout=layout)
        except MediaError:
            # Its words on all that it was not to decode cover why it failed. Left to decode, it says why.
            listing.write_text(_listing(stretches, layout, {}), encoding="utf-8")
            await _copy(pictures, beside, output, what=what, bsf=bsf, layout=layout)


async def put_beside(pictures: Path, layout: FilmLayout, output: Path, beside: Beside) -> None:
    """Put sound, captions and chapters beside pictures that are one film already.

    Raises:
        MediaError: ffmpeg could not do it.
    """
    stream = _input(pictures)["v:0"]
    await _copy(stream, beside, output, what="put sound and captions beside the pictures", bsf=None, layout=layout)


async def _copy(pictures: Any, beside: Beside, output: Path, *, what: str, bsf: str | None, layout: FilmLayout) -> None:
    streams = [pictures]
    options: dict[str, str | int] = {"map_metadata": -1, "map_chapters": -1}
    if beside.sound is not None:
        streams.append(_input(beside.sound)["a:0"])
        options["acodec"] = "copy"
    if beside.captions is not None:
        streams.append(_input(beside.captions, format="webvtt")["s:0"])
        options["scodec"] = "mov_text"
    if beside.metadata is not None:
        options.update(map_metadata=len(streams), map_chapters=len(streams))
    if bsf is not None:
        options["bsf:v"] = bsf
        options["video_track_timescale"] = layout.timescale
    with written_whole(output) as temporary:
        graph = ffmpeg.output(
            *streams, str(temporary.absolute()), vcodec="copy", movflags="+faststart", fflags="+bitexact", **options
        )
        # A part that cannot be read is an error, and not the end of the film.
        graph = graph.global_args("-xerror")
        if beside.metadata is not None:
            # None of its streams is taken, so a graph has no place for it; but an input may stand behind the output.
            graph = graph.global_args("-f", "ffmetadata", "-i", str(beside.metadata.absolute()))
        await run(graph, what=what)


def _input(path: Path, **options: Any) -> Any:
    return ffmpeg.input(str(path.absolute()), **options)


def _one_run(layout: FilmLayout) -> str:
    """Decoding times one frame apart from end to end; without this a seam can leave uneven ones in the index.

    The times of showing have to be repeated, or `setts` would take the times of decoding for them too.
    """
    ticks = layout.frame_ticks
    return f"setts=pts=PTS:dts=N*{ticks}-{_REORDER_FRAMES * ticks}"


def _listing(stretches: Sequence[Stretch], layout: FilmLayout, options: Mapping[str, str]) -> str:
    """The script of ffmpeg's concat demuxer, which opens all parts but the first with `options`.

    The first tells it what the others are, too.

    It keeps time in microseconds. Each part is told where the next begins, rounded once from the start of the
    film, and the muxer's coarser ticks then land on whole frames however many parts there are.
    """
    begins = [round_half_up(frame * _MICROSECONDS / layout.rate) for frame in starts(it.frames for it in stretches)]
    lines = ["ffconcat version 1.0"]
    for number, (stretch, begin, end) in enumerate(zip(stretches, begins[:-1], begins[1:], strict=True)):
        lines.append(f"file {_quoted(stretch.picture)}")
        lines.append(f"duration {end - begin}us")
        if number:
            lines += [f"option {name} {value}" for name, value in options.items()]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    name = str(path.absolute())
    if "\n" in name or "\r" in name:
        raise MediaError("a line break in this path keeps ffmpeg from reading it", file=name)
    return "'" + name.replace("'", "'\\''") + "'"
