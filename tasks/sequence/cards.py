"""Title and end cards: words on a colour or on a picture, drawn once, and shown as a clip in the film's layout."""

from __future__ import annotations

import asyncio
import hashlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageOps

from tasks.errors import BadInput, MediaError
from tasks.plan.model import PlannedCard
from tasks.sequence.captions import lines_of
from tasks.sequence.conform import content_key
from tasks.sequence.held import hold
from tasks.sequence.letters import check_letters, drawable, face_of
from tasks.sequence.timeline import FilmLayout

__all__ = ["check_card", "draw_card", "make_card"]

# Raise it when the same card begins to be drawn otherwise.
_DRAWN: Final = 1
# Of the film's width and height, at each edge.
_MARGIN: Final = 0.1
# Letters of the first line and of the others, in parts of the shorter side; half of that at the least.
_FIRST: Final = 1 / 8
_OTHERS: Final = 1 / 18
_SMALLEST: Final = 0.5
_SMALLEST_PX: Final = 8
_STEP: Final = 0.94
_ROWS_OF_FIRST: Final = 2
_LINE_HEIGHT: Final = 1.3
# Below the first line, in parts of its letters.
_GAP: Final = 0.5
# On a picture, the dark outline in parts of the letters' size.
_OUTLINE: Final = 0.06
_LIGHT: Final = (240, 240, 240)
_DARK: Final = (16, 16, 16)
_BRIGHT: Final = 140


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of words, how large its letters are, and how far down its baseline is from the first row's top, in px."""

    words: str
    face: ImageFont.FreeTypeFont
    size: int
    baseline: int


@dataclass(frozen=True, slots=True)
class _Laid:
    rows: list[_Row]
    height: int


def check_card(card: PlannedCard, layout: FilmLayout, font: Path | None = None, *, file: str | None = None) -> None:
    """See, before anything is paid, whether a card's words can be drawn; writes nothing. Blocks for some ms.

    Args:
        card: The card.
        layout: The film's size.
        font: A TrueType or OpenType file; None for the built-in one.
        file: The storyboard, for the error.

    Raises:
        BadInput: The font cannot be read or lacks a character, the text runs in a way that this machine cannot lay
            out, or it is too long even in the smallest letters.
    """
    try:
        _fitted(card, layout, font)
    except BadInput as error:
        if error.file is None:
            error.file, error.line = file, card.line
        raise


def draw_card(
    card: PlannedCard, layout: FilmLayout, picture: Path | None = None, font: Path | None = None
) -> Image.Image:
    """A card as a picture of the film's size. Blocks for some tens of milliseconds.

    All lines are centred; the first is the largest. On a colour the words are light or dark, whichever can be read; on
    a picture they are light with a dark outline. The picture fills the film, and is cut off where it stands over.

    Args:
        card: The card.
        layout: The film's size.
        picture: Where the bytes of its picture can be read, if it has one.
        font: A TrueType or OpenType file; None for the built-in one.

    Raises:
        BadInput: See `check_card`.
        MediaError: The picture is gone, is another one than was planned, or cannot be decoded.
    """
    laid = _fitted(card, layout, font)
    image = _ground(card, layout, picture)
    draw = ImageDraw.Draw(image)
    letters = _LIGHT if picture is not None or _luma(card.background) < _BRIGHT else _DARK
    top = (layout.height - laid.height) // 2
    for row in laid.rows:
        outline = 0 if picture is None else math.ceil(_OUTLINE * row.size)
        at = (layout.width / 2, top + row.baseline)
        draw.text(at, row.words, letters, row.face, anchor="ms", stroke_width=outline, stroke_fill=_DARK)
    return image


