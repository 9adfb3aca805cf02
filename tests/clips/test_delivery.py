"""Clips that the provider puts into the store itself: on a real S3 server, by the emulator, over HTTP."""

from __future__ import annotations

import asyncio
import html
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tasks.clips.discard import Rules, Why, discard, judge, read_claims
from tasks.clips.record import ClipRecord
from tasks.clips.recover import Happened, recover
from tasks.clips.store import ClipStore
from tasks.clips.upkeep import Flaw, attempts_by_key, verify
from tasks.emulator import EmulatorServer, EmulatorSettings, Tries, UploadEndpointSettings
from tasks.errors import ClipDamaged, ClipLost, OutcomeUnknown, ProviderFailed, ProviderUnreachable, RequestRejected
from tasks.ledger import State, open_ledger
from tasks.plan.model import Plan
from tasks.progress import Stage
from tests.buckets import Bucket
from tests.clips.deliverer import PROMPT, Job, deliver_and_bring
from tests.clips.house import PAUSES, House, chain, left_by_a_crash, make_plan
from tests.emulator.receivers import wait_until
from tests.runware.provider import PRICE_USD, Provider, accept, refuse

pytestmark = pytest.mark.runs

SPELLED: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda address: quote(address, safe=""),
    "html": lambda address: address.replace("&", "&#38;"),
    "javascript": lambda address: address.replace("&", "\\x26").replace("=", "\\x3d"),
    "semicolons": lambda address: address.replace("&", ";"),
}
QUICK = Tries(most=2, first_pause_s=0.05, longest_pause_s=0.05, jitter=0, timeout_s=5)
ONE = make_plan(PROMPT)


@dataclass
class Delivering:
    """A house whose store is a bucket, and an emulator that delivers there as a test wants."""

    house: House
    bucket: Bucket
    emulator: EmulatorServer
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, run_id: str = "run", **options: Any) -> Any:
        """Open a run that asks for deliveries."""
        facts = {"direct_delivery": True, "delivery_grace_s": 0.6, "deadline_s": 30.0, "grace_s": 5.0, **options}
        return self.house.run(None, run_id, base_url=self.emulator.base_url, **facts)

    @property
    def store(self) -> ClipStore:
        return ClipStore(self.house.work, self.house.folder / "cache")

    @property
    def key(self) -> str:
        return self.house.plan.shots[0].takes[0].content_key

    def counts(self) -> dict[str, int]:
        """What the emulator has counted."""
        return dict(self.books()["counts"])

    def books(self) -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(f"{self.emulator.origin}/_emulator/books").json()
        return told

    def record(self) -> ClipRecord:
        record = self.store.record(self.key)
        assert record is not None
        return record

    def incoming(self) -> list[str]:
        return [name.rpartition("/")[2] for name in self.bucket.names() if "/incoming/" in name]

    def notes(self) -> list[str]:
        return [event.message for event in self.house.events if event.stage is Stage.NOTE]

    async def recover(self, **options: Any) -> Any:
        """As `shotchain recover` does."""
        async with self.run("recovering", **options) as run:
            return await recover(
                settings=self.house.settings(base_url=self.emulator.base_url, **options),
                client=run.client,
                poller=run.poller,
                ledger=run.ledger,
                store=run.store,
                scratch=self.house.folder / "scratch",
                observer=self.house.events.append,
                wait_s=20,
                pauses=PAUSES,
            )


Start = Callable[..., Delivering]


@pytest.fixture
def start(tmp_path: Path, template: Path, bucket: Bucket) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(*rules: dict[str, Any], plan: Plan = ONE, **uploads: Any) -> Delivering:
            settings = EmulatorSettings(
                instant=True,
                frames_per_second=1,
                upload_endpoints=UploadEndpointSettings(**{"tries": QUICK, **uploads}),
                faults={"rules": list(rules)},
            )
            house = House(tmp_path, plan, template, work="s3://films/work")
            return Delivering(house, bucket, stack.enter_context(EmulatorServer(settings)))

        yield begin


async def test_a_clip_is_in_the_store_and_no_byte_of_it_was_here(start: Start) -> None:
    it = start()
    async with it.run() as run:
        taken = await run.first()
    assert not taken.is_here
    assert (taken.reused, taken.paid_usd) == (False, PRICE_USD)
    assert it.house.states() == [State.STORED]
    assert (it.counts()["puts"], it.counts()["downloads"]) == (1, 0)
    assert (it.bucket.read_bytes(), len(it.bucket.uploads())) == (0, 1)
    record = it.record()
    assert record.facts is None
    assert record.size_bytes == it.bucket.uploads()[0].got_bytes
    assert it.incoming() == []


