"""Takes become clips in the store: each made once, whoever asks, and bought again only when a person says so."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tasks.clips.store import ClipStore, Origin
from tasks.clips.taken import Taken
from tasks.errors import (
    Charged,
    ClipDamaged,
    ClipLost,
    ContentRefused,
    OutcomeUnknown,
    OverBudget,
    ProviderFailed,
    ProviderUnreachable,
    RequestRejected,
)
from tasks.ledger import State
from tasks.media.frames import decode_whole
from tasks.plan.model import Plan
from tasks.progress import Stage
from tasks.runware.download import Download
from tasks.storyboard.model import Boundary, Shot
from tests.clips.house import House, chain, make_plan, plan_of
from tests.runware.provider import PRICE_USD, Provider, busy, refuse

S = State
NewHouse = Callable[[Plan], House]
FAILED = {"code": "inferenceError", "message": "the model fell over"}


def lose_clips(house: House) -> None:
    for path in house.files():
        path.unlink()


class TestOnce:
    async def test_a_take_is_generated_and_stored(self, house: House, provider: Provider) -> None:
        (taken,) = await house.render(provider)
        assert taken == Taken("a", 1, taken.clip, reused=False, paid_usd=PRICE_USD)
        assert taken.clip.path.read_bytes() == provider.clip
        assert (taken.clip.frames, taken.clip.origin.seed, taken.clip.origin.cost_usd) == (5, 7, PRICE_USD)
        assert house.states() == [S.STORED]
        assert [event.stage for event in house.events][-1] is Stage.STORED
        assert list((house.folder / "scratch").iterdir()) == []

    async def test_an_unchanged_second_run_sends_nothing(self, house: House, provider: Provider) -> None:
        await house.render(provider)
        before = provider.counts.copy()
        (taken,) = await house.render(provider, "next")
        assert (taken.reused, taken.paid_usd) == (True, 0)
        assert provider.counts == before

    async def test_a_clip_without_a_ledger_row_is_reused(
        self, house: House, provider: Provider, new_house: NewHouse, template: Path
    ) -> None:
        await house.render(provider)
        shutil.copy(template, house.folder / "ledger.db")
        (taken,) = await house.render(None, "next")
        assert taken.reused
        assert house.attempts() == []

    async def test_two_runs_at_once_make_each_clip_once(self, new_house: NewHouse, provider: Provider) -> None:
        house = new_house(make_plan("a tram", "a ferry", "a gull"))
        provider.polls, provider.delay_s = 3, 0.002
        one, other = await asyncio.gather(house.render(provider, "one"), house.render(provider, "other"))
        assert len(provider.submitted) == len(set(provider.submitted)) == 3
        assert {taken.clip.sha256 for taken in [*one, *other]} == {one[0].clip.sha256}
        assert house.states() == [S.STORED] * 3
        assert house.held_usd("one") + house.held_usd("other") == 3 * PRICE_USD
        assert sum(taken.paid_usd for taken in [*one, *other]) == 3 * PRICE_USD

    async def test_two_shots_of_one_content_are_one_clip(self, new_house: NewHouse, provider: Provider) -> None:
        house = new_house(make_plan("a tram", "a ferry", "a tram"))
        provider.polls = 3
        taken = await house.render(provider)
        assert len(provider.submitted) == 2
        assert sum(one.paid_usd for one in taken) == 2 * PRICE_USD
        assert [one.reused for one in taken].count(True) == 1
        assert taken[0].clip == taken[2].clip

    async def test_two_shots_of_one_refused_content_are_refused_once(
        self, new_house: NewHouse, provider: Provider
    ) -> None:
        house = new_house(make_plan("a tram", "a tram"))
        provider.submissions = deque([refuse("invalidPositivePrompt")] * 2)
        async with house.run(provider) as run:
            errors = await asyncio.gather(
                *(run.generator.take(shot, shot.takes[0], {}) for shot in run.plan.shots), return_exceptions=True
            )
        assert [type(error) for error in errors] == [RequestRejected] * 2
        assert [error.shot for error in errors if isinstance(error, RequestRejected)] == ["a", "b"]
        assert len(provider.submitted) == 1

    async def test_takes_of_one_shot_are_requests_of_their_own(self, new_house: NewHouse, provider: Provider) -> None:
        house = new_house(plan_of((Shot(id="a", prompt="a tram", takes=3, select=2),)))
        taken = await house.render(provider)
        assert [one.take for one in taken] == [1, 2, 3]
        assert len(set(provider.submitted)) == 3
        assert len({one.clip.key for one in taken}) == 3

    async def test_a_run_that_stopped_between_store_and_ledger_is_caught_up_with(
        self, house: House, provider: Provider
    ) -> None:
        provider.downloads = deque(["failing"] * 5)
        await house.render(provider)
        async with house.run(provider, "crashed") as run:
            file = house.folder / "clip.mp4"
            file.write_bytes(provider.clip)
            download = Download(file, hashlib.sha256(provider.clip).hexdigest(), len(provider.clip))
            (attempt,) = run.ledger.attempts()
            origin = Origin("runware", attempt.model, attempt.task_uuid, "video", PRICE_USD, None, nsfw=False)
            await run.store.put(attempt.content_key, download, decode_whole(file), origin)
        assert house.states() == [S.SUCCEEDED]
        (taken,) = await house.render(None, "next")
        assert taken.reused
        assert house.states() == [S.STORED]


class TestChains:
    async def test_the_last_frame_travels_as_a_lossless_picture(self, new_house: NewHouse, provider: Provider) -> None:
        house = new_house(chain("a tram", "it climbs", "it stops"))
        taken = await house.render(provider)
        assert [one.shot for one in taken] == ["a", "b", "c"]
        requests = [body[0] for body in provider.bodies if body[0]["taskType"] == "videoInference"]
        assert "inputs" not in requests[0]
        (frame,) = requests[1]["inputs"]["frameImages"]
        assert frame["frame"] == "first"
        kind, _, data = frame["image"].partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
        assert "width" not in requests[1]

    async def test_no_picture_data_is_kept_in_the_ledger(self, new_house: NewHouse, provider: Provider) -> None:
        house = new_house(chain("a tram", "it climbs"))
        await house.render(provider)
        assert all(len(str(attempt.request)) < 2000 for attempt in house.attempts())


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


class TestDownloads:
    async def test_an_expired_address_is_asked_for_again(self, house: House, provider: Provider) -> None:
        provider.downloads = deque(["gone"])
        (taken,) = await house.render(provider)
        assert provider.counts["downloads"] == 2
        assert len(provider.submitted) == 1
        assert taken.clip.path.read_bytes() == provider.clip

    @pytest.mark.parametrize("word", ["cut", "failing"])
    async def test_a_download_that_breaks_is_fetched_again(self, house: House, provider: Provider, word: str) -> None:
        provider.downloads = deque([word, word])
        (taken,) = await house.render(provider)
        assert provider.counts["downloads"] == 3
        assert len(provider.submitted) == 1
        assert taken.clip.path.read_bytes() == provider.clip

    async def test_a_file_that_arrives_damaged_is_set_aside_and_fetched_again(
        self, house: House, provider: Provider
    ) -> None:
        provider.downloads = deque(["broken"])
        (taken,) = await house.render(provider)
        assert len(provider.submitted) == 1
        assert taken.clip.path.read_bytes() == provider.clip
        (aside,) = (path for path in house.files() if ".damaged-" in path.name)
        assert aside.stat().st_size < len(provider.clip)
        assert any(event.stage is Stage.NOTE and aside.name in event.message for event in house.events)

    async def test_one_that_is_always_damaged_is_not_generated_again(self, house: House, provider: Provider) -> None:
        provider.downloads = deque(["broken"] * 3)
        error = await house.render(provider, rebuy_lost=True)
        assert isinstance(error, ClipDamaged)
        assert (error.charged, error.cost_usd) == (Charged.YES, PRICE_USD)
        assert "0.42" in str(error)
        assert house.states() == [S.SUCCEEDED]
        (taken,) = await house.render(provider, "next")
        assert len(provider.submitted) == 1
        assert taken.clip.path.read_bytes() == provider.clip

    async def test_one_that_cannot_be_had_now_is_fetched_by_the_next_run(
        self, house: House, provider: Provider
    ) -> None:
        provider.downloads = deque(["failing"] * 5)
        error = await house.render(provider)
        assert isinstance(error, ProviderUnreachable)
        assert error.exit_code == 6
        assert house.states() == [S.SUCCEEDED]
        (taken,) = await house.render(provider, "next")
        assert taken.reused
        assert len(provider.submitted) == 1


class TestLostClips:
    """A paid clip that is gone."""

    async def test_from_the_store_is_fetched_from_the_provider(self, house: House, provider: Provider) -> None:
        await house.render(provider)
        lose_clips(house)
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
        lose_clips(house)
        provider.lost = set(provider.tasks)
        for run_id in ("next", "after"):
            error = await house.render(provider, run_id)
            assert isinstance(error, ClipLost)
            assert "$0.42" in str(error)
            assert "--rebuy-lost" in str(error)
        assert len(provider.submitted) == 1

    async def test_from_everywhere_is_bought_again_when_asked_for(self, house: House, provider: Provider) -> None:
        await house.render(provider)
        lose_clips(house)
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
        lose_clips(house)
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
        lose_clips(house)
        provider.lost = set(provider.tasks)
        error = await house.render(provider, "rebuy", rebuy_lost=True, budget="0.41")
        assert isinstance(error, OverBudget)
        assert len(provider.submitted) == 1

    async def test_another_account_cannot_tell_whether_it_is_lost(self, house: House, provider: Provider) -> None:
        await house.render(provider)
        lose_clips(house)
        error = await house.render(provider, "next", key="another-key", rebuy_lost=True)
        assert isinstance(error, OutcomeUnknown)
        assert len(provider.submitted) == 1

    async def test_what_succeeded_needs_no_key_to_be_fetched(self, house: House, provider: Provider) -> None:
        provider.downloads = deque(["failing"] * 5)
        await house.render(provider)
        (taken,) = await house.render(provider, "next", key="another-key")
        assert taken.clip.path.is_file()


def damage(house: House, how: str) -> None:
    """Lose the clip's file, or let a byte of it rot; its record stays where it is."""
    (file,) = (path for path in house.files() if path.suffix == ".mp4")
    if how == "missing":
        file.unlink()
        return
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    if how == "set aside":
        store = ClipStore(house.work, house.folder / "cache")
        (clip,) = store.inventory().clips
        store.retire(clip.record)


