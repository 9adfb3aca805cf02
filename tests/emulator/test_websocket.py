"""By WebSocket: who is let in, what is answered, what comes without being asked for, and what a lost line loses."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tasks.emulator import EmulatorServer, EmulatorSettings, WebSocketSettings
from tasks.errors import SettingsError
from tests.emulator.receivers import receiving, wait_until

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Faulty

PING = {"taskType": "ping", "ping": True}
PONG = {"data": [{"taskType": "ping", "pong": True}]}
Start = Callable[..., Any]


class Line:
    """A client's end of a connection."""

    def __init__(self, socket: Connection) -> None:
        self.socket = socket

    def send(self, *tasks: dict[str, Any]) -> None:
        self.socket.send(json.dumps(tasks))

    def receive(self, seconds: float = 10) -> dict[str, Any]:
        return dict(json.loads(self.socket.recv(seconds)))

    def ask(self, *tasks: dict[str, Any]) -> dict[str, Any]:
        self.send(*tasks)
        return self.receive()

    def enter(self, key: str = "a-key", **fields: Any) -> str:
        """Authenticate; returns the session's name."""
        [item] = self.ask({"taskType": "authentication", "apiKey": key, **fields})["data"]
        assert set(item) == {"taskType", "connectionSessionUUID"}
        assert item["taskType"] == "authentication"
        return str(item["connectionSessionUUID"])

    def hears_nothing(self, seconds: float = 0.3) -> None:
        with pytest.raises(TimeoutError):
            self.receive(seconds)

    def is_closed(self) -> int | None:
        """Wait for the end; the code that was given for it."""
        with pytest.raises(ConnectionClosed) as caught:
            self.receive()
        return caught.value.rcvd.code if caught.value.rcvd else None


@contextmanager
def line_to(server: EmulatorServer) -> Iterator[Line]:
    with connect(server.ws_url, ping_interval=None) as socket:
        yield Line(socket)


@pytest.fixture
def start(api: Api) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(*rules: dict[str, Any], latency_s: float = 0, key: str | None = None, **sockets: Any) -> Api:
            settings = EmulatorSettings(
                instant=True,
                latency_s=latency_s,
                frames_per_second=1,
                api_key=key,
                websocket=WebSocketSettings(**sockets),
                faults={"rules": rules},
            )
            client = type(api)(stack.enter_context(EmulatorServer(settings)))
            stack.callback(client.http.close)
            return client

        yield begin


def question(task: dict[str, Any]) -> dict[str, Any]:
    return {"taskType": "getResponse", "taskUUID": task["taskUUID"]}


# -- coming in -------------------------------------------------------------------------------------------------------


def test_the_first_message_authenticates_and_its_answer_names_the_session(api: Api) -> None:
    with line_to(api.server) as one, line_to(api.server) as other:
        names = {one.enter(), other.enter()}
        assert one.ask(PING) == PONG

    assert {uuid.UUID(name).version for name in names} == {4}
    assert len(names) == 2


def test_nothing_is_answered_before_that(api: Api) -> None:
    with line_to(api.server) as line:
        for message in (PING, {"taskType": "authentication"}, {"taskType": "authentication", "apiKey": ""}):
            [error] = line.ask(message)["errors"]
            assert (error["code"], error["taskType"]) == ("missingApiKey", "authentication")
        # It may still be made good.
        line.enter()
        assert line.ask(PING) == PONG


def test_a_wrong_key_is_refused(start: Start) -> None:
    client = start(key="right")
    with line_to(client.server) as line:
        [error] = line.ask({"taskType": "authentication", "apiKey": "wrong"})["errors"]
        assert (error["code"], error["parameter"]) == ("invalidApiKey", "apiKey")
        assert "wrong" not in json.dumps(error)
        assert line.ask(PING)["errors"][0]["code"] == "missingApiKey"
        line.enter("right")