async def test_whoever_needs_its_frames_reads_it_once_and_says_what_it_is(start: Start) -> None:
    it = start()
    async with it.run() as run:
        taken = await run.brought()
        again = await run.generator.bring(taken, run.plan.shots[0], run.plan.shots[0].takes[0], {})
    assert again is taken
    assert (taken.clip.frames, taken.clip.width, taken.paid_usd) == (6, 1280, PRICE_USD)
    assert it.record().facts == taken.clip.facts
    [read] = it.bucket.reads()
    assert read.sent_bytes == taken.clip.size_bytes
    assert it.counts()["downloads"] == 0


async def test_a_chain_reads_what_it_continues_from_and_nothing_else(start: Start) -> None:
    it = start(plan=chain("A tram climbs", "It turns a corner"))
    async with it.run() as run:
        first, second = await run.all()
    assert not second.is_here
    [read] = it.bucket.reads()
    assert first.kept.key in read.key
    # The frame was taken in the same pass.
    assert [path.suffix for path in (it.house.folder / "cache" / "frames").iterdir()] == [".png"]
    assert (it.counts()["puts"], it.counts()["downloads"]) == (2, 0)


class TestWhatIsNotKnownOfIt:
    async def test_a_result_may_have_no_address(self, start: Start) -> None:
        it = start(url=False)
        async with it.run() as run:
            taken = await run.brought()
        assert taken.clip.frames == 6
        assert it.counts()["downloads"] == 0

    @pytest.mark.parametrize("content_type", ["media", "bytes", "none"])
    async def test_it_may_be_said_to_be_anything(self, start: Start, content_type: str) -> None:
        it = start(content_type=content_type)
        async with it.run() as run:
            assert (await run.brought()).clip.frames == 6
        assert it.counts()["downloads"] == 0

    async def test_a_result_may_be_told_before_the_clip_has_come(self, start: Start) -> None:
        late = Tries(most=4, first_pause_s=0.3, longest_pause_s=0.3, jitter=0)
        it = start({"fault": "fail_put", "times": 1}, waits=False, tries=late)
        async with it.run() as run:
            await run.first()
        assert (it.counts()["puts"], it.counts()["downloads"], it.bucket.read_bytes()) == (2, 0, 0)

    @pytest.mark.parametrize("status", [403, 500])
    @pytest.mark.quick
    async def test_what_does_not_come_is_downloaded(self, start: Start, status: int) -> None:
        """As where the address has expired, or the store is out of the provider's reach."""
        it = start({"fault": "fail_put", "status": status})
        async with it.run() as run:
            taken = await run.first()
        assert (taken.is_here, it.house.states()) == (True, [State.STORED])
        assert (it.counts()["downloads"], it.counts()["videoInference"]) == (1, 1)
        assert it.notes() == ["its clip was not delivered into the clip store; downloading it"]

    async def test_an_object_of_no_bytes_is_no_clip(self, start: Start) -> None:
        it = start({"fault": "truncate", "call": "put", "keep": 0.0})
        async with it.run() as run:
            assert (await run.first()).is_here
        assert (it.counts()["downloads"], it.counts()["videoInference"]) == (1, 1)

    async def test_what_never_comes_is_not_waited_for_for_ever(self, start: Start) -> None:
        it = start({"fault": "fail_put"}, plan=make_plan("One", "Two", "Three", "Four", "Five"))
        async with it.run(places=1, delivery_grace_s=1.0) as run:
            began = time.monotonic()
            for shot in run.plan.shots:
                await run.generator.take(shot, shot.takes[0], {})
                took_s = time.monotonic() - began
                began = time.monotonic()
        assert took_s < 1.0
        assert it.counts()["downloads"] == 5

    async def test_without_an_address_what_does_not_come_in_time_is_had_by_the_next_run(self, start: Start) -> None:
        late = Tries(most=4, first_pause_s=1.5, longest_pause_s=1.5, jitter=0)
        it = start({"fault": "fail_put", "times": 1}, waits=False, url=False, tries=late)
        async with it.run(delivery_grace_s=0.2) as run:
            with pytest.raises(ProviderUnreachable, match="names no address"):
                await run.first()
        assert it.house.states() == [State.SUCCEEDED]
        await asyncio.to_thread(wait_until, it.incoming)
        async with it.run("next") as run:
            assert not (await run.first()).is_here
        assert (it.counts()["videoInference"], it.house.states()) == (1, [State.STORED])

    @pytest.mark.parametrize(("failure", "cost"), [("failed", "0"), ("charged", "0.42")])
    async def test_where_it_fails_the_task_nothing_is_bought_again(self, start: Start, failure: str, cost: str) -> None:
        it = start({"fault": "fail_put"}, failure=failure)
        async with it.run() as run:
            with pytest.raises(ClipLost if failure == "charged" else OutcomeUnknown):
                await run.first()
        assert ["uploadEndpoint" in task["request"] for task in it.books()["tasks"]] == [True]
        assert Decimal(it.books()["total_usd"]) == Decimal(cost)
        assert any("clips are downloaded, not delivered" in note for note in it.notes())

    async def test_where_it_is_not_accepted_it_is_left_out(self, start: Start, provider: Provider) -> None:
        it = start()
        provider.submissions.append(refuse("unsupportedParameter", parameter="uploadEndpoint"))
        async with it.house.run(provider, direct_delivery=True, base_url="http://127.0.0.1:9/v1") as run:
            assert (await run.first()).is_here
        assert [
            "uploadEndpoint" in body[0]
            for body in provider.bodies
            if len(provider.submitted) and body[0]["taskType"] == "videoInference"
        ] == [True, False]
        assert provider.charged_usd == PRICE_USD
        assert it.house.states() == [State.REFUSED, State.STORED]


