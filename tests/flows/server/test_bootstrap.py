"""Bootstrap puts on a server what machines share, twice as well as once, and runs do without."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.events.schemas.automations import EventTrigger
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from flows.server.automations import MOST_STARTS, RERUN_AFTER_S, SILENT_S, UNBEGUN_S, notifications, rescues
from flows.server.bootstrap import Report, Wanted, bootstrap
from flows.server.shared import LIMIT, VARIABLES, RunwareCredentials, shared_environment, shared_slot
from flows.server.temporary import TemporaryServer
from tasks.errors import BadInput, PrefectUnreachable, SettingsError
from tests.flows.conftest import Home, Shotchain

KEY = "sk-bootstrap-0123456789"


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that no other test puts anything on."""
    server = TemporaryServer(tmp_path_factory.mktemp("bootstrap"))
    server.start()
    server.wait()
    yield server.api_url
    server.stop()


@pytest.fixture
def server(own_server: str) -> Iterator[str]:
    """The same, without what an earlier test made."""
    for path, key in (("automations", "id"), ("v2/concurrency_limits", "name"), ("variables", "id")):
        for item in httpx.post(f"{own_server}/{path}/filter", json={}).json():
            httpx.delete(f"{own_server}/{path}/{item[key]}").raise_for_status()
    for item in httpx.post(f"{own_server}/block_documents/filter", json={}).json():
        httpx.delete(f"{own_server}/block_documents/{item['id']}").raise_for_status()
    with temporary_settings({PREFECT_API_URL: own_server}):
        yield own_server


def kept(server: str, path: str) -> Any:
    """What the server's API has of a kind."""
    return httpx.post(f"{server}/{path}/filter", json={}).json()


def keep(server: str, name: str, value: str) -> None:
    httpx.post(f"{server}/variables/", json={"name": name, "value": value}).raise_for_status()


def switch_off(server: str, name: str) -> None:
    found = {item["name"]: item["id"] for item in kept(server, "automations")}
    httpx.patch(f"{server}/automations/{found[name]}", json={"enabled": False}).raise_for_status()


def states(report: Report) -> dict[str, str]:
    return {item.name: item.state for item in report.items}


async def test_twice_changes_nothing(server: str) -> None:
    wanted = Wanted(key=KEY, variables={"shotchain_work": "s3://films/work", "shotchain_budgets": None})

    first, second = await bootstrap(wanted), await bootstrap(wanted)

    made = states(first)
    assert made[LIMIT] == made["runware-credentials/shotchain"] == made["shotchain_work"] == "made"
    assert made["shotchain_budgets"] == "lacking"
    assert set(states(second).values()) == {"there", "lacking"}
    assert {name for name, state in states(second).items() if state == "lacking"} == {
        name for name, state in made.items() if state == "lacking"
    }


async def test_what_is_wanted_otherwise_is_changed_and_what_is_not_given_is_left(server: str) -> None:
    await bootstrap(Wanted(key=KEY, variables={"shotchain_work": "s3://films/work"}, limit=3))

    other = states(await bootstrap(Wanted(key=KEY + "x", variables={"shotchain_work": "s3://films/more"}, limit=5)))
    silent = states(await bootstrap(Wanted(variables={"shotchain_work": None})))

    assert other[LIMIT] == other["shotchain_work"] == other["runware-credentials/shotchain"] == "changed"
    assert silent[LIMIT] == silent["shotchain_work"] == silent["runware-credentials/shotchain"] == "there"
    assert [item["limit"] for item in kept(server, "v2/concurrency_limits")] == [5]


async def test_an_automation_that_was_switched_off_stays_off(server: str) -> None:
    await bootstrap(Wanted())
    name = rescues()[0].name
    switch_off(server, name)

    assert states(await bootstrap(Wanted()))[name] == "there"
    assert {item["name"]: item["enabled"] for item in kept(server, "automations")}[name] is False


async def test_nobody_is_told_without_a_block_and_with_one_both_are_made(server: str) -> None:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    told = [automation.name for automation in notifications(uuid.uuid4())]
    assert {states(await bootstrap(Wanted()))[name] for name in told} == {"lacking"}

    await CustomWebhookNotificationBlock(name="producers", url="http://127.0.0.1:9").asave("producers")
    kind = CustomWebhookNotificationBlock.get_block_type_slug()
    made = states(await bootstrap(Wanted(notify=f"{kind}/producers")))
    assert {made[name] for name in told} == {"made"}
    # From then on they are there, asked for or not.
    for wanted in (Wanted(), Wanted(notify=f"{kind}/producers")):
        assert {states(await bootstrap(wanted))[name] for name in told} == {"there"}