def test_tasks_may_come_with_the_authentication(api: Api) -> None:
    with line_to(api.server) as line:
        told = line.ask({"taskType": "authentication", "apiKey": "any"}, PING)

    assert [item["taskType"] for item in told["data"]] == ["authentication", "ping"]


@pytest.mark.thorough
@pytest.mark.parametrize("body", ["", "nonsense", "{}", "[]", "[1]", '[{"taskType":"\\ud800"}]', b"\xff\x00"])
def test_what_is_no_array_of_tasks_is_an_error_and_the_line_stays(api: Api, body: str | bytes) -> None:
    with line_to(api.server) as line:
        line.enter()
        line.socket.send(body)
        assert line.receive()["errors"][0]["code"] == "invalidBody"
        assert line.ask(PING) == PONG


# -- answers ---------------------------------------------------------------------------------------------------------


def test_a_message_is_answered_as_a_request_is(start: Start) -> None:
    client = start(push="none", latency_s=0.2)
    before = client.books()["counts"]
    task, bad = client.text_task(), client.text_task(duration=7)
    with line_to(client.server) as line:
        line.enter()
        assert line.ask(task) == {"data": [{"taskType": "videoInference", "taskUUID": task["taskUUID"]}]}
        assert line.ask(question(task))["data"][0]["status"] == "processing"
        assert line.ask(bad) == client.post(bad).json()
        assert line.ask(task)["errors"][0]["code"] == "conflictTaskUUID"
        assert line.ask(question({"taskUUID": str(uuid.uuid4())})) == {"data": []}
        result = client.wait(task["taskUUID"])[0]
        assert line.ask(question(task)) == {"data": [result]}
        assert client.http.get(result["videoURL"]).status_code == 200
        line.hears_nothing()
    counts = client.books()["counts"]
    assert counts["messages"] - before["messages"] == 7


def test_slow_answers_keep_nobody_waiting(faulty: Faulty) -> None:
    faulty.set({"fault": "hang", "call": "poll", "after_s": 1.2, "times": 1})
    task = faulty.text_task()
    with line_to(faulty.server) as line:
        line.enter()
        line.send(question(task))
        began = time.monotonic()
        assert line.ask(PING) == PONG
        assert time.monotonic() - began < 1
        assert line.receive() == {"data": []}
        assert time.monotonic() - began >= 1.1


def test_a_large_picture_fits(api: Api) -> None:
    media = "A" * 24_000_000
    with line_to(api.server) as line:
        line.enter()
        # It is large, but no picture.
        upload = {"taskType": "imageUpload", "taskUUID": str(uuid.uuid4()), "image": media}
        assert line.ask(upload)["errors"][0]["parameter"] == "image"


# -- results that come by themselves ---------------------------------------------------------------------------------


def test_results_come_when_they_end_after_their_acknowledgement(start: Start) -> None:
    client = start(latency_s=0.3)
    task = client.text_task(numberResults=2)
    with line_to(client.server) as line:
        line.enter()
        acknowledged = line.ask(task)
        told = [line.receive(), line.receive()]
        line.hears_nothing()

    assert acknowledged == {"data": [{"taskType": "videoInference", "taskUUID": task["taskUUID"]}]}
    results = client.wait(task["taskUUID"], results=2)
    assert sorted((each["data"][0] for each in told), key=lambda item: item["videoUUID"]) == sorted(
        results, key=lambda item: item["videoUUID"]
    )


def test_even_what_is_there_at_once_comes_after_its_acknowledgement(api: Api) -> None:
    api.make(api.text_task())
    with line_to(api.server) as line:
        line.enter()
        for _ in range(10):
            task = api.text_task()
            assert "status" not in line.ask(task)["data"][0]
            assert line.receive()["data"][0]["taskUUID"] == task["taskUUID"]