class TestDamage:
    @pytest.mark.parametrize(
        "fault",
        [{"fault": "truncate", "keep": 0.5}, {"fault": "corrupt", "share": 0.6}],
        ids=["cut off", "other bytes"],
    )
    async def test_what_is_no_whole_clip_is_kept_aside_and_downloaded(
        self, start: Start, fault: dict[str, Any]
    ) -> None:
        it = start({**fault, "call": "put"})
        async with it.run() as run:
            taken = await run.brought()
        assert (taken.clip.frames, taken.paid_usd) == (6, PRICE_USD)
        assert it.house.states() == [State.STORED]
        assert (it.counts()["downloads"], it.counts()["videoInference"]) == (1, 1)
        assert len([name for name in it.bucket.names() if ".damaged-" in name]) == 1
        assert it.record().facts == taken.clip.facts

    async def test_what_is_damaged_everywhere_is_bought_again_only_if_that_is_asked_for(self, start: Start) -> None:
        it = start(
            {"fault": "truncate", "call": "put", "keep": 0.5, "nth": 1}, {"fault": "truncate", "keep": 0.5, "times": 9}
        )
        async with it.run() as run:
            with pytest.raises(ClipDamaged, match="however often"):
                await run.brought()
        async with it.run("next") as run:
            with pytest.raises(ClipDamaged, match="however often"):
                await run.first()
        assert it.books()["total_usd"] == "0.42"
        async with it.run("again", rebuy_lost=True) as run:
            taken = await run.brought()
        assert (taken.paid_usd, taken.clip.frames) == (PRICE_USD, 6)
        assert it.books()["total_usd"] == "0.84"

    async def test_what_is_bought_again_while_it_is_looked_at_is_on_the_bill(self, start: Start) -> None:
        it = start(
            {"fault": "truncate", "call": "put", "keep": 0.5, "times": 1},
            {"fault": "truncate", "call": "download", "keep": 0.5, "times": 3},
        )
        async with it.run(rebuy_lost=True) as run:
            first = await run.first()
            shot = run.plan.shots[0]
            taken = await run.generator.bring(first, shot, shot.takes[0], {})
        assert taken.kept.origin.task_uuid != first.kept.origin.task_uuid
        assert (taken.paid_usd, it.books()["total_usd"]) == (PRICE_USD, "0.84")


