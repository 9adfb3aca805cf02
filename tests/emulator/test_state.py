"""Stopped, started again, or doubled: on one state folder nothing is forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.fates import Fate
from tasks.emulator.records import Outcome, TaskRecord
from tasks.emulator.state import StateStore
from tasks.errors import SettingsError

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Pictures


def test_a_later_emulator_answers_for_the_same_tasks_and_keeps_the_books(
    api: Api, pictures: type[Pictures], tmp_path: Path
) -> None:
    settings = EmulatorSettings(instant=True, frames_per_second=1, state_dir=tmp_path / "state")
    with EmulatorServer(settings) as server:
        client = type(api)(server)
        task = client.text_task()
        first = client.make(task)
        content = client.http.get(first["videoURL"]).content
        upload = client.upload(pictures.png(pictures.detailed(400, 400)))
        books = client.books()
        client.http.close()

    with EmulatorServer(settings) as server:
        client = type(api)(server)
        again = client.wait(task["taskUUID"])[0]
        assert again == {**first, "videoURL": again["videoURL"]}
        assert again["videoURL"].startswith(server.origin)
        assert client.http.get(again["videoURL"]).content == content
        assert client.post(task).json()["errors"][0]["code"] == "conflictTaskUUID"
        assert client.books()["tasks"] == books["tasks"]
        assert client.books()["counts"]["videoInference"] == 2
        # What an earlier emulator handed out is still understood, whatever port it had.
        client.submit(client.media_task({"frameImages": [upload["mediaURL"]]}))
        client.submit(client.media_task({"video": first["videoURL"]}))
        # The same content again is its second acceptance.
        assert client.make(client.text_task())["seed"] != first["seed"]
        client.http.close()


def test_an_interrupted_rendering_goes_on(api: Api, tmp_path: Path) -> None:
    settings = EmulatorSettings(latency_s=0, state_dir=tmp_path / "state")
    with EmulatorServer(settings) as server:
        client = type(api)(server)
        task = client.text_task(numberResults=2)
        client.submit(task)
        client.http.close()
    assert not list((tmp_path / "state" / "videos").iterdir())
    assert not list((tmp_path / "state" / "parts").iterdir())

    with EmulatorServer(settings) as server:
        client = type(api)(server)
        assert len(client.wait(task["taskUUID"], results=2)) == 2
        assert client.books()["total_usd"] == "0.84"
        client.http.close()


def test_two_emulators_side_by_side_know_each_others_tasks(api: Api, tmp_path: Path) -> None:
    settings = EmulatorSettings(instant=True, frames_per_second=1, state_dir=tmp_path / "state")
    with EmulatorServer(settings) as one, EmulatorServer(settings) as other:
        first, second = type(api)(one), type(api)(other)
        task = first.text_task()
        first.submit(task)
        assert second.wait(task["taskUUID"])[0]["videoUUID"] == first.wait(task["taskUUID"])[0]["videoUUID"]
        assert second.post(task).json()["errors"][0]["code"] == "conflictTaskUUID"
        assert first.books() == second.books()
        first.http.close()
        second.http.close()


def test_a_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SettingsError, match="state"):
        StateStore(tmp_path / "file")


def test_records_of_an_emulator_that_knew_no_faults_are_read(api: Api, tmp_path: Path) -> None:
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1, state_dir=tmp_path)) as server:
        client = type(api)(server)
        task_uuid = client.submit(client.text_task())
        client.http.close()
    fields = json.loads((tmp_path / "tasks" / f"{task_uuid}.json").read_text())
    for result in fields["results"]:
        del result["ready_at"], result["fate"]

    record = TaskRecord.from_json(fields)

    assert record.ended_at(record.results[0], Outcome(rendered_at=0)) == record.ready_at
    assert record.results[0].fate == Fate()
