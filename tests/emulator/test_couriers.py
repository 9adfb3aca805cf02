"""What is to be brought is brought, whatever becomes of the emulator meanwhile, and no more often than need be."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.delivery_settings import Tries, WebhookSettings
from tasks.emulator.presence import Presence
from tests.emulator.receivers import Receiver, wait_until

if TYPE_CHECKING:
    from tests.emulator.conftest import Api

Start = Callable[..., Any]
PATIENT = Tries(most=4, first_pause_s=0.2, longest_pause_s=0.2, jitter=0, timeout_s=5)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def start(api: Api, state: Path) -> Start:
    """Starts an emulator on the test's state folder for as long as a block lasts, and gives a client."""

    @contextmanager
    def begin(*rules: dict[str, Any], **fields: Any) -> Iterator[Api]:
        settings = EmulatorSettings(
            **{
                "instant": True,
                "frames_per_second": 1,
                "state_dir": state,
                "webhooks": WebhookSettings(tries=PATIENT),
                "faults": {"rules": rules},
                **fields,
            }
        )
        with EmulatorServer(settings) as server:
            client = type(api)(server)
            try:
                yield client
            finally:
                client.http.close()

    return begin


def told(client: Api) -> list[dict[str, Any]]:
    return [delivery for entry in client.books()["tasks"] for delivery in entry["deliveries"]]


def undelivered(state: Path) -> list[str]:
    return [path.name for path in (state / "undelivered").iterdir()]


def test_what_was_not_taken_when_it_stopped_is_brought_by_the_next_one(
    start: Start, receiver: Receiver, state: Path
) -> None:
    receiver.statuses = [500]
    with start(webhooks=WebhookSettings(tries=Tries(first_pause_s=60, longest_pause_s=60))) as client:
        task = client.text_task(webhookURL=receiver.url)
        first = client.make(task)
        receiver.wait(1)
        assert undelivered(state) == [task["taskUUID"]]

    with start() as client:
        _refused, taken = receiver.stays(2, 0.4)
        assert taken.json == {**first, "videoURL": taken.json["videoURL"]}
        assert client.http.get(taken.json["videoURL"]).status_code == 200
        [delivery] = told(client)
        assert [sent["status"] for sent in delivery["sent"]] == [500, 204]
        assert undelivered(state) == []


def test_tries_are_counted_across_restarts(start: Start, receiver: Receiver) -> None:
    receiver.statuses = [500] * 9
    for count in (1, 2, 3):
        with start() as client:
            if count == 1:
                client.submit(client.text_task(webhookURL=receiver.url))
            receiver.wait(count)
    with start() as client:
        wait_until(lambda: told(client)[0]["state"] == "failed")
    with start() as client:
        receiver.stays(4, 0.4)


def test_what_was_delivered_or_withheld_stays_so(start: Start, receiver: Receiver, state: Path) -> None:
    with start() as client:
        for url in (receiver.url, "https://hooks.example.org/"):
            client.submit(client.text_task(webhookURL=url))
        wait_until(lambda: not undelivered(state))
    with start(webhooks=WebhookSettings(to="any")) as client:
        receiver.stays(1)
        assert sorted(each["state"] for each in told(client)) == ["delivered", "withheld"]


def test_a_task_that_nobody_asks_about_is_finished_and_told_after_a_restart(start: Start, receiver: Receiver) -> None:
    with start(latency_s=0.3, instant=False) as client:
        task = client.text_task(webhookURL=receiver.url)
        client.submit(task)

    with start(instant=False):
        [hook] = receiver.stays(1)
        assert hook.json["taskUUID"] == task["taskUUID"]


def test_what_a_killed_emulator_left_is_brought(api: Api, start: Start, receiver: Receiver, state: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from tasks.emulator import EmulatorSettings, serve\n"
        "rule = {'fault': 'delay_webhook', 'after_s': 600}\n"
        "settings = EmulatorSettings(instant=True, frames_per_second=1, state_dir=Path(sys.argv[1]),\n"
        "                            faults={'rules': [rule]})\n"
        "serve(settings, lambda url: print(url, flush=True))\n"
    )
    task = api.text_task(webhookURL=receiver.url)
    with subprocess.Popen([sys.executable, "-c", program, str(state)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert api.http.post(url, json=[task]).status_code == 200
            books = url.replace("/v1", "/_emulator/books")

            def is_waiting() -> bool:
                [entry] = api.http.get(books).json()["tasks"]
                return [entry["state"], entry["deliveries"][0]["state"]] == ["success", "waiting"]

            wait_until(is_waiting)
            # As long as it lives, it is its job.
            with start():
                receiver.stays(0)
        finally:
            process.kill()

    with start():
        [hook] = receiver.stays(1)
        assert hook.json["taskUUID"] == task["taskUUID"]


def test_two_emulators_side_by_side_bring_a_result_once(start: Start, receiver: Receiver) -> None:
    with start({"fault": "delay_webhook", "after_s": 0.3}) as one:
        one.submit(one.text_task(webhookURL=receiver.url))
        with start() as other:
            task = other.text_task(webhookURL=receiver.url)
            other.submit(task)
            # Whoever is asked, each task has one webhook.
            one.wait(task["taskUUID"])
            receiver.stays(2, 0.5)
            wait_until(lambda: [each["state"] for each in told(one)] == ["delivered"] * 2)
            assert told(one) == told(other)


def test_it_stops_soon_while_a_receiver_is_silent_and_notes_what_was_cut_short(
    start: Start, receiver: Receiver
) -> None:
    receiver.answers_after_s = 30
    with start() as client:
        client.submit(client.text_task(webhookURL=receiver.url))
        receiver.wait(1)
        began = time.monotonic()
    assert time.monotonic() - began < 2

    receiver.answers_after_s = 0
    with start() as client:
        receiver.stays(2)
        [delivery] = told(client)
        assert [sent.get("problem") for sent in delivery["sent"]] == ["the emulator was stopped", None]


def test_what_is_being_answered_when_it_stops_is_waited_for(start: Start, receiver: Receiver) -> None:
    receiver.answers_after_s = 0.15
    with start() as client:
        client.submit(client.text_task(webhookURL=receiver.url))
        receiver.wait(1)
    with start() as client:
        receiver.stays(1)
        assert told(client)[0]["state"] == "delivered"


def test_a_hundred_webhooks_at_once_keep_one_thread(start: Start, receiver: Receiver) -> None:
    import threading

    with start(latency_s=0.5) as client:
        before = set(threading.enumerate())
        tasks = [client.text_task(webhookURL=receiver.url) for _ in range(100)]
        assert client.post(*tasks).status_code == 200
        receiver.wait(1)
        assert [thread.name for thread in set(threading.enumerate()) - before if "emulator" in thread.name] == [
            "emulator-couriers"
        ]
        hooks = receiver.stays(100)
        assert {hook.json["taskUUID"] for hook in hooks} == {task["taskUUID"] for task in tasks}


def test_who_runs_is_known_by_a_lock_that_ends_with_it(tmp_path: Path) -> None:
    one, other = Presence(tmp_path, "one"), Presence(tmp_path, "other")
    one.begin()
    assert other.is_running("one")
    assert not other.is_running("nobody")
    assert not other.is_running("")
    one.end()
    assert not other.is_running("one")
    # A file that is left, by a process that was killed, has no lock.
    (tmp_path / "killed").touch()
    assert not other.is_running("killed")
    assert list(tmp_path.iterdir()) == []
