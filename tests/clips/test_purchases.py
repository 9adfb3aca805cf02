"""What is paid for while a run goes on: tried again only as often as it may be, bought anew only when asked for."""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tasks.clips.store import ClipStore, Origin
from tasks.errors import (
    Charged,
    ClipLost,
    OutcomeUnknown,
    OverBudget,
    ProviderError,
    ProviderFailed,
    ProviderUnreachable,
    RateLimited,
    RequestRejected,
)
from tasks.ledger import Attempt, State, open_ledger
from tasks.media.frames import decode_whole
from tasks.plan.model import Plan
from tasks.progress import Stage
from tasks.runware.download import Download
from tests.clips.house import House, left_by_a_crash, make_plan
from tests.runware.provider import PRICE_USD, Provider, accept, busy, refuse

S = State
NewHouse = Callable[[Plan], House]
FAILED = {"code": "inferenceError", "message": "the model fell over"}


class TestRetries:
    async def test_a_failure_that_may_pass_gets_a_new_uuid_and_a_new_reservation(
        self, house: House, provider: Provider
    ) -> None:
        provider.endings = deque([FAILED, FAILED])
        (taken,) = await house.render(provider, retries=2)
        assert len(set(provider.submitted)) == 3
        assert house.states() == [S.FAILED, S.FAILED, S.STORED]
        assert taken.paid_usd == PRICE_USD
        # Of the failed ones nobody knows yet what they cost.
        assert house.held_usd() == 3 * PRICE_USD
        assert [event.stage for event in house.events].count(Stage.RETRYING) == 2

    @pytest.mark.parametrize("retries", [0, 1, 2])
    async def test_no_oftener_than_retries_say(self, house: House, provider: Provider, retries: int) -> None:
        provider.endings = deque([FAILED] * 9)
        error = await house.render(provider, retries=retries)
        assert isinstance(error, ProviderFailed)
        assert error.shot == "a"
        assert len(provider.submitted) == retries + 1

    async def test_a_budget_without_room_refuses_the_retry(self, house: House, provider: Provider) -> None:
        provider.endings = deque([FAILED] * 9)
        error = await house.render(provider, budget="0.80")
        assert isinstance(error, OverBudget)
        assert error.exit_code == 3
        assert len(provider.submitted) == 1
        assert house.held_usd() == PRICE_USD

    async def test_a_failure_that_cost_nothing_leaves_room_for_the_retry(
        self, house: House, provider: Provider
    ) -> None:
        provider.endings = deque([{"code": "providerRateLimitExceeded", "message": "busy", "cost": 0}])
        (taken,) = await house.render(provider, budget="0.42")
        assert taken.paid_usd == PRICE_USD
        assert house.held_usd() == PRICE_USD

    @pytest.mark.parametrize("code", ["invalidFrameImageWidth", "contentPolicyViolation", "conflictingNonsense"])
    async def test_what_is_refused_is_not_tried_again(self, house: House, provider: Provider, code: str) -> None:
        provider.submissions = deque([refuse(code)])
        await house.render(provider)
        assert len(provider.submitted) == 1

    async def test_a_provider_that_stays_busy_is_tried_again_later(self, house: House, provider: Provider) -> None:
        provider.submissions = deque([busy()] * 8)
        (taken,) = await house.render(provider, retries=1)
        assert len(set(provider.submitted)) == 2
        assert house.states() == [S.RELEASED, S.STORED]
        assert house.held_usd() == taken.paid_usd == PRICE_USD

    async def test_a_retry_of_what_another_run_began_is_paid_by_this_one(
        self, house: House, provider: Provider
    ) -> None:
        async with house.run(provider, "crashed") as run:
            attempt = run.reserve()
            run.ledger.move(attempt.task_uuid, S.SUBMITTED, account=house.settings().account)
        provider.endings = deque([FAILED])
        provider.take({"taskUUID": attempt.task_uuid})
        (taken,) = await house.render(provider, "next")
        assert (taken.reused, taken.paid_usd) == (False, PRICE_USD)

    async def test_a_failed_shot_leaves_the_others_alone(self, new_house: NewHouse, provider: Provider) -> None:
        house = new_house(make_plan("a tram", "a ferry"))
        provider.submissions = deque([refuse("invalidPositivePrompt")])
        error = await house.render(provider)
        assert isinstance(error, RequestRejected)
        assert sorted(house.states()) == [S.REFUSED, S.STORED]


