"""A run that only fails stops sending; one bad hour costs no budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tasks.clips.circuit import Circuit
from tasks.errors import CircuitOpen, ContentRefused, KeyRefused, ProviderFailed, ShotchainError
from tasks.plan.model import Plan
from tests.clips.house import House, make_plan
from tests.runware.provider import PRICE_USD, Provider, lose_request, refuse

NewHouse = Callable[[Plan], House]


def test_failure_upon_failure_opens_it_and_a_success_begins_anew() -> None:
    circuit = Circuit(limit=3)
    for _ in range(2):
        circuit.failed(ProviderFailed("sorry"))
    circuit.worked()
    for _ in range(2):
        circuit.failed(ProviderFailed("sorry"))
    circuit.check("a")
    circuit.failed(ProviderFailed("sorry again"))
    with pytest.raises(CircuitOpen, match="3 failures in a row, the last one: sorry again") as caught:
        circuit.check("b")
    assert (caught.value.exit_code, caught.value.shot) == (6, "b")


def test_what_no_request_can_mend_opens_it_at_once_and_the_first_reason_stays() -> None:
    circuit = Circuit()
    circuit.trip(KeyRefused("no such key"))
    circuit.trip(ProviderFailed("sorry"))
    assert circuit.is_open
    with pytest.raises(KeyRefused):
        circuit.check("a")


async def test_a_provider_that_only_fails_is_sent_no_more_than_the_limit(
    new_house: NewHouse, provider: Provider
) -> None:
    house = new_house(make_plan(*(f"tram number {number}" for number in range(12))))
    failure = {"code": "providerInternalError", "message": "sorry"}
    provider.endings = deque([failure] * 36)
    async with house.run(provider, retries=2) as run:
        errors: deque[ShotchainError] = deque()
        for shot in run.plan.shots:
            try:
                await run.generator.take(shot, shot.takes[0], {})
            except ShotchainError as error:
                errors.append(error)
    assert len(provider.submitted) == 5
    assert isinstance(errors[-1], CircuitOpen)


@pytest.mark.parametrize(
    ("ending", "cost"),
    [
        ({"code": "generationFailed", "message": "sorry", "cost": 0.42}, "charged"),
        ({"code": "contentPolicyViolation", "message": "no", "cost": 0.42}, "charged"),
        ({"code": "contentPolicyViolation", "message": "no"}, "in doubt"),
        ({"code": "nobodyKnowsThis", "message": "?"}, "in doubt"),
    ],
)
async def test_whatever_costs_and_gives_no_clip_counts(
    new_house: NewHouse, provider: Provider, ending: dict[str, Any], cost: str
) -> None:
    house = new_house(make_plan(*(f"tram number {number}" for number in range(12))))
    provider.endings = deque([ending] * 12)
    async with house.run(provider, retries=2) as run:
        for shot in run.plan.shots:
            with pytest.raises(ShotchainError):
                await run.generator.take(shot, shot.takes[0], {})
        totals = run.ledger.totals("run")
    assert len(provider.submitted) == 5
    lost_usd, nothing = 5 * PRICE_USD, Decimal(0)
    assert totals.spent_usd == (lost_usd if cost == "charged" else nothing)
    assert totals.unknown_usd == (nothing if cost == "charged" else lost_usd)


async def test_refusals_that_cost_nothing_do_not_count(new_house: NewHouse, provider: Provider) -> None:
    house = new_house(make_plan(*(f"tram number {number}" for number in range(8))))
    provider.submissions = deque([refuse("contentPolicyViolation")] * 8)
    async with house.run(provider) as run:
        for shot in run.plan.shots:
            with pytest.raises(ContentRefused):
                await run.generator.take(shot, shot.takes[0], {})
    assert len(provider.submitted) == 8


async def test_replies_that_are_lost_again_and_again_open_it(new_house: NewHouse, provider: Provider) -> None:
    house = new_house(make_plan(*(f"tram number {number}" for number in range(8))))
    provider.submissions = deque([lose_request] * 30)
    async with house.run(provider) as run:
        for shot in run.plan.shots:
            with pytest.raises(ShotchainError):
                await run.generator.take(shot, shot.takes[0], {})
    assert len(set(provider.submitted)) == 5
