"""The frames in which two shots dissolve into each other, as a part of its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from tasks.errors import BadInput, MediaError
from tasks.sequence.conform import content_key, overlay_id, pictures_of
from tasks.sequence.encoding import encoded, laid_over, numbered
from tasks.sequence.parts import Progress, made_part
from tasks.sequence.source import Source, inspect
from tasks.sequence.timeline import Cut, FilmLayout

__all__ = ["Blended", "blend"]


@dataclass(frozen=True, slots=True)
class Blended:
    """A dissolve in the film's layout: `frames` pictures as H.264, without sound."""

    picture: Path
    frames: int


async def blend(
    earlier: Cut,
    later: Cut,
    layout: FilmLayout,
    folder: Path,
    *,
    overlay: Path | None = None,
    on_frames: Progress | None = None,
) -> Blended:
    """Dissolve the earlier's last `tail` frames into the later's first `lead`, or find it done.

    Frame i of N, from 0, shows the later with the weight (i + 1) / (N + 1) and the earlier with the rest, so that the
    first and the last are mixtures too. It is mixed in the film's colours as they are coded, rounded to the nearest.

    Args:
        earlier: The shot that goes; what of it is shown before is conformed apart.
        later: The shot that comes.
        layout: The film's layout.
        folder: Where results are kept, under names made from content. Made if missing.
        overlay: A PNG of the film's size with alpha, which is put over every frame.
        on_frames: Told how many frames are encoded, now and then.

    Raises:
        BadInput: The two do not dissolve, or not over equally many frames.
        MediaError: A clip has too few frames, or it or the overlay cannot be decoded or converted.
    """
    frames = earlier.tail
    if not frames or frames != later.lead:
        raise BadInput(
            f"'{earlier.shot}' ends with a dissolve of {frames} frames, '{later.shot}' begins with {later.lead}",
            shot=later.shot,
        )
    laid = None if overlay is None else await asyncio.to_thread(overlay_id, overlay, layout)
    facts = [[cut.clip_id, cut.start, cut.stop, cut.frames, cut.fit] for cut in (earlier, later)]
    key = await asyncio.to_thread(content_key, layout, blend=facts, window=frames, overlay=laid)
    picture = folder / f"{key}.mp4"
    try:
        sources = [await asyncio.to_thread(inspect, cut, layout) for cut in (earlier, later)]

        def graph(output: Path) -> Any:
            return _graph(earlier, later, layout, sources, overlay, output)

        what = f"dissolve {earlier.clip.name} into {later.clip.name}"
        await made_part(picture, graph, layout, frames, what=what, on_frames=on_frames)
    except MediaError as error:
        error.shot = error.shot or later.shot
        raise
    return Blended(picture, frames)


def _graph(
    earlier: Cut, later: Cut, layout: FilmLayout, sources: list[Source], overlay: Path | None, output: Path
) -> Any:
    frames = earlier.tail
    going = pictures_of(earlier, layout, sources[0], earlier.frames - frames, frames)
    coming = pictures_of(later, layout, sources[1], 0, frames, again=True)
    # `blend` counts frames from 1 in N, and cuts decimals off. `xfade` would round each pixel down, take its weights
    # from times, and filter the colours twice on the way through 4:4:4.
    mixed = ffmpeg.filter(
        [numbered(going, layout), numbered(coming, layout)], "blend", all_expr=f"A+(B-A)*N/{frames + 1}+0.5"
    )
    mixed = numbered(mixed, layout)
    if overlay is not None:
        mixed = laid_over(mixed, overlay, layout)
    return encoded(mixed, layout, output)
