"""What the provider decides about a result: that it fails, costs something else, is flagged, or is gone when it is
fetched."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tasks.errors import (
    ContentRefused,
    ProviderError,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
)
from tests.clips.house import make_plan
from tests.faults.conftest import NewTrial
from tests.faults.trial import ALWAYS, SHOT_USD, Case, Trial, fault

UNTOLD: dict[str, Any] = {"books_usd": "0", "spent_usd": "0"}

CASES = [
    Case(
        "a failure that may pass, and does not say what it cost",
        [fault("fail", after_s=0.05, message="The model stopped.")],
        states="failed stored",
        doubt_usd="0.42",
        sent="submit=2 download=1",
        told=r"the provider failed: providerInternalError: The model stopped\.; try 2",
    ),
    Case(
        "a failure that may pass, and was charged",
        [fault("fail", charged=True)],
        states="failed stored",
        books_usd="0.84",
        sent="submit=2 download=1",
        next_usd="0.84",
    ),
    Case(
        "failure upon failure",
        [fault("fail", times=ALWAYS)],
        states="failed failed failed",
        books_usd="0",
        doubt_usd="1.26",
        sent="submit=3 download=0",
        error=ProviderFailed,
        says="providerInternalError",
        told="(?s)try 2.*try 3",
    ),
    Case(
        "failure upon failure, each charged, and no retry wanted",
        [fault("fail", charged=True, code="timeoutProvider", times=ALWAYS)],
        states="failed",
        sent="submit=1 download=0",
        error=ProviderTimeout,
        says="took too long: timeoutProvider",
        options={"retries": 0},
        next_usd="0.84",
    ),
    Case(
        "a failure with a code that nobody knows",
        [fault("fail", code="moonInTheWrongHouse", message="Wait for spring.")],
        states="failed",
        books_usd="0",
        doubt_usd="0.42",
        sent="submit=1 download=0",
        error=ProviderError,
        says=r"reported moonInTheWrongHouse: Wait for spring\.",
        advises="does not know this code, so it does not try again. See what your account was charged",
    ),
    Case("another price, a higher one", [fault("cost", cost_usd="0.515")], books_usd="0.515", next_usd="0.515"),
    Case("another price, a lower one", [fault("cost", cost_usd="0.000001")], books_usd="0.000001", next_usd="0.000001"),
    Case("a price of nothing", [fault("cost", cost_usd="0")], books_usd="0", next_usd="0"),
    Case("a clip that is flagged, and kept", [fault("nsfw")]),
    Case(
        "a clip that is flagged, and not to be shown",
        [fault("nsfw")],
        error=ContentRefused,
        says="flagged this clip as unsafe",
        advises="It is paid for and kept. .* show it with --nsfw keep",
        clips=1,
        options={"nsfw": "fail"},
    ),
    *(
        Case(
            f"an address that has expired ({status})",
            [fault("expire", status=status)],
            sent="submit=1 poll=2 details=0 download=2",
        )
        for status in (404, 410)
    ),
    Case("addresses that expire, twice", [fault("expire", addresses=2)], sent="submit=1 download=3"),
    Case(
        "an address that has expired, and only getTaskDetails knows another",
        [fault("expire", forget=True)],
        sent="submit=1 poll=2 details=1 download=2",
    ),
    Case("an address that is good for one download", [fault("expire", after_downloads=1)]),
    Case(
        "an address that was good for one download, which came damaged",
        [fault("expire", after_downloads=1), fault("corrupt")],
        sent="submit=1 poll=2 download=3",
        aside=1,
    ),
    Case(
        "addresses that expire whatever is asked",
        [fault("expire", addresses=3)],
        states="succeeded",
        sent="submit=1 download=3",
        error=ProviderUnreachable,
        says="the provider has this clip, and none of the addresses",
    ),
]


@pytest.mark.thorough
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_becomes_of_a_result_costs_and_leaves(case: Case, trial: Trial) -> None:
    await case.check(trial)


async def test_another_price_is_the_clips_price_and_its_budget_is_passed_only_by_that(trial: Trial) -> None:
    trial.set_faults(fault("cost", cost_usd="0.50"))
    seen = await trial.run(budget="0.42")
    (taken,) = seen.taken
    assert taken.paid_usd == taken.clip.origin.cost_usd == Decimal("0.50")


async def test_a_flag_stays_with_the_clip_for_the_next_run(trial: Trial) -> None:
    trial.set_faults(fault("nsfw"))
    (taken,) = (await trial.run()).taken
    assert taken.clip.origin.nsfw
    seen = await trial.run("next", nsfw="fail")
    assert isinstance(seen.error, ContentRefused)
    assert seen.error.cost_usd == SHOT_USD
    assert seen.sent == ()


async def test_of_two_shots_the_one_that_fails_takes_nothing_from_the_other(new_trial: NewTrial) -> None:
    trial = new_trial(make_plan("a tram", "a ferry", provider="emulator"))
    trial.set_faults(fault("refuse_content", prompt="ferry", times=ALWAYS))
    seen = await trial.run()
    assert isinstance(seen.error, ContentRefused)
    assert seen.error.shot == "b"
    assert (seen.states, len(seen.clips)) == ("stored refused", 1)
    assert seen.books_usd == seen.spent_usd == SHOT_USD
