"""YAML text to plain data with the line of every key; refused is what a storyboard never means.

Numbers stay exact (`Decimal`), dates stay text; `yes`, `no`, `on`, `off` are true or false as in YAML 1.1.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from tasks.errors import Problem, StoryboardError
from tasks.storyboard.located import MAX_DEPTH, KeyPath, Located, number_or_text, refused, unusable_text

__all__ = ["MAX_NODES", "parse_yaml"]

MAX_NODES: Final = 200_000
"""Values that a file may hold once its aliases are expanded."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STANDARD_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE|yes|Yes|YES|on|On|ON")
_FALSE = re.compile(r"false|False|FALSE|no|No|NO|off|Off|OFF")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# What the parser says, and what a person should do about it. The first that fits is used.
_WORDS = (
    (
        "mapping values are not allowed",
        "a text with ': ' in it must be in quotes, or the indentation is off",
    ),
    ("unexpected end of stream", "a quotation mark is opened here and never closed"),
    ("unexpected document separator", "a quotation mark is opened here and never closed"),
    ("cannot start any token", "a text that begins with {char} must be in quotes"),
    ("expected alphabetic or numeric", "a text that begins with {char} must be in quotes"),
    ("could not find expected ':'", "a ':' is missing here, or the text above it must be in quotes"),
    (
        "did not find expected key",
        "this line does not fit the indentation around it, or a quote is stray",
    ),
    (
        "did not find expected '-'",
        "this line does not fit the list above it: items begin with '- '",
    ),
    ("expected <block end>", "this line does not fit the indentation of the lines around it"),
    ("expected ',' or", "a ',' or a closing bracket is missing"),
)


@dataclass(slots=True)
class _Scalar:
    line: int
    text: str
    plain: bool


@dataclass(slots=True)
class _List:
    line: int
    items: list[tuple[int, _Node]]  # with the line of the item itself, which an alias does not share


@dataclass(slots=True)
class _Mapping:
    line: int
    pairs: list[tuple[_Node, _Node]]


_Node: TypeAlias = _Scalar | _List | _Mapping


def parse_yaml(text: str, file: str) -> Located:
    """Parse one YAML document.

    Args:
        text: The whole file, decoded.
        file: Its name for messages.

    Raises:
        StoryboardError: `text` is no single, finite YAML document; with the line.
    """
    if bad := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        code = f"U+{ord(bad.group()):04X}"
        raise refused(file, line, f"there is an invisible control character here ({code}): delete it")
    tree = _Tree(text, file)
    return _Expansion(file, tree.problems).expand(tree.root)


