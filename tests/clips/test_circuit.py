"""A run that only fails stops sending; one bad hour costs no budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from tasks.clips.circuit import Circuit
from tasks.errors import CircuitOpen, KeyRefused, ProviderFailed, ShotchainError
from tasks.plan.model import Plan
from tests.clips.house import House, make_plan
from tests.runware.provider import Provider

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
