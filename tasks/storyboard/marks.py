"""Where each key and value of a storyboard stands in its text, for YAML and for JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

__all__ = ["Node", "marked_json", "marked_yaml"]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TOKEN = re.compile(r'[ \t\n\r]*(?:(?P<mark>[{}\[\],:])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[^\s{}\[\],:"]+))')
_QUOTES: Final = {"'", '"'}


@dataclass(slots=True)
class Node:
    """One key or value: the text from `start` up to `end`, in characters; an anchor or a tag before it is part of it.

    `style` is `plain`, the quotation mark, or `|` or `>` of a scalar; `flow` or `block` of a list or mapping; `*` of an
    alias, which has nothing below it. `text` is a scalar's value, as a key is compared.
    """

    start: int
    end: int
    style: str
    text: str = ""
    anchor: str | None = None
    items: list[Node] = field(default_factory=list)
    pairs: list[tuple[Node, Node]] = field(default_factory=list)

    def pair(self, key: str) -> tuple[Node, Node] | None:
        """The key and the value that are written here under a name, and not merely merged in."""
        return next((pair for pair in self.pairs if pair[0].text == key and pair[0].style != "*"), None)

    @property
    def quote(self) -> str:
        """The quotation mark around a key, or nothing."""
        return self.style if self.style in _QUOTES else ""


def marked_yaml(text: str) -> Node:
    """The nodes of one YAML document that is known to be valid, its text without a byte order mark."""
    events = iter(yaml.parse(text, Loader=_LOADER))
    next(events)  # the start of the stream
    next(events)  # and of the document
    return _node(next(events), events)


def _node(event: Any, events: Iterator[Any]) -> Node:
    node = Node(event.start_mark.index, event.end_mark.index, "*", anchor=event.anchor)
    if isinstance(event, yaml.AliasEvent):
        return node
    if isinstance(event, yaml.ScalarEvent):
        node.style, node.text = event.style or "plain", event.value
        return node
    node.style = "flow" if event.flow_style else "block"
    if isinstance(event, yaml.SequenceStartEvent):
        while not isinstance(following := next(events), yaml.SequenceEndEvent):
            node.items.append(_node(following, events))
    else:
        while not isinstance(following := next(events), yaml.MappingEndEvent):
            key = _node(following, events)
            node.pairs.append((key, _node(next(events), events)))
    node.end = following.end_mark.index
    return node


def marked_json(text: str) -> Node:
    """The nodes of one JSON document that is known to be valid, its text without a byte order mark."""
    return _value(_tokens(text))


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    position = 0
    while match := _TOKEN.match(text, position):
        position = match.end()
        kind = match.lastgroup or ""
        yield match[kind], match.start(kind), position


def _value(tokens: Iterator[tuple[str, int, int]], first: tuple[str, int, int] | None = None) -> Node:
    piece, start, end = first or next(tokens)
    if piece not in {"{", "["}:
        is_text = piece.startswith('"')
        return Node(start, end, '"' if is_text else "plain", json.loads(piece) if is_text else piece)
    node = Node(start, end, "flow")
    for token in tokens:
        if token[0] in {"}", "]"}:
            node.end = token[2]
            break
        if token[0] == ",":
            continue
        key = _value(tokens, token)
        if piece == "[":
            node.items.append(key)
        else:
            next(tokens)  # the colon
            node.pairs.append((key, _value(tokens)))
    return node
