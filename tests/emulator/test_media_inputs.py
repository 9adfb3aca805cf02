"""Pictures and videos are looked at before a task is accepted; nothing is fetched from outside."""

from __future__ import annotations

import base64
import io
import json
import uuid
from collections.abc import Callable, Iterator
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


WithFiles = Callable[[Path | dict[str, Any], str], dict[str, Any]]


@pytest.fixture
def with_files(api: Api, tmp_path: Path) -> Iterator[WithFiles]:
    """Asks for a clip from a file, or from what `remote.json` is to say; gives the error, or nothing."""
    state = tmp_path / "state"
    with EmulatorServer(EmulatorSettings(instant=True, state_dir=state)) as server:
        client = type(api)(server)

        def ask(what: Path | dict[str, Any], use: str) -> dict[str, Any]:
            entry = {"file": str(what)} if isinstance(what, Path) else what
            (state / "remote.json").write_text(json.dumps({"https://example.org/v.mp4": entry}))
            url: object = "https://example.org/v.mp4"
            task = client.text_task(inputs={use: url if use == "video" else [url]})
            return dict(next(iter(client.post(task).json().get("errors", [])), {}))

        yield ask
        client.http.close()


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


@pytest.mark.parametrize("kind", ["WEBP", "GIF", "BMP"])
def test_a_picture_is_a_jpeg_or_a_png_though_others_can_be_uploaded(api: Api, kind: str) -> None:
    content = io.BytesIO()
    Image.new("RGB", (400, 400)).save(content, kind)
    uploaded = api.post(
        {"taskType": "imageUpload", "taskUUID": str(uuid.uuid4()), "image": encoded(content.getvalue())}
    ).json()["data"][0]["imageUUID"]

    for name in (uploaded, encoded(content.getvalue())):
        error = error_of(api, api.text_task(inputs={"referenceImages": [name]}))
        assert (error["code"], error["parameter"]) == ("invalidParameter", "inputs.referenceImages")
        assert error["allowedValues"] == ["JPEG", "PNG"]


@pytest.mark.parametrize(("frames", "rate"), [(2, 1), (35, 12), (11, 1), (101, 10)])
@pytest.mark.parametrize("use", ["video", "referenceVideos"])
def test_a_video_has_three_to_ten_seconds_and_a_frame(
    with_files: WithFiles, pictures: type[Pictures], tmp_path: Path, use: str, frames: int, rate: int
) -> None:
    error = with_files(pictures.video(tmp_path / "v.mp4", frames=frames, rate=rate, size=(64, 64)), use)

    assert (error["code"], error["parameter"]) == ("invalidParameter", f"inputs.{use}")
    assert (error["min"], error["max"]) == (3, 10)


def test_a_placeholder_has_so_many_too(with_files: WithFiles) -> None:
    for length_s, is_taken in (("2.999", False), ("3", True), ("10.042", True), ("10.043", False)):
        error = with_files({"duration_s": length_s}, "video")
        assert (error == {}) is is_taken


def test_a_video_has_at_most_200_megabytes(with_files: WithFiles, pictures: type[Pictures], tmp_path: Path) -> None:
    path = pictures.video(tmp_path / "v.mp4", frames=4, rate=1, size=(64, 64))
    with path.open("r+b") as opened:
        opened.truncate(200_000_001)

    error = with_files(path, "video")

    assert (error["code"], error["parameter"], error["max"]) == ("valueTooLarge", "inputs.video", 200_000_000)


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
def test_a_video_is_an_mp4_or_a_mov(
    with_files: WithFiles, pictures: type[Pictures], tmp_path: Path, suffix: str
) -> None:
    if suffix == "webm":
        pictures.video(tmp_path / "v.mkv", frames=4, rate=1, size=(64, 64)).rename(tmp_path / "v.webm")
    path = tmp_path / f"v.{suffix}"
    error = with_files(path if path.exists() else pictures.video(path, frames=4, rate=1, size=(64, 64)), "video")

    assert (error["code"], error["parameter"]) == ("invalidParameter", "inputs.video")
    assert error["allowedValues"] == ["MP4", "MOV"]
    assert with_files(pictures.video(tmp_path / "v.mov", frames=4, rate=1, size=(64, 64)), "video") == {}


def test_the_longest_clip_made_here_is_a_source_at_any_rate(api: Api) -> None:
    clip = api.make(api.text_task(duration=10))  # 11 frames at 1 a second

    assert api.make(api.media_task({"video": clip["videoURL"]}))["cost"] == pytest.approx(1.386)


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
    pictures.video(tmp_path / "real.mp4", frames=84, size=(320, 180))
    remote = {
        "https://example.org/long.mp4": {"duration_s": "3.25"},
        "https://example.org/real.mp4": {"file": "real.mp4"},
    }
    (tmp_path / "remote.json").write_text(json.dumps(remote))
    settings = EmulatorSettings(instant=True, state_dir=tmp_path)
    with EmulatorServer(settings) as server:
        client = type(api)(server)
        costs = [client.make(client.media_task({"video": url}))["cost"] for url in remote]
        client.http.close()

    assert [Decimal(str(cost)) for cost in costs] == [Decimal("0.4095"), Decimal("0.441")]