class TestLate:
    async def late(self, start: Start) -> Delivering:
        """A clip that came after it had been downloaded."""
        tries = Tries(most=4, first_pause_s=1.0, longest_pause_s=1.0, jitter=0)
        it = start({"fault": "fail_put", "times": 1}, waits=False, tries=tries)
        async with it.run(delivery_grace_s=0.2) as run:
            assert (await run.first()).is_here
        await asyncio.to_thread(wait_until, it.incoming)
        return it

    async def test_what_comes_late_changes_nothing(self, start: Start) -> None:
        it = await self.late(start)
        before = it.record()
        async with it.run("next") as run:
            taken = await run.brought()
        assert (taken.reused, it.record()) == (True, before)
        assert it.counts()["downloads"] == 1

    async def test_it_is_told_and_goes_when_it_has_lain_for_an_hour(self, start: Start) -> None:
        it = await self.late(start)
        [name] = it.incoming()
        with open_ledger(str(it.house.folder / "ledger.db")) as ledger:
            attempts = ledger.attempts()
            known, by_task = attempts_by_key(attempts), {attempt.task_uuid: attempt for attempt in attempts}
            found = await verify(it.store, known, it.house.folder)
            assert [(one.flaw, one.task_uuid) for one in found.findings] == [(Flaw.INCOMING, name)]
            assert found.damaged == ()

            def judged(hours: float, **rules: Any) -> Any:
                now = datetime.now(UTC) + timedelta(hours=hours)
                claims = read_claims(ledger)
                items = judge(it.store.inventory(), claims, known, Rules(**rules), now, by_task)
                return next(item for item in items if item.task_uuid == name)

            assert (judged(0.5).goes, judged(2).goes, judged(2).why) == (False, True, Why.INCOMING)
            gone = await discard(it.store, ledger, [judged(2)], Rules())
        assert [item.task_uuid for item in gone.gone] == [name]
        assert it.incoming() == []
        async with it.run("next") as run:
            assert (await run.brought()).reused

    async def test_what_belongs_to_an_attempt_that_is_not_over_stays(self, start: Start) -> None:
        it = start()
        async with it.run() as run:
            attempt = left_by_a_crash(run, State.SUBMITTED, State.ACCEPTED)
        (it.bucket.fs).pipe(f"films/work/clips/incoming/{attempt.task_uuid}", b"clip")
        (it.bucket.fs).pipe("films/work/clips/incoming/00000000-0000-4000-8000-000000000000", b"clip")
        with open_ledger(str(it.house.folder / "ledger.db")) as ledger:
            mine = {attempt.task_uuid: attempt for attempt in ledger.attempts()}
            now = datetime.now(UTC) + timedelta(days=90)
            for foreign in (False, True):
                items = judge(it.store.inventory(), read_claims(ledger), {}, Rules(foreign=foreign), now, mine)
                told = {item.task_uuid: (item.why, item.goes) for item in items}
                assert told == {
                    attempt.task_uuid: (Why.UNFINISHED, False),
                    "00000000-0000-4000-8000-000000000000": (Why.FOREIGN, foreign),
                }


# What the store is asked for while a delivery is taken in: method, what the key holds, and whether that was done.
MOMENTS = {
    "before anybody looked": ("HEAD", "incoming/", False),
    "before it is copied": ("PUT", ".mp4", False),
    "when it is copied": ("PUT", ".mp4", True),
    "when it has a record": ("PUT", ".json", True),
    "when what was put is deleted": ("DELETE", "incoming/", True),
    "while it is read": ("GET", ".mp4", False),
}


class TestKilled:
    @pytest.mark.parametrize("moment", MOMENTS)
    async def test_the_next_run_finds_it_without_paying_and_without_downloading(
        self, start: Start, moment: str
    ) -> None:
        it = start(plan=ONE)
        job = Job(it.house.folder, it.house.work, it.emulator.base_url)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            child = await asyncio.to_thread(pool.submit(os.getpid).result)
            method, part, is_done = MOMENTS[moment]

            def kill(asked: str, key: str) -> None:
                if asked == method and part in key and "/incoming/." not in key:
                    it.bucket.before = it.bucket.behind = lambda _method, _key: None
                    os.kill(child, signal.SIGKILL)

            setattr(it.bucket, "behind" if is_done else "before", kill)
            with pytest.raises(BrokenProcessPool):
                await asyncio.to_thread(pool.submit(deliver_and_bring, job).result)
        reads = len(it.bucket.reads())

        async with it.run("next", direct_delivery=moment != "when it is copied") as run:
            taken = await run.first()
            assert (it.counts()["downloads"], len(it.bucket.reads())) == (0, reads)
            shot = run.plan.shots[0]
            clip = (await run.generator.bring(taken, shot, shot.takes[0], {})).clip
        assert clip.facts == it.record().facts
        assert (it.counts()["videoInference"], it.counts()["downloads"]) == (1, 0)
        assert it.house.states() == [State.STORED]

    async def test_a_recovery_takes_it_in_unread(self, start: Start) -> None:
        it = start()
        async with it.run() as run:
            attempt = run.reserve()
            order = run.order()
            await run.driver.drive(attempt, order)
        assert it.house.states() == [State.SUCCEEDED]
        assert it.incoming() == [attempt.task_uuid]
        [recovered] = await it.recover()
        assert recovered.happened is Happened.STORED
        assert it.house.states() == [State.STORED]
        assert (it.counts()["downloads"], it.bucket.read_bytes(), it.incoming()) == (0, 0, [])