class _Tree:
    """The document as nodes, an alias being the very node of its anchor."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        # The parser's own count takes U+2028 and others for line breaks, editors do not.
        self._breaks = [match.start() for match in re.finditer("\n", text)]
        self._anchors: dict[str, _Node | None] = {}
        self.problems: list[Problem] = []
        try:
            events = self._events(text)
            self.root = self._document(events)
        except yaml.MarkedYAMLError as error:
            raise self._unreadable(error, text) from None
        except yaml.YAMLError as error:
            raise refused(file, 1, f"this is not YAML: {error}") from None

    @staticmethod
    def _events(text: str) -> Iterator[Any]:
        yield from yaml.parse(text, Loader=_LOADER)

    def _document(self, events: Iterator[Any]) -> _Node:
        next(events)  # the start of the stream
        if isinstance(next(events), yaml.StreamEndEvent):
            return _Scalar(1, "", plain=True)
        root = self._node(next(events), events, 0)
        next(events)  # the end of the document
        following = next(events)
        if not isinstance(following, yaml.StreamEndEvent):
            line = self._line(following.start_mark)
            raise refused(self._file, line, "a second document begins here", "one storyboard a file, without '---'")
        return root

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> _Node:
        line = self._line(event.start_mark)
        if depth > MAX_DEPTH:
            raise refused(self._file, line, "this is nested too deeply", f"at most {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._aliased(str(event.anchor), line)
        self._check_tag(event, line)
        anchor: str | None = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None  # open: an alias to it from inside would never end
        node: _Node
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style in {None, ""} and event.tag in {None, ""}
            node = _Scalar(line, event.value, plain)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = _List(line, [])
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                node.items.append((self._line(item.start_mark), self._node(item, events, depth + 1)))
        else:
            node = _Mapping(line, [])
            while not isinstance(key := next(events), yaml.MappingEndEvent):
                name = self._node(key, events, depth + 1)
                node.pairs.append((name, self._node(next(events), events, depth + 1)))
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _aliased(self, anchor: str, line: int) -> _Node:
        if anchor not in self._anchors:
            message = f"the alias '*{anchor}' names nothing above it; a text that begins with '*' must be in quotes"
            raise refused(self._file, line, message)
        node = self._anchors[anchor]
        if node is None:
            raise refused(self._file, line, f"the alias '*{anchor}' contains itself")
        return node

    def _line(self, mark: Any) -> int:
        return bisect_left(self._breaks, mark.index) + 1 if mark is not None else 1

    def _check_tag(self, event: Any, line: int) -> None:
        tag: str | None = event.tag
        if tag in {None, "", "!"} or tag in {f"{_STANDARD_TAG}{name}" for name in ("str", "map", "seq")}:
            return
        shown = str(tag).replace(_STANDARD_TAG, "!!")
        message = f"the YAML tag '{shown}' is not used here; a text that begins with '!' must be in quotes"
        self.problems.append(Problem(message, file=self._file, line=line))

    def _unreadable(self, error: yaml.MarkedYAMLError, text: str) -> StoryboardError:
        said = str(error.problem or error.context or "it cannot be parsed")
        mark = error.problem_mark or error.context_mark
        if "end of stream" in said or "document separator" in said:
            mark = error.context_mark or mark
        at = min(mark.index, len(text)) if mark is not None else 0
        line = self._line(mark)
        start = text.rfind("\n", 0, at) + 1
        if re.match(r" *\t", text[start : at + 1]) or text[at : at + 1] == "\t":
            return refused(self._file, line, "YAML does not allow tabs here", "spaces for indentation")
        if error.context_mark is not None and "alias" in str(error.context):
            at = error.context_mark.index
        char = f"'{text[at : at + 1]}'"
        for part, words in _WORDS:
            if part in said:
                return refused(self._file, line, f"this is not valid YAML: {words.format(char=char)}")
        return refused(self._file, line, f"this is not valid YAML: {said}")


class _Expansion:
    """Nodes to plain data: aliases copied, merge keys applied, the line of each path noted."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems
        self._lines: dict[KeyPath, int] = {}
        self._nodes = 0

    def expand(self, root: _Node) -> Located:
        self._lines[()] = root.line
        data = self._value(root, ())
        return Located(data, self._lines, tuple(dict.fromkeys(self._problems)))

    def _value(self, node: _Node, path: KeyPath) -> object:
        self._count(node.line, len(path))
        if isinstance(node, _Scalar):
            return self._scalar(node)
        if isinstance(node, _List):
            items: list[object] = []
            for index, (line, item) in enumerate(node.items):
                self._lines[*path, index] = line
                items.append(self._value(item, (*path, index)))
            return items
        return self._mapping(node, path)

    def _mapping(self, node: _Mapping, path: KeyPath) -> dict[str, object]:
        own: dict[str, tuple[int, _Node]] = {}
        for key, value in node.pairs:
            if isinstance(key, _Scalar) and key.plain and key.text == "<<":
                continue
            name = self._key(key)
            if name is None:
                continue
            if name in own:
                first = own[name][0]
                self._note(key.line, f"the key '{name}' is given twice, on line {first} and here", key=name)
                continue
            own[name] = (key.line, value)
        for name, entry in self._merged(node, 0):
            own.setdefault(name, entry)
        result: dict[str, object] = {}
        for name, (line, value) in own.items():
            self._lines[*path, name] = line
            result[name] = self._value(value, (*path, name))
        return result

    def _merged(self, node: _Mapping, depth: int) -> Iterator[tuple[str, tuple[int, _Node]]]:
        """The entries that `<<` brings in, nearest first."""
        for key, value in node.pairs:
            if not (isinstance(key, _Scalar) and key.plain and key.text == "<<"):
                continue
            sources = [item for _, item in value.items] if isinstance(value, _List) else [value]
            for source in sources:
                if not isinstance(source, _Mapping):
                    self._note(key.line, "'<<' takes an alias of a mapping", key="<<")
                    continue
                for name, item in source.pairs:
                    self._count(name.line, depth)
                    if isinstance(name, _Scalar) and name.text != "<<":
                        yield name.text, (name.line, item)
                yield from self._merged(source, depth + 1)

    def _count(self, line: int, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            message = "this file becomes too large when its aliases are expanded"
            raise refused(self._file, line, message, f"at most {MAX_NODES} values, {MAX_DEPTH} levels deep")

    def _key(self, key: _Node) -> str | None:
        if not isinstance(key, _Scalar):
            self._note(key.line, "a key must be a word, not a list or a mapping")
            return None
        value = self._scalar(key)
        if not isinstance(value, str):
            spelled = key.text or "~"
            self._note(key.line, f"the key {spelled} is not text: write it in quotes, '{spelled}'", key=spelled)
        return key.text

    def _scalar(self, node: _Scalar) -> object:
        text = node.text
        if bad := unusable_text(text):
            self._note(node.line, bad)
            return text.encode("utf-8", "replace").decode().replace("\x00", "?")
        if not node.plain:
            return text
        if _NULL.fullmatch(text):
            return None
        if _TRUE.fullmatch(text):
            return True
        if _FALSE.fullmatch(text):
            return False
        return number_or_text(text) if _NUMBER.fullmatch(text) else text

    def _note(self, line: int, message: str, key: str | None = None) -> None:
        self._problems.append(Problem(message, file=self._file, line=line, key=key))
