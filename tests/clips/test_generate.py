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
from tests.runware.provider import PRICE_USD, Provider, refuse

S = State
NewHouse = Callable[[Plan], House]


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


class TestDownloads:
    async def test_an_expired_address_is_asked_for_again(self, house: House, provider: Provider) -> None:
        provider.downloads = deque(["gone"])
        (taken,) = await house.render(provider)
        assert provider.counts["downloads"] == 2
        assert len(provider.submitted) == 1
        assert taken.clip.path.read_bytes() == provider.clip

    @pytest.mark.thorough
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
