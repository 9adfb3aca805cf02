"""A slate: what a film shows in place of a shot that could not be made."""

from __future__ import annotations

import asyncio
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tasks.errors import MediaError
from tasks.sequence.conform import content_key
from tasks.sequence.held import hold
from tasks.sequence.letters import face_of
from tasks.sequence.timeline import FilmLayout

__all__ = ["make_slate"]

_BACKGROUND = (38, 40, 46)
_TITLE = (235, 235, 235)
_WORDS = (170, 172, 180)
_MOST_LINES = 6


async def make_slate(shot: str, words: str, frames: int, layout: FilmLayout, folder: Path) -> Path:
    """A still picture with a shot's name and what became of it, as a clip in the film's layout.

    It stands in the film as any clip does, by a `Cut` of it, with the shot's transitions. Its name without suffix
    tells its content.

    Args:
        shot: The shot's id.
        words: Why it is missing; what does not fit is cut.
        frames: How long, in frames of the film.
        layout: The film's size and rate.
        folder: Where it is kept. Made if missing.

    Returns:
        An MP4 of `frames` frames without sound, coded as conformed parts are.

    Raises:
        MediaError: It could not be encoded.
    """
    key = await asyncio.to_thread(content_key, layout, slate=shot, words=words, frames=frames)
    clip = folder / f"{key}.mp4"
    try:
        still = await asyncio.to_thread(_drawn, shot, words, layout)
        await hold(still, clip, frames, layout, what=f"make the slate of {shot}")
    except MediaError as error:
        error.shot = shot
        raise
    return clip


def _drawn(shot: str, words: str, layout: FilmLayout) -> Image.Image:
    width, height = layout.width, layout.height
    image = Image.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    unit = max(8, min(width, height) // 24)
    margin = min(width, height) // 10
    title = _fitting(shot, 3 * unit, width - 2 * margin)
    small = face_of(None, unit)
    lines = _lines(words, small, width - 2 * margin)
    top = (height - 3 * unit - round(1.4 * unit * (len(lines) + 1))) // 2
    draw.text((margin, top), shot, font=title, fill=_TITLE)
    top += 4 * unit
    for line in lines:
        draw.text((margin, top), line, font=small, fill=_WORDS)
        top += round(1.4 * unit)
    return image


def _fitting(text: str, size: int, width: int) -> ImageFont.FreeTypeFont:
    """The font in which a line fits, from `size` pixels down."""
    while size > 8 and face_of(None, size).getlength(text) > width:
        size -= 1
    return face_of(None, size)


def _lines(words: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines[:_MOST_LINES]
