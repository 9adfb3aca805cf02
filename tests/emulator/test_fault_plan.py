"""Which rule meets which call, how often, and what a plan must look like."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.fault_plan import FAULTS, FaultPlan, parse_faults
from tasks.emulator.rule import Call, CallKind
from tasks.errors import SettingsError


def submit(number: int, prompt: str = "A tram") -> Call:
    return Call("submit", str(uuid.UUID(int=number, version=4)), prompt)


def met(plan: FaultPlan, calls: list[Call]) -> list[bool]:
    return [bool(plan.take(call, "before")) for call in calls]


def plan_of(*rules: dict[str, Any], seed: int = 0) -> FaultPlan:
    return FaultPlan({"seed": seed, "rules": rules})


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, [True, True, True, True]),
        ({"nth": 2}, [False, True, False, False]),
        ({"nth": [1, 4]}, [True, False, False, True]),
        ({"times": 2}, [True, True, False, False]),
        ({"skip": 3}, [False, False, False, True]),
        ({"skip": 1, "times": 1}, [False, True, False, False]),
        ({"prompt": "gull"}, [False, False, True, False]),
        ({"task": str(uuid.UUID(int=4, version=4)).upper()}, [False, False, False, True]),
        ({"rate": 0}, [False] * 4),
        ({"rate": 1}, [True] * 4),
        ({"call": "poll"}, [False] * 4),
    ],
)
def test_a_rule_says_when(when: dict[str, Any], expected: list[bool]) -> None:
    calls = [submit(1), submit(2), submit(3, "A gull"), submit(4)]

    assert met(plan_of({"fault": "drop_request", **when}), calls) == expected


def test_a_task_keeps_its_number_however_often_it_is_sent_and_whatever_is_asked_about_it() -> None:
    plan = plan_of({"fault": "drop_request", "nth": 2}, {"fault": "status", "call": "poll", "nth": 2})
    first, second = submit(1), submit(2)

    assert met(plan, [first, first, second, first, second]) == [False, False, True, False, True]
    assert met(plan, [Call("poll", second.task_uuid), Call("poll", first.task_uuid)]) == [True, False]
    assert met(plan, [Call("poll", "before the plan")]) == [False]


def test_uploads_are_numbered_by_themselves() -> None:
    plan = plan_of({"fault": "status", "call": "upload", "nth": 2})
    met(plan, [submit(1)])

    assert met(plan, [Call("upload", "a"), Call("upload", "b"), Call("upload", "c")]) == [False, True, False]


@given(seed=st.integers(), rate=st.floats(0.05, 0.95))
def test_the_same_seed_draws_the_same_calls(seed: int, rate: float) -> None:
    rule = {"fault": "status", "rate": rate}
    calls = [submit(number) for number in range(400)]
    drawn = met(plan_of(rule, seed=seed), calls)

    assert met(plan_of(rule, seed=seed), calls) == drawn
    assert abs(sum(drawn) / 400 - rate) < 0.15


def test_rules_draw_apart_from_one_another() -> None:
    calls = [submit(number) for number in range(60)]
    rule = {"fault": "status", "rate": 0.5}
    one, other = plan_of(rule), plan_of({"fault": "hang", "after_s": 0, "rate": 0.5}, rule)

    assert met(one, calls) != met(other, calls)


def test_the_first_rule_wins_and_the_others_wait() -> None:
    plan = plan_of({"fault": "drop_request", "times": 1}, {"fault": "status", "times": 1})
    taken = [[rule.fault for rule in plan.take(submit(number), "before", only_first=True)] for number in range(3)]

    assert taken == [["drop_request"], ["status"], []]
    assert plan.as_json()["given"] == [1, 1]


def test_a_plan_is_told_as_it_can_be_put_in_again() -> None:
    plan = plan_of({"fault": "cost", "cost_usd": "0.5", "nth": [1]}, {"fault": "media", "frame_rate": 30}, seed=9)
    told = plan.as_json()

    assert told["rules"] == [
        {"call": "submit", "fault": "cost", "cost_usd": "0.5", "nth": [1]},
        {"call": "submit", "fault": "media", "frame_rate": "30"},
    ]
    again = FaultPlan()
    again.replace(parse_faults(json.dumps(told)))
    assert again.as_json() == told


@pytest.mark.parametrize("text", ["[]", "", "rules: []", '{"seed": 3}'])
def test_nothing_is_a_plan_too(text: str) -> None:
    assert parse_faults(text).rules == ()


def test_one_rule_or_a_list_is_a_plan() -> None:
    one = parse_faults("fault: stuck")
    assert one == parse_faults("- fault: stuck") == parse_faults('{"rules": [{"fault": "stuck"}]}')


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"shots": []}, ["shots: no such key"]),
        ({"rules": [{"fault": "explode"}]}, ["rules[0]", *FAULTS]),
        ({"rules": [{}]}, ["rules[0]", "fault"]),
        ({"rules": [{"fault": "stuck"}, {"fault": "hang"}]}, ["rules[1].after_s", "required"]),
        ({"rules": [{"fault": "status", "status": 200}]}, ["rules[0].status", "400"]),
        ({"rules": [{"fault": "stuck", "call": "download"}]}, ["rules[0].call", "submit"]),
        ({"rules": [{"fault": "truncate", "call": "poll"}]}, ["rules[0].call", "download"]),
        ({"rules": [{"fault": "stuck", "rate": 2}]}, ["rules[0].rate"]),
        ({"rules": [{"fault": "stuck", "nth": 0}]}, ["rules[0].nth"]),
        ({"rules": [{"fault": "stuck", "whenever": 1}]}, ["rules[0].whenever"]),
        ({"rules": [{"fault": "media", "frame_rate": "fast"}]}, ["rules[0].frame_rate", "30000/1001"]),
        ({"rules": [{"fault": "media", "frame_rate": 500}]}, ["rules[0].frame_rate", "120"]),
        ({"rules": 3}, ["rules"]),
        ({"chaos": True}, ["chaos"]),
    ],
)
def test_what_is_no_plan_is_told_by_place(content: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        FaultPlan(content)

    for word in words:
        assert word in caught.value.message


@pytest.mark.parametrize("text", ["{", "a: b: c", "7", "plain"])
def test_text_that_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="fault plan"):
        parse_faults(text)


def test_a_file_is_read_when_the_emulator_is_made(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("seed: 4\nrules:\n  - {fault: stuck, nth: 1}\n")
    assert EmulatorServer(EmulatorSettings(faults=path)).faults.as_json()["seed"] == 4

    path.write_text("rules: [{fault: sulk}]")
    with pytest.raises(SettingsError, match=r"faults\.yaml: rules\[0\]"):
        EmulatorServer(EmulatorSettings(faults=path))
    with pytest.raises(SettingsError, match="missing"):
        EmulatorServer(EmulatorSettings(faults=tmp_path / "missing.yaml"))


@pytest.mark.parametrize("kind", ["submit", "poll", "details", "upload", "download"])
def test_an_empty_plan_meets_nothing(kind: CallKind) -> None:
    assert FaultPlan().take(Call(kind, "x"), "before") == []