def test_what_was_asked_for_is_not_told_again(start: Start) -> None:
    client = start(latency_s=0.2)
    task = client.text_task()
    with line_to(client.server) as line:
        line.enter()
        line.ask(task)
        asked = 1
        while (told := line.ask(question(task)))["data"][0]["status"] != "success":
            asked += 1
        # It may have come by itself before the last answer, but does not after it.
        try:
            assert line.receive(0.3) == told
        except TimeoutError:
            assert client.books()["counts"]["getResponse"] == asked
        else:
            line.hears_nothing(0.1)


def test_only_the_results_of_a_connection_come_by_it(start: Start) -> None:
    client = start()
    with line_to(client.server) as one, line_to(client.server) as other:
        one.enter()
        other.enter()
        one.ask(client.text_task())
        client.make(client.text_task())
        assert one.receive()["data"][0]["status"] == "success"
        one.hears_nothing()
        other.hears_nothing(0.01)


@pytest.mark.thorough
@pytest.mark.parametrize("push", ["results", "all", "none"])
def test_what_comes_by_itself_can_be_chosen(start: Start, push: str) -> None:
    client = start({"fault": "fail", "nth": 1, "code": "providerTimeout"}, push=push)
    failing, fine = client.text_task(), client.text_task()
    with line_to(client.server) as line:
        line.enter()
        line.ask(failing)
        if push == "all":
            told = line.receive()
            assert told == {"errors": line.ask(question(failing))["errors"]}
            assert (told["errors"][0]["code"], told["errors"][0]["status"]) == ("providerTimeout", "error")
        line.ask(fine)
        if push != "none":
            assert line.receive()["data"][0]["taskUUID"] == fine["taskUUID"]
        line.hears_nothing()


def test_a_result_that_waits_for_its_upload_comes_after_it(start: Start) -> None:
    client = start()
    with receiving() as receiver, line_to(client.server) as line:
        receiver.answers_after_s = 0.4
        line.enter()
        line.ask(client.text_task(uploadEndpoint=receiver.url))
        receiver.wait(1)
        line.hears_nothing(0.2)
        assert line.receive()["data"][0]["status"] == "success"


# -- a lost line -----------------------------------------------------------------------------------------------------


def test_a_session_that_is_resumed_brings_what_ended_meanwhile(start: Start) -> None:
    client = start(latency_s=0.3)
    task = client.text_task()
    with line_to(client.server) as line:
        name = line.enter()
        line.ask(task)
    result = client.wait(task["taskUUID"])[0]

    with line_to(client.server) as line:
        assert line.enter(connectionSessionUUID=name) == name
        assert line.receive() == {"data": [result]}
        line.hears_nothing()


@pytest.mark.thorough
@pytest.mark.parametrize("is_back_after_s", [0.0, 0.6], ids=["before it was ready", "after"])
def test_an_answer_that_found_nobody_comes_with_the_session(start: Start, is_back_after_s: float) -> None:
    client = start({"fault": "hang", "after_s": 0.4})
    task = client.text_task()
    with line_to(client.server) as line:
        name = line.enter()
        line.send(task)
        wait_until(lambda: client.books()["tasks"])
    time.sleep(is_back_after_s)

    with line_to(client.server) as line:
        line.enter(connectionSessionUUID=name)
        told = [line.receive()["data"][0], line.receive()["data"][0]]
    assert [("status" in item, item["taskUUID"]) for item in told] == [
        (False, task["taskUUID"]),
        (True, task["taskUUID"]),
    ]


def test_what_nobody_came_for_is_lost_after_a_while(start: Start) -> None:
    client = start(buffer_s=0.2)
    with line_to(client.server) as line:
        name = line.enter()
        task = client.text_task()
        line.ask(task)
    client.wait(task["taskUUID"])
    time.sleep(0.4)

    with line_to(client.server) as line:
        line.enter(connectionSessionUUID=name)
        line.hears_nothing()
        # It can still be asked for.
        assert line.ask(question(task))["data"][0]["status"] == "success"