@pytest.mark.parametrize("how", ["damaged", "missing", "set aside"])
class TestClipsThatOnlyTheStoreRemembers:
    """A clip whose file is gone or damaged, whose record is there, and of which the ledger knows nothing."""

    @pytest.fixture
    async def remembered(self, house: House, provider: Provider, how: str) -> House:
        await house.render(provider)
        damage(house, how)
        for path in house.folder.glob("ledger.db*"):
            path.unlink()
        shutil.copy(house.template, house.folder / "ledger.db")
        return house

    async def test_is_asked_for_at_the_provider(self, remembered: House, provider: Provider) -> None:
        (taken,) = await remembered.render(provider, "next")
        assert (taken.reused, taken.paid_usd) == (True, 0)
        assert taken.clip.path.read_bytes() == provider.clip
        assert len(provider.submitted) == 1
        assert remembered.held_usd("next") == 0
        assert set(remembered.states()) <= {S.RELEASED}
        (again,) = await remembered.render(None, "after")
        assert again.clip == taken.clip

    async def test_from_everywhere_fails_and_names_the_price(self, remembered: House, provider: Provider) -> None:
        provider.lost = set(provider.tasks)
        for run_id in ("next", "after"):
            error = await remembered.render(provider, run_id)
            assert isinstance(error, ClipLost)
            assert error.cost_usd == PRICE_USD
            assert "$0.42" in str(error)
            assert remembered.held_usd(run_id) == 0
        assert len(provider.submitted) == 1

    async def test_from_everywhere_is_bought_again_when_asked_for(self, remembered: House, provider: Provider) -> None:
        provider.lost = set(provider.tasks)
        (taken,) = await remembered.render(provider, "rebuy", rebuy_lost=True)
        assert (taken.reused, taken.paid_usd) == (False, PRICE_USD)
        (again,) = await remembered.render(provider, "after")
        assert again.reused
        assert len(provider.submitted) == 2

    async def test_what_was_bought_again_and_is_under_way_is_gone_on_with(
        self, remembered: House, provider: Provider
    ) -> None:
        provider.lost = set(provider.tasks)
        provider.polls = float("inf")
        error = await remembered.render(provider, "rebuy", rebuy_lost=True, deadline_s=0.05)
        assert isinstance(error, OutcomeUnknown)
        for task in provider.tasks.values():
            task.polls = 0
        (taken,) = await remembered.render(provider, "after")
        assert taken.clip.path.is_file()
        assert len(provider.submitted) == 2


