"""Pictures and videos are looked at before a task is accepted; nothing is fetched from outside."""

from __future__ import annotations

import base64
import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tasks.emulator import EmulatorServer, EmulatorSettings

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Pictures


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def error_of(api: Api, task: dict[str, Any]) -> dict[str, Any]:
    reply = api.post(task)
    assert reply.status_code == 400, reply.text
    return dict(reply.json()["errors"][0])


def test_a_picture_is_named_in_four_ways(api: Api, pictures: type[Pictures]) -> None:
    content = pictures.png(Image.new("RGB", (640, 360), "teal"))
    uploaded = api.post({"taskType": "imageUpload", "taskUUID": str(uuid.uuid4()), "image": encoded(content)}).json()[
        "data"
    ][0]
    stored = api.upload(content)
    assert api.http.get(stored["mediaURL"]).content == content
    assert api.http.get(uploaded["imageURL"]).content == content

    names = [
        uploaded["imageUUID"],
        uploaded["imageURL"],
        stored["mediaUUID"],
        stored["mediaURL"],
        encoded(content),
        f"data:image/png;base64,{encoded(content)}",
        stored["mediaURL"].replace("127.0.0.1", "emulator.studio"),
        "https://example.org/never-fetched.png",
    ]
    for name in names:
        api.submit(api.media_task({"frameImages": [name]}))


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (Image.new("RGB", (299, 400)), "300"),
        (Image.new("RGB", (400, 299)), "300"),
        (Image.new("RGB", (800, 310)), "2.5"),
        (Image.new("RGB", (310, 800)), "2.5"),
    ],
)
def test_a_picture_has_a_least_size_and_a_most_aspect(
    api: Api, pictures: type[Pictures], image: Image.Image, word: str
) -> None:
    error = error_of(api, api.media_task({"frameImages": [encoded(pictures.png(image))]}))

    assert error["parameter"] == "inputs.frameImages"
    assert word in error["message"]


def test_the_limits_themselves_are_accepted(api: Api, pictures: type[Pictures]) -> None:
    for size in ((300, 300), (750, 300), (300, 750)):
        api.submit(api.media_task({"frameImages": [encoded(pictures.png(Image.new("RGB", size)))]}))


def test_a_picture_is_at_most_ten_megabytes(api: Api, pictures: type[Pictures]) -> None:
    content = pictures.png(Image.new("RGB", (400, 400))) + bytes(10_000_000)
    error = error_of(api, api.text_task(inputs={"referenceImages": [encoded(content)]}))

    assert (error["code"], error["parameter"]) == ("valueTooLarge", "inputs.referenceImages")


def test_what_cannot_be_decoded_is_refused_by_name(api: Api, pictures: type[Pictures]) -> None:
    whole = pictures.png(pictures.detailed(400, 400))
    for text in ("!!", encoded(b"no picture"), encoded(whole[:-5000]), "data:image/png,abc", "file:///etc/passwd"):
        assert error_of(api, api.media_task({"frameImages": [text]}))["parameter"] == "inputs.frameImages"
    junk = {"taskType": "mediaStorage", "taskUUID": str(uuid.uuid4()), "operation": "upload", "media": encoded(b"junk")}
    assert error_of(api, junk)["parameter"] == "media"
    picture = {"taskType": "imageUpload", "taskUUID": str(uuid.uuid4()), "image": encoded(b"junk")}
    assert error_of(api, picture)["parameter"] == "image"


def test_a_video_is_a_uuid_or_a_url(api: Api, pictures: type[Pictures], tmp_path: Path) -> None:
    content = pictures.video(tmp_path / "v.mp4", frames=24).read_bytes()
    for text in (encoded(content), f"data:video/mp4;base64,{encoded(content)}", "v.mp4"):
        assert error_of(api, api.media_task({"video": text}))["parameter"] == "inputs.video"


def test_a_picture_is_no_video_and_a_video_no_picture(api: Api, pictures: type[Pictures], tmp_path: Path) -> None:
    picture = api.upload(pictures.png(Image.new("RGB", (400, 400))))["mediaUUID"]
    video = api.upload(pictures.video(tmp_path / "v.mp4", frames=24).read_bytes())["mediaUUID"]

    assert error_of(api, api.media_task({"video": picture}))["parameter"] == "inputs.video"
    assert error_of(api, api.media_task({"frameImages": [video]}))["parameter"] == "inputs.frameImages"


def test_uuids_that_nothing_has_and_deleted_ones_are_not_found(api: Api, pictures: type[Pictures]) -> None:
    picture = api.upload(pictures.png(Image.new("RGB", (400, 400))))["mediaUUID"]
    delete = {"taskType": "mediaStorage", "taskUUID": str(uuid.uuid4()), "operation": "delete", "mediaUUID": picture}
    assert api.post(delete).json()["data"][0]["mediaUUID"] == picture

    assert api.post(delete).json()["errors"][0]["code"] == "mediaNotFound"
    for name in (picture, str(uuid.uuid4()), f"{api.server.origin}/video/{uuid.uuid4()}.mp4"):
        assert error_of(api, api.media_task({"frameImages": [name]}))["code"] == "mediaNotFound"


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({}, "operation"),
        ({"operation": "copy"}, "operation"),
        ({"operation": "upload"}, "media"),
        ({"operation": "delete"}, "mediaUUID"),
    ],
)
def test_storage_says_what_it_misses(api: Api, fields: dict[str, Any], parameter: str) -> None:
    task = {"taskType": "mediaStorage", "taskUUID": str(uuid.uuid4()), **fields}
    assert error_of(api, task)["parameter"] == parameter


def test_a_remote_url_can_be_given_a_length_or_a_file(api: Api, pictures: type[Pictures], tmp_path: Path) -> None:
    pictures.video(tmp_path / "real.mp4", frames=48, size=(320, 180))
    remote = {"https://example.org/long.mp4": {"duration_s": 0.5}, "https://example.org/real.mp4": {"file": "real.mp4"}}
    (tmp_path / "remote.json").write_text(json.dumps(remote))
    settings = EmulatorSettings(instant=True, state_dir=tmp_path)
    with EmulatorServer(settings) as server:
        client = type(api)(server)
        costs = [client.make(client.media_task({"video": url}))["cost"] for url in remote]
        client.http.close()

    assert [Decimal(str(cost)) for cost in costs] == [Decimal("0.063"), Decimal("0.252")]
