"""Runware's own client speaks to the emulator by WebSocket, as it does to Runware unless it is told otherwise."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tests.sdk.conftest import QUICK, books, error_of, sdk
from tests.sdk.test_sdk import MISTAKES

# Shared by the tests below, so one worker does them all.
pytestmark = pytest.mark.xdist_group("sdk websocket")

PROMPT = "A tram climbs through autumn trees ({})"
CASES: dict[str, list[dict[str, Any]]] = {
    "fine": [],
    "provider": [{"fault": "fail", "code": "providerInternalError", "message": "It went wrong."}],
    "one of two": [{"fault": "fail", "results": [1]}],
    "moderation": [{"fault": "refuse_content"}],
    "rate limit": [{"fault": "status", "status": 429, "times": 1}],
    "bad question": [{"fault": "lose_task", "call": "poll", "times": 1}],
}


@pytest.fixture(scope="module")
def played() -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What became of each case, all of them at once on one connection; and their tasks in the books."""
    rules = [{**rule, "prompt": f"({name})"} for name, case in CASES.items() for rule in case]
    requests = [
        json.dumps({"positivePrompt": PROMPT.format(name), "numberResults": 2 if name == "one of two" else 1})
        for name in CASES
    ]
    with EmulatorServer(replace(QUICK, faults={"rules": rules})) as server:
        told = sdk(server, "clips", *requests, by="websocket")
        kept = books(server)
    assert kept["counts"]["posts"] == 0
    tasks = {task["request"]["positivePrompt"]: task for task in kept["tasks"]}
    outcomes = {name: each["results"] for name, each in zip(CASES, told, strict=True)}
    return outcomes, {name: tasks[PROMPT.format(name)] for name in CASES if PROMPT.format(name) in tasks}


Played = tuple[dict[str, Any], dict[str, dict[str, Any]]]


@pytest.mark.parametrize("name", ["fine", "bad question"])
def test_a_clip_is_one_result_with_its_price(played: Played, name: str) -> None:
    outcomes, tasks = played
    [result] = outcomes[name]
    assert (result["status"], result["cost"]) == ("success", 0.42)
    assert (result["taskUUID"], tasks[name]["charge_usd"]) == (tasks[name]["taskUUID"], "0.42")


def test_a_clip_that_fails_is_an_error_of_its_kind(played: Played) -> None:
    outcomes, tasks = played
    error = error_of(outcomes["provider"])
    assert (error["code"], error["message"], error["retryable"]) == ("provider", "It went wrong.", True)
    assert (error["task_uuid"], tasks["provider"]["charge_usd"]) == (tasks["provider"]["taskUUID"], "0.00")


def test_the_first_failure_ends_its_waiting_for_both_results(played: Played) -> None:
    outcomes, tasks = played
    assert error_of(outcomes["one of two"])["code"] == "provider"
    assert tasks["one of two"]["charge_usd"] == "0.42"


def test_what_is_refused_is_an_error_of_that_task_alone(played: Played) -> None:
    outcomes, tasks = played
    error = error_of(outcomes["moderation"])
    assert (error["code"], error["parameter"], error["retryable"]) == ("safety", "positivePrompt", False)
    error = error_of(outcomes["rate limit"])
    # By WebSocket it tries nothing again.
    assert (error["code"], error["retryable"]) == ("rateLimit", True)
    assert not {"moderation", "rate limit"} & set(tasks)


def test_two_results_of_one_task_are_two_videos_each_with_its_price(server: EmulatorServer) -> None:
    told = sdk(server, "two", by="websocket")

    first, second = told["results"]
    assert sorted(told["seen"], key=lambda item: str(item["videoUUID"])) == sorted(
        told["results"], key=lambda item: str(item["videoUUID"])
    )
    assert first["taskUUID"] == second["taskUUID"]
    assert first["videoUUID"] != second["videoUUID"]
    assert books(server)["total_usd"] == "0.84"
    assert httpx.get(second["videoURL"]).headers["content-type"] == "video/mp4"


def test_mistakes_are_errors_of_validation_that_name_their_field(server: EmulatorServer) -> None:
    outcomes = sdk(server, "mistakes", *(json.dumps(fields) for fields, _ in MISTAKES.values()), by="websocket")

    errors = dict(zip(MISTAKES, map(error_of, outcomes), strict=True))
    assert {name: error["parameter"] for name, error in errors.items()} == {
        name: parameter for name, (_, parameter) in MISTAKES.items()
    }
    assert {(error["code"], error["retryable"]) for error in errors.values()} == {("validation", False)}
    assert books(server)["tasks"] == []


def test_a_key_that_is_not_accepted_is_an_error_before_anything_is_sent() -> None:
    with EmulatorServer(EmulatorSettings(api_key="another-key")) as server:
        error = error_of(sdk(server, "text", by="websocket"))
        kept = books(server)

    assert (error["code"], error["retryable"]) == ("auth", False)
    assert kept["tasks"] == []
    assert kept["counts"]["messages"] == 1


@pytest.mark.parametrize("fault", ["drop_request", "drop_reply"])
def test_a_line_that_breaks_is_resumed_and_the_clip_is_made_once(fault: str) -> None:
    rules = [{"fault": fault, "times": 1}]
    with EmulatorServer(replace(QUICK, faults={"rules": rules})) as server:
        [result] = sdk(server, "text", by="websocket")["results"]
        kept = books(server)

    # It sends the task again, and takes it for an acknowledgement that there is one.
    assert kept["faults"] == {fault: 1}
    assert [task["taskUUID"] for task in kept["tasks"]] == [result["taskUUID"]]
    assert kept["total_usd"] == "0.42"


def test_pictures_are_uploaded_used_and_deleted(server: EmulatorServer, picture: Path) -> None:
    told = sdk(server, "uploads", str(picture), by="websocket")

    [image], [medium] = told["image"], told["medium"]
    assert httpx.get(image["imageURL"]).content == picture.read_bytes()
    assert httpx.get(medium["mediaURL"]).status_code == 404
    [clip] = told["clip"]
    assert clip["cost"] == 0.42
    assert error_of(told["deleted"][1])["code"] == "notFound"


def test_what_was_made_can_be_asked_for_again() -> None:
    # An answer that names no task, as one of empty data, would never come to whoever asked.
    with EmulatorServer(replace(QUICK, unknown_task_error=True)) as server:
        told = sdk(server, "questions", str(uuid.uuid4()), by="websocket")

    assert told["response"] == told["results"]
    [details] = told["details"]
    assert details["response"] == {"data": told["results"]}
    assert error_of(told["unknown"])["code"] == "notFound"
    assert error_of(told["account"])["code"] == "validation"


def test_clips_that_are_made_at_once_do_not_get_mixed_up(server: EmulatorServer) -> None:
    task_uuids = [str(uuid.uuid4()) for _ in range(12)]
    told = sdk(server, "many", *task_uuids, by="websocket")

    assert [entry["taskUUID"] for entry in told] == task_uuids
    kept = books(server)
    assert {task["taskUUID"] for task in kept["tasks"]} == set(task_uuids)
    assert kept["total_usd"] == "5.04"