def take_and_fail(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
    """Take it, and answer with a code that nobody knows."""
    accept(provider, task, request)
    return refuse("somethingNew", 422)(provider, task, request)


class TestMadeAfterAll:
    """Before it is paid for anew what failed and may have been charged, the provider is asked whether it has it."""

    async def failed(self, house: House, provider: Provider) -> Attempt:
        provider.submissions = deque([take_and_fail])
        assert isinstance(await house.render(provider, "first"), ProviderError)
        [attempt] = house.attempts()
        assert (attempt.state, attempt.charged) == (S.FAILED, Charged.UNKNOWN)
        return attempt

    async def test_it_is_fetched_and_its_cost_is_known_now(self, house: House, provider: Provider) -> None:
        attempt = await self.failed(house, provider)
        provider.odd = {"cost": 0.21}
        [taken] = await house.render(provider, "next")
        assert (taken.clip.origin.task_uuid, taken.clip.origin.cost_usd) == (attempt.task_uuid, Decimal("0.21"))
        assert (taken.reused, taken.paid_usd) == (True, 0)
        assert provider.submitted == [attempt.task_uuid]
        assert (house.held_usd("first"), house.held_usd("next")) == (Decimal("0.21"), Decimal(0))
        assert house.states() == [S.FAILED, S.RELEASED]  # what the gate had reserved is given back
        [again] = await house.render(provider, "after")
        assert again.clip == taken.clip

    async def test_a_person_may_have_been_wrong(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "dead") as run:
            attempt = left_by_a_crash(run, S.SUBMITTED, S.UNKNOWN)
            provider.take({"taskUUID": attempt.task_uuid})
            assert run.ledger.settle(attempt.task_uuid, charged=Charged.NO) is not None
        [taken] = await house.render(provider, "next")
        assert taken.clip.origin.task_uuid == attempt.task_uuid
        assert provider.submitted == []

    @pytest.mark.parametrize("why", ["it knows nothing", "it failed", "it is gone", "it is no video", "another key"])
    async def test_where_there_is_nothing_it_is_paid_for(self, house: House, provider: Provider, why: str) -> None:
        attempt = await self.failed(house, provider)
        match why:
            case "it knows nothing":
                provider.tasks.clear()
            case "it failed":
                provider.tasks[attempt.task_uuid].error = {"code": "inferenceError", "message": "no"}
            case "it is gone":
                provider.downloads = deque(["gone"])
            case "it is no video":
                provider.downloads = deque(["broken"])
        options = {"key": "rw-an0ther-key-9876543210"} if why == "another key" else {}
        [taken] = await house.render(provider, "next", **options)
        assert taken.paid_usd == PRICE_USD
        assert len(provider.submitted) == 2

    async def test_while_it_cannot_be_had_nothing_is_bought(self, house: House, provider: Provider) -> None:
        attempt = await self.failed(house, provider)
        provider.downloads = deque(["failing"] * 5)
        assert isinstance(await house.render(provider, "next"), ProviderUnreachable)
        provider.questions = deque([(503, "busy")] * 4)
        assert isinstance(await house.render(provider, "after"), RateLimited)
        assert provider.submitted == [attempt.task_uuid]
        assert house.held_usd("next") == house.held_usd("after") == 0

    async def test_while_the_provider_is_at_work_on_it_nothing_is_bought(
        self, house: House, provider: Provider
    ) -> None:
        provider.polls = float("inf")
        attempt = await self.failed(house, provider)
        error = await house.render(provider, "next")
        assert isinstance(error, OutcomeUnknown)
        assert f"shotchain settle {attempt.task_uuid} --not-charged" in str(error.advice)
        assert (provider.submitted, house.held_usd("next")) == ([attempt.task_uuid], Decimal(0))
        with open_ledger(str(house.folder / "ledger.db")) as ledger:
            ledger.settle(attempt.task_uuid, charged=Charged.NO)
        provider.polls = 0
        await house.render(provider, "settled")
        assert len(provider.submitted) == 2

    async def test_what_cost_nothing_by_the_providers_word_is_not_asked_about(
        self, house: House, provider: Provider
    ) -> None:
        provider.endings = deque([{"code": "inferenceError", "message": "no", "cost": 0}])
        await house.render(provider, "first", retries=0)
        asked = provider.counts["getTaskDetails"]
        provider.forgets.update(provider.submitted)  # details alone would know it
        await house.render(provider, "next")
        assert provider.counts["getTaskDetails"] == asked


class TestLostClips:
    """A paid clip that is gone."""

    async def test_from_the_store_is_fetched_from_the_provider(self, house: House, provider: Provider) -> None:
        await house.render(provider)
        house.lose_clips()
        (taken,) = await house.render(provider, "next")
        assert (taken.reused, taken.paid_usd) == (True, 0)
        assert len(provider.submitted) == 1
        assert taken.clip.path.is_file()

    async def test_a_damaged_file_in_the_store_is_set_aside_and_fetched(self, house: House, provider: Provider) -> None:
        (taken,) = await house.render(provider)
        taken.clip.path.write_bytes(provider.clip[:-1] + b"\x00")
        (again,) = await house.render(provider, "next")
        assert again.clip.path.read_bytes() == provider.clip
        assert len([path for path in house.files() if ".damaged-" in path.name]) == 1
        assert len(provider.submitted) == 1

    async def test_from_everywhere_fails_and_names_the_price(self, house: House, provider: Provider) -> None:
        await house.render(provider)
        house.lose_clips()
        provider.lost = set(provider.tasks)
        for run_id in ("next", "after"):
            error = await house.render(provider, run_id)
            assert isinstance(error, ClipLost)
            assert "$0.42" in str(error)
            assert "--rebuy-lost" in str(error)
        assert len(provider.submitted) == 1

    async def test_from_everywhere_is_bought_again_when_asked_for(self, house: House, provider: Provider) -> None:
        await house.render(provider)
        house.lose_clips()
        provider.lost = set(provider.tasks)
        (taken,) = await house.render(provider, "rebuy", rebuy_lost=True)
        assert (taken.reused, taken.paid_usd) == (False, PRICE_USD)
        assert house.states() == [S.STORED, S.STORED]
        (again,) = await house.render(provider, "after", rebuy_lost=True)
        assert again.reused
        assert len(provider.submitted) == 2

    async def test_before_it_was_stored_is_bought_again_when_asked_for(self, house: House, provider: Provider) -> None:
        provider.downloads = deque(["failing"] * 5)
        await house.render(provider)
        assert house.states() == [S.SUCCEEDED]
        provider.lost = set(provider.tasks)
        error = await house.render(provider, "next")
        assert isinstance(error, ClipLost)
        assert house.states() == [S.SUCCEEDED]
        (taken,) = await house.render(provider, "rebuy", rebuy_lost=True)
        assert (taken.reused, taken.paid_usd) == (False, PRICE_USD)
        assert house.states() == [S.FAILED, S.STORED]
        first = house.attempts()[0]
        assert (first.charged, first.cost_usd) == (Charged.YES, PRICE_USD)
        assert house.held_usd() == PRICE_USD

    async def test_a_clip_of_this_very_run_is_never_bought_again(self, house: House, provider: Provider) -> None:
        class Forgets(deque[str]):
            """It has expired at the provider by the time it is downloaded."""

            def popleft(self) -> str:
                provider.lost = set(provider.tasks)
                return super().popleft()

        provider.downloads = Forgets(["gone"])
        error = await house.render(provider, rebuy_lost=True)
        assert isinstance(error, ClipLost)
        assert len(provider.submitted) == 1

    @pytest.mark.parametrize("rebuy_lost", [False, True])
    async def test_what_the_provider_lists_is_never_bought_again_though_its_address_refuses(
        self, house: House, provider: Provider, rebuy_lost: bool
    ) -> None:
        for run_id in ("run", "next"):
            provider.downloads = deque(["gone"] * 3)
            error = await house.render(provider, run_id, rebuy_lost=rebuy_lost)
            assert isinstance(error, ProviderUnreachable)
            assert "the provider has this clip" in str(error)
        assert house.states() == [S.SUCCEEDED]
        (taken,) = await house.render(provider, "after")
        assert (taken.reused, len(provider.submitted)) == (True, 1)

    @pytest.mark.parametrize("was_stored", [False, True])
    async def test_what_another_run_brings_meanwhile_is_not_bought_again(
        self, house: House, provider: Provider, was_stored: bool
    ) -> None:
        provider.downloads = deque([] if was_stored else ["failing"] * 5)
        await house.render(provider)
        house.lose_clips()
        async with house.run(provider, "a", rebuy_lost=True) as run:
            (attempt,) = run.ledger.attempts()
            file = house.folder / "clip.mp4"
            file.write_bytes(provider.clip)
            download = Download(file, hashlib.sha256(provider.clip).hexdigest(), len(provider.clip))
            origin = Origin("runware", attempt.model, attempt.task_uuid, "video", PRICE_USD, None, nsfw=False)
            others = ClipStore(str(house.folder / "other"), house.folder / "cache")
            await others.put(attempt.content_key, download, decode_whole(file), origin)

            class Brings(deque[Any]):
                """Another run brings the clip while this one hears that the provider has it no more."""

                def popleft(self) -> Any:
                    shutil.copytree(others.root.url, house.work, dirs_exist_ok=True)
                    run.ledger.move(attempt.task_uuid, S.STORED, expect={S.SUCCEEDED})
                    return super().popleft()

            provider.lost = set(provider.tasks)
            provider.questions = Brings([(200, {"data": []})] * 2)
            (taken,) = await run.all()
        assert (taken.reused, taken.paid_usd) == (True, Decimal(0))
        assert house.states() == [S.STORED]
        assert len(provider.submitted) == 1

    async def test_a_rebuy_goes_through_the_budget(self, house: House, provider: Provider) -> None:
        await house.render(provider)
        house.lose_clips()
        provider.lost = set(provider.tasks)
        error = await house.render(provider, "rebuy", rebuy_lost=True, budget="0.41")
        assert isinstance(error, OverBudget)
        assert len(provider.submitted) == 1

    async def test_another_account_cannot_tell_whether_it_is_lost(self, house: House, provider: Provider) -> None:
        await house.render(provider)
        house.lose_clips()
        error = await house.render(provider, "next", key="another-key", rebuy_lost=True)
        assert isinstance(error, OutcomeUnknown)
        assert len(provider.submitted) == 1

    async def test_what_succeeded_needs_no_key_to_be_fetched(self, house: House, provider: Provider) -> None:
        provider.downloads = deque(["failing"] * 5)
        await house.render(provider)
        (taken,) = await house.render(provider, "next", key="another-key")
        assert taken.clip.path.is_file()
