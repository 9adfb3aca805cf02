"""How the provider ended a task decides the attempt's state and the money: once, whoever was faster."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tasks.clips.endings import AT_PROVIDER, state_after, state_of_verdict, write_failure, write_success
from tasks.errors import (
    Charged,
    ContentRefused,
    KeyRefused,
    NoCredit,
    ProviderError,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
    RequestRejected,
    SettingsError,
    ShotchainError,
)
from tasks.ledger import ALLOWED, State
from tasks.runware.messages import read_reply
from tests.clips.house import House, left_by_a_crash
from tests.runware.provider import PRICE_USD, Provider

S = State


@pytest.mark.parametrize("kind", [RequestRejected, ContentRefused, KeyRefused, NoCredit, SettingsError])
def test_what_was_rejected_before_any_work_is_refused(kind: type[ShotchainError]) -> None:
    assert state_after(kind("no")) is S.REFUSED


@pytest.mark.parametrize("kind", [ProviderError, ProviderFailed, ProviderTimeout])
def test_everything_else_has_failed(kind: type[ShotchainError]) -> None:
    assert state_after(kind("no")) is S.FAILED


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (RequestRejected, S.FAILED),
        (ContentRefused, S.FAILED),
        (ProviderFailed, S.FAILED),
        (KeyRefused, S.REFUSED),
        (NoCredit, S.REFUSED),
    ],
)
def test_what_was_accepted_may_have_been_worked_on(kind: type[ShotchainError], state: State) -> None:
    assert state_of_verdict(kind("no")) is state


def test_the_provider_has_a_say_where_a_result_may_follow() -> None:
    assert {state for state in S if S.SUCCEEDED in ALLOWED[state]} == AT_PROVIDER


@pytest.mark.parametrize("state", sorted(AT_PROVIDER))
async def test_a_result_settles_what_it_cost(state: State, house: House, provider: Provider) -> None:
    async with house.run(provider) as run:
        path = [S.SUBMITTED] if state is S.SUBMITTED else [S.SUBMITTED, state]
        attempt = left_by_a_crash(run, *path)
        item = {"taskUUID": attempt.task_uuid, "videoURL": "https://cdn.test/1.mp4", "cost": Decimal("0.21")}
        (result,) = read_reply(200, {"data": [item]}).results_of(attempt.task_uuid)
        written = await write_success(run.ledger, attempt, result)
        assert written is not None
        assert (written.state, written.cost_usd, written.charged) == (S.SUCCEEDED, Decimal("0.21"), Charged.YES)
        assert await write_success(run.ledger, attempt, result) is None


async def test_what_was_posted_again_meanwhile_is_not_ended_by_what_was_said_before(
    house: House, provider: Provider
) -> None:
    async with house.run(provider) as run:
        attempt = left_by_a_crash(run, S.SUBMITTED)
        again = run.ledger.count_post(attempt.task_uuid, posts=1)
        assert await write_failure(run.ledger, attempt, S.FAILED, ProviderFailed("no"), None) is None
        assert run.ledger.attempt(attempt.task_uuid) == again


CASES: list[tuple[ShotchainError, Charged, Decimal]] = [
    (ProviderFailed("it fell over"), Charged.UNKNOWN, PRICE_USD),
    (ProviderFailed("it fell over", cost_usd=Decimal("0.10"), charged=Charged.YES), Charged.YES, Decimal("0.10")),
    (ContentRefused("not this"), Charged.NO, Decimal(0)),
]


@pytest.mark.parametrize(("error", "charged", "held_usd"), CASES)
async def test_a_failure_settles_what_it_tells(
    error: ShotchainError, charged: Charged, held_usd: Decimal, house: House, provider: Provider
) -> None:
    async with house.run(provider) as run:
        attempt = left_by_a_crash(run, S.SUBMITTED, S.ACCEPTED)
        written = await write_failure(run.ledger, attempt, state_after(error), error, None)
        assert written is not None
        assert (written.charged, written.totals.held_usd) == (charged, held_usd)
        assert await write_failure(run.ledger, attempt, state_after(error), error, None) is None


async def test_what_never_arrived_costs_nothing(house: House, provider: Provider) -> None:
    error: Any = ProviderUnreachable("refused", cost_usd=PRICE_USD, charged=Charged.YES)
    async with house.run(provider) as run:
        written = await write_failure(run.ledger, left_by_a_crash(run, S.SUBMITTED), S.RELEASED, error, None)
        assert written is not None
        assert (written.state, written.cost_usd) == (S.RELEASED, None)
        assert written.totals.held_usd == 0
