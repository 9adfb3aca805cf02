"""A storyboard that a command edits is the one that a person wrote, with one number changed, or not touched at all."""

from __future__ import annotations

import json
import re
import stat
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadInput, StorageUnreachable, StoryboardError
from tasks.storyboard.edit import Edit, Key, check_rewritable, edited, rewrite
from tasks.storyboard.read import load_text, parse_text, read_storyboard

COMMENTED = """\
# Two trams.
title: "Trams"   # working title
shots:
  - id: one   # the opening
    # climbing
    prompt: >-
      A tram climbs,
      slowly.

    takes: 2   # one more than needed
  - prompt: It goes on
    id: two
"""


def edit(text: str, shot: str, key: Key, value: int, source: str = "film.yaml") -> str:
    return edited(text, source, [Edit(shot, key, value)])


# -- block style -----------------------------------------------------------------------------------------------------


def test_a_value_that_is_written_is_replaced() -> None:
    assert edit(COMMENTED, "one", "takes", 3) == COMMENTED.replace("takes: 2 ", "takes: 3 ")


def test_what_is_not_written_goes_below_the_id_and_select_below_takes() -> None:
    assert edit(COMMENTED, "two", "takes", 2) == COMMENTED + "    takes: 2\n"
    assert edit(COMMENTED, "one", "select", 2) == COMMENTED.replace(
        "# one more than needed\n", "# one more than needed\n    select: 2\n"
    )
    both = edited(COMMENTED, "film.yaml", [Edit("two", "takes", 3), Edit("two", "select", 3)])
    assert both == COMMENTED + "    takes: 3\n    select: 3\n"


def test_what_is_said_already_changes_nothing() -> None:
    assert edit(COMMENTED, "one", "takes", 2) == COMMENTED
    assert edit(COMMENTED, "two", "takes", 1) == COMMENTED
    assert edit("defaults: {takes: 3}\n" + COMMENTED, "two", "takes", 3).endswith("id: two\n")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("shots:\n- id: a\n  prompt: x\n", "shots:\n- id: a\n  takes: 2\n  prompt: x\n"),
        ("shots:\n-   id: a\n    prompt: x\n", "shots:\n-   id: a\n    takes: 2\n    prompt: x\n"),
        ("shots:\n-\n  id: a\n  prompt: x\n", "shots:\n-\n  id: a\n  takes: 2\n  prompt: x\n"),
        ("shots:\n- prompt: x\n  id: a", "shots:\n- prompt: x\n  id: a\n  takes: 2"),
        ("shots:\r\n- id: a\r\n  prompt: x\r\n", "shots:\r\n- id: a\r\n  takes: 2\r\n  prompt: x\r\n"),
        ("shots:\n- 'id': 'a'\n  'prompt': x\n", "shots:\n- 'id': 'a'\n  'takes': 2\n  'prompt': x\n"),
        ("shots:\n- id:\n    a\n  prompt: x\n", "shots:\n- id:\n    a\n  takes: 2\n  prompt: x\n"),
        ("shots:\n- id: a\n  takes:\n  prompt: x\n", "shots:\n- id: a\n  takes: 2\n  prompt: x\n"),
        ("shots:\n- id: a\n  takes: # few\n  prompt: x\n", "shots:\n- id: a\n  takes: 2 # few\n  prompt: x\n"),
        ("shots:\n- id: a\n  takes: ~\n  prompt: x\n", "shots:\n- id: a\n  takes: 2\n  prompt: x\n"),
        ("\ufeffshots:\n- id: a\n  prompt: 🎬\n", "\ufeffshots:\n- id: a\n  takes: 2\n  prompt: 🎬\n"),
        ("title: 🎬é\nshots:\n- id: a\n  prompt: x\n", "title: 🎬é\nshots:\n- id: a\n  takes: 2\n  prompt: x\n"),
        ("---\nshots:\n- id: a\n  prompt: x\n...\n", "---\nshots:\n- id: a\n  takes: 2\n  prompt: x\n...\n"),
    ],
)
def test_layout_stays_as_it_is(text: str, wanted: str) -> None:
    assert edit(text, "a", "takes", 2) == wanted


