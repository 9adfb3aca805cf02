"""What becomes of results: failed, stuck, dear, expired; and several that come one after another."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Faulty


def entry(api: Api, task_uuid: str) -> dict[str, Any]:
    return next(task for task in api.books()["tasks"] if task["taskUUID"] == task_uuid)


def test_a_result_fails_after_a_while_and_costs_nothing(faulty: Faulty) -> None:
    faulty.set({"fault": "fail", "after_s": 0.3, "code": "providerTimeout", "message": "Too slow."})
    started = time.time()
    task_uuid = faulty.submit(faulty.text_task())

    assert faulty.poll(task_uuid)["data"][0]["status"] == "processing"
    while faulty.poll(task_uuid)["data"]:
        assert time.time() - started < 5
        time.sleep(0.02)

    assert time.time() - started >= 0.3
    body = faulty.poll(task_uuid)
    assert body["data"] == []
    expected = {"code": "providerTimeout", "message": "Too slow.", "status": "error", "taskUUID": task_uuid}
    assert body["errors"][0].items() >= expected.items()
    assert "cost" not in body["errors"][0]
    assert entry(faulty, task_uuid).items() >= {"state": "error", "charge_usd": "0.00"}.items()


def test_a_failure_can_be_charged_and_says_so(faulty: Faulty) -> None:
    faulty.set({"fault": "fail", "charged": True})
    task_uuid = faulty.submit(faulty.text_task())

    assert faulty.poll(task_uuid)["errors"][0]["cost"] == 0.42
    assert entry(faulty, task_uuid).items() >= {"state": "error", "charge_usd": "0.42"}.items()


def test_moderation_refuses_late(faulty: Faulty) -> None:
    faulty.set({"fault": "refuse_content", "after_s": 0, "input": "inputs.frameImages"})
    task_uuid = faulty.submit(faulty.text_task())

    error = faulty.poll(task_uuid)["errors"][0]
    assert (error["code"], error["parameter"]) == ("contentPolicyViolation", "inputs.frameImages")


def test_one_of_several_results_fails(faulty: Faulty) -> None:
    faulty.set({"fault": "fail", "results": [2]})
    task_uuid = faulty.submit(faulty.text_task(numberResults=3))

    deadline = time.monotonic() + 10
    body = faulty.poll(task_uuid)
    while any(item["status"] == "processing" for item in body["data"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
        body = faulty.poll(task_uuid)

    assert (len(body["data"]), len(body["errors"])) == (2, 1)
    assert entry(faulty, task_uuid)["charge_usd"] == "0.84"


def test_a_result_is_processed_for_ever(faulty: Faulty) -> None:
    faulty.set({"fault": "stuck"})
    task_uuid = faulty.submit(faulty.text_task())

    for _ in range(3):
        assert faulty.poll(task_uuid)["data"][0]["status"] == "processing"
    assert entry(faulty, task_uuid).items() >= {"state": "processing", "finished_at": None}.items()


def test_a_result_costs_something_else(faulty: Faulty) -> None:
    faulty.set({"fault": "cost", "cost_usd": "0.515"})
    task = faulty.text_task()

    assert faulty.make(task)["cost"] == 0.515
    assert entry(faulty, task["taskUUID"])["charge_usd"] == "0.515"


@pytest.mark.thorough
@pytest.mark.parametrize("status", [404, 410])
def test_an_address_expires_and_a_question_gets_a_fresh_one(faulty: Faulty, status: int) -> None:
    faulty.set({"fault": "expire", "after_downloads": 1, "status": status})
    task_uuid = faulty.submit(faulty.text_task())
    url = faulty.wait(task_uuid)[0]["videoURL"]

    assert [faulty.http.get(url).status_code for _ in range(3)] == [200, status, status]
    fresh = faulty.wait(task_uuid)[0]["videoURL"]
    assert fresh != url
    assert [faulty.http.get(fresh).status_code for _ in range(3)] == [200] * 3
    assert faulty.http.get(url).status_code == status


def test_an_address_is_expired_at_once_whoever_asks_again_before(faulty: Faulty) -> None:
    faulty.set({"fault": "expire", "addresses": 2})
    task_uuid = faulty.submit(faulty.text_task())

    seen = []
    for _ in range(3):
        url = faulty.wait(task_uuid)[0]["videoURL"]
        assert faulty.wait(task_uuid)[0]["videoURL"] == url
        faulty.http.head(url)
        seen.append(faulty.http.get(url).status_code)

    assert seen == [404, 404, 200]


def test_what_get_response_forgot_the_details_still_know(faulty: Faulty) -> None:
    faulty.set({"fault": "expire", "forget": True})
    task_uuid = faulty.submit(faulty.text_task())
    assert faulty.http.get(faulty.wait(task_uuid)[0]["videoURL"]).status_code == 404

    assert faulty.poll(task_uuid) == {"data": []}
    details = faulty.post({"taskType": "getTaskDetails", "taskUUID": task_uuid}).json()["data"][0]
    assert faulty.http.get(details["response"]["data"][0]["videoURL"]).status_code == 200


def test_several_results_come_one_after_another(api: Api) -> None:
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1, latency_s=0.45)) as server:
        client = type(api)(server)
        started = time.time()
        task_uuid = client.submit(client.text_task(numberResults=3))
        done_at: list[float] = []
        while len(done_at) < 3:
            done = [item for item in client.poll(task_uuid)["data"] if item["status"] == "success"]
            done_at += [time.time() - started] * (len(done) - len(done_at))
            assert time.time() - started < 8
            time.sleep(0.02)
        client.http.close()

    assert done_at == sorted(set(done_at))
    assert all(least <= at for least, at in zip((0.15, 0.3, 0.45), done_at, strict=True))
    assert len({item["seed"] for item in done}) == len({item["videoUUID"] for item in done}) == 3


def test_a_fate_outlives_the_emulator_that_decided_it(api: Api, tmp_path: Path) -> None:
    plan = {"rules": [{"fault": "stuck", "nth": 1}, {"fault": "expire", "nth": 2}, {"fault": "fail", "nth": 3}]}
    settings = EmulatorSettings(instant=True, frames_per_second=1, state_dir=tmp_path, faults=plan)
    with EmulatorServer(settings) as server:
        client = type(api)(server)
        stuck, expired, failed = (client.submit(client.text_task()) for _ in range(3))
        client.http.close()

    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1, state_dir=tmp_path)) as server:
        client = type(api)(server)
        assert client.poll(stuck)["data"][0]["status"] == "processing"
        assert client.http.get(client.wait(expired)[0]["videoURL"]).status_code == 404
        assert client.poll(failed)["errors"][0]["code"] == "providerInternalError"
        assert client.books()["faults"] == {"expire": 1, "fail": 1, "stuck": 1}
        client.http.close()
