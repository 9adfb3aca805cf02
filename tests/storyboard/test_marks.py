"""Every key and value is found where it stands in the text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.storyboard.marks import Node, marked_json, marked_yaml

YAML = """\
# é 🎬
top: &a
  - one   # note
  - "t\\u0077o"
  - {three: 'it''s', "four": [~, *x]}
last: *a
"""


def below(node: Node) -> Iterator[Node]:
    yield node
    for child in (*node.items, *(part for pair in node.pairs for part in pair)):
        yield from below(child)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_marks_of_yaml_are_those_of_its_text(newline: str) -> None:
    text = YAML.replace("*x", "&x 5").replace("\n", newline)
    found = [(node.style, text[node.start : node.end]) for node in below(marked_yaml(text)) if node.style != "block"]

    assert found == [
        ("plain", "top"),
        ("plain", "one"),
        ('"', '"t\\u0077o"'),
        ("flow", "{three: 'it''s', \"four\": [~, &x 5]}"),
        ("plain", "three"),
        ("'", "'it''s'"),
        ('"', '"four"'),
        ("flow", "[~, &x 5]"),
        ("plain", "~"),
        ("plain", "&x 5"),
        ("plain", "last"),
        ("*", "*a"),
    ]


def test_a_pair_is_found_by_its_name_however_it_is_spelled() -> None:
    root = marked_yaml("'a': 1\nb: {<<: {c: 2}}\n")
    assert [root.pair(name) is not None for name in ("a", "b", "c")] == [True, True, False]

    pair = marked_json('{"t\\u0061kes": 3}').pair("takes")
    assert pair is not None
    assert (pair[0].quote, pair[1].quote, pair[1].text) == ('"', "", "3")


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_part_of_any_json_is_where_its_mark_says(value: Any, indent: Any, ascii_only: bool) -> None:
    text = f" {json.dumps(value, indent=indent, ensure_ascii=ascii_only)}\n"

    def same(node: Node, here: Any) -> None:
        assert json.loads(text[node.start : node.end]) == here
        if isinstance(here, dict):
            for (key, inner), (name, below_it) in zip(node.pairs, here.items(), strict=True):
                assert key.text == name
                same(inner, below_it)
        elif isinstance(here, list):
            for item, below_it in zip(node.items, here, strict=True):
                same(item, below_it)

    same(marked_json(text), value)