@pytest.mark.parametrize("name", ["nonsense", "slack-webhook/nobody", "runware-credentials/shotchain"])
async def test_a_block_that_cannot_notify_is_refused_before_anything_is_made(server: str, name: str) -> None:
    await RunwareCredentials.aregister_type_and_schema()
    await RunwareCredentials(key=SecretStr(KEY)).asave("shotchain")

    with pytest.raises(BadInput, match="block"):
        await bootstrap(Wanted(limit=2, notify=name))

    assert kept(server, "v2/concurrency_limits") == []


async def test_a_password_is_never_kept_where_everybody_can_read_it(server: str) -> None:
    secret = "postgresql+psycopg://shotchain:hunter22@db/shotchain"

    report = await bootstrap(Wanted(key=KEY, variables={"shotchain_ledger": secret}))

    assert states(report)["shotchain_ledger"] == "lacking"
    assert kept(server, "variables") == []
    assert "hunter22" not in str(report)
    assert KEY not in str(report) + str(Wanted(key=KEY))
    assert KEY not in str(kept(server, "block_documents"))


async def test_a_path_is_kept_as_the_same_for_all_and_it_is_said_that_it_has_to_be_mounted(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = {
        "shotchain_work": "work",
        "shotchain_ledger": "sqlite:///ledger.db?timeout=5",
        "shotchain_budgets": "/studio/budgets.yaml",
        "runware_base_url": "http://127.0.0.1:8787/v1",
    }

    first, again = await bootstrap(Wanted(variables=dict(wanted))), await bootstrap(Wanted(variables=dict(wanted)))

    assert {item["name"]: item["value"] for item in kept(server, "variables")} == {
        **wanted,
        "shotchain_work": f"{tmp_path}/work",
        "shotchain_ledger": f"sqlite:///{tmp_path}/ledger.db?timeout=5",
    }
    for report, state in ((first, "made"), (again, "there")):
        notes = {item.name: (item.state, item.note) for item in report.items if item.kind == "variable"}
        assert {name for name, (_, note) in notes.items() if "mounted on each" in note} == set(wanted) - {
            "runware_base_url"
        }
        assert {became for became, _ in notes.values()} == {state}


async def test_a_relative_path_that_was_kept_before_is_told_of(server: str) -> None:
    keep(server, "shotchain_work", "work")

    report = await bootstrap(Wanted(variables={"shotchain_work": None}))

    (item,) = (item for item in report.items if item.name == "shotchain_work")

    assert (item.state, item.note.partition(":")[0]) == ("there", "work")
    assert "another place on each machine" in item.note


async def test_without_a_server_nothing_can_be_kept() -> None:
    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(SettingsError, match="no Prefect server"):
        await bootstrap(Wanted())
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), pytest.raises(PrefectUnreachable):
        await bootstrap(Wanted())


def test_the_command_prints_one_object(server: str, shotchain: Shotchain, home: Home) -> None:
    environment = {"PREFECT_API_URL": server, "RUNWARE_API_KEY": KEY, "SHOTCHAIN_BUDGETS": "s3://films/budgets.yaml"}

    first = shotchain("bootstrap", "--limit", "4", "--json", **environment)
    second = shotchain("bootstrap", "--json", **environment)

    assert (first.code, second.code) == (0, 0), first.err + second.err
    made = {item["name"] for item in first.json["made"]}
    assert made >= {"runware-credentials/shotchain", "shotchain_budgets", LIMIT, rescues()[0].name}
    assert second.json["made"] == second.json["changed"] == []
    assert KEY not in first.out + first.err
    assert shotchain("bootstrap", "--limit", "0", **environment).code == 2
    assert shotchain("bootstrap", PREFECT_API_URL="http://127.0.0.1:9/api").code == 6
    lines = shotchain("bootstrap", **environment).out
    assert LIMIT in lines
    assert "lacking" in lines


# -- what runs read of it --------------------------------------------------------------------------------------------


async def test_a_run_without_bootstrap_goes_by_its_own_environment(server: str) -> None:
    own = {"SHOTCHAIN_WORK": "work", "HOME": "home"}

    assert shared_environment(own) == own
    with temporary_settings({PREFECT_API_URL: None}):
        assert shared_environment(own) == own


