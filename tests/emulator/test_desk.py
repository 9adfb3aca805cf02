"""Tasks from acceptance to result: polling, several results, money, and the books."""

from __future__ import annotations

import time
import uuid
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.emulator import EmulatorServer, EmulatorSettings

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Pictures


def test_a_task_is_processing_until_its_latency_has_passed(api: Api) -> None:
    with EmulatorServer(EmulatorSettings(latency_s=0.3, instant=True, frames_per_second=1)) as server:
        slow = type(api)(server)
        before = time.time()
        task = slow.text_task(safety={"checkContent": True})
        task_uuid = slow.submit(task)
        processing = {"taskType": "videoInference", "taskUUID": task_uuid, "status": "processing"}
        assert slow.poll(task_uuid) == {"data": [processing]}
        assert slow.books()["tasks"][0].items() >= {"state": "processing", "charge_usd": "0.00"}.items()
        done = slow.wait(task_uuid)[0]
        assert 0.3 <= time.time() - before < 3
        slow.http.close()

    assert done.keys() == {
        *processing,
        "videoUUID",
        "videoURL",
        "seed",
        "cost",
        "NSFWContent",
    }
    assert done["status"] == "success"
    assert done["videoURL"] == f"{server.origin}/video/{done['videoUUID']}.mp4"
    assert uuid.UUID(done["videoUUID"]).version == 4
    assert done["NSFWContent"] is False


def test_many_tasks_are_asked_about_in_one_post(api: Api) -> None:
    uuids = [api.submit(api.text_task()) for _ in range(3)]
    for task_uuid in uuids:
        api.wait(task_uuid)

    reply = api.post(*[{"taskType": "getResponse", "taskUUID": task_uuid} for task_uuid in uuids])

    assert [item["taskUUID"] for item in reply.json()["data"]] == uuids
    assert {item["status"] for item in reply.json()["data"]} == {"success"}


def test_each_result_is_a_clip_of_its_own_and_costs(api: Api) -> None:
    task_uuid = api.submit(api.text_task(numberResults=3, duration=10))

    results = api.wait(task_uuid, results=3)

    assert len({result["videoUUID"] for result in results}) == 3
    assert len({result["seed"] for result in results}) == 3
    assert [Decimal(str(result["cost"])) for result in results] == [Decimal("0.84")] * 3
    entry = next(task for task in api.books()["tasks"] if task["taskUUID"] == task_uuid)
    assert (entry["results"], entry["charge_usd"]) == (3, "2.52")


def test_an_unknown_task_is_nothing_or_an_error_if_so_set(api: Api) -> None:
    unknown = str(uuid.uuid4())
    assert api.poll(unknown) == {"data": []}
    assert api.post({"taskType": "getTaskDetails", "taskUUID": unknown}).json() == {"data": []}

    with EmulatorServer(EmulatorSettings(unknown_task_error=True)) as server:
        strict = type(api)(server)
        reply = strict.post({"taskType": "getResponse", "taskUUID": unknown})
        strict.http.close()
    assert reply.status_code == 404
    assert reply.json()["errors"][0].items() >= {"code": "taskNotFound", "taskUUID": unknown}.items()


def test_a_uuid_is_used_once_whatever_became_of_it(api: Api) -> None:
    task = api.text_task()
    api.submit(task)
    at_once = api.post(task)
    api.wait(task["taskUUID"])
    after = api.post(api.text_task(taskUUID=task["taskUUID"].upper(), positivePrompt="Another one"))
    twice = api.text_task()
    within = api.post(twice, twice)

    for reply in (at_once, after):
        assert reply.status_code == 400
        error = reply.json()["errors"][0]
        assert (error["code"], error["parameter"]) == ("conflictTaskUUID", "taskUUID")
    assert within.status_code == 200
    assert len(within.json()["data"]) == len(within.json()["errors"]) == 1


def test_a_refused_task_leaves_its_uuid_free(api: Api) -> None:
    task = api.text_task(duration=7)
    assert api.post(task).status_code == 400

    api.submit({**task, "duration": 5})


def test_many_at_once_with_one_uuid_are_accepted_once(api: Api) -> None:
    from concurrent.futures import ThreadPoolExecutor

    task = api.text_task()
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: api.post(task).status_code, range(8)))

    assert sorted(statuses) == [200] + [400] * 7


def test_details_hold_request_and_response(api: Api) -> None:
    task = api.text_task()
    api.make(task)

    details = api.post({"taskType": "getTaskDetails", "taskUUID": task["taskUUID"]}).json()["data"][0]

    assert details["request"] == [task]
    assert details["response"]["data"][0]["status"] == "success"


def test_an_edit_bills_the_length_of_its_source(api: Api, pictures: type[Pictures], tmp_path: Path) -> None:
    media = api.upload(pictures.video(tmp_path / "source.mp4", frames=121, size=(320, 180)).read_bytes())
    edit = api.make(api.media_task({"video": media["mediaUUID"]}, duration=10))
    assert Decimal(str(edit["cost"])) == Decimal("0.635292")  # 121 / 24 s = 5.042 s

    reference = api.make(
        api.text_task(inputs={"referenceVideos": [media["mediaURL"]]}, duration=3, width=720, height=1280)
    )
    assert Decimal(str(reference["cost"])) == Decimal("0.378")


def test_a_result_is_the_source_of_an_edit_by_its_url_or_uuid(api: Api) -> None:
    first = api.make(api.text_task())  # 6 frames at 1 a second: 6 s
    for name in (first["videoURL"], first["videoUUID"]):
        edit = api.make(api.media_task({"video": name}))
        assert Decimal(str(edit["cost"])) == Decimal("0.756")


def test_seeds_depend_on_content_and_on_how_often_it_was_accepted(api: Api) -> None:
    def seeds(**settings: Any) -> list[int]:
        with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1, **settings)) as server:
            client = type(api)(server)
            tasks = [
                client.text_task(ttl=60),
                client.text_task(ttl=90, includeCost=..., deliveryMethod="async"),
            ]
            found = [client.make(task)["seed"] for task in tasks]
            client.http.close()
            return found

    first = seeds()
    assert len(set(first)) == 2
    assert seeds() == first
    assert not set(seeds(seed=1)) & set(first)


def test_the_books_hold_all_that_happened(api: Api) -> None:
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1)) as server:
        client = type(api)(server)
        task = client.text_task()
        before = time.time()
        result = client.make(task)
        client.http.get(result["videoURL"])
        client.http.head(result["videoURL"])
        client.post(client.text_task(duration=7))
        books = client.books()
        client.http.close()

    assert books.keys() == {"total_usd", "tasks", "counts", "faults"}
    assert books["total_usd"] == "0.42"
    entry = books["tasks"][0]
    assert (
        entry.items()
        >= {
            "taskUUID": task["taskUUID"],
            "state": "success",
            "results": 1,
            "charge_usd": "0.42",
            "request": task,
        }.items()
    )
    assert before - 0.1 <= entry["submitted_at"] <= entry["finished_at"] <= time.time()
    counts = books["counts"]
    assert counts["posts"] == counts["getResponse"] + 2
    assert (counts["videoInference"], counts["rejected"], counts["downloads"]) == (2, 1, 1)
