"""One request, one answer, and what a missing answer means."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tasks.errors import (
    Charged,
    KeyRefused,
    OutcomeUnknown,
    ProviderFailed,
    ProviderUnreachable,
    RateLimited,
    RequestRejected,
    SettingsError,
    ShotchainError,
)
from tasks.runware.client import RunwareClient, is_conflict

KEY = "rw-5ecret-key"
URL = "https://api.test/v1"
REQUEST = {"taskType": "videoInference", "taskUUID": "one", "positivePrompt": "a tram"}
Handler = Callable[[httpx.Request], httpx.Response]


def client_of(handler: Handler, base_url: str = URL) -> RunwareClient:
    return RunwareClient(base_url, KEY, transport=httpx.MockTransport(handler))


def saying(status: int, body: Any, **headers: str) -> Handler:
    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(body, str):
            return httpx.Response(status, text=body, headers=headers)
        return httpx.Response(status, json=body, headers=headers)

    return answer


def raising(kind: type[httpx.TransportError]) -> Handler:
    def answer(request: httpx.Request) -> httpx.Response:
        raise kind(f"trouble with {KEY}", request=request)

    return answer


async def test_a_request_is_an_array_with_the_key_in_its_header() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"data": [{"taskUUID": "one"}]})

    async with client_of(answer) as client:
        assert await client.submit(REQUEST) == []
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert json.loads(request.content) == [REQUEST]


class TestSubmitting:
    @pytest.mark.parametrize(
        "body",
        [
            {"data": [{"taskUUID": "one"}]},
            {"data": [{"taskUUID": "one"}], "errors": []},
            {"data": [{"taskUUID": "one"}], "errors": [{"code": "odd", "message": "a warning"}]},
            {"data": [{"taskUUID": "one", "status": "processing"}]},
        ],
    )
    @pytest.mark.parametrize("status", [200, 202, 500])
    async def test_a_reply_that_names_the_task_is_an_acceptance(self, body: Any, status: int) -> None:
        async with client_of(saying(status, body)) as client:
            assert await client.submit(REQUEST) == []

    @pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
    async def test_without_a_connection_nothing_was_accepted(self, kind: type[httpx.TransportError]) -> None:
        async with client_of(raising(kind)) as client:
            with pytest.raises(ProviderUnreachable) as caught:
                await client.submit(REQUEST)
        assert caught.value.charged is Charged.NO
        assert KEY not in str(caught.value)

    @pytest.mark.parametrize(
        "kind",
        [
            httpx.ReadError,
            httpx.ReadTimeout,
            httpx.WriteError,
            httpx.WriteTimeout,
            httpx.RemoteProtocolError,
            httpx.ProxyError,
        ],
    )
    async def test_a_line_that_breaks_later_leaves_it_open(self, kind: type[httpx.TransportError]) -> None:
        async with client_of(raising(kind)) as client:
            with pytest.raises(OutcomeUnknown) as caught:
                await client.submit(REQUEST)
        assert KEY not in str(caught.value)

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (200, ""),
            (200, "<html>welcome to this hotel"),
            (200, {}),
            (200, {"data": []}),
            (200, {"errors": []}),
            (200, {"data": [{"taskUUID": "two"}]}),
            (500, ""),
            (502, "<html>"),
            (408, ""),
            (500, {"errors": [{"code": "internalServerError", "message": "oops"}]}),
            (500, {"errors": [{"code": "timeoutProvider", "taskUUID": "one"}]}),
            (520, {"errors": [{"code": "somethingElse", "taskUUID": "one"}]}),
            (408, {"errors": [{"code": "timeoutProvider", "taskUUID": "one"}]}),
            (499, {"errors": [{"code": "internalServerError", "message": "oops"}]}),
            (200, {"errors": [{"code": "inferenceError"}]}),
        ],
    )
    async def test_an_answer_that_does_not_say_leaves_it_open(self, status: int, body: Any) -> None:
        async with client_of(saying(status, body)) as client:
            with pytest.raises(OutcomeUnknown):
                await client.submit(REQUEST)

    @pytest.mark.parametrize(
        "code",
        ["unknownError", "invalidResponse", "missingOutput", "invalidDuration", "moderationFailed", "unauthorized"],
    )
    async def test_a_server_that_fails_may_have_taken_it_whatever_it_says(self, code: str) -> None:
        async with client_of(saying(500, {"errors": [{"code": code, "taskUUID": "one"}]})) as client:
            with pytest.raises(OutcomeUnknown):
                await client.submit(REQUEST)

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (429, "", RateLimited),
            (401, "", KeyRefused),
            (307, "", RequestRejected),
            (400, {"errors": [{"code": "invalidDuration", "taskUUID": "one"}]}, RequestRejected),
            (400, {"error": {"code": "invalidDuration"}}, RequestRejected),
            (200, {"errors": [{"code": "invalidDuration", "context": {"taskUUID": "one"}}]}, RequestRejected),
            (500, {"errors": [{"code": "invalidDuration", "parameter": "duration"}]}, RequestRejected),
        ],
    )
    async def test_a_refusal_is_one(self, status: int, body: Any, kind: type[ShotchainError]) -> None:
        async with client_of(saying(status, body)) as client:
            with pytest.raises(kind) as caught:
                await client.submit(REQUEST)
        assert (caught.value.task_uuid, caught.value.charged) == ("one", Charged.NO)

    @pytest.mark.parametrize(("status", "charged"), [(429, Charged.NO), (503, Charged.UNKNOWN), (504, Charged.UNKNOWN)])
    @pytest.mark.parametrize(
        "body",
        [
            "",
            {"errors": [{"code": "rateLimitExceeded", "taskUUID": "one"}]},
            {"errors": [{"code": "serviceUnavailable"}]},
        ],
    )
    async def test_no_room_may_be_a_gateways_word(self, status: int, body: Any, charged: Charged) -> None:
        async with client_of(saying(status, body, **{"Retry-After": "3"})) as client:
            with pytest.raises(RateLimited) as caught:
                await client.submit(REQUEST)
        assert (caught.value.charged, caught.value.retry_after_s) == (charged, 3.0)

    @pytest.mark.parametrize("status", [400, 409])
    async def test_a_uuid_that_is_known_is_told_apart(self, status: int) -> None:
        body = {"data": [], "errors": [{"code": "conflictTaskUUID", "taskUUID": "one"}]}
        async with client_of(saying(status, body)) as client:
            with pytest.raises(RequestRejected) as caught:
                await client.submit(REQUEST)
        assert is_conflict(caught.value)


class TestAsking:
    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (200, "not json", ProviderFailed),
            (429, "", RateLimited),
            (500, "", ProviderFailed),
            (401, {"errors": [{"code": "invalidApiKey"}]}, KeyRefused),
            (400, {"errors": [{"code": "invalidBody"}]}, RequestRejected),
            (429, {"errors": [{"code": "rateLimitExceeded", "taskUUID": "one"}]}, RateLimited),
        ],
    )
    async def test_a_question_that_fails_as_a_whole_is_an_error(
        self, status: int, body: Any, kind: type[ShotchainError]
    ) -> None:
        async with client_of(saying(status, body)) as client:
            with pytest.raises(kind):
                await client.get_responses(["one", "two"])

    @pytest.mark.parametrize("kind", [httpx.ReadError, httpx.ConnectError, httpx.ReadTimeout])
    async def test_a_lost_answer_is_only_a_failed_question(self, kind: type[httpx.TransportError]) -> None:
        async with client_of(raising(kind)) as client:
            with pytest.raises(ProviderUnreachable):
                await client.get_responses(["one"])

    @pytest.mark.parametrize("status", [200, 400, 404])
    async def test_what_it_says_of_tasks_is_given_whatever_the_status(self, status: int) -> None:
        body = {"data": [], "errors": [{"code": "timeoutProvider", "status": "error", "taskUUID": "one"}]}
        async with client_of(saying(status, body)) as client:
            reply = await client.get_responses(["one"])
            assert client.verdict_of(reply, "one") is not None

    @pytest.mark.parametrize(
        ("response", "known", "results"),
        [
            ({"data": [{"taskUUID": "one", "status": "success", "videoURL": "https://cdn.test/v.mp4"}]}, True, 1),
            ({"data": [{"taskUUID": "one"}]}, True, 0),
            ({"data": []}, True, 0),
            (None, True, 0),
            ({"errors": [{"code": "inferenceError", "taskUUID": "one", "status": "error"}]}, False, 0),
        ],
    )
    async def test_details_are_read_as_a_reply(self, response: Any, known: bool, results: int) -> None:
        item = {"taskType": "getTaskDetails", "taskUUID": "one", "request": [], "response": response}
        async with client_of(saying(200, {"data": [item]})) as client:
            reply = await client.task_details("one")
        assert (reply.is_known("one"), len(reply.results_of("one"))) == (known, results)

    async def test_details_of_what_is_not_known_are_empty(self) -> None:
        async with client_of(saying(200, {"data": []})) as client:
            reply = await client.task_details("one")
        assert not reply.is_known("one")
        assert reply.errors == ()


class TestUploading:
    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (400, {"errors": [{"code": "invalidMedia"}]}, RequestRejected),
            (200, {"data": []}, ProviderFailed),
            (500, "", ProviderFailed),
        ],
    )
    async def test_what_was_not_stored_is_an_error(
        self, status: int, body: Any, kind: type[ShotchainError], tmp_path: Any
    ) -> None:
        file = tmp_path / "a.mp4"
        file.write_bytes(b"video")
        async with client_of(saying(status, body)) as client:
            with pytest.raises(kind) as caught:
                await client.upload(file, "video/mp4")
        assert caught.value.charged is Charged.NO


async def test_an_address_that_is_none_is_a_setting() -> None:
    async with RunwareClient("ftp://api.test/v1", KEY) as client:
        with pytest.raises(SettingsError):
            await client.submit(REQUEST)
