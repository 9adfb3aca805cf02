"""JSON text to plain data with the line of every key."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import Never

from tasks.errors import Problem
from tasks.storyboard.located import MAX_DEPTH, KeyPath, Located, number_or_text, refused, unusable_text

__all__ = ["parse_json"]

_TOKEN = re.compile(r'[ \t\n\r]*(?:(?P<mark>[{}\[\],:])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[^\s{}\[\],:"]+))')
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None}


def parse_json(text: str, file: str) -> Located:
    """Parse one JSON document.

    Args:
        text: The whole file, decoded.
        file: Its name for messages.

    Raises:
        StoryboardError: `text` is not JSON; with the line.
    """
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise refused(file, error.lineno, f"this is not valid JSON: {error.msg}") from None
    except ValueError as error:
        raise refused(file, 1, f"this is not valid JSON: {error}") from None
    except RecursionError:
        raise refused(file, 1, "this is nested too deeply", f"at most {MAX_DEPTH} levels") from None
    return _Walk(text, file).walk()


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a number that JSON knows")


class _Walk:
    """Goes once over text that is known to be JSON, so that every token may be taken at its word."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._position = 0
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._lines: dict[KeyPath, int] = {}
        self._problems: list[Problem] = []

    def walk(self) -> Located:
        kind, piece, line = self._next()
        self._lines[()] = line
        data = self._value(kind, piece, line, ())
        return Located(data, self._lines, tuple(self._problems))

    def _next(self) -> tuple[str, str, int]:
        match = _TOKEN.match(self._text, self._position)
        if match is None or match.lastgroup is None:
            raise RuntimeError("the JSON walker and the json module disagree")
        self._position = match.end()
        line = bisect_right(self._breaks, match.start(match.lastgroup)) + 1
        return match.lastgroup, match[match.lastgroup], line

    def _value(self, kind: str, piece: str, line: int, path: KeyPath) -> object:
        if len(path) > MAX_DEPTH:
            raise refused(self._file, line, "this is nested too deeply", f"at most {MAX_DEPTH} levels")
        if kind == "text":
            return self._string(piece, line)
        if kind == "word":
            return _WORDS[piece] if piece in _WORDS else number_or_text(piece)
        return self._object(path) if piece == "{" else self._array(path)

    def _array(self, path: KeyPath) -> list[object]:
        items: list[object] = []
        while True:
            kind, piece, line = self._next()
            if piece == "]" and kind == "mark":
                return items
            if piece == "," and kind == "mark":
                continue
            here = (*path, len(items))
            self._lines[here] = line
            items.append(self._value(kind, piece, line, here))

    def _object(self, path: KeyPath) -> dict[str, object]:
        found: dict[str, object] = {}
        while True:
            kind, piece, line = self._next()
            if kind == "mark" and piece == "}":
                return found
            if kind == "mark":
                continue
            key = self._string(piece, line)
            self._next()  # the colon
            here = (*path, key)
            if key in found:
                message = f"the key '{key}' is given twice, on line {self._lines[here]} and here"
                self._problems.append(Problem(message, file=self._file, line=line, key=key))
                self._skip()
                continue
            self._lines[here] = line
            kind, piece, value_line = self._next()
            found[key] = self._value(kind, piece, value_line, here)

    def _skip(self) -> None:
        depth = 0
        while True:
            kind, piece, _ = self._next()
            if kind == "mark" and piece in "{[":
                depth += 1
            elif kind == "mark" and piece in "}]":
                depth -= 1
            if depth == 0:
                return

    def _string(self, piece: str, line: int) -> str:
        text = str(json.loads(piece))
        if bad := unusable_text(text):
            self._problems.append(Problem(bad, file=self._file, line=line))
            return text.encode("utf-8", "replace").decode().replace("\x00", "?")
        return text
