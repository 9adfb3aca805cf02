"""What the ledger remembers of an attempt is the same error and the same result again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tasks.clips.recall import error_from_dict, look_at_all, look_closely, recorded_error, recorded_result
from tasks.errors import (
    Charged,
    ClipLost,
    ContentRefused,
    KeyRefused,
    LedgerError,
    NoCredit,
    OutcomeUnknown,
    ProviderError,
    ProviderFailed,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    SettingsError,
    ShotchainError,
)
from tasks.ledger import State
from tests.clips.house import House
from tests.runware.provider import Provider

KINDS = [
    ClipLost,
    ContentRefused,
    KeyRefused,
    NoCredit,
    OutcomeUnknown,
    ProviderError,
    ProviderFailed,
    ProviderTimeout,
    RateLimited,
    RequestRejected,
    SettingsError,
    ShotchainError,
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_comes_back_from_its_record(kind: type[ShotchainError]) -> None:
    error = kind(
        "it went wrong", advice="do this", shot="a", task_uuid="one", cost_usd=Decimal("0.42"), charged=Charged.YES
    )
    if isinstance(error, ProviderError):
        error.code, error.parameter, error.details = "odd", "duration", {"code": "odd"}
    again = error_from_dict(error.as_dict())
    assert type(again) is kind
    assert again.as_dict() == error.as_dict()


@pytest.mark.parametrize(
    "fields", [{}, {"type": "NoSuchError", "message": "x"}, {"type": "Incomplete"}, {"type": "OverBudget"}]
)
def test_a_record_that_tells_little_is_an_error_all_the_same(fields: dict[str, str]) -> None:
    assert isinstance(error_from_dict(fields), ShotchainError)


@pytest.mark.parametrize("error", [KeyRefused("no key"), ProviderFailed("fell over", code="inferenceError")])
async def test_what_ended_another_runs_attempt_ends_this_one(house: House, error: ShotchainError) -> None:
    async with house.run(None) as run:
        attempt = run.reserve()
        run.ledger.move(attempt.task_uuid, State.SUBMITTED)
        ended = run.ledger.move(attempt.task_uuid, State.FAILED, error=error)
        assert ended is not None
        again = recorded_error(ended)
        assert type(again) is type(error)
        assert (again.shot, again.task_uuid) == ("a", attempt.task_uuid)
        with pytest.raises(type(error)):
            await run.driver.drive(ended, run.order())


async def test_an_end_without_a_reason_has_an_error_too(house: House) -> None:
    async with house.run(None) as run:
        attempt = run.reserve()
        released = run.ledger.move(attempt.task_uuid, State.RELEASED)
        assert released is not None
        assert "ended as released" in str(recorded_error(released))


async def test_a_paid_attempt_without_a_result_is_a_broken_ledger(house: House) -> None:
    async with house.run(None) as run:
        attempt = run.reserve()
        run.ledger.move(attempt.task_uuid, State.SUBMITTED)
        paid = run.ledger.move(attempt.task_uuid, State.SUCCEEDED)
        assert paid is not None
        with pytest.raises(LedgerError, match="no result"):
            recorded_result(paid)


async def test_many_tasks_are_asked_about_a_hundred_at_once(house: House, provider: Provider) -> None:
    uuids = [f"task-{number}" for number in range(150)]
    provider.not_found = True
    async with house.run(provider) as run:
        await run.client.submit({"taskType": "videoInference", "taskUUID": uuids[7]})
        seen = await look_at_all(run.client, uuids)
    assert [len(body) for body in provider.bodies[1:]] == [100, 50]
    assert list(seen) == uuids
    result = seen.pop(uuids[7])
    assert getattr(result, "task_uuid", None) == uuids[7]
    assert set(seen.values()) == {"missing"}


async def test_a_provider_that_answers_about_few_leaves_the_others_to_be_asked_closely(
    house: House, provider: Provider
) -> None:
    provider.most_questions = 1
    async with house.run(provider) as run:
        assert await look_at_all(run.client, ["one", "other"]) == {}
        assert await look_closely(run.client, "one") is None
        provider.not_found = True
        assert await look_closely(run.client, "one") == "missing"
