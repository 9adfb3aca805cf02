"""Results are told to webhooks as they end: what is said, how often, and what a fault plan makes of it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.delivery_settings import Tries, WebhookSettings, is_here
from tasks.emulator.fault_plan import parse_faults
from tasks.errors import SettingsError
from tests.emulator.receivers import Receiver, receiving, wait_until

if TYPE_CHECKING:
    from tests.emulator.conftest import Api, Faulty

QUICK = Tries(most=3, first_pause_s=0.04, longest_pause_s=0.06, jitter=0, timeout_s=0.3)
Start = Callable[..., Any]


@pytest.fixture
def start(api: Api) -> Iterator[Start]:
    """Starts emulators whose webhooks are as a test wants, and gives a client for each."""
    with ExitStack() as stack:

        def begin(*rules: dict[str, Any], **webhooks: Any) -> Api:
            settings = EmulatorSettings(
                instant=True,
                frames_per_second=1,
                webhooks=WebhookSettings(**{"tries": QUICK, **webhooks}),
                faults={"rules": rules},
            )
            client = type(api)(stack.enter_context(EmulatorServer(settings)))
            stack.callback(client.http.close)
            return client

        yield begin


def deliveries(client: Api, task: dict[str, Any]) -> list[dict[str, Any]]:
    [entry] = [entry for entry in client.books()["tasks"] if entry["taskUUID"] == task["taskUUID"]]
    return list(entry["deliveries"])


def settled(client: Api, task: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
    """The task's deliveries in the books, once they are over."""

    def are_over() -> bool:
        told = deliveries(client, task)
        return len(told) == count and all(each["state"] != "waiting" for each in told)

    wait_until(are_over)
    return deliveries(client, task)


def test_a_result_is_told_as_a_poll_shows_it(api: Api, receiver: Receiver) -> None:
    task = api.text_task(webhookURL=f"{receiver.url}/hook?token=a%2Fb")
    before = api.books()["counts"]["webhooks"]
    result = api.make(task)

    [hook] = receiver.wait(1)
    assert (hook.method, hook.path, hook.json) == ("POST", "/hook?token=a%2Fb", result)
    assert hook.headers["Content-Type"] == "application/json"
    [told] = settled(api, task)
    [sent] = told.pop("sent")
    assert told.pop("over_at") >= sent["at"]
    assert told == {
        "errand": "webhook",
        "videoUUID": result["videoUUID"],
        "to": f"{receiver.url}/hook",
        "state": "delivered",
    }
    assert (sent["status"], set(sent)) == (204, {"at", "status"})
    assert abs(sent["at"] - hook.at) < 5
    assert api.books()["counts"]["webhooks"] == before + 1


def test_the_task_is_named_as_its_sender_spells_it(api: Api, receiver: Receiver) -> None:
    task = api.text_task(webhookURL=receiver.url)
    api.submit(task | {"taskUUID": task["taskUUID"].upper()})

    [hook] = receiver.wait(1)
    assert hook.json["taskUUID"] == task["taskUUID"].upper()


def test_each_result_has_a_webhook_of_its_own(api: Api, receiver: Receiver) -> None:
    task = api.text_task(webhookURL=receiver.url, numberResults=3)
    results = api.wait(api.submit(task), results=3)

    hooks = receiver.stays(3)
    assert sorted(hook.json["videoUUID"] for hook in hooks) == sorted(each["videoUUID"] for each in results)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({}, {"taskType", "taskUUID", "status", "videoUUID", "videoURL", "seed", "cost"}),
        ({"status": False}, {"taskType", "taskUUID", "videoUUID", "videoURL", "seed", "cost"}),
        ({"success": "wrapped"}, {"data"}),
    ],
)
def test_how_success_is_told_can_be_chosen(
    start: Start, receiver: Receiver, settings: dict[str, Any], shape: set[str]
) -> None:
    client = start(**settings)
    result = client.make(client.text_task(webhookURL=receiver.url))

    [hook] = receiver.wait(1)
    assert set(hook.json) == shape
    [item] = hook.json.get("data", [hook.json])
    assert item == {name: value for name, value in result.items() if name in item}


@pytest.mark.parametrize(
    ("settings", "keys"),
    [({}, {"status"}), ({"status": False}, set()), ({"failure": "wrapped"}, {"status"})],
)
def test_how_failure_is_told_can_be_chosen(
    start: Start, receiver: Receiver, settings: dict[str, Any], keys: set[str]
) -> None:
    client = start({"fault": "fail", "code": "providerTimeout", "charged": True}, **settings)
    task = client.text_task(webhookURL=receiver.url)
    client.submit(task)

    [hook] = receiver.wait(1)
    told = hook.json
    if settings.get("failure") == "wrapped":
        assert set(told) == {"errors"}
        [told] = told["errors"]
    [error] = client.post({"taskType": "getResponse", "taskUUID": task["taskUUID"]}).json()["errors"]
    assert told == {name: value for name, value in error.items() if name != "status" or name in keys}
    assert (told["code"], told["taskUUID"], told["cost"]) == ("providerTimeout", task["taskUUID"], 0.42)


