"""Captions to be burned into the pictures: drawn once, as a transparent picture of the film's size."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from tasks.errors import BadInput
from tasks.media.files import written_whole
from tasks.sequence.captions import MOST_COLUMNS, columns_of, lines_of
from tasks.sequence.letters import check_letters, drawable, face_of
from tasks.sequence.timeline import FilmLayout

__all__ = ["check_caption", "draw_caption"]

# Of the film's width and height, at each edge: what SMPTE ST 2046-1 leaves outside the safe title area.
_MARGIN: Final = 0.05
# Letters, in parts of the shorter side: as subtitles on television, and half of that at the least.
_LETTERS: Final = 1 / 18
_SMALLEST_PX: Final = 6
_WANTED_PX: Final = 8
_STEP: Final = 0.94
_MOST_LINES: Final = 3
_LINE_HEIGHT: Final = 1.25
# The dark outline, in parts of the letters' size: wide enough to part white letters from a white wall.
_OUTLINE: Final = 0.085
_OUTLINE_RGB: Final = (0, 0, 0)
_WORDS_RGB: Final = (255, 255, 255)

# Fonts often lack the unusual ones.
_SPACE: Final = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class _Laid:
    """Words in letters of one size: the lines from top to bottom, and how far their outline reaches, in pixels."""

    lines: list[str]
    face: ImageFont.FreeTypeFont
    outline: int
    line_height: int


def draw_caption(text: str, layout: FilmLayout, path: Path, font: Path | None = None) -> None:
    """Draw a caption at the foot of an empty picture, white with a dark outline. Blocks for some tens of ms.

    Letters are as high as an eighteenth of the film's shorter side. Words that need more than three lines get smaller
    ones, down to half of that, and then more lines. All is centred and within the safe title area: 5 % of width and
    height stay free at each edge.

    Args:
        text: The caption; its lines are made as `lines_of` makes them, to the width that there is.
        layout: The film's; the picture has its size.
        path: A PNG with straight alpha, transparent but for the words; written whole or not at all.
        font: A TrueType or OpenType file; by default a built-in one, of Latin, Greek and Cyrillic letters.

    Raises:
        BadInput: See `check_caption`.
    """
    laid = _fitted(text, layout, font)
    size = (layout.width, layout.height)
    outline, words = Image.new("L", size), Image.new("L", size)
    _, descent = laid.face.getmetrics()
    baseline = layout.height - round(_MARGIN * layout.height) - laid.outline - descent
    for number, line in enumerate(reversed(laid.lines)):
        at = (layout.width / 2, baseline - number * laid.line_height)
        ImageDraw.Draw(outline).text(at, line, 255, laid.face, anchor="ms", stroke_width=laid.outline)
        ImageDraw.Draw(words).text(at, line, 255, laid.face, anchor="ms")
    drawn = Image.alpha_composite(_flat(_OUTLINE_RGB, outline), _flat(_WORDS_RGB, words))
    with written_whole(path) as temporary:
        drawn.save(temporary, format="PNG")


def check_caption(text: str, layout: FilmLayout, font: Path | None = None, *, shot: str | None = None) -> None:
    """See, before anything is paid, whether a caption can be drawn; writes nothing. Blocks for some ms.

    Raises:
        BadInput: The font cannot be read or lacks a character, the text runs in a way that this machine cannot lay
            out, or it is too long even in the smallest letters.
    """
    try:
        _fitted(text, layout, font)
    except BadInput as error:
        error.shot = shot
        raise


def _fitted(text: str, layout: FilmLayout, font: Path | None) -> _Laid:
    check_letters(text, font, whose="a caption", instead="leave the captions beside the film")
    words = drawable(text, font)
    sizes = list(_sizes(layout))
    if columns_of(" ".join(words.split())) <= _most_columns(layout, sizes):
        for size in sizes:
            laid = _laid(words, layout, font, size, sizes[0])
            if len(laid.lines) <= _MOST_LINES and _has_room(laid, layout):
                return laid
        laid = _laid(words, layout, font, sizes[-1], sizes[0], cut_words=True)
        if _has_room(laid, layout):
            return laid
    raise BadInput(
        f"a caption of {len(text)} characters is too long to be drawn into {layout.width}x{layout.height} pixels",
        advice="Shorten it, or let two shots share it. Nothing was spent.",
    )


def _most_columns(layout: FilmLayout, sizes: list[int]) -> int:
    """More than this cannot fit, which saves laying out a whole book to find that it does not."""
    lines = _room(layout.height, 0) // round(_LINE_HEIGHT * sizes[-1])
    return lines * (MOST_COLUMNS * sizes[0] // sizes[-1] + 1)


def _sizes(layout: FilmLayout) -> Iterator[int]:
    """How high letters may be, in pixels, from the wanted height down to half of it."""
    size = max(_WANTED_PX, round(_LETTERS * min(layout.width, layout.height)))
    smallest = max(_SMALLEST_PX, round(size / 2))
    while size > smallest:
        yield size
        size = max(smallest, min(size - 1, round(_STEP * size)))
    yield smallest


def _laid(
    text: str, layout: FilmLayout, font: Path | None, size: int, wanted_size: int, *, cut_words: bool = False
) -> _Laid:
    face = face_of(font, size)
    outline = math.ceil(_OUTLINE * size)
    room = _room(layout.width, outline)
    # A line is as long as is comfortable to read, even where a wide picture has room for more.
    columns = MOST_COLUMNS * wanted_size // size

    def width(line: str) -> int:
        return max(math.ceil(_drawn_px(face, line)), columns_of(line) * room // columns)

    lines = [_SPACE.sub(" ", line) for line in lines_of(text, room, width, cut_words=cut_words)]
    return _Laid(lines, face, outline, round(_LINE_HEIGHT * size))


def _has_room(laid: _Laid, layout: FilmLayout) -> bool:
    widest = max((_drawn_px(laid.face, line) for line in laid.lines), default=0)
    height = len(laid.lines) * laid.line_height
    return widest <= _room(layout.width, laid.outline) and height <= _room(layout.height, laid.outline)


def _drawn_px(face: ImageFont.FreeTypeFont, line: str) -> float:
    """How wide a line is as it is drawn: letters may reach over the place that they take up."""
    left, _, right, _ = face.getbbox(line)
    return max(face.getlength(line), right) - min(0, left)


def _room(length: int, outline: int) -> int:
    return max(1, length - 2 * round(_MARGIN * length) - 2 * outline)


def _flat(rgb: tuple[int, int, int], alpha: Image.Image) -> Image.Image:
    flat = Image.new("RGB", alpha.size, rgb)
    flat.putalpha(alpha)
    return flat
