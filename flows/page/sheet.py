"""The contact sheet: how many pictures of what size fit on one page, and the page as Markdown. Pure.

Prefect's UI shows pictures that a page of Markdown holds itself, as data URIs. It loads the page whole, so the page
has a size that any number of shots keeps to: more shots make smaller pictures, then fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flows.page.words import plain

__all__ = ["MOST_CHARS", "Layout", "layout_for", "sheet_of"]

MOST_CHARS: Final = 300_000
"""How long the whole page is at most."""

_MOST_PICTURE: Final = 8_000
_WORDS: Final = 2_000
_ROW: Final = 122
_LONGEST_NAME: Final = 40
# A line without words, so that pictures with and without a name below them stand at one height.
_NO_NAME: Final = "\N{NO-BREAK SPACE}"
# Pictures a shot, their width in pixels, and the characters that such a picture needs to be worth looking at.
_SIZES: Final = ((2, 160, 3_600), (2, 112, 2_200), (2, 80, 1_600), (1, 80, 1_600))


@dataclass(frozen=True, slots=True)
class Layout:
    """How a sheet is laid out: which shots (by their place in the film) have how many pictures of what size.

    `width` is in pixels, `most_chars` the length of each picture's data URI at most.
    """

    shots: frozenset[int]
    pictures: int
    width: int
    most_chars: int


def layout_for(shots: int) -> Layout:
    """The layout of a sheet for so many shots: both ends of each, then the first alone, then some of the shots."""
    room = MOST_CHARS - _WORDS
    for pictures, width, least in _SIZES:
        most = min(_MOST_PICTURE, (room // max(1, shots) - _ROW) // pictures)
        if most >= least:
            return Layout(frozenset(range(shots)), pictures, width, most)
    pictures, width, least = _SIZES[-1]
    count = room // (least + _ROW)
    spread = frozenset(round(index * (shots - 1) / (count - 1)) for index in range(count))
    return Layout(spread, pictures, width, least)


def sheet_of(title: str, shots: Sequence[str], pictures: Mapping[str, Sequence[str]], layout: Layout) -> str:
    """The sheet as Markdown.

    Args:
        title: Of the film.
        shots: Their ids, in the order of the film.
        pictures: The data URIs of each that there are pictures of; the others have a dash. The name is below the
            first: in a column of its own the UI puts it below the row, where it could be of either shot.
        layout: For so many shots.
    """
    ends = ("first frame", "last frame")[: layout.pictures]
    lines = [f"## {plain(title[:200])}", ""]
    if len(layout.shots) < len(shots):
        lines += [f"{len(layout.shots)} of {len(shots)} shots, the first frame of each; more would not fit.", ""]
    elif layout.pictures == 1:
        lines += ["The first frame of each shot; more would not fit.", ""]
    lines += [f"| {' | '.join(ends)} |", f"|{'---|' * len(ends)}"]
    for index, shot in enumerate(shots):
        if index in layout.shots:
            found = pictures.get(shot, ())
            shown = [f"![{end}]({uri})" for end, uri in zip(ends, found, strict=True)] if found else ["–"] * len(ends)
            words = (_name(shot), _NO_NAME)
            lines.append(f"| {' | '.join(f'{it} {word}' for it, word in zip(shown, words, strict=False))} |")
    return "\n".join(lines) + "\n"


def _name(shot: str) -> str:
    return plain(shot if len(shot) <= _LONGEST_NAME else f"{shot[: _LONGEST_NAME - 1]}…")