# -- flow style and JSON ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("shots: [{id: a, prompt: x}]", "shots: [{id: a, takes: 2, prompt: x}]"),
        ("shots: [{prompt: x, id: a}]", "shots: [{prompt: x, id: a, takes: 2}]"),
        ("shots: [{id: a, takes: 1, prompt: x}]", "shots: [{id: a, takes: 2, prompt: x}]"),
        ("shots: [{id: a, takes: , prompt: x}]", "shots: [{id: a, takes: 2, prompt: x}]"),
        ('shots: [{"id":"a","prompt":"x"}]', 'shots: [{"id":"a","takes":2,"prompt":"x"}]'),
        ('{"shots":[{"id":"a","prompt":"x"}]}', '{"shots":[{"id":"a","takes":2,"prompt":"x"}]}'),
        ('{"shots": [{"id": "a", "prompt": "x"}]}', '{"shots": [{"id": "a", "takes": 2, "prompt": "x"}]}'),
        ('{"shots": [{"prompt": "x", "id": "a"}]}', '{"shots": [{"prompt": "x", "id": "a", "takes": 2}]}'),
        ("shots:\n  - {id: a, # one\n     prompt: x}\n", "shots:\n  - {id: a, takes: 2, # one\n     prompt: x}\n"),
        (
            "shots: [{\n  id: a, # one\n  prompt: x\n}]\n",
            "shots: [{\n  id: a, # one\n  takes: 2,\n  prompt: x\n}]\n",
        ),
        (
            "shots: [{\n  prompt: x,\n  id: a # one\n}]\n",
            "shots: [{\n  prompt: x,\n  id: a, # one\n  takes: 2\n}]\n",
        ),
        ("shots: [{\n  prompt: x,\n  id: a\n}]\n", "shots: [{\n  prompt: x,\n  id: a,\n  takes: 2\n}]\n"),
        (
            '{"shots": [\n\t{\n\t\t"id": "a",\n\t\t"prompt": "x \\ud83c\\udfac"\n\t}\n]}',
            '{"shots": [\n\t{\n\t\t"id": "a",\n\t\t"takes": 2,\n\t\t"prompt": "x \\ud83c\\udfac"\n\t}\n]}',
        ),
        (
            '{"shots": [{"\\u0069d": "a", "t\\u0061kes": 1, "prompt": "} , {"}]}',
            '{"shots": [{"\\u0069d": "a", "t\\u0061kes": 2, "prompt": "} , {"}]}',
        ),
    ],
)
def test_flow_style_and_json_keep_their_ways(text: str, wanted: str) -> None:
    assert edit(text, "a", "takes", 2) == wanted


def test_the_name_of_a_file_says_that_it_is_json() -> None:
    text = '{"shots": [{"id": "a", "prompt": "x"}]}'

    assert edit(text, "a", "takes", 2, "film.json") == edit(text, "a", "takes", 2, "https://example.org/film.json?v=1")


# -- anchors, merge keys, defaults -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (  # what defaults say is left to the others
            "defaults: {takes: 3}\nshots:\n- id: a\n  prompt: x\n- {id: b, prompt: y}\n",
            "defaults: {takes: 3}\nshots:\n- id: a\n  takes: 2\n  prompt: x\n- {id: b, prompt: y}\n",
        ),
        (  # so is what is merged in
            "shots:\n- &b\n  id: b\n  takes: 3\n  prompt: x\n- <<: *b\n  id: a\n",
            "shots:\n- &b\n  id: b\n  takes: 3\n  prompt: x\n- <<: *b\n  id: a\n  takes: 2\n",
        ),
        (  # an alias for a number becomes the number
            "shots:\n- {id: b, takes: &n 3, prompt: x}\n- {id: a, takes: *n, prompt: x}\n",
            "shots:\n- {id: b, takes: &n 3, prompt: x}\n- {id: a, takes: 2, prompt: x}\n",
        ),
        (  # nobody repeats it
            "shots:\n- &a\n  id: a\n  prompt: x\n",
            "shots:\n- &a\n  id: a\n  takes: 2\n  prompt: x\n",
        ),
        (  # whoever repeats it says otherwise
            "shots:\n- &a\n  id: a\n  prompt: x\n- {<<: *a, id: b, takes: 1}\n",
            "shots:\n- &a\n  id: a\n  takes: 2\n  prompt: x\n- {<<: *a, id: b, takes: 1}\n",
        ),
    ],
)
def test_what_others_share_stays_theirs(text: str, wanted: str) -> None:
    assert edit(text, "a", "takes", 2) == wanted


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("shots:\n- &a\n  id: a\n  prompt: x\n- {<<: *a, id: b}\n", 2, "repeat what this shot says, by its anchor &a"),
        (
            "shots:\n- {id: a, takes: &n 1, prompt: x}\n- {id: b, takes: *n, prompt: x}\n",
            2,
            "'takes' has an anchor (&n)",
        ),
        ("defaults: {prompt: x}\nshots: [id: a]\n", 2, "cannot be edited safely"),
        ("defaults: {prompt: x}\nshots:\n- ? id\n  : a\n", 3, "the line of the id holds more than the id"),
        ("shots:\n- ? id\n  : |-\n    a\n  ? prompt\n  : x\n", 2, "the line of the id holds more than the id"),
    ],
)
def test_what_cannot_be_edited_safely_is_refused_with_what_to_write(text: str, line: int, said: str) -> None:
    with pytest.raises(StoryboardError) as caught:
        edit(text, "a", "takes", 2)

    problem = caught.value.problems[0]
    assert said in problem.message
    assert (problem.line, problem.shot) == (line, "a")
    assert problem.accepted == "'takes: 2' in this shot, written by hand"