async def test_what_the_server_keeps_completes_the_environment(server: str) -> None:
    await bootstrap(Wanted(key=KEY, variables=dict.fromkeys(VARIABLES, "s3://films/shared")))

    found = shared_environment({"SHOTCHAIN_WORK": "mine"})

    assert found["SHOTCHAIN_WORK"] == "mine"
    assert found["RUNWARE_API_KEY"] == KEY
    assert {found[name] for name in VARIABLES.values() if name != "SHOTCHAIN_WORK"} == {"s3://films/shared"}
    assert shared_environment({"RUNWARE_API_KEY": "other"})["RUNWARE_API_KEY"] == "other"


def test_a_server_that_is_gone_is_told_of() -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), pytest.raises(PrefectUnreachable):
        shared_environment({})


SLOTS = """
import asyncio, sys, time
from flows.server.shared import shared_slot

async def hold(seconds):
    async with shared_slot():
        print(time.time(), flush=True)
        await asyncio.sleep(seconds)
        print(time.time(), flush=True)

asyncio.run(hold(float(sys.argv[1])))
"""


@pytest.mark.timeout(90)
def test_processes_share_the_places(server: str) -> None:
    """One place: the second process comes in only after the first has left."""
    asyncio.run(bootstrap(Wanted(limit=1)))

    def hold(seconds: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SLOTS, str(seconds)],
            cwd=Path(__file__).parents[3],
            env={**os.environ, "PREFECT_API_URL": server},
            stdout=subprocess.PIPE,
            text=True,
        )

    with hold(4) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with hold(0) as second:
            came_in = float(second.communicate()[0].split()[0])
        left = float(first.communicate()[0].split()[0])

    assert (first.returncode, second.returncode) == (0, 0)
    assert came_in >= left


async def test_without_the_limit_nothing_is_held_and_that_is_said_once(
    server: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flows.server.shared")
    for _ in range(2):
        async with shared_slot():
            pass

    said = [record.message for record in caplog.records if record.name == "flows.server.shared"]
    assert len(said) == 1
    assert "shotchain bootstrap" in said[0]


@pytest.mark.parametrize("answers", ["refuses", "is silent"])
async def test_a_server_that_goes_away_meanwhile_stops_no_shot(
    server: str, answers: str, caplog: pytest.LogCaptureFixture
) -> None:
    await bootstrap(Wanted())
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        port = 9 if answers == "refuses" else silent.getsockname()[1]
        async with AsyncExitStack() as slot:
            # By another name of the same server: where one was found to have no limit, none is asked for again.
            with temporary_settings({PREFECT_API_URL: server.replace("127.0.0.1", "localhost")}):
                await slot.enter_async_context(shared_slot())
            began = time.monotonic()
            with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
                await slot.aclose()

    assert time.monotonic() - began < 15
    (said,) = [record.message for record in caplog.records if record.name == "flows.server.shared"]
    assert "free again only when its lease ends: " in said
    assert ("no answer in 5 s" in said) is (answers == "is silent")
    # Whoever asks the server finds the place still taken.
    assert [item["active_slots"] for item in kept(server, "v2/concurrency_limits")] == [1]


# -- the rules -------------------------------------------------------------------------------------------------------


def test_dead_runs_are_found_late_and_rerun_after_the_worker_has_had_its_say() -> None:
    dead, crashed, unbegun = (automation.trigger for automation in rescues())
    assert isinstance(dead, EventTrigger)
    assert isinstance(crashed, EventTrigger)
    assert isinstance(unbegun, EventTrigger)

    # Three heartbeats; and a worker's second report of the same crash comes seconds later.
    assert dead.within == timedelta(seconds=SILENT_S) >= timedelta(seconds=540)
    assert crashed.within == timedelta(seconds=RERUN_AFTER_S) > timedelta(seconds=10)
    assert "prefect.flow-run.Crashed" in dead.expect
    assert crashed.expect.isdisjoint(crashed.after)
    # Never one that did not begin, never one that crashed each time.
    # What began in any way is left to the others.
    assert {"prefect.flow-run.Running", "prefect.flow-run.heartbeat"} <= unbegun.expect
    assert unbegun.within == timedelta(seconds=UNBEGUN_S) > dead.within
    assert list(crashed.match["prefect.run-count"]) == [str(count) for count in range(1, MOST_STARTS)]
