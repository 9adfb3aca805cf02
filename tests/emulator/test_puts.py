"""Clips are put to upload endpoints, and results wait for that: on a real S3 server, with presigned addresses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.config import Config  # type: ignore[import-untyped]

from tasks.emulator import EmulatorServer, EmulatorSettings, Tries, UploadEndpointSettings
from tasks.errors import SettingsError
from tests.emulator.receivers import Receiver, wait_until

if TYPE_CHECKING:
    from tests.emulator.conftest import Api

QUICK = Tries(most=3, first_pause_s=0.04, longest_pause_s=0.04, jitter=0, timeout_s=2)
Start = Callable[..., Any]


@pytest.fixture
def start(api: Api) -> Iterator[Start]:
    """Starts emulators whose uploads are as a test wants, and gives a client for each."""
    with ExitStack() as stack:

        def begin(*rules: dict[str, Any], latency_s: float = 0, **uploads: Any) -> Api:
            settings = EmulatorSettings(
                instant=True,
                latency_s=latency_s,
                frames_per_second=1,
                upload_endpoints=UploadEndpointSettings(**{"tries": QUICK, **uploads}),
                faults={"rules": rules},
            )
            client = type(api)(stack.enter_context(EmulatorServer(settings)))
            stack.callback(client.http.close)
            return client

        yield begin


class Bucket:
    """A bucket on an S3 server of this machine."""

    def __init__(self, endpoint: str) -> None:
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(signature_version="s3v4"),
        )
        self.client.create_bucket(Bucket="films")

    def presigned(self, key: str, **fields: Any) -> str:
        """Where whoever knows it may put that object, for an hour."""
        params = {"Bucket": "films", "Key": key, **fields}
        return str(self.client.generate_presigned_url("put_object", Params=params, ExpiresIn=3600))

    def names(self) -> list[str]:
        return [item["Key"] for item in self.client.list_objects_v2(Bucket="films").get("Contents", [])]

    def get(self, key: str) -> tuple[bytes, str]:
        """Its content, and what it is said to be."""
        reply = self.client.get_object(Bucket="films", Key=key)
        return reply["Body"].read(), reply["ContentType"]


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_url: str) -> Iterator[Bucket]:
    bucket = Bucket(s3_url)
    yield bucket
    for key in bucket.names():
        bucket.client.delete_object(Bucket="films", Key=key)
    bucket.client.close()


def deliveries(client: Api, task: dict[str, Any]) -> list[dict[str, Any]]:
    [entry] = [entry for entry in client.books()["tasks"] if entry["taskUUID"] == task["taskUUID"]]
    return list(entry["deliveries"])


def test_a_clip_is_in_its_bucket_when_its_result_is_told(api: Api, bucket: Bucket) -> None:
    key = "shots/01 été+1.mp4"
    task = api.text_task(uploadEndpoint=bucket.presigned(key))
    before = api.books()["counts"]["puts"]
    result = api.make(task)

    assert bucket.get(key) == (api.http.get(result["videoURL"]).content, "video/mp4")
    [told] = deliveries(api, task)
    [sent] = told.pop("sent")
    assert sent["status"] == 200
    assert told.pop("over_at") >= sent["at"]
    assert told == {
        "errand": "put",
        "videoUUID": result["videoUUID"],
        "to": task["uploadEndpoint"].partition("?")[0],
        "state": "delivered",
    }
    assert api.books()["counts"]["puts"] == before + 1


def test_an_address_arrives_as_it_was_signed(api: Api, bucket: Bucket, receiver: Receiver) -> None:
    signed = bucket.presigned("a b/c~d=é&f.mp4", Metadata={"take": "1/2 + 3"})
    path = "/" + signed.partition("://")[2].partition("/")[2]
    api.make(api.text_task(uploadEndpoint=receiver.url + path))

    [put] = receiver.wait(1)
    assert (put.method, put.path) == ("PUT", path)


@pytest.mark.parametrize(
    ("name", "media_type"), [("MP4", "video/mp4"), ("MOV", "video/quicktime"), ("WEBM", "video/webm")]
)
def test_a_clip_is_said_to_be_what_it_is(api: Api, bucket: Bucket, name: str, media_type: str) -> None:
    # Whoever signs a type accepts no other.
    signed = bucket.presigned("clip", ContentType=media_type)
    api.make(api.text_task(outputFormat=name, uploadEndpoint=signed))

    assert bucket.get("clip")[1] == media_type


@pytest.mark.parametrize(("choice", "media_type"), [("bytes", "application/octet-stream"), ("none", None)])
def test_what_a_clip_is_said_to_be_can_be_chosen(
    start: Start, receiver: Receiver, choice: str, media_type: str | None
) -> None:
    client = start(content_type=choice)
    client.make(client.text_task(uploadEndpoint=receiver.url))

    [put] = receiver.wait(1)
    assert put.headers.get("Content-Type") == media_type
    assert int(put.headers["Content-Length"]) == len(put.content)


def test_a_clip_may_be_where_it_was_put_and_nowhere_else(start: Start, bucket: Bucket) -> None:
    client = start(url=False)
    result = client.make(client.text_task(uploadEndpoint=bucket.presigned("clip.mp4")))

    assert set(result) == {"taskType", "taskUUID", "status", "videoUUID", "seed", "cost"}
    assert len(bucket.get("clip.mp4")[0]) > 1000
    # Whose clip goes nowhere has an address.
    assert "videoURL" in client.make(client.text_task())


def test_each_result_is_put_and_the_webhook_comes_after(api: Api, receiver: Receiver) -> None:
    task = api.text_task(uploadEndpoint=f"{receiver.url}/put", webhookURL=f"{receiver.url}/hook", numberResults=2)
    results = api.wait(api.submit(task), results=2)

    came = receiver.stays(4)
    files = {put.content for put in came if put.method == "PUT"}
    assert files == {api.http.get(result["videoURL"]).content for result in results}
    # Of each result for itself.
    assert (came[0].method, came[-1].method) == ("PUT", "POST")


def test_a_result_is_processed_until_its_upload_is_over(start: Start, receiver: Receiver) -> None:
    client = start()
    receiver.answers_after_s = 0.5
    task = client.text_task(uploadEndpoint=receiver.url, webhookURL=receiver.url)
    client.submit(task)
    receiver.wait(1)
    assert client.poll(task["taskUUID"])["data"][0]["status"] == "processing"
    entry = client.books()["tasks"][0]
    assert (entry["state"], entry["charge_usd"]) == ("processing", "0.00")

    client.wait(task["taskUUID"])
    entry = client.books()["tasks"][0]
    assert (entry["state"], entry["charge_usd"]) == ("success", "0.42")
    assert entry["finished_at"] >= entry["submitted_at"] + 0.5


def test_a_result_need_not_wait(start: Start, receiver: Receiver) -> None:
    client = start(waits=False)
    receiver.answers_after_s = 1
    task = client.text_task(uploadEndpoint=f"{receiver.url}/put", webhookURL=f"{receiver.url}/hook")
    began = time.monotonic()
    result = client.make(task)

    # Both are under way before either is answered.
    came = receiver.wait(2)
    assert time.monotonic() - began < 1
    assert {each.path for each in came} == {"/put", "/hook"}
    assert next(each.json for each in came if each.path == "/hook") == result


def test_an_upload_that_fails_is_tried_again(start: Start, bucket: Bucket) -> None:
    client = start({"fault": "fail_put", "status": 500, "times": 1})
    task = client.text_task(uploadEndpoint=bucket.presigned("clip.mp4"))
    result = client.make(task)

    assert bucket.get("clip.mp4")[0] == client.http.get(result["videoURL"]).content
    [told] = deliveries(client, task)
    assert [sent["status"] for sent in told["sent"]] == [500, 200]
    assert client.books()["faults"] == {"fail_put": 1}


@pytest.mark.parametrize(("failure", "charge_usd"), [("ignored", "0.42"), ("failed", "0.00"), ("charged", "0.42")])
def test_what_becomes_of_a_result_that_cannot_be_put_can_be_chosen(
    start: Start, bucket: Bucket, receiver: Receiver, failure: str, charge_usd: str
) -> None:
    client = start({"fault": "fail_put"}, failure=failure)
    task = client.text_task(uploadEndpoint=bucket.presigned("clip.mp4"), webhookURL=receiver.url)
    client.submit(task)

    [hook] = receiver.wait(1)
    question = {"taskType": "getResponse", "taskUUID": task["taskUUID"]}
    body = client.post(question).json()
    [told] = body["data"] or body["errors"]
    assert hook.json == told
    if failure == "ignored":
        assert (told["status"], "videoURL" in told) == ("success", True)
    else:
        assert (told["status"], told["code"], told["parameter"]) == ("error", "uploadFailed", "uploadEndpoint")
        assert told.get("cost") == (0.42 if failure == "charged" else None)
    put, _hook = deliveries(client, task)
    assert (put["state"], [sent["status"] for sent in put["sent"]]) == ("failed", [503] * 3)
    assert client.books()["tasks"][0]["charge_usd"] == charge_usd
    assert bucket.names() == []


def test_what_was_told_cannot_fail_later() -> None:
    with pytest.raises(SettingsError):
        UploadEndpointSettings(waits=False, failure="failed")


def test_a_truncated_upload_is_a_short_object_that_nobody_is_told_of(start: Start, bucket: Bucket) -> None:
    client = start({"fault": "truncate", "call": "put", "keep": 0.4, "times": 1})
    result = client.make(client.text_task(uploadEndpoint=bucket.presigned("clip.mp4")))

    whole = client.http.get(result["videoURL"]).content
    assert bucket.get("clip.mp4")[0] == whole[: int(len(whole) * 0.4)]


def test_an_upload_that_is_cut_off_is_made_again(start: Start, bucket: Bucket) -> None:
    client = start({"fault": "truncate", "call": "put", "announce_whole": True, "times": 1})
    task = client.text_task(uploadEndpoint=bucket.presigned("clip.mp4"))
    result = client.make(task)

    assert bucket.get("clip.mp4")[0] == client.http.get(result["videoURL"]).content
    [told] = deliveries(client, task)
    assert [sent.get("problem") for sent in told["sent"]] == ["cut off", None]


def test_an_upload_may_be_damaged_on_its_way(start: Start, bucket: Bucket) -> None:
    client = start({"fault": "corrupt", "call": "put", "share": 0.5, "nth": 2})
    contents = []
    for number in (1, 2):
        result = client.make(client.text_task(uploadEndpoint=bucket.presigned(f"{number}.mp4")))
        whole = client.http.get(result["videoURL"]).content
        contents.append((bucket.get(f"{number}.mp4")[0], whole))

    [(first, first_whole), (second, second_whole)] = contents
    assert first == first_whole
    assert len(second) == len(second_whole)
    assert sum(one == 0 for one in second) / len(second) > 0.4
    assert second != second_whole


def test_faults_meet_the_results_that_they_are_for(start: Start, receiver: Receiver) -> None:
    client = start({"fault": "fail_put", "results": [2], "times": 1})
    task = client.text_task(uploadEndpoint=receiver.url, numberResults=2)
    client.wait(client.submit(task), results=2)

    first, second = deliveries(client, task)
    assert [len(first["sent"]), len(second["sent"])] == [1, 2]


def test_nothing_is_put_outside_of_this_machine_unless_that_is_allowed(start: Start, receiver: Receiver) -> None:
    far = receiver.url.replace("127.0.0.1", "0.0.0.0")  # noqa: S104
    careful, free = start(failure="failed"), start(to="any")
    for client, state in ((careful, "withheld"), (free, "delivered")):
        task = client.text_task(uploadEndpoint=far)
        # What was not tried has not failed.
        assert client.make(task)["status"] == "success"
        [told] = deliveries(client, task)
        assert told["state"] == state
    receiver.stays(1)


def test_a_failed_result_puts_nothing(start: Start, receiver: Receiver) -> None:
    client = start({"fault": "fail"})
    task = client.text_task(uploadEndpoint=receiver.url)
    client.submit(task)
    wait_until(lambda: client.books()["tasks"][0]["state"] == "error")

    receiver.stays(0)
    assert deliveries(client, task) == []
