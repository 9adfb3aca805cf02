"""Changes how many takes a shot has, and which is selected, in the text that a person wrote.

Nothing but the one value is touched: comments, order, quotes and layout stay as they are. What has been edited is read
again, and where it says anything else than before but that value, nothing is written.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tasks.errors import BadInput, Problem, StorageUnreachable, StoryboardError
from tasks.redaction import redact
from tasks.storage import Location, locate
from tasks.storyboard.marks import Node, marked_json, marked_yaml
from tasks.storyboard.model import Shot, Storyboard
from tasks.storyboard.read import load_text, parse_text, read_storyboard, speaks_json
from tasks.storyboard.uris import has_scheme, local_path, scheme_of

__all__ = ["Edit", "check_rewritable", "edited", "rewrite"]

Key: TypeAlias = Literal["takes", "select"]

_BOM = "\ufeff"
_READ_ONLY = {"http", "https", "data"}
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\n]*)?(?=\r?(?:\n|\Z))")
_REST_AFTER_COMMA = re.compile(r"[ \t]*,[ \t]*(?:#[^\n]*)?(?=\r?\n)")
_TIGHT_COMMA = re.compile(r",(?=\")")


@dataclass(frozen=True, slots=True)
class Edit:
    """What a shot is to say: `takes: 2`, or `select: 2`."""

    shot: str
    key: Key
    value: int

    def __str__(self) -> str:
        return f"{self.key}: {self.value}"


def edited(text: str, source: str, edits: Sequence[Edit]) -> str:
    """The text of a storyboard that says what `edits` want, and everything else as before.

    An edit of what the shot says already, be it by a default, changes nothing.

    Args:
        text: The whole storyboard, as `tasks.storyboard.read.load_text` gives it.
        source: Where it was read from.
        edits: What is to be said, applied in this order.

    Raises:
        StoryboardError: The storyboard has mistakes, before or after; or it is written in a way that cannot be edited
            safely, with the line and what to write there by hand.
        BadInput: There is no such shot.
    """
    board = read_storyboard(source, text=text)
    for edit in edits:
        if getattr(_shot(board, edit), edit.key) != edit.value:
            bare = text.removeprefix(_BOM)
            text = text[: len(text) - len(bare)] + _Surgery(bare, source, board, edit).done()
    read_storyboard(source, text=text)
    return text


def check_rewritable(source: str, edits: Sequence[Edit]) -> None:
    """See whether a storyboard lies where it can be written.

    Raises:
        BadInput: It does not; with what to write by hand.
    """
    path = _local(source)
    if scheme_of(source) in _READ_ONLY or (path is not None and path.exists() and not os.access(path, os.W_OK)):
        raise BadInput(f"{redact(source)} cannot be written from here", advice=_by_hand(edits))


def rewrite(source: str, before: str, after: str, edits: Sequence[Edit]) -> None:
    """Replace a storyboard by its edited text, all of it or nothing.

    Args:
        source: A local path, or any fsspec URL that can be written. A link stays a link.
        before: The text that was edited; if the storyboard says something else by now, it is left alone.
        after: What it is to be.
        edits: What was edited, for messages.

    Raises:
        BadInput: It cannot be written there, or was changed meanwhile.
        StorageUnreachable: The storage does not answer, or does not allow it.
    """
    if before == after:
        return
    check_rewritable(source, edits)
    if load_text(source) != before:
        raise BadInput(
            f"{redact(source)} was changed by somebody else in this moment",
            advice="Run the same command again. Nothing was written.",
        )
    path = _local(source)
    try:
        if path is None:
            locate(source).put_bytes(after.encode())
            return
        path = path.resolve()
        mode = path.stat().st_mode & 0o7777
        Location(str(path), path).put_bytes(after.encode())
        path.chmod(mode)
    except StorageUnreachable as error:
        raise StorageUnreachable(error.message, advice=_by_hand(edits)) from error


def _local(source: str) -> Path | None:
    return local_path(source) if has_scheme(source) else Path(source)


def _by_hand(edits: Sequence[Edit]) -> str:
    wanted = "; ".join(f"'{edit}' in shot '{edit.shot}'" for edit in edits)
    return f"Write it by hand: {wanted}."


def _shot(board: Storyboard, edit: Edit) -> Shot:
    try:
        return board.shot(edit.shot)
    except KeyError:
        ids = ", ".join(shot.id for shot in board.shots[:30])
        raise BadInput(
            f"there is no shot '{edit.shot}' in {board.file}", advice=f"Accepted: {ids}.", file=board.file
        ) from None


class _Surgery:
    """One edit of one text."""

    def __init__(self, text: str, source: str, board: Storyboard, edit: Edit) -> None:
        self._text = text
        self._source = source
        self._edit = edit
        self._file = board.file
        self._index = board.shots.index(_shot(board, edit))
        self._line = board.shots[self._index].lines[""]

    def done(self) -> str:
        """The edited text, read again and found to differ in just this value.

        Raises:
            StoryboardError: It cannot be done safely.
        """
        shot = self._written()
        after = self._text
        for position, end, piece in sorted(self._place(shot), reverse=True):
            after = after[:position] + piece + after[end:]
        if not self._is_just_this(after):
            if shot.anchor is not None:
                raise self._refused(f"other lines repeat what this shot says, by its anchor &{shot.anchor}")
            raise self._refused("the shot is written in a way that cannot be edited safely")
        return after

    def _is_just_this(self, after: str) -> bool:
        expected: Any = copy.deepcopy(parse_text(self._text, self._source).data)
        expected["shots"][self._index][self._edit.key] = self._edit.value
        try:
            found = parse_text(after, self._source)
        except StoryboardError:
            return False
        return not found.problems and found.data == expected

    def _written(self) -> Node:
        """The shot as it stands in the text."""
        mark = marked_json if speaks_json(self._text, self._source) else marked_yaml
        shots = mark(self._text).pair("shots")
        if shots is None or self._index >= len(shots[1].items):
            raise self._refused("the list of shots is not written out here")
        shot = shots[1].items[self._index]
        if shot.style == "*":
            raise self._refused("the shot repeats what is written elsewhere, by an alias")
        return shot

    def _place(self, shot: Node) -> list[tuple[int, int, str]]:
        """What to put where: from, up to, the text."""
        own = shot.pair(self._edit.key)
        if own is not None:
            return [self._replaced(own[1])]
        # `select` belongs behind `takes`, and both behind the id.
        after = (shot.pair("takes") if self._edit.key == "select" else None) or shot.pair("id")
        if after is None:
            raise self._refused("the id of the shot is not written here")
        if shot.style == "flow":
            return self._into_flow(*after)
        return [self._into_block(*after)]

    def _replaced(self, value: Node) -> tuple[int, int, str]:
        if value.anchor is not None and value.style != "*":
            raise self._refused(
                f"'{self._edit.key}' has an anchor (&{value.anchor}) by which other lines may use it", value.start
            )
        piece = str(self._edit.value)
        if value.start == value.end and self._text[value.start - 1] == ":":  # nothing stands there
            piece = f" {piece}"
        return value.start, value.end, piece

    def _into_block(self, key: Node, value: Node) -> tuple[int, int, str]:
        """A line of its own below the one on which the pair ends."""
        rest = _REST_OF_LINE.match(self._text, value.end)
        begin = self._line_start(key.start)
        if rest is None or self._text[begin : key.start].strip(" -"):
            raise self._refused("the line of the id holds more than the id", key.start)
        indent = " " * (key.start - begin)
        piece = f"{self._newline(rest.end())}{indent}{key.quote}{self._edit.key}{key.quote}: {self._edit.value}"
        return rest.end(), rest.end(), piece

    def _into_flow(self, key: Node, value: Node) -> list[tuple[int, int, str]]:
        """Behind the pair; on a line of its own where the pair has one."""
        text, name = self._text, f"{key.quote}{self._edit.key}{key.quote}"
        between = text[key.end : value.start]
        colon = between if key.quote and re.fullmatch(r" ?: ?", between) else ": "
        pair = f"{name}{colon}{self._edit.value}"
        begin = self._line_start(key.start)
        indent = text[begin : key.start]
        following = _REST_AFTER_COMMA.match(text, value.end)
        if not indent.strip() and following:
            return [(following.end(), following.end(), f"{self._newline(following.end())}{indent}{pair},")]
        rest = _REST_OF_LINE.match(text, value.end)
        if not indent.strip() and rest and rest.end() < len(text):
            line = f"{self._newline(rest.end())}{indent}{pair}"
            if rest.end() == value.end:
                return [(value.end, value.end, f",{line}")]
            return [(value.end, value.end, ","), (rest.end(), rest.end(), line)]
        comma = "," if key.quote and value.quote and _TIGHT_COMMA.match(text, value.end) else ", "
        return [(value.end, value.end, f"{comma}{pair}")]

    def _line_start(self, position: int) -> int:
        return self._text.rfind("\n", 0, position) + 1

    def _newline(self, at: int) -> str:
        """The line break that stands at a position; at the end of the text, the one that the text has."""
        there = self._text[at : at + 2] or self._text
        return "\r\n" if "\r\n" in there else "\n"

    def _refused(self, message: str, position: int | None = None) -> StoryboardError:
        line = self._line if position is None else self._text.count("\n", 0, position) + 1
        problem = Problem(
            message,
            file=self._file,
            line=line,
            key=self._edit.key,
            shot=self._edit.shot,
            accepted=f"'{self._edit}' in this shot, written by hand",
        )
        return StoryboardError([problem])
