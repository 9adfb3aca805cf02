"""Runware's older client, which many programs still have, understands the emulator."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings, WebSocketSettings
from tests.sdk.conftest import QUICK, books, error_of, legacy, sdk_python


def test_a_clip_is_acknowledged_and_then_one_result_with_its_price(server: EmulatorServer) -> None:
    told = legacy(server, "text")

    [result] = told["results"]
    assert told["acknowledged"] == {"taskType": "videoInference", "taskUUID": result["taskUUID"]}
    assert (result["status"], result["cost"]) == ("success", 0.42)
    assert httpx.get(result["videoURL"]).headers["content-type"] == "video/mp4"
    [task] = books(server)["tasks"]
    assert (task["taskUUID"], task["charge_usd"]) == (result["taskUUID"], "0.42")


def test_two_results_of_one_task_are_two_videos(server: EmulatorServer) -> None:
    first, second = legacy(server, "two")["results"]

    assert first["videoUUID"] != second["videoUUID"]
    assert first["taskUUID"] == second["taskUUID"]
    assert books(server)["total_usd"] == "0.84"


def test_mistakes_are_errors_that_name_their_field(server: EmulatorServer) -> None:
    mistakes: list[tuple[dict[str, Any], str | list[str]]] = [
        ({"duration": 7}, "duration"),
        ({"positivePrompt": "A"}, "positivePrompt"),
        ({"width": 1000}, ["width", "height"]),
        ({"model": "klingai:kling@o9"}, "model"),
        ({"negativePrompt": "rain"}, "negativePrompt"),
    ]
    outcomes = legacy(server, "mistakes", *(json.dumps(fields) for fields, _ in mistakes))

    assert [error_of(outcome)["parameter"] for outcome in outcomes] == [parameter for _, parameter in mistakes]
    assert books(server)["tasks"] == []


@pytest.mark.parametrize("push", ["results", "all"])
def test_a_clip_that_fails_is_an_error_of_that_clip(push: Any) -> None:
    settings = replace(
        QUICK,
        faults={"rules": [{"fault": "fail", "prompt": "broken", "code": "timeoutProvider"}]},
        websocket=WebSocketSettings(push=push),
    )
    with EmulatorServer(settings) as server:
        requests = [json.dumps({"positivePrompt": prompt}) for prompt in ("a tram", "a broken tram")]
        # It hears of no failure while it waits for the answer to a question, unless that comes by itself.
        fine, failed = legacy(server, "clips", *requests, patience_s=1 if push == "results" else 20)
        kept = books(server)

    error = error_of(failed)
    assert (error["code"], error["status"]) == ("timeoutProvider", "error")
    assert fine["results"][0]["status"] == "success"
    assert kept["total_usd"] == "0.42"


def test_a_key_that_is_not_accepted_is_an_error_of_the_connection() -> None:
    with EmulatorServer(EmulatorSettings(api_key="another-key")) as server:
        error = error_of(legacy(server, "text"))
        kept = books(server)

    assert "Authentication" in error["connection"]
    assert "a-key" not in error["connection"]
    assert kept["tasks"] == []


@pytest.mark.parametrize("fault", ["drop_request", "drop_reply"])
def test_a_line_that_breaks_is_made_again_and_the_clip_is_made_once(fault: str) -> None:
    with EmulatorServer(replace(QUICK, faults={"rules": [{"fault": fault, "times": 1}]})) as server:
        [result] = legacy(server, "text", patience_s=2)["results"]
        kept = books(server)

    assert kept["faults"] == {fault: 1}
    assert [task["taskUUID"] for task in kept["tasks"]] == [result["taskUUID"]]


def test_a_picture_is_uploaded_and_used(server: EmulatorServer, picture: Path) -> None:
    told = legacy(server, "uploads", str(picture))

    assert httpx.get(told["image"]["imageURL"]).content == picture.read_bytes()
    assert told["clip"]["results"][0]["cost"] == 0.42


def test_a_finished_task_is_looked_up(server: EmulatorServer) -> None:
    told = legacy(server, "details")

    [result] = told["made"]["results"]
    [response] = told["details"]["response"]
    assert response == result
    [request] = told["details"]["request"]
    assert request["positivePrompt"] == "A tram climbs through autumn trees"


def test_without_the_client_the_tests_fail_and_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"\.venv-sdk-legacy\. Run: make test-sdk"):
        sdk_python(tmp_path, ".venv-sdk-legacy")
