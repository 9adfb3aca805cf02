"""The error tree: what each says about trying again, about money, and with which code the program ends."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re
from collections.abc import Iterator
from decimal import Decimal

import pytest

import tasks.errors
from tasks.errors import (
    Incomplete,
    OutcomeUnknown,
    OverBudget,
    Problem,
    ProviderFailed,
    ShotchainError,
    StoryboardError,
)


def kinds(kind: type[ShotchainError] = ShotchainError) -> Iterator[type[ShotchainError]]:
    if kind.__name__ in tasks.errors.__all__:
        yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


KINDS = sorted(kinds(), key=lambda kind: kind.__name__)
assert {"BadInput", "ClipLost", "FilmWrong"} <= {kind.__name__ for kind in KINDS}
PROBLEM = Problem("no such asset", file="film.yaml", line=3, key="first_frame", shot="a", accepted="harbour, tram")


def make(kind: type[ShotchainError]) -> ShotchainError:
    if issubclass(kind, StoryboardError):
        return kind([PROBLEM])
    if issubclass(kind, Incomplete):
        return kind("some failed", failures=[OutcomeUnknown("lost", shot="a")], summary={"failed": 1})
    if issubclass(kind, OverBudget):
        return kind("run", needed_usd=Decimal("0.42"), limit_usd=Decimal("0.80"), held_usd=Decimal("0.42"))
    return kind("it went wrong", advice="do this", shot="a", task_uuid="one", cost_usd=Decimal("0.42"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_at_the_top_is_true(kind: type[ShotchainError]) -> None:
    picture = inspect.getdoc(tasks.errors) or ""
    row = re.search(rf"\b{kind.__name__}\s+(\d)\s+(\S+)\s+(\S+)", picture)
    if kind is ShotchainError:
        assert kind.exit_code == 1
        return
    assert row, f"{kind.__name__} is not in the picture"
    exit_code, transient, charged = row.groups()
    assert int(exit_code) == kind.exit_code
    assert (transient == "yes") is kind.transient
    if charged != "see":
        assert charged == kind.charged
    assert kind.__name__ in tasks.errors.__all__


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_travels_to_another_process_whole(kind: type[ShotchainError]) -> None:
    error = make(kind)
    for travelled in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 -- our own bytes
        assert type(travelled) is kind
        assert str(travelled) == str(error)
        assert travelled.as_dict() == error.as_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_json(kind: type[ShotchainError]) -> None:
    error = make(kind)
    fields = json.loads(json.dumps(error.as_dict()))
    assert fields["type"] == kind.__name__
    assert (fields["transient"], fields["charged"]) == (error.transient, error.charged)


def test_what_a_provider_says_is_json_too_though_its_numbers_were_read_exactly() -> None:
    details = {"code": "odd", "cost": Decimal("0.42"), "parts": [{"cost": Decimal("0.1")}]}
    fields = ProviderFailed("it failed", details=details).as_dict()
    assert json.loads(json.dumps(fields))["details"] == {"code": "odd", "cost": "0.42", "parts": [{"cost": "0.1"}]}


def test_an_error_says_where_and_what_to_do() -> None:
    error = ShotchainError("it went wrong", advice="do this", shot="tram", file="film.yaml", line=7)
    assert str(error) == "film.yaml:7: shot 'tram': it went wrong\n    do this"
    assert str(ShotchainError("it went wrong")) == "it went wrong"
    assert str(Problem("odd", line=7)) == "line 7: odd"


def test_all_mistakes_of_a_storyboard_are_told() -> None:
    error = StoryboardError([PROBLEM, Problem("another")])
    assert str(error).splitlines() == [
        "film.yaml:3: shot 'a': no such asset",
        "    accepted: harbour, tram",
        "another",
    ]
    assert error.as_dict()["problems"] == [
        {
            "message": "no such asset",
            "file": "film.yaml",
            "line": 3,
            "key": "first_frame",
            "shot": "a",
            "accepted": "harbour, tram",
        },
        {"message": "another"},
    ]


def test_an_incomplete_film_names_its_failures() -> None:
    error = make(Incomplete)
    assert "shot 'a': lost" in str(error)
    assert error.as_dict()["failures"][0]["type"] == "OutcomeUnknown"
