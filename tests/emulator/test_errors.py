"""An error leads to the page that tells more, and says nothing of this machine."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.desk import Desk
from tasks.emulator.errors import documentation_of
from tasks.emulator.fates import Fate
from tasks.emulator.instant import InstantClips
from tasks.emulator.records import Outcome, ResultRecord, TaskRecord
from tasks.emulator.renderers import Renderers
from tasks.emulator.state import StateStore

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Faulty, Pictures

DOCS = "https://runware.ai/docs"
STANDARD, PRO = f"{DOCS}/models/klingai-video-o1-standard", f"{DOCS}/models/klingai-video-o1-pro"
A = "https://example.org/a.png"


def error_of(api: Api, task: dict[str, Any]) -> dict[str, Any]:
    return dict(api.post(task).json()["errors"][0])


@pytest.mark.parametrize(
    ("fields", "heading"),
    [
        ({"duration": 7}, "#request-duration"),
        ({"safety": {"mode": "slow"}}, "#request-safety-mode"),
        (
            {"providerSettings": {"klingai": {"keepOriginalSound": 1}}},
            "#request-providersettings-klingai-keeporiginalsound",
        ),
        ({"inputs": {"frameImages": [{"frame": "first"}]}}, "#request-inputs-frameimages-format-2-image"),
        (
            {"inputs": {"frameImages": [{"image": A, "frame": 1}]}},
            "#request-inputs-frameimages-format-2-frame",
        ),
        ({"inputs": {"frameImages": [A] * 3}}, "#request-inputs-frameimages"),
        ({"width": ..., "height": ...}, "#request-width"),
        ({"seed": 7}, ""),
        ({"inputs": {"image": A}}, ""),
        ({"inputs": []}, ""),
    ],
)
@pytest.mark.parametrize(("model", "page"), [("klingai:kling@o1-standard", STANDARD), ("klingai:kling@o1", PRO)])
def test_a_field_leads_to_its_heading_on_the_models_own_page(
    api: Api, model: str, page: str, fields: dict[str, Any], heading: str
) -> None:
    size = {} if model.endswith("standard") else {"width": 1920, "height": 1080}
    assert error_of(api, api.text_task(**{"model": model, **size, **fields}))["documentation"] == page + heading


@pytest.mark.parametrize(
    ("task", "page"),
    [
        ({"taskType": "imageUpload", "image": "!!"}, "utilities/image-upload"),
        ({"taskType": "mediaStorage", "operation": "copy"}, "platform/media-storage"),
        ({"taskType": "mediaStorage", "operation": "upload", "media": "!!"}, "platform/media-storage"),
        ({"taskType": "getResponse", "taskUUID": "7"}, "platform/task-polling"),
        ({"taskType": "getTaskDetails", "taskUUID": "7"}, "platform/task-details"),
        ({"taskType": "imageInference"}, "platform/errors"),
    ],
)
def test_other_tasks_have_pages_of_their_own_without_such_headings(api: Api, task: dict[str, Any], page: str) -> None:
    assert error_of(api, {"taskUUID": str(uuid.uuid4()), **task})["documentation"] == f"{DOCS}/{page}"


def test_a_missing_key_leads_to_the_page_on_authentication(api: Api) -> None:
    reply = api.http.post(api.server.base_url, json=[api.text_task()], headers={"Authorization": ""})

    assert reply.json()["errors"][0]["documentation"] == f"{DOCS}/platform/authentication"


def test_a_result_that_failed_leads_to_its_models_page(faulty: Faulty) -> None:
    faulty.set({"fault": "fail"})
    task_uuid = faulty.submit(faulty.text_task(model="klingai:kling@o1", width=1920, height=1080))

    (error,) = faulty.poll(task_uuid)["errors"]
    assert error["documentation"] == PRO


def test_what_is_about_no_task_leads_to_the_page_on_errors() -> None:
    assert documentation_of(None) == f"{DOCS}/platform/errors"


def test_a_body_that_is_not_json_is_told_where(api: Api) -> None:
    for body, where in ((b'[{"a": }]', ", at line 1, column 8."), (b"\xff", ".")):
        error = api.http.post(api.server.base_url, content=body).json()["errors"][0]
        assert error["message"] == f"The body is not JSON{where}"


def test_no_error_names_files_or_objects_of_this_machine(api: Api, pictures: type[Pictures], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "junk").write_bytes(b"neither a picture nor a video")
    (state / "cut.mp4").write_bytes(pictures.video(tmp_path / "v.mp4", frames=80).read_bytes()[:3000])
    names = ("junk", "cut.mp4")
    (state / "remote.json").write_text(json.dumps({f"https://example.org/{name}": {"file": name} for name in names}))
    junk = base64.b64encode(b"junk").decode()
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1, state_dir=state)) as server:
        client = type(api)(server)
        tasks = [client.media_task({"video": f"https://example.org/{name}"}) for name in names]
        tasks += [client.media_task({"frameImages": [name]}) for name in (junk, "https://example.org/junk")]
        tasks += [{"taskType": "imageUpload", "taskUUID": str(uuid.uuid4()), "image": junk}]
        tasks += [{"taskType": "mediaStorage", "taskUUID": str(uuid.uuid4()), "operation": "upload", "media": junk}]
        said = [error_of(client, task)["message"] for task in tasks]
        client.http.close()

    for message in said:
        assert str(tmp_path) not in message
        assert "object at" not in message
        assert "Errno" not in message


def test_an_emulator_in_trouble_says_only_what_kind_of_trouble(api: Api, tmp_path: Path) -> None:
    with EmulatorServer(EmulatorSettings(instant=True, state_dir=tmp_path)) as server:
        client = type(api)(server)
        (tmp_path / "results").rename(tmp_path / "elsewhere")
        reply = client.post(client.text_task())
        client.http.close()

    assert reply.status_code == 500
    assert reply.json()["errors"][0]["message"] == "The emulator failed (FileNotFoundError)."


class NoClips(InstantClips):
    """Fails at making any clip."""

    def hand_out(self, task: TaskRecord, result: ResultRecord) -> bool:
        return False

    def make(self, task: TaskRecord, result: ResultRecord, is_stopped: Callable[[], bool]) -> None:
        raise OSError("no space left in /home/somebody/state")


def test_a_clip_that_cannot_be_made_says_why_in_the_log_alone(
    api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended: SimpleQueue[Outcome] = SimpleQueue()
    store = StateStore(tmp_path)
    renderers = Renderers(store, lambda _task, _result, outcome: ended.put(outcome), NoClips(store))
    desk = Desk(EmulatorSettings(instant=True), store, renderers, lambda _: (Fate(),))

    desk.answer([api.text_task()], "http://127.0.0.1:9")
    outcome = ended.get(timeout=20)
    renderers.stop()

    assert outcome.error == "The clip could not be made (OSError)."
    assert "/home/somebody/state" in caplog.text
