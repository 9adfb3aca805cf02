"""The frames in which two shots are seen at once, as a part of its own: a dissolve, or one of xfade's transitions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ffmpeg

from tasks.errors import BadInput, MediaError
from tasks.sequence.conform import content_key, overlay_id, pictures_of
from tasks.sequence.encoding import encoded, laid_over, numbered, rate_of
from tasks.sequence.parts import Progress, made_part
from tasks.sequence.source import Source, inspect
from tasks.sequence.timeline import Cut, FilmLayout
from tasks.storyboard.model import TransitionKind

__all__ = ["Blended", "blend"]

# xfade cuts decimals off, so it works in finer steps than the film's, and what it gives is rounded once.
_FINE: Final = "yuv444p12"
_STEPS: Final = 16
# The chroma of each pixel is that of its block, and a block takes the mean: where nothing is mixed nothing changes.
_TO_FINE: Final = {"flags": "neighbor+accurate_rnd+full_chroma_inp"}
_TO_FILM: Final = {"flags": "area+accurate_rnd", "sws_dither": "none"}
# What xfade takes for black and white are the least and the most that can be coded. By so many fine steps luma is
# moved while it works, so that they are the film's: 16 and 235.
_BLACK, _WHITE = -16 * _STEPS, 4095 - 235 * _STEPS
_MOVED: Final = {
    TransitionKind.FADE_BLACK: _BLACK,
    TransitionKind.CIRCLE_CROP: _BLACK,
    TransitionKind.RECT_CROP: _BLACK,
    TransitionKind.FADE_WHITE: _WHITE,
}


@dataclass(frozen=True, slots=True)
class Blended:
    """A transition in the film's layout: `frames` pictures as H.264, without sound."""

    picture: Path
    frames: int


async def blend(
    earlier: Cut,
    later: Cut,
    layout: FilmLayout,
    folder: Path,
    *,
    kind: TransitionKind = TransitionKind.DISSOLVE,
    overlay: Path | None = None,
    on_frames: Progress | None = None,
) -> Blended:
    """Go over from the earlier's last `tail` frames to the later's first `lead`, or find it done.

    Frame i of N, from 0, is (i + 1) / (N + 1) of the way, so that the first and the last are of both, too: in a
    dissolve that is the later's weight, and xfade's own transitions have gone so far. It is mixed in the film's colours
    as they are coded, rounded to the nearest. Pixels that a transition leaves alone, or moves, are the shots' own.

    Args:
        earlier: The shot that goes; what of it is shown before is conformed apart.
        later: The shot that comes.
        layout: The film's layout.
        kind: How; one in which shots overlap.
        folder: Where results are kept, under names made from content. Made if missing.
        overlay: A PNG of the film's size with alpha, which is put over every frame.
        on_frames: Told how many frames are encoded, now and then.

    Raises:
        BadInput: The two do not dissolve, or not over equally many frames.
        MediaError: A clip has too few frames, or it or the overlay cannot be decoded or converted.
    """
    frames = earlier.tail
    if not frames or frames != later.lead or not kind.overlaps:
        raise BadInput(
            f"'{earlier.shot}' ends with a {kind} of {frames} frames, '{later.shot}' begins with {later.lead}",
            shot=later.shot,
        )
    laid = None if overlay is None else await asyncio.to_thread(overlay_id, overlay, layout)
    facts = [[cut.clip_id, cut.start, cut.stop, cut.frames, cut.fit] for cut in (earlier, later)]
    named = {"kind": kind} if kind.is_named else {}
    key = await asyncio.to_thread(content_key, layout, blend=facts, window=frames, overlay=laid, **named)
    picture = folder / f"{key}.mp4"
    try:
        sources = [await asyncio.to_thread(inspect, cut, layout) for cut in (earlier, later)]

        def graph(output: Path) -> Any:
            return _graph(earlier, later, layout, kind, sources, overlay, output)

        what = f"{kind} {earlier.clip.name} into {later.clip.name}"
        await made_part(picture, graph, layout, frames, what=what, on_frames=on_frames)
    except MediaError as error:
        error.shot = error.shot or later.shot
        raise
    return Blended(picture, frames)


def _graph(
    earlier: Cut,
    later: Cut,
    layout: FilmLayout,
    kind: TransitionKind,
    sources: list[Source],
    overlay: Path | None,
    output: Path,
) -> Any:
    frames = earlier.tail
    going = pictures_of(earlier, layout, sources[0], earlier.frames - frames, frames)
    coming = pictures_of(later, layout, sources[1], 0, frames, again=True)
    if kind.is_named:
        mixed = _crossed(going, coming, layout, kind, frames)
    else:
        # `blend` counts frames from 1 in N, and cuts decimals off.
        mixed = ffmpeg.filter(
            [numbered(going, layout), numbered(coming, layout)], "blend", all_expr=f"A+(B-A)*N/{frames + 1}+0.5"
        )
    mixed = numbered(mixed, layout)
    if overlay is not None:
        mixed = laid_over(mixed, overlay, layout)
    return encoded(mixed, layout, output)


def _crossed(going: Any, coming: Any, layout: FilmLayout, kind: TransitionKind, frames: int) -> Any:
    """The window by xfade. It begins with the earlier alone, and ends with the later alone: frames that are put on."""
    moved = _MOVED.get(kind, 0)
    ends = {"start": 1, "start_mode": "clone", "stop": 1, "stop_mode": "clone"}
    sides = []
    for side in (going, coming):
        # The filter wants both sides to be of one rate, and to be told so.
        even = numbered(side.filter("tpad", **ends), layout).filter("fps", fps=rate_of(layout))
        fine = even.filter("scale", **_TO_FINE).filter("format", _FINE)
        sides.append(fine.filter("lutyuv", y=f"val+({moved})") if moved else fine)
    steps = float((frames + 1) / layout.rate)
    crossed = ffmpeg.filter(sides, "xfade", transition=str(kind), duration=f"{steps:.6f}", offset=0)
    rounded = {"y": _rounded(moved), "u": _rounded(0), "v": _rounded(0)}
    film = crossed.filter("lutyuv", **rounded).filter("scale", **_TO_FILM).filter("format", "yuv420p")
    return film.filter("trim", start_frame=1, end_frame=frames + 1)


def _rounded(moved: int) -> str:
    """A fine value, moved back, as the nearest of the film's."""
    return f"floor((val-({moved})+{_STEPS // 2})/{_STEPS})*{_STEPS}"