def test_an_unknown_shot_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BadInput, match="no shot 'three'") as caught:
        edit(COMMENTED, "three", "takes", 2)
    assert caught.value.advice == "Accepted: one, two."


def test_a_storyboard_that_would_be_wrong_is_not_made() -> None:
    with pytest.raises(StoryboardError, match="'select' is 3, but 2 takes are made"):
        edit(COMMENTED, "one", "select", 3)
    with pytest.raises(StoryboardError):
        edit("shots: 5", "one", "select", 3)


# -- any storyboard, any style -----------------------------------------------------------------------------------------


WORDS = st.sampled_from(["a tram", "é 🎬", "it's", 'says "go"', "id: a # no comment", "{takes: 3}", "- x", "*a", "1"])
IDS = st.lists(st.sampled_from(["one", "two", "x-1", "No_2", "takes", "select"]), min_size=1, max_size=4, unique=True)


@st.composite
def shots_of(draw: st.DrawFn) -> list[dict[str, Any]]:
    shots = []
    for name in draw(IDS):
        shot: dict[str, Any] = {"id": name, "prompt": draw(WORDS) + " and so on"}
        if draw(st.booleans()):
            shot["takes"] = draw(st.integers(1, 4))
        if draw(st.booleans()):
            shot["duration"] = 5
        if "takes" in shot and draw(st.booleans()):
            shot["select"] = draw(st.integers(1, shot["takes"]))
        shots.append({key: shot[key] for key in draw(st.permutations(list(shot)))})
    return shots


@st.composite
def block_yaml(draw: st.DrawFn, shots: list[dict[str, Any]]) -> str:
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    dash = draw(st.sampled_from(["- ", "-   ", "  - ", "   -  "]))
    lines = [draw(st.sampled_from(["title: Trams", "# é 🎬 id: one", ""])), "shots:"]
    for shot in shots:
        if draw(st.booleans()):
            lines.append(f"# takes: 3 of {shot['id']}")
        before = dash
        for key, value in shot.items():
            name = draw(st.sampled_from([key, key, f'"{key}"', f"'{key}'"]))
            written = json.dumps(value, ensure_ascii=False)
            if key == "prompt" and draw(st.booleans()):
                break_ = f"{newline}{' ' * len(dash)}  "
                written = f"{draw(st.sampled_from(['>-', '|']))}{break_}{value}{break_}{newline}{break_}takes: 9"
            elif key in {"id", "takes"} and draw(st.booleans()):
                written = f"{value}" if key == "takes" else f"'{value}'"
            written += draw(st.sampled_from(["", "", " ", "  # takes: 2", " # 🎬"])) if ">" not in written else ""
            lines.append(f"{before}{name}: {written}")
            before = " " * len(dash)
            if draw(st.integers(0, 5)) == 0:
                lines.append(draw(st.sampled_from(["", "   # a note", "# takes: 1"])))
    return newline.join(lines) + draw(st.sampled_from(["", newline, newline * 2, f"{newline}# end"]))


@st.composite
def flow_yaml(draw: st.DrawFn, shots: list[dict[str, Any]]) -> str:
    space = st.sampled_from(["", " ", "\n  ", " # takes: 3\n    "])
    text = draw(st.sampled_from(["shots: [", "title: 🎬\nshots:\n  [", "{shots: ["]))
    closing = "]}" if text.startswith("{") else "]"
    for number, shot in enumerate(shots):
        text += ("," if number else "") + draw(space) + "{"
        for at, (key, value) in enumerate(shot.items()):
            name = draw(st.sampled_from([key, f'"{key}"', f"'{key}'"]))
            written = json.dumps(value, ensure_ascii=False)
            plain = f"{value}" if key == "id" and draw(st.booleans()) else written
            text += ("," if at else "") + draw(space) + f"{name}: {plain}"
        text += draw(space) + "}"
    return text + closing + "\n"


