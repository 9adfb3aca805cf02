"""Mistakes in the language of the file: told once each, in words for people who do not know YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storyboard.mistakes import ONE, Mistake, assert_told_once

MISTAKES: dict[str, Mistake] = {
    "a key twice": Mistake(
        ONE + "    prompt: y\n", 4, "the key 'prompt' is given twice, on line 3 and here", key="prompt"
    ),
    "a key that is a number": Mistake(
        "assets:\n  1: hero.png\n" + ONE + "    first_frame: '1'\n",
        2,
        "the key 1 is not text: write it in quotes, '1'",
        key="1",
    ),
    "a tab": Mistake("shots:\n\t- id: a\n", 2, "YAML does not allow tabs here", "spaces for indentation"),
    "an open quote": Mistake(
        "title: x\nshots:\n  - id: a\n    prompt: 'x\n",
        4,
        "this is not valid YAML: a quotation mark is opened here and never closed",
    ),
    "a colon in a prompt": Mistake(
        "shots:\n  - id: a\n    prompt: A man: a plan\n",
        3,
        "this is not valid YAML: a text with ': ' in it must be in quotes, or the indentation is off",
    ),
    "a prompt with an at sign": Mistake(
        "shots:\n  - id: a\n    prompt: @noon\n",
        3,
        "this is not valid YAML: a text that begins with '@' must be in quotes",
    ),
    "an alias of nothing": Mistake(
        "title: *film\n",
        1,
        "the alias '*film' names nothing above it; a text that begins with '*' must be in quotes",
    ),
    "an alias of itself": Mistake("assets: &a\n  b: *a\n", 2, "the alias '*a' contains itself"),
    "a tag": Mistake(
        ONE.replace("x", "!wow x"),
        3,
        "the YAML tag '!wow' is not used here; a text that begins with '!' must be in quotes",
    ),
    "a merge of nothing": Mistake(ONE + "    <<: 3\n", 4, "'<<' takes an alias of a mapping", key="<<"),
    "two documents": Mistake(
        ONE + "---\ntitle: x\n", 4, "a second document begins here", "one storyboard a file, without '---'"
    ),
    "a control character": Mistake(
        "title: a\x07b\n", 1, "there is an invisible control character here (U+0007): delete it"
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_every_mistake_is_told_once_where_it_is(folder: Path, mistake: Mistake) -> None:
    assert_told_once(mistake, folder)
