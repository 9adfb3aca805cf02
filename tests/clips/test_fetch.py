"""A paid clip is brought into the store with an attempt and its result alone: no plan, and never a second payment."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.clips.circuit import Circuit
from tasks.clips.fetch import Fetcher
from tasks.clips.recall import ask_for_result, cost_of, lost, recorded_result
from tasks.clips.store import Clip, ClipStore
from tasks.errors import CircuitOpen, ClipDamaged, ClipLost, ProviderUnreachable
from tasks.ledger import Attempt, State
from tasks.progress import Stage
from tasks.runware.messages import VideoResult
from tests.clips.house import PAUSES, House, Run, drive
from tests.runware.provider import PRICE_USD, Provider


@dataclass
class Fetching:
    """A paid attempt, and a fetcher that has heard of nothing else."""

    house: House
    run: Run
    attempt: Attempt
    fetcher: Fetcher
    circuit: Circuit

    async def fetch(self, attempt: Attempt | None = None, frames: tuple[int, ...] = ()) -> Clip:
        attempt = attempt or self.attempt

        def stills(sha256: str) -> dict[int, Path]:
            return {index: self.house.folder / "frames" / f"{sha256}-{index}.png" for index in frames}

        result = await self.fetcher.result_of(attempt)
        clip = await self.fetcher.fetch(attempt, result, key="f" * 64, shot="a", take=2, stills=stills)
        assert isinstance(clip, Clip)
        return clip


@pytest.fixture
async def paid(house: House, provider: Provider) -> AsyncIterator[Fetching]:
    async with house.run(provider) as run:
        attempt, circuit = await drive(run), Circuit(limit=3)
        house.events.clear()
        fetcher = Fetcher(
            client=run.client,
            ask_again=lambda one: ask_for_result(run.client, one),
            store=ClipStore(house.work, house.folder / "cache"),
            ledger=run.ledger,
            scratch=house.folder / "scratch",
            observer=house.events.append,
            circuit=circuit,
            pauses=PAUSES,
        )
        yield Fetching(house, run, attempt, fetcher, circuit)


async def test_it_is_kept_under_the_key_that_is_given(paid: Fetching, provider: Provider) -> None:
    clip = await paid.fetch()
    assert (clip.key, clip.sha256) == ("f" * 64, hashlib.sha256(provider.clip).hexdigest())
    assert (clip.origin.task_uuid, clip.origin.cost_usd) == (paid.attempt.task_uuid, PRICE_USD)
    assert paid.house.states() == [State.STORED]
    told = [(event.stage, event.shot, event.take, event.cost_usd) for event in paid.house.events]
    assert told == [(Stage.DOWNLOADING, "a", 2, None), (Stage.STORED, "a", 2, PRICE_USD)]
    assert list((paid.house.folder / "scratch").iterdir()) == []


async def test_frames_are_taken_on_the_way_and_named_by_what_came(paid: Fetching) -> None:
    clip = await paid.fetch(frames=(0, 4))
    names = sorted(path.name for path in (paid.house.folder / "frames").iterdir())
    assert names == [f"{clip.sha256}-0.png", f"{clip.sha256}-4.png"]


async def test_what_was_stored_once_is_asked_for_anew(paid: Fetching, provider: Provider) -> None:
    await paid.fetch()
    (stored,) = paid.house.attempts()
    before = provider.counts["getResponse"]
    await paid.fetch(stored)
    assert provider.counts["getResponse"] == before + 1


async def test_an_expired_address_is_replaced_by_a_fresh_one(paid: Fetching, provider: Provider) -> None:
    provider.downloads = deque(["gone"])
    await paid.fetch()
    assert paid.house.states() == [State.STORED]


async def test_what_the_provider_no_longer_has_is_lost_and_stays_paid(paid: Fetching, provider: Provider) -> None:
    provider.lost.add(paid.attempt.task_uuid)
    with pytest.raises(ClipLost, match="no longer has it") as caught:
        await paid.fetch()
    assert (caught.value.cost_usd, caught.value.shot) == (PRICE_USD, "a")
    assert paid.house.states() == [State.SUCCEEDED]


async def test_what_the_provider_has_is_not_lost_though_its_address_gives_nothing(
    paid: Fetching, provider: Provider
) -> None:
    provider.downloads = deque(["gone"] * 3)
    with pytest.raises(ProviderUnreachable, match=r"the provider has this clip.*HTTP 404") as caught:
        await paid.fetch()
    assert (caught.value.shot, caught.value.task_uuid) == ("a", paid.attempt.task_uuid)
    assert paid.house.states() == [State.SUCCEEDED]
    await paid.fetch()
    assert paid.house.states() == [State.STORED]


async def test_nor_is_it_lost_where_the_last_address_of_all_is_a_new_one(paid: Fetching, provider: Provider) -> None:
    provider.downloads = deque(["gone", "gone", *["failing"] * 5])
    result = await paid.fetcher.result_of(paid.attempt)
    again = (replace(result, video_url=result.video_url.replace("/0/", f"/{turn}/")) for turn in range(1, 9))

    async def elsewhere(_: Attempt) -> VideoResult | None:
        return next(again)

    fetcher = Fetcher(
        client=paid.run.client,
        ask_again=elsewhere,
        store=paid.run.store,
        ledger=paid.run.ledger,
        scratch=paid.house.folder / "scratch",
        observer=paid.house.events.append,
        pauses=PAUSES,
    )
    with pytest.raises(ProviderUnreachable):
        await fetcher.fetch(paid.attempt, result, key="f" * 64, shot="a", take=2)


async def test_a_damaged_download_is_fetched_again(paid: Fetching, provider: Provider) -> None:
    provider.downloads = deque(["broken"])
    await paid.fetch()
    assert any(".damaged-" in path.name for path in paid.house.files())
    assert not paid.circuit.is_open


async def test_damage_that_stays_opens_the_circuit(paid: Fetching, provider: Provider) -> None:
    provider.downloads = deque(["broken"] * 3)
    with pytest.raises(ClipDamaged, match="however often it is fetched") as caught:
        await paid.fetch()
    assert "--rebuy-lost" in (caught.value.advice or "")
    with pytest.raises(CircuitOpen):
        paid.circuit.check("b")


async def test_a_line_that_is_down_says_that_the_clip_is_paid(paid: Fetching, provider: Provider) -> None:
    provider.downloads = deque(["failing"] * 5)
    with pytest.raises(ProviderUnreachable, match="could not be downloaded"):
        await paid.fetch()
    assert paid.house.states() == [State.SUCCEEDED]


async def test_where_the_server_of_an_address_is_no_more_a_fresh_one_is_asked_for(
    paid: Fetching, provider: Provider
) -> None:
    provider.downloads = deque(["failing"] * 5)
    provider.tasks[paid.attempt.task_uuid].url_version = 9
    assert (await paid.fetch()).sha256 == hashlib.sha256(provider.clip).hexdigest()
    assert paid.circuit.is_open is False


async def test_that_it_is_stored_is_written_once(paid: Fetching) -> None:
    assert await paid.fetcher.stored(paid.attempt) is not None
    assert await paid.fetcher.stored(paid.attempt) is None


async def test_a_cost_that_was_not_named_is_the_price(paid: Fetching) -> None:
    shot = paid.house.plan.shots[0]
    unnamed = paid.run.ledger.attempts()[0]
    assert cost_of(unnamed) == PRICE_USD
    assert lost(unnamed).cost_usd == shot.price_usd == Decimal("0.42")
    assert recorded_result(unnamed).cost_usd == PRICE_USD
