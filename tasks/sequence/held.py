"""A still picture as a clip in the film's layout: what slates and cards are in a film."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import ffmpeg
from PIL import Image

from tasks.media.files import written_whole
from tasks.media.thread import finish_in_thread
from tasks.sequence.encoding import Picture, encoded, laid_out, rate_of
from tasks.sequence.parts import made_part
from tasks.sequence.timeline import FilmLayout

__all__ = ["hold"]


async def hold(still: Image.Image, clip: Path, frames: int, layout: FilmLayout, *, what: str) -> None:
    """Show a picture for so many frames, coded as conformed parts are, or find it done.

    Args:
        still: RGB, of the film's size.
        clip: An MP4 without sound; it appears whole or not at all.
        frames: How many.
        layout: The film's size and rate.
        what: What is being done, for the error.

    Raises:
        MediaError: It could not be encoded.
        StorageUnreachable: There is no room for it.
    """
    picture = clip.with_name(f".{clip.stem}-{secrets.token_hex(4)}.png")

    def graph(output: Path) -> Any:
        # A name with a percent sign in it is no pattern.
        stream = ffmpeg.input(str(picture), loop=1, framerate=rate_of(layout), format="png_pipe")["v:0"]
        drawn = Picture(layout.width, layout.height, "auto", full_range=True)
        return encoded(laid_out(stream.filter("trim", end_frame=frames), drawn, layout), layout, output)

    try:
        await finish_in_thread(_write, still, picture)
        await made_part(clip, graph, layout, frames, what=what)
    finally:
        picture.unlink(missing_ok=True)


def _write(still: Image.Image, path: Path) -> None:
    with written_whole(path) as temporary:
        still.save(temporary, format="PNG")
