"""Whatever is done to a storyboard, reading it gives a storyboard or says what is wrong with it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import StoryboardError
from tasks.storyboard.cycles import find_cycles
from tasks.storyboard.document import (
    CardDocument,
    EndingDocument,
    MusicDocument,
    SafetyDocument,
    ShotDocument,
    StoryboardDocument,
    TransitionDocument,
    keys_of,
)
from tasks.storyboard.model import Storyboard
from tasks.storyboard.read import read_storyboard

VALID: dict[str, Any] = {
    "title": "A film",
    "size": "1280x720",
    "fps": 24,
    "style": "grain",
    "model": "klingai:kling@o1-standard",
    "retries": 2,
    "tags": {"client": "acme"},
    "music": {"source": "rain.wav", "gain_db": -6, "fade_out": 1, "duck_db": 12},
    "loudness": -16,
    "title_card": {"text": ["A", "film"], "duration": 2, "background": "navy", "transition": "fade"},
    "ending": {"kind": "fade", "duration": 1},
    "end_card": {"text": "End", "picture": "hero", "transition": {"kind": "wipeleft", "duration": 0.5}},
    "assets": {"hero": "hero.png", "walk": {"source": "https://example.com/walk.mp4", "source_duration": 6}},
    "defaults": {"duration": 5, "first_frame": "hero", "safety": {"check_content": True, "mode": "fast"}},
    "shots": [
        {"id": "a", "prompt": "x", "reference_images": ["hero", "hero.png"], "takes": 2, "select": 2, "fit": "blur"},
        {"id": "b", "prompt": "y", "boundary": "continue", "first_frame": None, "caption": "So"},
        {"id": "c", "prompt": "z", "last_frame": {"shot": "a", "frame": "first"}, "video": {"shot": "b"}, "ttl": 60},
        {
            "id": "d",
            "prompt": "z",
            "reference_videos": ["walk", {"shot": "c"}],
            "output_format": "mov",
            "output_quality": 95,
            "keep_original_sound": True,
            "transition": {"kind": "dissolve", "duration": 1},
            "gain_db": 3,
            "narration": "rain.wav",
            "narration_gain_db": 0,
        },
    ],
}
WORDS = [
    "hero",
    "a",
    "b",
    "c",
    "x.png",
    "https://x/y",
    "data:,",
    "file://",
    "memory://",
    "1",
    "",
    "null",
    "shot",
    "frame",
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=6), st.sampled_from(WORDS)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("boards")
    for name in ("hero.png", "rain.wav"):
        (made / name).write_bytes(b"any")
    return made


def places(data: object, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in nested data."""
    found = [here] if here else []
    if isinstance(data, dict):
        for key, value in data.items():
            found += places(value, (*here, key))
    if isinstance(data, list):
        for index, value in enumerate(data):
            found += places(value, (*here, index))
    return found


def read(folder: Path, text: str, name: str = "film.yaml") -> Storyboard | StoryboardError:
    try:
        return read_storyboard(folder / name, text=text)
    except StoryboardError as refused:
        error = refused
    lines = [problem.line for problem in error.problems if problem.line is not None]
    assert error.problems
    assert lines == sorted(lines)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines)
    return error


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    board = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 4))):
        *parents, last = draw(st.sampled_from(places(board)))
        container: Any = board
        for step in parents:
            container = container[step]
        match draw(st.sampled_from(["delete", "replace", "rename", "insert"])):
            case "delete":
                del container[last]
            case "rename" if isinstance(container, dict):
                container[draw(st.sampled_from(WORDS) | st.text(max_size=8))] = container.pop(last)
            case "insert" if isinstance(container, dict):
                container[draw(st.sampled_from(WORDS) | st.text(max_size=8))] = draw(VALUES)
            case _:
                container[last] = draw(VALUES)
        if not board:
            break
    return board


