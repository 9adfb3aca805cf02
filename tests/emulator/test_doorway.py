"""Faults of calls, as a client meets them."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.emulator.conftest import Faulty


def question(task_uuid: str, kind: str = "getResponse") -> dict[str, Any]:
    return {"taskType": kind, "taskUUID": task_uuid}


def test_a_task_is_refused_in_so_many_words(faulty: Faulty) -> None:
    faulty.set(
        {
            "fault": "refuse",
            "nth": 1,
            "code": "unsupportedDuration",
            "message": "Not today.",
            "status": 422,
            "parameter": "duration",
            "allowed_values": [10],
        }
    )
    task, other = faulty.text_task(), faulty.text_task()
    before = faulty.books()["counts"]

    alone = faulty.post(task)
    beside = faulty.post(other, task)

    assert alone.status_code == 422
    assert (
        alone.json()["errors"][0].items()
        >= {
            "code": "unsupportedDuration",
            "message": "Not today.",
            "parameter": "duration",
            "allowedValues": [10],
            "taskUUID": task["taskUUID"],
            "taskType": "videoInference",
        }.items()
    )
    assert beside.status_code == 200
    assert [item["taskUUID"] for item in beside.json()["data"]] == [other["taskUUID"]]
    assert len(beside.json()["errors"]) == 1
    after = faulty.books()["counts"]
    assert (after["rejected"] - before["rejected"], after["videoInference"] - before["videoInference"]) == (2, 3)
    faulty.set()
    faulty.submit(task)  # its UUID is free


def test_moderation_refuses_an_input_by_name(faulty: Faulty) -> None:
    faulty.set({"fault": "refuse_content", "prompt": "tram", "input": "inputs.referenceImages"})

    error = faulty.post(faulty.text_task()).json()["errors"][0]

    assert (error["code"], error["parameter"]) == ("contentPolicyViolation", "inputs.referenceImages")
    assert "inputs.referenceImages" in error["message"]
    faulty.submit(faulty.text_task(positivePrompt="A gull"))


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_the_server_is_busy_or_broken_and_nothing_is_accepted(faulty: Faulty, status: int) -> None:
    faulty.set({"fault": "status", "status": status, "retry_after_s": 3, "times": 1})
    task = faulty.text_task()

    reply = faulty.post(task)

    assert (reply.status_code, reply.headers["retry-after"]) == (status, "3")
    assert reply.json()["errors"][0]["code"]
    faulty.submit(task)
    faulty.set({"fault": "status", "call": "poll"})
    assert "retry-after" not in faulty.post(question(task["taskUUID"])).headers


def test_an_error_can_hide_that_a_task_was_accepted(faulty: Faulty) -> None:
    faulty.set({"fault": "status", "status": 503, "accept": True, "times": 1})
    task = faulty.text_task()

    assert faulty.post(task).status_code == 503
    assert faulty.post(task).json()["errors"][0]["code"] == "conflictTaskUUID"
    assert faulty.wait(task["taskUUID"])


@pytest.mark.parametrize(("fault", "is_accepted"), [("drop_reply", True), ("drop_request", False)])
def test_the_connection_ends_without_an_answer(faulty: Faulty, fault: str, is_accepted: bool) -> None:
    faulty.set({"fault": fault, "times": 1})
    task = faulty.text_task()

    with pytest.raises(httpx.RemoteProtocolError):
        faulty.post(task)

    assert bool(faulty.poll(task["taskUUID"])["data"]) == is_accepted
    again = faulty.post(task)
    assert again.status_code == (400 if is_accepted else 200)


@pytest.mark.parametrize("fault", ["drop_request", "drop_reply"])
@pytest.mark.parametrize("call", ["poll", "details", "upload"])
def test_every_posted_call_can_lose_its_connection(faulty: Faulty, fault: str, call: str) -> None:
    faulty.set({"fault": fault, "call": call, "times": 1})
    kind = {"poll": "getResponse", "details": "getTaskDetails", "upload": "mediaStorage"}[call]

    with pytest.raises(httpx.RemoteProtocolError):
        faulty.post(question(str(uuid.uuid4()), kind))
    assert faulty.given() == [1]


def test_an_answer_comes_late_or_trickles(faulty: Faulty) -> None:
    task_uuid = faulty.submit(faulty.text_task())
    for rule in ({"fault": "hang", "after_s": 0.2}, {"fault": "drip", "over_s": 0.2}):
        faulty.set({**rule, "call": "poll", "times": 1})
        started = time.monotonic()
        assert faulty.wait(task_uuid)
        assert 0.2 <= time.monotonic() - started < 2


def test_who_gives_up_waiting_has_been_heard(faulty: Faulty) -> None:
    faulty.set({"fault": "hang", "after_s": 0.5, "times": 1})
    task = faulty.text_task()

    with pytest.raises(httpx.ReadTimeout):
        faulty.http.post(faulty.server.base_url, json=[task], timeout=0.1)

    assert faulty.post(task).json()["errors"][0]["code"] == "conflictTaskUUID"


def test_batches_of_questions_are_refused(faulty: Faulty) -> None:
    uuids = [faulty.submit(faulty.text_task()) for _ in range(3)]
    faulty.set({"fault": "refuse_batches", "most": 2})

    assert faulty.post(*map(question, uuids)).status_code == 400
    assert len(faulty.post(*map(question, uuids[:2])).json()["data"]) == 2


def test_a_known_task_is_not_known_for_a_while(faulty: Faulty) -> None:
    task_uuid = faulty.submit(faulty.text_task())
    faulty.set({"fault": "lose_task", "times": 2})

    found = [faulty.poll(task_uuid)["data"] for _ in range(3)]

    assert [len(data) for data in found] == [0, 0, 1]
    assert faulty.poll(str(uuid.uuid4())) == {"data": []}


def test_an_unknown_task_is_an_error(faulty: Faulty) -> None:
    faulty.set({"fault": "unknown_task"}, {"fault": "unknown_task", "call": "details", "code": "taskExpired"})
    known, unknown = faulty.submit(faulty.text_task()), str(uuid.uuid4())

    reply = faulty.post(question(unknown))
    assert (reply.status_code, reply.json()["errors"][0]["code"]) == (404, "taskNotFound")
    assert faulty.post(question(unknown, "getTaskDetails")).json()["errors"][0]["code"] == "taskExpired"
    assert faulty.poll(known)["data"]
    beside = faulty.post(question(known), question(unknown))
    assert (beside.status_code, len(beside.json()["data"]), len(beside.json()["errors"])) == (200, 1, 1)


def test_errors_are_empty_or_stand_beside_the_data(faulty: Faulty) -> None:
    task_uuid = faulty.submit(faulty.text_task())
    faulty.set({"fault": "empty_errors", "times": 1}, {"fault": "mixed_errors", "skip": 1, "code": "notice"})

    empty, mixed = faulty.poll(task_uuid), faulty.poll(task_uuid)

    assert (empty["errors"], len(empty["data"])) == ([], 1)
    assert len(mixed["data"]) == 1
    assert mixed["errors"][0]["code"] == "notice"
    assert "taskUUID" not in mixed["errors"][0]


def test_the_plan_is_changed_while_it_runs_and_the_books_count(faulty: Faulty) -> None:
    before = faulty.books()["faults"].get("nsfw", 0)
    faulty.set({"fault": "nsfw"}, seed=5)
    added = faulty.http.post(faulty.plan_url, content="fault: cost\ncost_usd: '1.25'\n").json()
    assert (added["seed"], [rule["fault"] for rule in added["rules"]]) == (5, ["nsfw", "cost"])

    result = faulty.make(faulty.text_task())

    assert (result["NSFWContent"], result["cost"]) == (True, 1.25)
    assert faulty.books()["faults"]["nsfw"] == before + 1
    assert faulty.given() == [1, 1]
    refused = faulty.http.put(faulty.plan_url, json=[{"fault": "sulk"}])
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "invalidFaultPlan")
    assert faulty.given() == [1, 1]
    assert faulty.http.delete(faulty.plan_url).json() == {"seed": 0, "rules": [], "given": []}
    assert "NSFWContent" not in faulty.make(faulty.text_task())
