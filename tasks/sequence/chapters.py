"""A film's chapters and tags, as the metadata file that ffmpeg reads. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final

from tasks.errors import BadInput

__all__ = ["Chapter", "ffmetadata"]

# What means something in such a file; a bracket does at the beginning of a line, where a name stands.
_SPECIAL: Final = re.compile(r"[=;#\\\[\n]")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LINE_BREAK: Final = re.compile("\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the film with a name, from film frame `begin` to where the next chapter begins."""

    begin: int
    title: str


def ffmetadata(chapters: Iterable[Chapter], frames: int, rate: Fraction, tags: Mapping[str, str]) -> str:
    r"""Chapters and tags as the text of an ffmetadata file, an input of ffmpeg's with `-f ffmetadata`.

    Mux it with `-map_metadata N -map_chapters N`, N being its number among the inputs. Times are film frames, exact
    at any rate. An MP4 lets its first chapter begin at 0, wherever that is to begin.

    Args:
        chapters: In any order; each ends where the next begins, the last with the film.
        frames: The film's length.
        rate: The film's, in frames a second.
        tags: Of the whole film, by ffmpeg's names: `title`, `artist`, `comment`, `date`.

    Returns:
        The file, to be written as UTF-8 with the line breaks it has. Titles and tags come back as they are, but for
        control characters, which are dropped, and line breaks, which all become `\n`.

    Raises:
        BadInput: Two chapters begin at the same frame, or one begins outside the film.
    """
    ordered = sorted(chapters, key=lambda chapter: chapter.begin)
    for chapter in ordered:
        if not 0 <= chapter.begin < frames:
            raise BadInput(f"chapter '{chapter.title}' begins at frame {chapter.begin} of a film of {frames} frames")
    for earlier, later in pairwise(ordered):
        if earlier.begin == later.begin:
            raise BadInput(f"chapters '{earlier.title}' and '{later.title}' both begin at frame {later.begin}")
    ends = [*(chapter.begin for chapter in ordered), frames][1:]
    lines = [";FFMETADATA1", *_named(tags)]
    for chapter, end in zip(ordered, ends, strict=True):
        lines += [
            "[CHAPTER]",
            f"TIMEBASE={rate.denominator}/{rate.numerator}",
            f"START={chapter.begin}",
            f"END={end}",
            *_named({"title": chapter.title}),
        ]
    return "\n".join(lines) + "\n"


def _named(values: Mapping[str, str]) -> list[str]:
    # For ffmpeg, a line goes on after any backslash, an escaped one too; but at a zero byte its text is over.
    lines = [f"{_escaped(name)}={_escaped(value)}" for name, value in values.items()]
    return [f"{line}\0" if line.endswith("\\") else line for line in lines]


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", _CONTROL.sub("", _LINE_BREAK.sub("\n", text)))