def test_failures_may_be_kept_to_oneself(start: Start, receiver: Receiver) -> None:
    client = start({"fault": "fail", "nth": 1}, failure="none")
    failing, fine = (client.text_task(webhookURL=receiver.url) for _ in range(2))
    client.submit(failing)
    client.make(fine)

    [hook] = receiver.wait(1)
    assert hook.json["taskUUID"] == fine["taskUUID"]
    [told] = settled(client, failing)
    assert (told["state"], told["sent"]) == ("withheld", [])
    assert "failures" in told["why"]


def test_a_request_that_is_refused_has_no_webhook(api: Api, receiver: Receiver) -> None:
    assert api.post(api.text_task(webhookURL=receiver.url, duration=7)).status_code == 400

    receiver.stays(0)


def test_what_is_not_taken_is_sent_again_after_pauses(start: Start, receiver: Receiver) -> None:
    client = start()
    receiver.statuses = [500, 302]
    task = client.text_task(webhookURL=f"{receiver.url}/hook")
    client.submit(task)

    hooks = receiver.stays(3)
    assert [hook.path for hook in hooks] == ["/hook"] * 3
    assert len({hook.content for hook in hooks}) == 1
    pauses_s = [later.at - sooner.at for sooner, later in pairwise(hooks)]
    assert [pause_s >= least for pause_s, least in zip(pauses_s, (0.04, 0.06), strict=True)] == [True, True]
    [told] = settled(client, task)
    assert (told["state"], [sent["status"] for sent in told["sent"]]) == ("delivered", [500, 302, 204])
    assert client.books()["counts"]["webhooks"] == 3


def test_after_the_last_try_it_is_given_up(start: Start, receiver: Receiver) -> None:
    client = start()
    receiver.statuses = [400] * 9
    task = client.text_task(webhookURL=receiver.url)
    client.submit(task)

    receiver.stays(3)
    [told] = settled(client, task)
    assert (told["state"], [sent["status"] for sent in told["sent"]]) == ("failed", [400] * 3)


def test_silence_and_absence_are_no_answers(start: Start, receiver: Receiver) -> None:
    client = start()
    with receiving() as gone:
        nowhere = gone.url
    receiver.answers_after_s = 1
    silent, absent = client.text_task(webhookURL=receiver.url), client.text_task(webhookURL=nowhere)
    client.submit(silent)
    client.submit(absent)

    [told] = settled(client, silent)
    assert told["state"] == "failed"
    assert [sent["problem"] for sent in told["sent"]] == ["no answer within 0.3 s"] * 3
    [told] = settled(client, absent)
    assert [sent["problem"] for sent in told["sent"]] == ["ConnectError"] * 3


@given(made=st.integers(1, 10_000), drawn=st.floats(0, 1))
def test_pauses_double_up_to_a_limit(made: int, drawn: float) -> None:
    tries = Tries(first_pause_s=0.25, longest_pause_s=8, jitter=0.5)

    usual_s = min(8.0, 0.25 * 2 ** min(made - 1, 60))
    assert usual_s <= tries.pause_s(made, drawn) <= usual_s * 1.5


@pytest.mark.parametrize("fields", [{"most": 0}, {"timeout_s": 0}, {"first_pause_s": -1}, {"jitter": -0.1}])
def test_impossible_tries_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Tries(**fields)


# -- where it goes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("https://localhost/x", True),
        ("http://[::1]:80/", True),
        ("https://example.org/x", False),
        ("http://127.0.0.1.example.org/x", False),
        ("http://127.0.0.1@example.org/x", False),
        ("http://10.0.0.1/x", False),
    ],
)
def test_what_this_machine_is(url: str, here: bool) -> None:
    assert is_here(url) is here


def test_nothing_leaves_this_machine_and_the_books_say_so(api: Api) -> None:
    # A name that would be asked for on the network, and an address that would be reached here.
    tasks = [api.text_task(webhookURL=url) for url in ("https://hooks.example.org/x?token=t", "http://0.0.0.0:9/")]
    before = api.books()["counts"]["webhooks"]
    for task in tasks:
        api.make(task)

    for task in tasks:
        [told] = settled(api, task)
        assert (told["state"], told["sent"]) == ("withheld", [])
        assert "outside" in told["why"]
    assert api.books()["counts"]["webhooks"] == before


def test_it_leaves_this_machine_where_that_is_allowed(start: Start, receiver: Receiver) -> None:
    client = start(to="any")
    task = client.text_task(webhookURL=receiver.url.replace("127.0.0.1", "0.0.0.0"))  # noqa: S104
    client.submit(task)

    receiver.wait(1)
    [told] = settled(client, task)
    assert told["state"] == "delivered"