class TestWhereThereIsNone:
    @pytest.mark.parametrize("work", ["", "memory://place-of-clips"])
    async def test_other_storage_is_told_once_and_clips_are_downloaded(self, start: Start, work: str) -> None:
        it = start(plan=make_plan("One", "Two"))
        it.house.work = work or str(it.house.folder / "work")
        async with it.run() as run:
            assert [taken.is_here for taken in await run.all()] == [True, True]
        assert len(it.notes()) == 1
        assert "clips are downloaded, not delivered" in it.notes()[0]
        assert (it.counts()["puts"], it.counts()["downloads"]) == (0, 2)

    async def test_a_provider_elsewhere_is_not_sent_to_this_machine(self, start: Start, provider: Provider) -> None:
        it = start()
        async with it.house.run(provider, direct_delivery=True) as run:
            assert (await run.first()).is_here
        assert "uploadEndpoint" not in provider.bodies[0][0]
        why = "the provider cannot come to 127.0.0.1, where the clip store is"
        assert it.notes() == [f"clips are downloaded, not delivered: {why}"]

    async def test_unless_it_is_wanted_nothing_is_asked_for(self, start: Start) -> None:
        it = start()
        async with it.run(direct_delivery=False) as run:
            assert (await run.first()).is_here
        assert it.counts()["puts"] == 0
        assert it.notes() == []


async def test_a_store_that_was_filled_elsewhere_needs_no_ledger(start: Start, tmp_path: Path, template: Path) -> None:
    it = start()
    async with it.run() as run:
        await run.first()
    (tmp_path / "elsewhere").mkdir()
    there = Delivering(House(tmp_path / "elsewhere", ONE, template, work=it.house.work), it.bucket, it.emulator)
    async with there.run() as run:
        taken = await run.first()
        assert (taken.reused, taken.is_here) == (True, False)
        assert it.bucket.read_bytes() == 0
        assert (await run.brought()).clip.frames == 6
    assert it.counts()["videoInference"] == 1


async def test_two_takes_of_one_key_are_read_and_paid_once(start: Start) -> None:
    it = start(plan=make_plan("One", "One"))
    async with it.run() as run:
        one, two = await run.all()
        shots = run.plan.shots
        brought = await asyncio.gather(
            *(
                run.generator.bring(taken, shot, shot.takes[0], {})
                for taken, shot in zip((one, two), shots, strict=True)
            )
        )
    assert {taken.clip for taken in brought} == {brought[0].clip}
    assert sorted(taken.paid_usd for taken in brought) == [0, PRICE_USD]
    assert len(it.bucket.reads()) == 1


class TestVerify:
    async def test_what_nobody_has_looked_at_is_looked_at(self, start: Start) -> None:
        it = start({"fault": "truncate", "call": "put", "keep": 0.5, "nth": 2}, plan=make_plan("One", "Two"))
        async with it.run() as run:
            for shot in run.plan.shots:
                await run.generator.take(shot, shot.takes[0], {})
        quick = await verify(it.store, {}, it.house.folder, quick=True)
        assert (quick.clips, quick.findings, it.bucket.read_bytes()) == (2, (), 0)
        found = await verify(it.store, {}, it.house.folder, set_aside=True)
        assert [one.flaw for one in found.findings] == [Flaw.UNDECODABLE]
        # It is had again like any other, and not bought.
        async with it.run("next") as run:
            for shot in run.plan.shots:
                taken = await run.generator.take(shot, shot.takes[0], {})
                await run.generator.bring(taken, shot, shot.takes[0], {})
        assert (it.counts()["videoInference"], it.counts()["downloads"]) == (2, 1)