FAST = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FAST
@given(board=mutated())
def test_changed_values(folder: Path, board: dict[str, Any]) -> None:
    from_json = read(folder, json.dumps(board, indent=1), "film.json")
    from_yaml = read(folder, yaml.safe_dump(board, sort_keys=False))

    if isinstance(from_json, Storyboard) and isinstance(from_yaml, Storyboard):
        assert from_json.shots == from_yaml.shots


@FAST
@given(data=st.data())
def test_changed_characters(folder: Path, data: st.DataObject) -> None:
    text = yaml.safe_dump(VALID, sort_keys=False)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    noise = data.draw(st.text(alphabet="\t\n :-{}[]&*!|>'\"%@`#<,?~\x00\ud800aé\u2028", max_size=5))

    for name in ("film.yaml", "film.json", "film"):
        read(folder, text[:start] + noise + text[end:], name)


@FAST
@given(text=st.text(max_size=60))
def test_any_text(folder: Path, text: str) -> None:
    for name in ("film.yaml", "film.json", "film"):
        assert isinstance(read(folder, text, name), StoryboardError)


@pytest.mark.parametrize("path", places(VALID), ids=str)
def test_taking_one_thing_out_is_at_most_one_mistake_a_place(folder: Path, path: tuple[Any, ...]) -> None:
    board = copy.deepcopy(VALID)
    *parents, last = path
    container: Any = board
    for step in parents:
        container = container[step]
    del container[last]

    outcome = read(folder, yaml.safe_dump(board, sort_keys=False))

    if isinstance(outcome, StoryboardError):
        assert len(outcome.problems) == len({problem.line for problem in outcome.problems})
        if path[0] != "assets":
            assert len(outcome.problems) == 1 or path == ("shots", 0)


@pytest.mark.parametrize("path", [path for path in places(VALID) if isinstance(path[-1], str)], ids=str)
def test_one_misspelled_key_is_one_mistake(folder: Path, path: tuple[Any, ...]) -> None:
    if path[0] in {"assets", "tags"} and len(path) == 2:
        return  # the names of assets and tags are the user's own
    board = copy.deepcopy(VALID)
    *parents, last = path
    container: Any = board
    for step in parents:
        container = container[step]
    container[f"{last}s" if len(last) > 2 else f"{last}d"] = container.pop(last)

    outcome = read(folder, yaml.safe_dump(board, sort_keys=False))

    assert isinstance(outcome, StoryboardError)
    assert len(outcome.problems) == 1, str(outcome)
    assert "unknown key" in outcome.message
    assert last in str(outcome.problems[0].accepted).split(", ")


def test_every_key_that_is_documented_is_here() -> None:
    written = {str(path[-1]) for path in places(VALID)}
    models = (
        StoryboardDocument,
        ShotDocument,
        CardDocument,
        MusicDocument,
        TransitionDocument,
        EndingDocument,
        SafetyDocument,
    )
    assert {key for model in models for key in keys_of(model)} - written <= {"$schema", "checkContent"}


def test_the_unchanged_storyboard_is_fine(folder: Path) -> None:
    assert isinstance(read(folder, yaml.safe_dump(VALID)), Storyboard)


GRAPHS = st.integers(1, 7).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size)
)


@FAST
@given(edges=GRAPHS)
def test_cycles_are_real_and_none_is_left(edges: list[list[int]]) -> None:
    needs = {node: set(before) - {node} for node, before in enumerate(edges)}

    cycles = find_cycles(needs)

    for cycle in cycles:
        assert cycle[0] == min(cycle)
        assert all(before in needs[after] for before, after in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    # Undoing one step of each cycle leaves an order: repeatedly taking what needs nothing empties the graph.
    for cycle in cycles:
        for at, node in enumerate(cycle):
            needs[cycle[(at + 1) % len(cycle)]].discard(node)
    left = dict(needs)
    while ready := [node for node, before in left.items() if not before & left.keys()]:
        for node in ready:
            del left[node]
    assert not left
