"""Captions beside a film, in the two formats that players read: SubRip (.srt) and WebVTT (.vtt). Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final

from tasks.errors import BadInput
from tasks.rounding import round_half_up

__all__ = ["MOST_COLUMNS", "Caption", "columns_of", "lines_of", "srt", "vtt"]

MOST_COLUMNS: Final = 42
"""How long a line of captions is at most, in characters; one of double width counts twice."""

# What a line of Japanese or Chinese does not begin with, and does not end with.
_NOT_FIRST: Final = frozenset(
    "、。，．・：；？！゛゜ヽヾゝゞ々ー’”）〕］｝〉》」』】〜…‥!?,.:;)]}%»ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
)
_NOT_LAST: Final = frozenset("‘“（〔［｛〈《「『【([{«$")
# Writing without spaces between words: kana, ideographs, full-width forms. Korean has spaces.
_UNSPACED: Final = re.compile(
    "[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff9f\U00020000-\U0003ffff]"
)
_JOINER: Final = "\N{ZERO WIDTH JOINER}"
_SPACES: Final = re.compile("[ \t]+")
# A line that could be read as the times of a cue; SubRip knows no escapes, so this arrow is drawn as one.
_LIKE_TIMES: Final = re.compile(r"(?<=\d)(\s*)-->(?=\s*\d)")


@dataclass(frozen=True, slots=True)
class Caption:
    """Words shown over the film's frames `begin` … `end - 1`.

    Raises:
        BadInput: A range of no frames.
    """

    begin: int
    end: int
    text: str

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end:
            raise BadInput(f"a caption cannot be shown from frame {self.begin} to before {self.end}")


@dataclass(frozen=True, slots=True)
class _Cue:
    begin_ms: int
    end_ms: int
    lines: list[str]


def srt(captions: Iterable[Caption], rate: Fraction) -> str:
    """The captions as SubRip.

    One is shown at a time: a caption ends where a later one begins. Lines are as `lines_of` makes them. SubRip has
    no escapes, so text stands there as it is (players that know `<i>` take it for italics), but for an arrow
    between digits, which could be taken for the times of a cue: `1 --> 2` becomes `1 → 2`.

    Args:
        captions: In any order; those without a word are left out.
        rate: The film's, in frames a second.

    Returns:
        The file, to be written as UTF-8; empty without captions. Times are rounded to the millisecond, and each
        caption is shown for at least one.

    Raises:
        BadInput: Two captions begin at the same frame.
    """
    cues = []
    for number, cue in enumerate(_cues(captions, rate), 1):
        times = f"{_clock(cue.begin_ms, ',')} --> {_clock(cue.end_ms, ',')}"
        words = "\n".join(_LIKE_TIMES.sub(r"\1→", line) for line in cue.lines)
        cues.append(f"{number}\n{times}\n{words}\n")
    return "\n".join(cues)


def vtt(captions: Iterable[Caption], rate: Fraction) -> str:
    """The captions as WebVTT, whose escapes (`&amp;`, `&lt;`, `&gt;`) keep any text as it is; else like `srt`."""
    cues = ["WEBVTT\n"]
    for cue in _cues(captions, rate):
        times = f"{_clock(cue.begin_ms, '.')} --> {_clock(cue.end_ms, '.')}"
        words = "\n".join(cue.lines).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"{times}\n{words}\n")
    return "\n".join(cues)


def lines_of(
    text: str,
    most: int = MOST_COLUMNS,
    measure: Callable[[str], int] | None = None,
    *,
    cut_words: bool = False,
) -> list[str]:
    """Text as lines to be read: the writer's own, where they are short enough, else as few as can be, equally long.

    Blank lines, control characters and spaces around and between that say nothing are dropped. Words are kept
    whole; writing without spaces is broken between its characters.

    Args:
        text: With line breaks of any kind.
        most: How long a line may be.
        measure: How long a line is; in characters by default, as `columns_of` counts them.
        cut_words: Whether a word longer than a line is cut; else it has a line of its own, which is longer.
    """
    length = measure or columns_of
    found: list[str] = []
    for line in _readable(text):
        found += [line] if length(line) <= most else _broken(line, most, length, cut_words=cut_words)
    return found


def columns_of(text: str) -> int:
    """How many columns a text takes: two for a character of double width, none for what joins the one before."""
    if text.isascii():
        return len(text)
    return sum(_columns(before, here) for before, here in pairwise(f" {text}"))


def _columns(before: str, here: str) -> int:
    if before == _JOINER or unicodedata.category(here) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(here) in {"W", "F"} else 1


def _cues(captions: Iterable[Caption], rate: Fraction) -> Iterator[_Cue]:
    worded = [(caption, lines) for caption in captions if (lines := lines_of(caption.text))]
    worded.sort(key=lambda item: item[0].begin)
    begins = [caption.begin for caption, _ in worded]
    for earlier, later in pairwise(begins):
        if earlier == later:
            raise BadInput(f"two captions begin at frame {later}", advice="Make one of them, or let one begin later.")
    free_ms = 0
    for place, (caption, lines) in enumerate(worded):
        end = min([caption.end, *begins[place + 1 : place + 2]])
        # At more than a thousand frames a second, frames share a millisecond; still each caption has its own.
        begin_ms = max(round_half_up(caption.begin * 1000 / rate), free_ms)
        free_ms = max(round_half_up(end * 1000 / rate), begin_ms + 1)
        yield _Cue(begin_ms, free_ms, lines)


def _clock(time_ms: int, point: str) -> str:
    seconds, rest_ms = divmod(time_ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest_ms:03}"


def _readable(text: str) -> Iterator[str]:
    for line in text.splitlines():
        shown = "".join(map(_writable, line))
        stripped = _SPACES.sub(" ", shown).strip()
        # A line of nothing to be seen would end the cue for some players.
        if columns_of(stripped):
            yield stripped


def _writable(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    return "" if kind == "Cc" and character != "\t" else character


def _broken(line: str, most: int, length: Callable[[str], int], *, cut_words: bool) -> list[str]:
    pieces = list(_pieces(line))
    if cut_words:
        pieces = [part for piece in pieces for part in _cut(piece, most, length)]
    fewest = _laid(pieces, most, length)
    # Equally long lines are read faster than a full one with a word below: the narrowest that need no more of them.
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if len(_laid(pieces, middle, length)) > len(fewest):
            low = middle + 1
        else:
            high = middle
    return _laid(pieces, low, length)


def _laid(pieces: Iterable[str], most: int, length: Callable[[str], int]) -> list[str]:
    """Fill lines with pieces, each of which has its space, if any, behind it."""
    lines = [""]
    for piece in pieces:
        longer = lines[-1] + piece
        if not lines[-1] or length(longer.rstrip()) <= most:
            lines[-1] = longer
        else:
            lines.append(piece)
    return [line.strip() for line in lines]


def _pieces(line: str) -> Iterator[str]:
    """Cut a line where it may be broken; together the pieces are the line."""
    piece = ""
    for before, here in pairwise(f" {line}"):
        if piece and _may_break(before, here):
            yield piece
            piece = ""
        piece += here
    yield piece


def _may_break(before: str, here: str) -> bool:
    if before in {" ", "\N{ZERO WIDTH SPACE}"}:
        return here != " "
    if here == " " or before in _NOT_LAST or here in _NOT_FIRST or not _columns(before, here):
        return False
    return bool(_UNSPACED.match(before) or _UNSPACED.match(here))


def _cut(piece: str, most: int, length: Callable[[str], int]) -> Iterator[str]:
    """Cut a word that is longer than a line; what joins a character stays with it."""
    part = ""
    for before, here in pairwise(f" {piece}"):
        if part and _columns(before, here) and length((part + here).rstrip()) > most:
            yield part
            part = ""
        part += here
    yield part
