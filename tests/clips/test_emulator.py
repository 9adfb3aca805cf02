"""The whole way with the embedded provider: real requests, real rendering, real downloads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.ledger import State
from tasks.plan.model import Plan
from tests.clips.house import House, chain, make_plan

NewHouse = Callable[[Plan], House]


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorServer]:
    with EmulatorServer(EmulatorSettings(latency_s=0, frames_per_second=1, unknown_task_error=True)) as server:
        yield server


def books(emulator: EmulatorServer) -> dict[str, Any]:
    return dict(httpx.get(f"{emulator.origin}/_emulator/books").json())


async def test_a_chain_is_made_and_the_books_agree(emulator: EmulatorServer, new_house: NewHouse) -> None:
    house = new_house(chain("a tram", "it climbs"))
    before = Decimal(books(emulator)["total_usd"])
    taken = await house.render(None, base_url=emulator.base_url)
    assert [one.paid_usd for one in taken] == [Decimal("0.42")] * 2
    assert house.states() == [State.STORED] * 2
    assert Decimal(books(emulator)["total_usd"]) - before == house.held_usd() == Decimal("0.84")
    counts = books(emulator)["counts"]
    again = await house.render(None, "next", base_url=emulator.base_url)
    assert all(one.reused for one in again)
    assert books(emulator)["counts"] == counts


async def test_a_crash_before_the_post_costs_one_charge(emulator: EmulatorServer, new_house: NewHouse) -> None:
    house = new_house(make_plan("a ferry"))
    before = len(books(emulator)["tasks"])
    async with house.run(None, "crashed", base_url=emulator.base_url) as run:
        attempt = run.reserve()
        run.ledger.move(attempt.task_uuid, State.SUBMITTED, account=house.settings().account)
    (taken,) = await house.render(None, "next", base_url=emulator.base_url)
    after = books(emulator)["tasks"]
    assert len(after) == before + 1
    assert taken.clip.origin.task_uuid == attempt.task_uuid
    assert attempt.task_uuid in {task["taskUUID"] for task in after}


async def test_a_task_that_it_has_is_not_made_again(emulator: EmulatorServer, new_house: NewHouse) -> None:
    house = new_house(make_plan("a gull"))
    async with house.run(None, "crashed", base_url=emulator.base_url) as run:
        attempt = run.reserve()
        run.ledger.move(attempt.task_uuid, State.SUBMITTED, account=house.settings().account)
        await run.client.submit({**attempt.request, "taskUUID": attempt.task_uuid})
    before = books(emulator)["counts"]["videoInference"]
    (taken,) = await house.render(None, "next", base_url=emulator.base_url)
    assert books(emulator)["counts"]["videoInference"] == before
    assert taken.clip.origin.task_uuid == attempt.task_uuid