@st.composite
def json_text(draw: st.DrawFn, shots: list[dict[str, Any]]) -> str:
    text = json.dumps(
        {"title": "🎬 }", "shots": shots},
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 2, "\t"])),
        separators=draw(st.sampled_from([None, (",", ":"), (" , ", " : ")])),
    )
    return draw(st.sampled_from(["", "\ufeff", "\n"])) + text


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    shots = draw(shots_of())
    return draw(draw(st.sampled_from([block_yaml, flow_yaml, json_text]))(shots)), shots


@given(written(), st.data())
def test_in_any_storyboard_in_any_style_exactly_the_one_value_changes(
    film: tuple[str, list[dict[str, Any]]], data: st.DataObject
) -> None:
    text, shots = film
    which = data.draw(st.integers(0, len(shots) - 1))
    key: Key = data.draw(st.sampled_from(["takes", "select"]))
    made = shots[which].get("takes", 1)
    value = data.draw(st.integers(shots[which].get("select", 1), 4) if key == "takes" else st.integers(1, made))
    after = edit(text, shots[which]["id"], key, value)

    expected: Any = parse_text(text, "film.yaml").data
    if shots[which].get(key, 1) != value:
        expected["shots"][which][key] = value
    assert parse_text(after, "film.yaml").data == expected
    if after == text:
        return
    if key in shots[which]:  # one digit is another one
        assert [(old, new) for old, new in zip(text, after, strict=True) if old != new] == [
            (str(shots[which][key]), str(value))
        ]
        return
    # Everything that was written is still there, in its order; what came is the key, the number and what parts them.
    rest = iter(after)
    assert all(character in rest for character in text)
    came = "".join((Counter(after) - Counter(text)).elements())
    assert sorted(re.sub("[\r\n\t ,:\"']", "", came)) == sorted(f"{key}{value}")


# -- files -------------------------------------------------------------------------------------------------------------


WANTED = [Edit("two", "takes", 2)]


def test_a_file_is_replaced_whole_and_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    file, link = tmp_path / "real.yaml", tmp_path / "film.yaml"
    file.write_bytes(COMMENTED.encode())
    file.chmod(0o600)
    link.symlink_to(file)
    rewrite(str(link), COMMENTED, edited(COMMENTED, str(link), WANTED), WANTED)

    assert link.is_symlink()
    assert file.read_bytes() == COMMENTED.encode() + b"    takes: 2\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"real.yaml", "film.yaml"}


def test_a_file_uri_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "my film.yaml"
    file.write_text(COMMENTED)
    rewrite(file.as_uri(), COMMENTED, edited(COMMENTED, file.as_uri(), WANTED), WANTED)

    assert read_storyboard(file).shot("two").takes == 2


def test_any_storage_that_can_be_written_will_do() -> None:
    url = f"memory://{uuid.uuid4()}/film.yaml"
    with fsspec.open(url, "wb") as file:
        file.write(COMMENTED.encode())
    before = load_text(url)
    rewrite(url, before, edited(before, url, WANTED), WANTED)

    assert read_storyboard(url).shot("two").takes == 2


def test_what_somebody_else_changed_in_between_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "film.yaml"
    file.write_text(COMMENTED + "# mine\n")
    with pytest.raises(BadInput, match="was changed by somebody else"):
        rewrite(str(file), COMMENTED, COMMENTED + "    takes: 2\n", WANTED)

    assert file.read_text() == COMMENTED + "# mine\n"


def test_what_is_on_the_web_cannot_be_written_and_what_to_write_is_said() -> None:
    with pytest.raises(BadInput, match="cannot be written from here") as caught:
        check_rewritable("https://example.org/film.yaml", [*WANTED, Edit("one", "select", 2)])

    assert caught.value.advice == "Write it by hand: 'takes: 2' in shot 'two'; 'select: 2' in shot 'one'."


def test_a_storage_that_does_not_take_it_says_what_to_write(tmp_path: Path) -> None:
    file = tmp_path / "film.yaml"
    file.write_text(COMMENTED)
    # The archive is there to be read, and fsspec knows no way to write into it.
    source = f"zip://film.yaml::{zipped(file)}"
    before = load_text(source)
    with pytest.raises(StorageUnreachable) as caught:
        rewrite(source, before, edited(before, source, WANTED), WANTED)

    assert caught.value.advice == "Write it by hand: 'takes: 2' in shot 'two'."


def zipped(file: Path) -> Path:
    import zipfile

    archive = file.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(file, file.name)
    return archive


def test_nothing_to_write_writes_nothing(tmp_path: Path) -> None:
    rewrite(str(tmp_path / "no-such.yaml"), COMMENTED, COMMENTED, WANTED)

    assert list(tmp_path.iterdir()) == []
