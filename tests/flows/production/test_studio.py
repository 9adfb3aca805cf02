"""What a run works with is opened, and left, so that another process of the same run can go on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from flows.money.terms import Terms
from flows.production.studio import Studio, open_studio
from tasks.clips.gate import open_gate
from tasks.ledger import Limits, State, open_ledger
from tasks.progress import observer
from tasks.settings import resolve_settings
from tests.clips.house import make_plan
from tests.flows.conftest import Home

PLAN = make_plan("A tram climbs", "A ferry leaves", provider="runware")


@asynccontextmanager
async def opened(run_id: str) -> AsyncIterator[Studio]:
    settings = resolve_settings(environ={**os.environ, "RUNWARE_API_KEY": "key"})
    terms = Terms({}, Limits(), None)
    async with open_studio(
        settings, PLAN, {}, run_id=run_id, terms=terms, rebuy_lost=False, observe=observer()
    ) as studio:
        yield studio


def told(home: Home, run_id: str) -> tuple[str | None, set[State], Decimal]:
    with open_ledger(str(home.folder / "ledger.db")) as ledger:
        run = ledger.run(run_id)
        assert run is not None
        states = {attempt.state for attempt in ledger.attempts(run_id=run_id)}
        return run.outcome, states, ledger.totals(run_id).held_usd


def is_finished(home: Home, run_id: str) -> bool:
    with open_ledger(str(home.folder / "ledger.db")) as ledger:
        run = ledger.run(run_id)
        return run is not None and run.finished_at is not None


async def test_what_was_never_sent_is_given_back_at_the_end(home: Home) -> None:
    async def fails() -> None:
        async with opened("run") as studio:
            await open_gate(PLAN, studio.store, studio.ledger, "run")
            assert told(home, "run") == (None, {State.RESERVED}, PLAN.cost_usd)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert told(home, "run") == ("ZeroDivisionError", {State.RELEASED}, Decimal(0))


async def test_of_two_processes_of_one_run_the_last_one_ends_it(home: Home) -> None:
    async with opened("run") as second:
        async with opened("run") as first:
            await open_gate(PLAN, first.store, first.ledger, "run")
        assert not is_finished(home, "run")
        assert told(home, "run")[1:] == ({State.RESERVED}, PLAN.cost_usd)
        assert (await open_gate(PLAN, second.store, second.ledger, "run")).held_usd == PLAN.cost_usd
    assert is_finished(home, "run")
    assert told(home, "run") == ("done", {State.RELEASED}, Decimal(0))


async def test_a_run_that_goes_on_while_it_ends_elsewhere_may_reserve(home: Home) -> None:
    async with opened("run"):
        pass
    async with opened("run") as again:
        assert (await open_gate(PLAN, again.store, again.ledger, "run")).held_usd == PLAN.cost_usd
