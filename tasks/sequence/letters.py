"""The letters of words that are drawn: the font, and whether it has them all."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from PIL import ImageFont, features

from tasks.errors import BadInput

__all__ = ["check_letters", "drawable", "face_of", "missing_glyphs"]

_PROBE_PX: Final = 32
# Never a character, so that every font draws for it what it draws for what it lacks.
_NO_CHARACTER: Final = "\U0010ffff"
# Written from right to left, or combined with the letter before: these have to be laid out, not only put in a row.
_TO_BE_SHAPED: Final = {"R", "AL", "NSM"}
_VARIANT: Final = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def check_letters(text: str, font: Path | None, *, whose: str, instead: str) -> None:
    """See whether a text can be drawn in a font, or in the built-in one, which has Latin, Greek and Cyrillic ones.

    Args:
        text: What is to be drawn.
        font: A TrueType or OpenType file; None for the built-in one.
        whose: Which words they are: «a caption».
        instead: What else can be done about writing that this machine cannot lay out.

    Raises:
        BadInput: The font cannot be read or lacks a character, or the text runs in a way that this machine cannot lay
            out.
    """
    if missing := missing_glyphs(text, font):
        some = f"{missing[:20]}…" if len(missing) > 20 else missing
        raise BadInput(
            f"{'the built-in font' if font is None else f'the font {font.name}'} has no '{some}', which {whose} has",
            file=None if font is None else str(font),
            advice="Give a font that has it: --caption-font PATH, a TrueType or OpenType file. Nothing was spent.",
        )
    if not _is_shaped(font) and any(unicodedata.bidirectional(it) in _TO_BE_SHAPED for it in drawable(text, font)):
        raise BadInput(
            "this machine cannot lay out writing that runs from right to left or combines its letters",
            advice=(
                f"Give a font that has it: --caption-font PATH, or {instead}."
                if font is None
                else f"Install the library FriBiDi (Debian: libfribidi0), or {instead}."
            ),
        )


def missing_glyphs(text: str, font: Path | None = None) -> str:
    """The characters of a text that a font has no picture of, each once, in order; empty if it has all.

    Raises:
        BadInput: The font cannot be read.
    """
    # Character by character, so not laid out: else a font that lacks an accent could borrow another letter's.
    face = face_of(font, _PROBE_PX, ImageFont.Layout.BASIC)
    nothing = _glyph(face, _NO_CHARACTER)
    lacking = dict[str, bool]()
    for character in drawable(text, font):
        if character not in lacking and not character.isspace() and not _is_unseen(character):
            # Where letters are laid out, one with an accent can be put together from both.
            ways = [character, *([unicodedata.normalize("NFD", character)] if _is_shaped(font) else [])]
            lacking[character] = all(any(_glyph(face, part) == nothing for part in way) for way in ways)
    return "".join(character for character, is_lacking in lacking.items() if is_lacking)


def face_of(font: Path | None, size: int, engine: ImageFont.Layout = ImageFont.Layout.RAQM) -> ImageFont.FreeTypeFont:
    """A font in letters of `size` pixels; the built-in one if none is given.

    Raises:
        BadInput: It cannot be read.
    """
    if font is None:
        font, engine = _built_in(), ImageFont.Layout.BASIC
    try:
        return ImageFont.truetype(font, size, layout_engine=engine)
    except OSError as cause:
        raise BadInput(
            f"this font cannot be used: {cause}",
            file=str(font),
            advice="Accepted: a TrueType or OpenType file whose letters are outlines.",
        ) from cause


@cache
def _built_in() -> Path:
    """Source Sans, whose letters do not get lost over a picture: Latin, Greek and Cyrillic, and much punctuation."""
    return Path(str(files("font_source_sans_pro"))) / "files" / "SourceSansPro-Semibold.ttf"


def _is_shaped(font: Path | None) -> bool:
    """Whether letters are laid out as their writing asks for; the built-in font's stand in a row."""
    return font is not None and bool(features.check("raqm"))


def drawable(text: str, font: Path | None) -> str:
    """The text as it is drawn: accents on their letters, and nothing unseen where it would be drawn as a box."""
    composed = unicodedata.normalize("NFC", text)
    return composed if _is_shaped(font) else "".join(each for each in composed if not _is_unseen(each))


def _is_unseen(character: str) -> bool:
    """Whether a character only says how others look: joiners, directions, variants, and what is not drawn at all."""
    if _VARIANT.match(character):
        return True
    return unicodedata.category(character) in {"Cc", "Cf"} and not character.isspace()


def _glyph(face: ImageFont.FreeTypeFont, character: str) -> tuple[object, ...]:
    drawn = face.getmask(character)
    return drawn.size, bytes(drawn), face.getlength(character)