async def test_the_longest_remaining_path_goes_first(new_house: NewHouse, provider: Provider) -> None:
    house = new_house(
        plan_of(
            (
                Shot(id="a", prompt="short one"),
                Shot(id="b", prompt="short two"),
                Shot(id="c", prompt="head of a chain"),
                Shot(id="d", prompt="tail of a chain", boundary=Boundary.CONTINUE),
            )
        )
    )
    taken: Any = await house.render(provider, places=1)
    assert [one.shot for one in taken] == ["a", "b", "c", "d"]
    prompts = [body[0]["positivePrompt"] for body in provider.bodies if body[0]["taskType"] == "videoInference"]
    assert prompts[0] == "head of a chain"
    assert sum((one.paid_usd for one in taken), Decimal(0)) == 4 * PRICE_USD


class TestFlagged:
    async def test_a_flagged_clip_is_kept_and_shown_or_fails_its_shot_as_the_run_was_told(
        self, new_house: NewHouse, provider: Provider
    ) -> None:
        house = new_house(make_plan("a tram"))
        provider.nsfw = True
        (kept,) = await house.render(provider, "one")
        assert kept.clip.origin.nsfw
        refused = await house.render(provider, "two", nsfw="fail")
        assert isinstance(refused, ContentRefused)
        assert (refused.exit_code, refused.charged, refused.cost_usd) == (5, Charged.YES, PRICE_USD)
        # It was paid for once, and is there for a run that shows it.
        (again,) = await house.render(provider, "three")
        assert (again.reused, len(provider.submitted)) == (True, 1)