def test_a_session_belongs_to_its_key_and_to_whoever_came_last(start: Start) -> None:
    client = start(latency_s=0.4)
    with line_to(client.server) as first, line_to(client.server) as second, line_to(client.server) as other:
        name = first.enter()
        first.ask(client.text_task())
        # The client knows that its line is dead before the server does.
        assert second.enter(connectionSessionUUID=name) == name
        assert other.enter("another-key", connectionSessionUUID=name) != name
        assert second.receive()["data"][0]["status"] == "success"
        first.hears_nothing(0.1)
        other.hears_nothing(0.01)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["", 7, None, "f40c2aeb-f8a7-4af7-a1ab-7594c9bf778f"])
def test_a_session_that_is_not_known_is_a_new_one(api: Api, name: Any) -> None:
    with line_to(api.server) as line:
        assert line.enter(connectionSessionUUID=name) != name
        assert line.ask(PING) == PONG


def test_a_connection_that_says_nothing_is_closed(start: Start) -> None:
    client = start(idle_s=0.4)
    with line_to(client.server) as line:
        line.enter()
        for _ in range(4):
            time.sleep(0.2)
            assert line.ask(PING) == PONG
        began = time.monotonic()
        assert line.is_closed() == 1000
        assert 0.2 < time.monotonic() - began < 2


def test_it_stops_soon_while_somebody_is_connected(api: Api) -> None:
    settings = EmulatorSettings(instant=True, frames_per_second=1, latency_s=60)
    with EmulatorServer(settings) as server, line_to(server) as line:
        line.enter()
        line.ask(api.text_task())
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 2
        assert line.is_closed() == 1012


@pytest.mark.thorough
@pytest.mark.parametrize("fields", [{"buffer_s": -1}, {"idle_s": 0}])
def test_impossible_times_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        WebSocketSettings(**fields)


# -- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.parametrize(("fault", "is_accepted"), [("drop_request", False), ("drop_reply", True)])
def test_a_line_that_breaks_ends_without_a_word(faulty: Faulty, fault: str, is_accepted: bool) -> None:
    faulty.set({"fault": fault, "times": 1})
    task = faulty.text_task()
    with line_to(faulty.server) as line:
        name = line.enter()
        line.send(task)
        assert line.is_closed() is None

    with line_to(faulty.server) as line:
        line.enter(connectionSessionUUID=name)
        if is_accepted:
            # The acknowledgement is lost, the result is not.
            assert line.receive()["data"][0]["status"] == "success"
        again = line.ask(task)
        assert [error["code"] for error in again.get("errors", [])] == ["conflictTaskUUID"] * is_accepted


def test_an_error_of_the_whole_request_is_one_of_each_task(faulty: Faulty) -> None:
    faulty.set({"fault": "status", "status": 429, "times": 1})
    one, other = faulty.text_task(), faulty.text_task()
    with line_to(faulty.server) as line:
        line.enter()
        told = line.ask(one, other)

    assert [(error["code"], error["taskUUID"]) for error in told["errors"]] == [
        ("rateLimitExceeded", one["taskUUID"]),
        ("rateLimitExceeded", other["taskUUID"]),
    ]
    assert "data" not in told


def test_faults_of_tasks_are_those_of_requests(faulty: Faulty) -> None:
    faulty.set(
        {"fault": "refuse_content", "nth": 1},
        {"fault": "lose_task", "nth": 2, "times": 1},
        {"fault": "empty_errors", "call": "poll", "nth": 2, "skip": 2},
    )
    refused, fine = faulty.text_task(), faulty.text_task()
    with line_to(faulty.server) as line:
        line.enter()
        assert line.ask(refused)["errors"][0]["code"] == "contentPolicyViolation"
        line.ask(fine)
        assert line.receive()["data"][0]["status"] == "success"
        assert line.ask(question(fine)) == {"data": []}
        assert line.ask(question(fine)).keys() == {"data"}
        assert line.ask(question(fine))["errors"] == []