async def make_card(
    card: PlannedCard, layout: FilmLayout, folder: Path, picture: Path | None = None, font: Path | None = None
) -> Path:
    """A card as a clip without sound, coded as conformed parts are, or find it made. Its name tells its content.

    It stands in the film as any clip does, by a `Cut` of it.

    Args:
        card: The card.
        layout: The film's size and rate.
        folder: Where it is kept. Made if missing.
        picture: Where the bytes of its picture can be read, if it has one.
        font: A TrueType or OpenType file; None for the built-in one.

    Raises:
        MediaError: See `draw_card`; or it could not be encoded.
    """
    try:
        still = await asyncio.to_thread(draw_card, card, layout, picture, font)
        # Of what is to be seen: the same words in another version of a font are another card.
        drawn = await asyncio.to_thread(lambda: hashlib.sha256(still.tobytes()).hexdigest())
        key = await asyncio.to_thread(content_key, layout, card=drawn, frames=card.frames, drawn=_DRAWN)
        clip = folder / f"{key}.mp4"
        await hold(still, clip, card.frames, layout, what=f"make the {card.id}")
    except MediaError as error:
        error.shot = card.id
        raise
    return clip


def _ground(card: PlannedCard, layout: FilmLayout, picture: Path | None) -> Image.Image:
    size = (layout.width, layout.height)
    ground = Image.new("RGB", size, card.background)
    if picture is None:
        return ground
    try:
        content = picture.read_bytes()
        if card.sha256 not in {None, hashlib.sha256(content).hexdigest()}:
            raise MediaError(
                "this picture is another one than was planned",
                file=str(picture),
                advice="run again: clips that are made cost nothing more",
            )
        with Image.open(io.BytesIO(content)) as opened:
            upright = _in_8_bits(ImageOps.exif_transpose(opened))
            seen = ImageOps.fit(upright.convert("RGBA"), size, Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as cause:
        raise MediaError(f"this picture cannot be decoded: {cause}", file=str(picture)) from cause
    ground.paste(seen, mask=seen.getchannel("A"))
    return ground


def _in_8_bits(picture: Image.Image) -> Image.Image:
    """A picture with finer greys in those that there are here; Pillow would make white of all above the darkest."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    grey = np.asarray(picture, dtype=np.float64)
    most = 1.0 if picture.mode == "F" and grey.max(initial=0) <= 1 else 65_535.0
    return Image.fromarray(np.clip(grey / most * 255, 0, 255).round().astype(np.uint8))


def _luma(colour: str) -> float:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _fitted(card: PlannedCard, layout: FilmLayout, font: Path | None) -> _Laid:
    text = "\n".join(card.text)
    check_letters(text, font, whose=f"the {card.id}", instead="write it otherwise")
    lines = [drawable(line, font) for line in card.text]
    width, height = (length - 2 * round(_MARGIN * length) for length in (layout.width, layout.height))
    laid = None
    for scale in _scales():
        laid = _laid(lines, layout, font, scale, width)
        first = sum(row.size == laid.rows[0].size for row in laid.rows)
        if _has_room(laid, width, height) and first <= _ROWS_OF_FIRST:
            return laid
    if laid is not None and _has_room(laid, width, height):
        return laid
    raise BadInput(
        f"the {card.id} has words of {len(text)} characters, which are too many or too long for "
        f"{layout.width}x{layout.height} pixels",
        advice="Shorten them. Nothing was spent.",
    )


def _scales() -> Iterator[float]:
    scale = 1.0
    while scale > _SMALLEST:
        yield scale
        scale *= _STEP
    yield _SMALLEST


def _laid(lines: list[str], layout: FilmLayout, font: Path | None, scale: float, width: int) -> _Laid:
    shorter, rows, height = min(layout.width, layout.height), list[_Row](), 0
    for number, line in enumerate(lines):
        size = max(_SMALLEST_PX, round((_OTHERS if number else _FIRST) * scale * shorter))
        face = face_of(font, size)
        for words in lines_of(line, width, partial(_width, face)):
            rows.append(_Row(words, face, size, height + round((_LINE_HEIGHT + 0.7) / 2 * size)))
            height += round(_LINE_HEIGHT * size)
        if number == 0 and len(lines) > 1:
            height += round(_GAP * size)
    return _Laid(rows, height)


def _width(face: ImageFont.FreeTypeFont, text: str) -> int:
    return math.ceil(face.getlength(text))


def _has_room(laid: _Laid, width: int, height: int) -> bool:
    return laid.height <= height and all(row.face.getlength(row.words) <= width for row in laid.rows)
