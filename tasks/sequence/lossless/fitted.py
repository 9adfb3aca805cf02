"""A card as clips that are copied need it: coded so that decoders are told the same as for these."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import av

from tasks.errors import MediaError
from tasks.media.files import mark_used, written_whole
from tasks.media.reading import open_video
from tasks.media.thread import Stop, in_thread
from tasks.sequence.lossless.coded import read_coded
from tasks.sequence.lossless.preflight import why_not_lossless
from tasks.sequence.lossless.tail import encode_like
from tasks.sequence.parts import check_part, is_sealed, seal
from tasks.sequence.timeline import Cut, FilmLayout

__all__ = ["fitted"]

# Raise it when the same card begins to be coded otherwise.
_VERSION: Final = 1


async def fitted(card: Cut, like: Cut, layout: FilmLayout, folder: Path) -> Cut:
    """A card that can be joined by copying to a clip, or find it made.

    Args:
        card: The card as it is drawn, in the film's layout.
        like: The clip to fit in with.
        layout: The film's size and rate.
        folder: Where it is kept. Made if missing.

    Raises:
        MediaError: The clip cannot be copied itself, or was made in a way that is not made again here.
    """
    if against := await asyncio.to_thread(why_not_lossless, [like], layout, from_start=False):
        raise MediaError(against[0])
    told = [_VERSION, av.__version__, card.clip_id, like.clip_id, layout.width, layout.height, str(layout.rate)]
    picture = folder / f"{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:40]}.mp4"
    if not await asyncio.to_thread(is_sealed, picture):
        await in_thread(_make, card, like, layout, picture)
    mark_used(picture)
    return replace(card, clip=picture, clip_id=f"fitted/{picture.name}")


def _make(stop: Stop, card: Cut, like: Cut, layout: FilmLayout, picture: Path) -> None:
    clip = read_coded(like.clip)
    made = encode_like(stop, clip, card.clip, card.stop, layout)
    if made is None:
        raise MediaError(f"the {card.shot} cannot be coded as the clip of shot '{like.shot}' is")
    tick_s, ticks = 1 / (layout.rate * layout.frame_ticks), layout.frame_ticks
    with written_whole(picture) as temporary:
        options = {"video_track_timescale": str(layout.timescale), "fflags": "+bitexact"}
        with av.open(str(temporary.absolute()), "w", format="mp4", container_options=options) as container:
            with open_video(like.clip) as (_, template):
                stream = container.add_stream_from_template(template)
            stream.time_base = tick_s
            for packet in made:
                shown, decoded = packet.pts or 0, packet.dts or 0
                packet.stream, packet.time_base = stream, tick_s
                packet.pts, packet.dts, packet.duration = shown * ticks, decoded * ticks, ticks
                container.mux(packet)
        check_part(temporary, layout, card.stop, f"fit the {card.shot} in with the clips")
        seal(temporary)
