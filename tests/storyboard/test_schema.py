"""Editors and the reader agree on what may be written."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tasks.errors import StoryboardError
from tasks.storyboard.read import read_storyboard
from tasks.storyboard.schema import storyboard_schema

SHOT: dict[str, Any] = {"id": "a", "prompt": "x"}
REMOTE = "https://example.com/a.png"


def board(**shot: Any) -> dict[str, Any]:
    return {"shots": [SHOT, {"id": "b", "prompt": "x", **shot}]}


BOTH_ACCEPT: list[dict[str, Any]] = [
    {"shots": [SHOT]},
    {"$schema": "schema.json", "title": "t", "model": "m", "size": "960x960", "fps": 23.976, **board()},
    {"style": "s", "retries": 0, "assets": {"a": REMOTE, "b": {"source": REMOTE, "source_duration": 3}}, **board()},
    {"defaults": {"prompt": "x", "duration": 5}, "shots": [{"id": "a"}]},
    board(first_frame=REMOTE, last_frame={"shot": "a", "frame": "last"}),
    board(reference_images=REMOTE, reference_videos={"shot": "a"}),
    board(reference_images=[REMOTE, {"shot": "a", "frame": "first"}], video=None),
    board(boundary="match", takes=4, select=4, output_format="webm", output_quality=50, ttl=60),
    {"title_card": "Sea", "end_card": ["The End", "by us"], **board()},
    {"title_card": {"text": "Sea", "duration": 2.5, "background": "#0a0B0c", "transition": "fade"}, **board()},
    {"end_card": {"text": ["Sea"], "picture": REMOTE, "transition": {"kind": "wipeup", "duration": 1}}, **board()},
    {"end_card": {"text": "Sea", "background": "navy"}, **board()},
    board(transition="circleopen"),
    board(safety={"checkContent": True, "mode": "full"}, keep_original_sound=False, duration=2.5),
]
BOTH_REFUSE: list[dict[str, Any]] = [
    {},
    {"shots": []},
    {"shots": [{"id": "a"}]},
    {"shots": [{"prompt": "x"}]},
    {"shots": [SHOT], "titel": "x"},
    {"shots": [SHOT], "size": "720"},
    {"shots": [SHOT], "fps": 121},
    {"shots": [SHOT], "fps": "24"},
    {"shots": [SHOT], "retries": 11},
    {"shots": [SHOT], "assets": {"a": 1}},
    {"shots": [SHOT], "defaults": {"id": "a"}},
    {"shots": [{"id": "a b", "prompt": "x"}]},
    {"shots": [{"id": 1, "prompt": "x"}]},
    {"title_card": 3, **board()},
    {"title_card": [], **board()},
    {"title_card": {"duration": 3}, **board()},
    {"title_card": {"text": " "}, **board()},
    {"title_card": {"text": "Sea", "duration": 0}, **board()},
    {"title_card": {"text": "Sea", "duration": 61}, **board()},
    {"title_card": {"text": "Sea", "background": "#fff"}, **board()},
    {"title_card": {"text": "Sea", "background": None}, **board()},
    {"end_card": {"text": "Sea", "prompt": "x"}, **board()},
    board(transition="custom"),
    board(transition="Dissolve"),
    board(prompt=" "),
    board(duration=0),
    board(boundary="fade"),
    board(takes=5),
    board(select=0),
    board(ttl=0),
    board(first_frame=3),
    board(first_frame={"shot": "a"}),
    board(video={"shot": "a", "frame": "last"}),
    board(output_format="avi"),
    board(keep_original_sound="yes"),
    board(safety={"check": True}),
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return storyboard_schema()


def accepted_by_the_reader(storyboard: dict[str, Any]) -> bool:
    try:
        read_storyboard("film.json", text=json.dumps(storyboard))
    except StoryboardError:
        return False
    return True


def test_the_schema_is_one(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("storyboard", BOTH_ACCEPT)
def test_what_both_accept(schema: dict[str, Any], storyboard: dict[str, Any]) -> None:
    assert [error.message for error in Draft202012Validator(schema).iter_errors(storyboard)] == []
    assert accepted_by_the_reader(storyboard)


@pytest.mark.parametrize("storyboard", BOTH_REFUSE)
def test_what_both_refuse(schema: dict[str, Any], storyboard: dict[str, Any]) -> None:
    assert not Draft202012Validator(schema).is_valid(storyboard)
    assert not accepted_by_the_reader(storyboard)


def test_the_examples_validate(schema: dict[str, Any]) -> None:
    assert schema["examples"]
    for example in schema["examples"]:
        Draft202012Validator(schema).validate(example)


def test_the_examples_can_be_read_once_their_pictures_are_elsewhere(schema: dict[str, Any]) -> None:
    for example in copy.deepcopy(schema["examples"]):
        example["assets"] = dict.fromkeys(example.get("assets", {}), REMOTE)
        assert accepted_by_the_reader(example)


def test_everything_is_described(schema: dict[str, Any]) -> None:
    for part in (schema, *schema["$defs"].values()):
        assert part["description"]
        for key, value in part["properties"].items():
            assert value.get("description"), key
