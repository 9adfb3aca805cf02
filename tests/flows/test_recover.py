"""What runs left unfinished is reconciled from a terminal and by a deployment, and the exit code says what is left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import flow, tags
from prefect.events.schemas.automations import AutomationCore
from prefect.events.worker import EventsWorker
from prefect.server.events.schemas.automations import Automation, EventTrigger
from prefect.server.events.schemas.events import ReceivedEvent

from flows.money.events import ABOUT, UNCLEAR
from flows.recover import recover
from flows.server.automations import notifications
from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.errors import Incomplete
from tasks.ledger import Attempt, State, Wanted, open_ledger
from tasks.plan.build import build_plan
from tasks.redaction import fingerprint
from tasks.storyboard.model import Shot, Storyboard
from tests.flows.conftest import Home, Shotchain

pytestmark = pytest.mark.runs

Leave = Callable[..., Attempt]


@pytest.fixture
def leave(home: Home) -> Leave:
    """Leaves an attempt at the embedded emulator as a run does that is killed."""

    def leave(prompt: str, state: State = State.SUBMITTED, *, arrived: bool = True, title: str = "Harbour") -> Attempt:
        shot = Shot(id=prompt.rsplit(maxsplit=1)[-1], prompt=prompt)
        board = Storyboard(title=title, model="klingai:kling@o1-standard", width=1280, height=720, shots=(shot,))
        (planned,) = build_plan(board, {}, "emulator").shots
        key = planned.takes[0].content_key
        wanted = Wanted(key, shot.id, 1, board.model, planned.price_usd, planned.request)
        account = fingerprint("emulator")
        with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
            ledger.begin_run(
                run_id="killed", provider="emulator", account=account, storyboard=board.title, budget_usd=None
            )
            ledger.hold_lease("killed", 60.0)
            (attempt,) = ledger.reserve("killed", [wanted])
            ledger.end_lease("killed")
            if state is State.RESERVED:
                return attempt
            moved = ledger.move(attempt.task_uuid, State.SUBMITTED, account=account)
            assert moved is not None
        if arrived:
            settings = EmulatorSettings(state_dir=home.folder / "emulator", latency_s=0, frames_per_second=2)
            with EmulatorServer(settings) as server:
                request = {**attempt.request, "taskUUID": attempt.task_uuid}
                headers = {"Authorization": "Bearer emulator"}
                httpx.post(server.base_url, json=[request], headers=headers).raise_for_status()
        return moved

    return leave


def states(home: Home) -> list[State]:
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        return [attempt.state for attempt in ledger.attempts()]


def clips(home: Home) -> list[Path]:
    return sorted((home.folder / "work").rglob("*.mp4"))


@pytest.mark.quick
def test_a_paid_clip_comes_home_and_nothing_is_bought(home: Home, shotchain: Shotchain, leave: Leave) -> None:
    left = leave("a calm lake")
    done = shotchain("recover", "--provider", "emulator", "--wait", "30", "--json")
    assert done.code == 0, done.err
    (told,) = done.json["attempts"]
    assert {name: told[name] for name in ("taskUUID", "shot", "take", "before", "state", "happened", "cost_usd")} == {
        "taskUUID": left.task_uuid,
        "shot": "lake",
        "take": 1,
        "before": "submitted",
        "state": "stored",
        "happened": "stored",
        "cost_usd": "0.42",
    }
    assert done.json["counts"] == {"stored": 1}
    assert (done.json["spent_usd"], done.json["unknown_usd"]) == ("0.42", "0.00")
    assert len(clips(home)) == 1

    again = shotchain("recover", "--provider", "emulator")
    assert (again.code, again.out) == (0, "emulator: nothing is unfinished\n")


def test_money_that_stays_unknown_is_exit_5_and_says_how_to_settle_it(
    home: Home, shotchain: Shotchain, leave: Leave
) -> None:
    lost = leave("a calm lake", arrived=False)
    leave("a wild river", State.RESERVED)
    done = shotchain("recover", "--provider", "emulator", SHOTCHAIN_GRACE_S="0")
    assert done.code == 5
    assert states(home) == [State.UNKNOWN, State.RELEASED]
    assert "unknown" in done.out
    assert "released" in done.out
    assert "$0.42 unknown" in done.out
    assert f"shotchain settle {lost.task_uuid} --charged, or --not-charged" in done.err

    as_json = shotchain("recover", "--provider", "emulator", "--json", SHOTCHAIN_GRACE_S="0")
    assert as_json.code == 5
    assert as_json.json["counts"] == {"unknown": 1}
    assert as_json.json["error"]["failures"][0]["task_uuid"] == lost.task_uuid

    shotchain("settle", lost.task_uuid, "--not-charged")
    assert shotchain("recover", "--provider", "emulator").code == 0


def test_a_provider_that_is_away_is_exit_6_and_changes_nothing(home: Home, shotchain: Shotchain, leave: Leave) -> None:
    leave("a calm lake", arrived=False)
    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        (attempt,) = ledger.attempts()
        ledger.begin_run(run_id="x", provider="http://127.0.0.1:9", account="", storyboard="x", budget_usd=None)
        wanted = Wanted("key", "lake", 1, attempt.model, attempt.reserved_usd, attempt.request)
        (there,) = ledger.reserve("x", [wanted])
        ledger.move(there.task_uuid, State.SUBMITTED, account="")
    done = shotchain("recover", "--base-url", "http://127.0.0.1:9/v1", "--json", RUNWARE_API_KEY="a-key-0123456789")
    assert done.code == 6
    assert done.json["counts"] == {"left": 1}
    assert done.json["error"]["failures"][0]["type"] == "ProviderUnreachable"
    assert set(states(home)) == {State.SUBMITTED}


@pytest.mark.parametrize(("flags", "code"), [(["--wait", "-1"], 2), (["--provider", "runware"], 6)])
def test_what_cannot_be_done_is_refused(flags: list[str], code: int, shotchain: Shotchain) -> None:
    assert shotchain("recover", *(["--provider", "emulator"] if code == 2 else []), *flags).code == code


@pytest.fixture
def artifacts(on_server: str) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        body = {"artifacts": {"key": {"any_": ["shotchain-recovery"]}}, "sort": "CREATED_DESC"}
        found: list[dict[str, Any]] = httpx.post(f"{on_server}/artifacts/filter", json=body).json()
        return found

    return read


async def test_the_flow_leaves_a_table_and_returns_the_same_as_the_command(
    home: Home, leave: Leave, artifacts: Callable[[], list[dict[str, Any]]]
) -> None:
    leave("a calm lake")
    told = await recover(provider="emulator", wait_s=30.0)
    assert told["counts"] == {"stored": 1}
    assert len(clips(home)) == 1
    assert "lake" in artifacts()[0]["data"]
    assert "$0.42 spent" in artifacts()[0]["description"]


async def test_titles_are_text_in_the_table_and_no_markdown(
    home: Home, leave: Leave, artifacts: Callable[[], list[dict[str, Any]]]
) -> None:
    leave("a calm lake", title="*Harbour* [x](https://studio.test)")
    await recover(provider="emulator", wait_s=30.0)
    (row,) = json.loads(artifacts()[0]["data"])
    assert row["storyboard"] == r"\*Harbour\* \[x\](https://studio.test)"


async def test_the_flow_fails_while_something_is_unclear(
    home: Home, leave: Leave, monkeypatch: pytest.MonkeyPatch, artifacts: Callable[[], list[dict[str, Any]]]
) -> None:
    leave("a calm lake", arrived=False)
    monkeypatch.setenv("SHOTCHAIN_GRACE_S", "0")
    with pytest.raises(Incomplete, match="1 of 1 unfinished attempts") as caught:
        await recover(provider="emulator")
    assert caught.value.exit_code == 5
    assert "unknown" in artifacts()[0]["data"]


async def told_of(on_server: str, run_ids: list[str], count: int) -> list[ReceivedEvent]:
    """The first `count` events of these runs that automations may react to, oldest first."""
    await asyncio.to_thread(EventsWorker.drain_all, timeout=10.0, at_exit=False)
    resources = [f"prefect.flow-run.{run_id}" for run_id in run_ids]
    wanted = {
        "filter": {"event": {"prefix": ["shotchain.", "prefect.flow-run.Failed"]}, "resource": {"id": resources}},
        "limit": 50,
    }
    async with httpx.AsyncClient(base_url=on_server) as api, asyncio.timeout(20):
        while True:
            found = (await api.post("/events/filter", json=wanted)).json()["events"]
            if len(found) >= count:
                events = [ReceivedEvent.model_validate(event) for event in found]
                return sorted(events, key=lambda event: event.occurred)
            await asyncio.sleep(0.1)


async def test_what_stays_unclear_is_told_by_one_rule_under_one_name_until_something_else_is(
    home: Home, leave: Leave, monkeypatch: pytest.MonkeyPatch, on_server: str
) -> None:
    run_ids: list[str] = []

    async def fails() -> None:
        with tags("shotchain"):
            state: Any = await recover(provider="emulator", return_state=True)
        assert state.is_failed()
        run_ids.append(str(state.state_details.flow_run_id))

    leave("a calm lake", arrived=False)
    await fails()  # it left a moment ago: the next recovery can say more
    monkeypatch.setenv("SHOTCHAIN_GRACE_S", "0")
    await fails()
    await fails()
    leave("a wild river", arrived=False)
    await fails()
    monkeypatch.setenv("SHOTCHAIN_WORK", "nosuch://work")
    await fails()

    told = await told_of(on_server, run_ids, count=9)
    unclear = [event for event in told if event.event == UNCLEAR]
    assert [event.resource.id.rpartition(".")[2] for event in unclear] == run_ids[1:]
    first, same, more, broken = (event.resource[ABOUT] for event in unclear)
    assert first == same
    assert len({first, more, broken}) == 3
    assert [event.payload.get("held_usd") for event in unclear] == ["0.42", "0.42", "0.84", None]
    assert "Harbour · lake, take 1: " in unclear[0].payload["what"]
    assert "nosuch" in unclear[3].payload["what"]

    rules = {rule.name: trigger_of(rule) for rule in notifications(uuid4())}
    met = {
        name: [event.event for event in told if trigger.covers(event) and trigger.expects(event.event)]
        for name, trigger in rules.items()
    }
    assert met["shotchain: tell of recovery"] == [UNCLEAR] * 4
    assert met["shotchain: tell of failures"] == []
    keys = [rules["shotchain: tell of recovery"].bucketing_key(event) for event in unclear]
    assert keys == [(first,), (first,), (more,), (broken,)]


async def test_any_other_run_that_fails_is_told_of_each_time(on_server: str) -> None:
    with tags("shotchain"):
        state: Any = await flow(name="render")(_fails)(return_state=True)
    told = await told_of(on_server, [str(state.state_details.flow_run_id)], count=1)

    (rule,) = (rule for rule in notifications(uuid4()) if "failures" in rule.name)
    assert [trigger_of(rule).covers(event) for event in told] == [True]
    assert trigger_of(rule).immediate


async def _fails() -> None:
    raise ValueError("for a test")


def trigger_of(rule: AutomationCore) -> EventTrigger:
    """Its trigger as the server understands it."""
    trigger = Automation.model_validate(rule.model_dump(mode="json")).trigger
    assert isinstance(trigger, EventTrigger)
    return trigger
