"""A slate: what a film shows in place of a shot that could not be made."""

from __future__ import annotations

import asyncio
from pathlib import Path

import ffmpeg
from PIL import Image, ImageDraw, ImageFont

from tasks.errors import MediaError
from tasks.media.ffmpeg import run
from tasks.media.files import written_whole
from tasks.sequence.conform import Conformed, holds_frames
from tasks.sequence.encoding import Picture, encoded
from tasks.sequence.timeline import FilmLayout

__all__ = ["make_slate"]

_BACKGROUND = (38, 40, 46)
_TITLE = (235, 235, 235)
_WORDS = (170, 172, 180)
_MOST_LINES = 6


async def make_slate(shot: str, words: str, frames: int, layout: FilmLayout, folder: Path) -> Conformed:
    """A still picture with a shot's name and what became of it, for as many frames as the shot would have.

    Args:
        shot: The shot's id.
        words: Why it is missing; what does not fit is cut.
        frames: How long, in frames of the film.
        layout: The film's size and rate.
        folder: Where it is put, under a new name. Made if missing.

    Raises:
        MediaError: It could not be encoded.
    """
    picture, still = folder / f"slate-{shot}.mp4", folder / f"slate-{shot}.png"
    await asyncio.to_thread(_draw, shot, words, layout, still)
    rate = f"{layout.rate.numerator}/{layout.rate.denominator}"
    stream = ffmpeg.input(str(still.absolute()), loop=1, framerate=rate)["v:0"].filter("trim", end_frame=frames)
    with written_whole(picture) as temporary:
        drawn = Picture(layout.width, layout.height, "bt709", full_range=True)
        await run(encoded(stream, drawn, layout, temporary), what=f"slate of {shot}")
        if not await asyncio.to_thread(holds_frames, temporary, frames):
            raise MediaError(f"a slate of {frames} frames could not be made", shot=shot, file=str(picture))
    return Conformed(shot, picture, None, frames)


def _draw(shot: str, words: str, layout: FilmLayout, path: Path) -> None:
    width, height = layout.width, layout.height
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    unit = max(8, min(width, height) // 24)
    margin = min(width, height) // 10
    title = _fitting(shot, 3 * unit, width - 2 * margin)
    small = ImageFont.load_default(unit)
    lines = _lines(words, small, width - 2 * margin)
    top = (height - 3 * unit - round(1.4 * unit * (len(lines) + 1))) // 2
    draw.text((margin, top), shot, font=title, fill=_TITLE)
    top += 4 * unit
    for line in lines:
        draw.text((margin, top), line, font=small, fill=_WORDS)
        top += round(1.4 * unit)
    image.save(path)


def _fitting(text: str, size: int, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font in which a line fits, from `size` pixels down."""
    while size > 8 and ImageFont.load_default(size).getlength(text) > width:
        size -= 1
    return ImageFont.load_default(size)


def _lines(words: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines[:_MOST_LINES]