class TestSecrets:
    @pytest.mark.quick
    async def test_the_address_is_nowhere_but_in_the_request(
        self, start: Start, caplog: pytest.LogCaptureFixture
    ) -> None:
        it = start({"fault": "fail_put", "nth": 2}, plan=make_plan("One", "Two"), failure="charged")
        with caplog.at_level(0):
            async with it.run() as run:
                one, two = run.plan.shots
                taken = await run.generator.take(one, one.takes[0], {})
                with pytest.raises(ClipLost) as caught:
                    await run.generator.take(two, two.takes[0], {})
                told = [repr(event) for event in it.house.events] + [repr(taken), repr(run.ledger.attempts())]
                told += [repr(caught.value), repr(caught.value.as_dict())]
        assert ["uploadEndpoint" in task["request"] for task in it.books()["tasks"]] == [True, True]
        kept = [path.read_bytes() for path in it.house.folder.rglob("*") if path.is_file()]
        kept += [it.bucket.fs.cat_file(f"films/{name}") for name in it.bucket.names()]
        told += [record.getMessage() for record in caplog.records if record.name != "werkzeug"]  # the store's own
        for text in (*(part.encode() for part in told), *kept):
            assert b"X-Amz-Signature" not in text

    @pytest.mark.parametrize("kind", ["result", "failure"])
    @pytest.mark.parametrize("way", [*SPELLED, "nested"])
    async def test_nor_does_what_it_says_of_the_task(
        self, start: Start, provider: Provider, way: str, kind: str
    ) -> None:
        it, sent = start(), list[str]()

        class Repeats(Provider):
            def result(self, task: Any) -> dict[str, Any]:
                return {**super().result(task), **repeated(task.request["uploadEndpoint"])}

        def repeated(address: str) -> dict[str, Any]:
            sent.append(address)
            if way == "nested":
                return {"outputs": {"uploadEndpoint": address, "files": [{"uploadURL": address, "note": address}]}}
            return {"message": f"put to {SPELLED[way](address)}", "videoAddress": SPELLED[way](address)}

        def fail(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
            error = {"code": "inferenceFailed", "message": "no", "cost": 0.42, **repeated(task["uploadEndpoint"])}
            provider.endings.append(error)
            return accept(provider, task, request)

        repeats = Repeats(clip=provider.clip)
        if kind == "failure":
            repeats.submissions.append(fail)
        async with it.house.run(
            repeats, retries=0, direct_delivery=True, delivery_grace_s=0.1, base_url="http://127.0.0.1:9/v1"
        ) as run:
            if kind == "failure":
                with pytest.raises(ProviderFailed):
                    await run.first()
            else:
                await run.first()
        signature = sent[0].partition("X-Amz-Signature=")[2]
        assert len(signature) == 64
        kept = [path.read_bytes() for path in it.house.folder.rglob("*") if path.is_file()]
        told = [repr(it.house.events).encode(), repr(it.house.attempts()).encode()]
        assert not [text for text in (*told, *kept) if signature.encode() in text]

    @pytest.mark.parametrize("way", [str, json.dumps, html.escape])
    async def test_a_provider_that_repeats_it_gives_nothing_away(
        self, start: Start, provider: Provider, way: Callable[[str], str]
    ) -> None:
        it = start()
        sent: list[str] = []

        def repeat(_provider: Provider, task: dict[str, Any], _request: httpx.Request) -> httpx.Response:
            sent.append(task["uploadEndpoint"])
            error = {
                "code": "invalidPositivePrompt",
                "message": f"cannot use {way(sent[0])}",
                "taskUUID": task["taskUUID"],
            }
            return httpx.Response(400, json={"errors": [{**error, "uploadEndpoint": sent[0]}]})

        provider.submissions.append(repeat)
        async with it.house.run(provider, direct_delivery=True, base_url="http://127.0.0.1:9/v1") as run:
            with pytest.raises(RequestRejected) as caught:
                await run.first()
        signature = sent[0].partition("X-Amz-Signature=")[2]
        assert len(signature) == 64
        told = [str(caught.value), json.dumps(caught.value.as_dict()), repr(it.house.events), repr(it.house.attempts())]
        kept = [path.read_bytes() for path in it.house.folder.rglob("*") if path.is_file()]
        assert not [text for text in (*(part.encode() for part in told), *kept) if signature.encode() in text]
