"""What machines share is used where a run uses it: the environment of a worker's runs, the places at the provider."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from flows.recover import recover
from flows.server.shared import LIMIT, run_environment
from tasks.emulator.server import EmulatorServer
from tasks.emulator.settings import EmulatorSettings
from tasks.errors import KeyRefused
from tasks.ledger import Wanted, open_ledger
from tests.flows.conftest import Home, Shotchain

pytestmark = pytest.mark.runs


@pytest.fixture
def kept(on_server: str) -> Iterator[str]:
    """A server that keeps where the clip store is."""
    told = {"name": "shotchain_work", "value": "s3://studio/work"}
    made = httpx.post(f"{on_server}/variables/", json=told)
    made.raise_for_status()
    yield on_server
    httpx.delete(f"{on_server}/variables/{made.json()['id']}").raise_for_status()


@pytest.fixture
def by_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that a worker has started."""
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "00000000-0000-0000-0000-000000000000")


@pytest.mark.usefixtures("by_worker")
async def test_a_run_of_a_worker_goes_by_what_the_server_keeps_and_says_what_is_lacking(
    kept: str, home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("SHOTCHAIN_WORK")
    caplog.set_level(logging.INFO, "flows.server.shared")

    found = await run_environment()

    assert found is not None
    assert found["SHOTCHAIN_WORK"] == "s3://studio/work"
    assert found["SHOTCHAIN_LEDGER"] == home.environment["SHOTCHAIN_LEDGER"]
    (said,) = [record.message for record in caplog.records if record.name == "flows.server.shared"]
    assert said.startswith("Neither set here nor kept on the Prefect server: RUNWARE_API_KEY, SHOTCHAIN_BUDGETS.")


@pytest.mark.usefixtures("by_worker")
async def test_what_is_set_goes_before_what_the_server_keeps(kept: str, home: Home) -> None:
    found = await run_environment()

    assert found is not None
    assert found["SHOTCHAIN_WORK"] == home.environment["SHOTCHAIN_WORK"]


@pytest.mark.usefixtures("kept")
async def test_a_command_goes_by_its_own_environment() -> None:
    assert await run_environment() is None


@pytest.fixture
def one_place(prefect_server: str) -> Iterator[str]:
    """The server with one place at the provider for all machines."""
    made = httpx.post(f"{prefect_server}/v2/concurrency_limits/", json={"name": LIMIT, "limit": 1})
    made.raise_for_status()
    yield prefect_server
    httpx.delete(f"{prefect_server}/v2/concurrency_limits/{LIMIT}").raise_for_status()


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("one_place")
def test_the_shots_of_a_run_take_places_that_all_machines_share(home: Home, shotchain: Shotchain) -> None:
    home.storyboard("shots: [{id: a, prompt: A lake, duration: 1}, {id: b, prompt: A hill, duration: 1}]")
    with EmulatorServer(EmulatorSettings(latency_s=1.0)) as server:
        ran = shotchain("render", "board.yaml", "--base-url", server.base_url, RUNWARE_API_KEY="key-of-the-tests")
        assert ran.code == 0, ran.err
        books: dict[str, Any] = httpx.get(f"{server.origin}/_emulator/books").json()

    first, second = sorted(books["tasks"], key=lambda task: float(task["submitted_at"]))
    assert second["submitted_at"] >= first["finished_at"]


@pytest.mark.usefixtures("one_place")
def test_the_emulator_inside_needs_none_of_them(home: Home, shotchain: Shotchain, one_place: str) -> None:
    home.storyboard("shots: [{id: a, prompt: A lake, duration: 1}]")
    taken = httpx.post(f"{one_place}/v2/concurrency_limits/increment", json={"names": [LIMIT], "slots": 1})
    taken.raise_for_status()
    began_s = time.monotonic()

    assert shotchain("render", "board.yaml", "--provider", "emulator").code == 0
    assert time.monotonic() - began_s < 60


@pytest.mark.usefixtures("on_server")
async def test_a_scheduled_recovery_needs_a_key_only_where_there_is_something_to_ask(home: Home) -> None:
    assert (await recover())["attempts"] == []
    assert not (home.folder / "ledger.db").exists()

    with open_ledger(home.environment["SHOTCHAIN_LEDGER"]) as ledger:
        ledger.begin_run(run_id="x", provider="runware", account="", storyboard="x", budget_usd=None)
        ledger.reserve("x", [Wanted("key", "lake", 1, "klingai:kling@o1-standard", Decimal("0.42"), {})])
    with pytest.raises(KeyRefused):
        await recover()