def test_addresses_of_webhooks_are_neither_logged_nor_in_the_books(
    api: Api, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    task = api.text_task(webhookURL=f"{receiver.url.replace('//', '//us3r:pa55@')}/hook?token=s3cret")
    api.submit(task)

    receiver.wait(1)
    settled(api, task)
    [entry] = [entry for entry in api.books()["tasks"] if entry["taskUUID"] == task["taskUUID"]]
    assert entry["request"]["webhookURL"] == f"{receiver.url}/hook"
    for secret in ("s3cret", "pa55"):
        assert secret not in caplog.text
        assert secret not in json.dumps(entry)
    # Whoever sent it may know it.
    [details] = api.post({"taskType": "getTaskDetails", "taskUUID": task["taskUUID"]}).json()["data"]
    assert details["request"] == [task]


# -- faults ----------------------------------------------------------------------------------------------------------


def test_a_lost_webhook_never_comes(faulty: Faulty, receiver: Receiver) -> None:
    faulty.set({"fault": "lose_webhook", "nth": 1})
    lost, fine = (faulty.text_task(webhookURL=receiver.url) for _ in range(2))
    faulty.make(lost)
    faulty.make(fine)

    [hook] = receiver.stays(1)
    assert hook.json["taskUUID"] == fine["taskUUID"]
    [told] = settled(faulty, lost)
    assert (told["state"], told["sent"]) == ("lost", [])
    assert faulty.given() == [1]


def test_a_delayed_webhook_comes_late(faulty: Faulty, receiver: Receiver) -> None:
    faulty.set({"fault": "delay_webhook", "after_s": 0.4})
    began_at = time.time()
    task = faulty.text_task(webhookURL=receiver.url)
    faulty.make(task)
    [told] = deliveries(faulty, task)
    assert (told["state"], told["sent"]) == ("waiting", [])

    [hook] = receiver.wait(1)
    assert hook.at - began_at >= 0.4


def test_a_repeated_webhook_comes_again(faulty: Faulty, receiver: Receiver) -> None:
    faulty.set({"fault": "repeat_webhook", "copies": 2, "after_s": 0.05})
    receiver.statuses = [500]
    task = faulty.text_task(webhookURL=receiver.url)
    faulty.make(task)

    hooks = receiver.stays(4, 0.3)
    assert len({hook.content for hook in hooks}) == 1
    assert all(later.at - sooner.at >= 0.05 for sooner, later in pairwise(hooks[1:]))
    [told] = settled(faulty, task)
    assert [sent.get("copy", False) for sent in told["sent"]] == [False, False, True, True]


def test_webhooks_come_out_of_order(faulty: Faulty, receiver: Receiver) -> None:
    faulty.set({"fault": "hold_webhook", "results": [1], "behind": 2})
    task = faulty.text_task(webhookURL=receiver.url, numberResults=3)
    results = faulty.wait(faulty.submit(task), results=3)

    order = [results[0]["videoUUID"]] + [hook.json["videoUUID"] for hook in receiver.stays(3)]
    assert order.index(order[0], 1) == 3


def test_a_webhook_that_is_held_behind_nothing_comes_after_a_while(faulty: Faulty, receiver: Receiver) -> None:
    faulty.set({"fault": "hold_webhook", "at_most_s": 0.3})
    began_at = time.time()
    faulty.make(faulty.text_task(webhookURL=receiver.url))

    [hook] = receiver.wait(1)
    assert hook.at - began_at >= 0.3


def test_a_changed_webhook_says_something_else(faulty: Faulty, receiver: Receiver) -> None:
    faulty.set(
        {"fault": "change_webhook", "nth": 1, "set": {"videoURL": None, "more": [1]}, "remove": ["cost", "videoUUID"]},
        {"fault": "change_webhook", "nth": 2, "body": "<html>\u00e9"},
    )
    result = faulty.make(faulty.text_task(webhookURL=receiver.url))
    [changed] = receiver.wait(1)
    faulty.make(faulty.text_task(webhookURL=receiver.url))
    _changed, other = receiver.wait(2)

    left = {name: value for name, value in result.items() if name not in {"cost", "videoUUID"}}
    assert changed.json == left | {"videoURL": None, "more": [1]}
    assert other.content.decode() == "<html>\u00e9"


def test_faults_of_webhooks_are_counted_and_meet_nothing_else(faulty: Faulty) -> None:
    for call in ("submit", "download"):
        with pytest.raises(SettingsError, match="webhook"):
            parse_faults(f"{{fault: lose_webhook, call: {call}}}")
    faulty.set({"fault": "lose_webhook"})
    before = faulty.books()["faults"].get("lose_webhook", 0)
    faulty.make(faulty.text_task())
    assert faulty.books()["faults"].get("lose_webhook", 0) == before
