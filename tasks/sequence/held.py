"""A still picture as a clip in the film's layout: what slates and cards are in a film."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import ffmpeg
from PIL import Image

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
    """
    with tempfile.TemporaryDirectory(prefix="shotchain-") as scratch:
        picture = Path(scratch) / "still.png"
        still.save(picture)

        def graph(output: Path) -> Any:
            # A name with a percent sign in it is no pattern.
            stream = ffmpeg.input(str(picture), loop=1, framerate=rate_of(layout), format="png_pipe")["v:0"]
            drawn = Picture(layout.width, layout.height, "auto", full_range=True)
            return encoded(laid_out(stream.filter("trim", end_frame=frames), drawn, layout), layout, output)

        await made_part(clip, graph, layout, frames, what=what)
