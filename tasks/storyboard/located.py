"""Plain data that remembers on which line of a file each part of it was written."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from tasks.errors import Problem, StoryboardError

__all__ = ["MAX_DEPTH", "KeyPath", "Located", "number_or_text", "refused", "unusable_text"]

KeyPath: TypeAlias = tuple[str | int, ...]

MAX_DEPTH = 32
_MAX_DIGITS = 40
_MAX_EXPONENT = 18


@dataclass(frozen=True, slots=True)
class Located:
    """A parsed file.

    Attributes:
        data: Nested `dict` (text keys), `list`, `str`, `int`, `Decimal`, `bool` and `None`.
        lines: The 1-based line of every key and list item, by its path; `()` is the document itself.
        problems: Mistakes that did not stop the parser, such as a key that is given twice.
    """

    data: object
    lines: dict[KeyPath, int]
    problems: tuple[Problem, ...] = ()


def number_or_text(text: str) -> int | Decimal | str:
    """The number that `text` spells, exactly.

    Absurdly long or large ones stay text, so that their key refuses them.
    """
    if len(text) > _MAX_DIGITS:
        return text
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if abs(value.adjusted()) > _MAX_EXPONENT:
        return text
    return int(value) if text.lstrip("+-").isdigit() else value


def unusable_text(text: str) -> str | None:
    """What makes a text unusable in paths and requests, in words; `None` if it is fine."""
    if "\x00" in text:
        return "the text contains a NUL character"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "the text contains half of a Unicode surrogate pair"
    return None


def refused(file: str, line: int | None, message: str, accepted: str | None = None) -> StoryboardError:
    """The error of a file that cannot be read at all: the one mistake that hides all others."""
    return StoryboardError([Problem(message, file=file, line=line, accepted=accepted)])
