"""Over HTTP: who is let in, what a body must be, and how files are fetched."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings

if TYPE_CHECKING:
    from tests.emulator.conftest import Api

PING = {"taskType": "ping", "ping": True}
PONG = {"data": [{"taskType": "ping", "pong": True}]}


def test_a_key_comes_as_a_bearer_token_or_as_the_first_task(api: Api) -> None:
    url = api.server.base_url
    by_header = httpx.post(url, json=[PING], headers={"Authorization": "Bearer any"})
    by_task = httpx.post(url, json=[{"taskType": "authentication", "apiKey": "any"}, PING])

    assert by_header.json() == by_task.json() == PONG
    alone = httpx.post(url, json=[{"taskType": "authentication", "apiKey": "any"}]).json()
    assert alone["data"][0]["taskType"] == "authentication"
    assert uuid.UUID(alone["data"][0]["connectionSessionUUID"]).version == 4


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer"}, {"Authorization": "Basic YTpi"}])
def test_without_a_key_nothing_is_answered(api: Api, headers: dict[str, str]) -> None:
    reply = httpx.post(api.server.base_url, json=[PING], headers=headers)

    assert reply.status_code == 401
    assert reply.json()["errors"][0].items() >= {"code": "missingApiKey", "parameter": "apiKey"}.items()


def test_another_key_than_the_one_is_refused() -> None:
    with EmulatorServer(EmulatorSettings(latency_s=0, api_key="right")) as server:
        right = httpx.post(server.base_url, json=[PING], headers={"Authorization": "Bearer right"})
        wrong = httpx.post(server.base_url, json=[PING], headers={"Authorization": "Bearer wrong"})
        wrong_task = httpx.post(server.base_url, json=[{"taskType": "authentication", "apiKey": "wrong"}, PING])

    assert right.json() == PONG
    for reply in (wrong, wrong_task):
        assert reply.status_code == 401
        assert reply.json()["errors"][0]["code"] == "invalidApiKey"
        assert "wrong" not in reply.text


@pytest.mark.parametrize(
    "body", ["", "nonsense", "{}", "[]", "[1]", '"x"', "null", '[{"taskType":"\\ud800"}]', "[" * 9000]
)
def test_a_body_is_an_array_of_objects(api: Api, body: str) -> None:
    reply = api.http.post(api.server.base_url, content=body)

    assert reply.status_code == 400
    assert reply.json()["errors"][0]["code"] == "invalidBody"


@pytest.mark.parametrize("task", [{}, {"taskType": 7}, {"taskType": "imageInference"}, {"taskType": "authentication"}])
def test_an_unknown_task_type_is_refused(api: Api, task: dict[str, Any]) -> None:
    reply = api.post({"taskUUID": "x", **task}) if task.get("taskType") != "authentication" else api.post(PING, task)

    assert reply.json()["errors"][0]["parameter"] == "taskType"


def test_success_has_no_errors_key_and_each_task_is_answered_for_itself(api: Api) -> None:
    good, bad = api.text_task(), api.text_task(duration=7)

    mixed = api.post(good, bad)
    alone = api.post(api.text_task(duration=7))

    assert mixed.status_code == 200
    assert [item["taskUUID"] for item in mixed.json()["data"]] == [good["taskUUID"]]
    error = mixed.json()["errors"][0]
    assert error["taskUUID"] == bad["taskUUID"]
    assert error["taskType"] == "videoInference"
    assert alone.status_code == 400
    assert "errors" not in api.post(PING).json()


def test_a_video_is_downloaded_whole_in_parts_or_only_announced(api: Api) -> None:
    url = api.make(api.text_task())["videoURL"]

    whole = api.http.get(url)
    assert whole.headers["content-type"] == "video/mp4"
    assert int(whole.headers["content-length"]) == len(whole.content) > 1000
    head = api.http.head(url)
    assert (head.headers["content-length"], head.content) == (whole.headers["content-length"], b"")
    part = api.http.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert api.http.get(url, headers={"Range": "bytes=999999999-"}).status_code == 416
    assert api.http.get(url.replace(".mp4", ".mov")).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/video/x.mp4",
        "/video/d0c7c4b1-4389-40dc-b96c-c97dba3ff90a.mp4",
        "/media/cce9cae3-2a1a-43ad-b11c-9fdb4325f6fa.png",
        "/video/...mp4",
    ],
)
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert api.http.get(api.server.origin + path).status_code == 404


def test_a_clip_is_gone_after_its_time_to_live(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    result = api.make(api.text_task(ttl=60))
    now = time.time()
    assert api.http.head(result["videoURL"]).status_code == 200

    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert api.http.get(result["videoURL"]).status_code == 410
    refused = api.post(api.media_task({"video": result["videoUUID"]}))
    assert refused.json()["errors"][0]["code"] == "mediaExpired"
