"""What deliveries may cost: a clip that lies in our own store is never bought again, nor one that may be paid for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.clips.delivery import is_of_delivery
from tasks.clips.discard import Rules, Why, judge, read_claims
from tasks.clips.fetch import Fetcher
from tasks.clips.gate import open_gate
from tasks.clips.recall import recorded_result
from tasks.clips.reconcile import reconcile
from tasks.clips.recover import Happened, recover
from tasks.clips.store import ClipStore
from tasks.clips.upkeep import Flaw, attempts_by_key, verify
from tasks.emulator import EmulatorServer, EmulatorSettings, Tries, UploadEndpointSettings
from tasks.errors import (
    BadInput,
    ClipLost,
    ContentRefused,
    OutcomeUnknown,
    ProviderFailed,
    ProviderUnreachable,
    RequestRejected,
    ShotchainError,
    StorageUnreachable,
)
from tasks.ledger import Attempt, State, open_ledger
from tasks.problems import Charged
from tasks.progress import Event, Stage
from tasks.runware.failures import failure_from_error
from tests.buckets import Bucket
from tests.clips.house import PAUSES, House, left_by_a_crash, make_plan
from tests.runware.provider import PRICE_USD, Provider, accept, refuse, reply

pytestmark = pytest.mark.runs

S = State
PLAN = make_plan("A tram climbs through autumn trees")


@dataclass
class Case:
    """A house whose store is a bucket, a provider on this machine, and what it says."""

    house: House
    bucket: Bucket
    provider: Provider

    def run(self, run_id: str = "run", **options: Any) -> Any:
        facts = {"direct_delivery": True, "delivery_grace_s": 0.3, "deadline_s": 0.4, **options}
        return self.house.run(self.provider, run_id, base_url="http://127.0.0.1:9/v1", **facts)

    async def crashed(self, *states: State, cost: str | None = None) -> Attempt:
        """What a run leaves that dies after `states`; the provider has put its clip, and knows it no more."""
        async with self.run("dead") as run:
            attempt = left_by_a_crash(run, *states)
            if cost is not None:
                settled = run.ledger.settle(attempt.task_uuid, charged=Charged.YES, cost_usd=Decimal(cost))
                assert settled is not None
            self.put(run.store, attempt.task_uuid)
        return attempt

    def put(self, store: ClipStore, task_uuid: str) -> None:
        store.incoming(task_uuid).put_bytes(self.provider.clip)

    def notes(self) -> list[str]:
        return [event.message for event in self.house.events if event.stage is Stage.NOTE]

    def incoming(self) -> list[str]:
        return [name for name in self.bucket.names() if "/incoming/" in name]

    async def compare(self, **options: Any) -> Any:
        """As `shotchain ledger reconcile --apply` does."""
        facts = {"base_url": "http://127.0.0.1:9/v1", **options}
        async with self.run("comparing", **options) as run:
            settings = self.house.settings(**facts)
            return await reconcile(settings=settings, client=run.client, ledger=run.ledger, apply=True, pauses=PAUSES)

    async def recover(self, **options: Any) -> Any:
        async with self.run("recovering", **options) as run:
            return await recover(
                settings=self.house.settings(**options),
                client=run.client,
                poller=run.poller,
                ledger=run.ledger,
                store=run.store,
                scratch=self.house.folder / "scratch",
                observer=self.house.events.append,
                pauses=PAUSES,
            )


@pytest.fixture
def case(tmp_path: Path, template: Path, bucket: Bucket, provider: Provider) -> Case:
    return Case(House(tmp_path, PLAN, template, work="s3://films/work"), bucket, provider)


LEFT = {
    "submitted": (S.SUBMITTED,),
    "accepted": (S.SUBMITTED, S.ACCEPTED),
    "unknown": (S.SUBMITTED, S.UNKNOWN),
    "stored": (S.SUBMITTED, S.ACCEPTED, S.SUCCEEDED, S.STORED),
}


class TestWhatLiesInTheStore:
    @pytest.mark.parametrize("rebuy", [False, True])
    @pytest.mark.parametrize("left", LEFT)
    async def test_it_is_taken_in_though_the_provider_knows_it_no_more(
        self, case: Case, left: str, rebuy: bool
    ) -> None:
        attempt = await case.crashed(*LEFT[left])
        async with case.run("next", rebuy_lost=rebuy) as run:
            taken = await run.brought()
        assert taken.kept.origin.task_uuid == attempt.task_uuid
        assert (case.provider.submitted, case.house.states(), case.incoming()) == ([], [S.STORED], [])
        [it] = case.house.attempts()
        assert (it.posts, it.charged, it.totals.held_usd) == (1, Charged.YES, PRICE_USD)

    async def test_what_the_provider_still_knows_of_it_is_taken_from_there(self, case: Case) -> None:
        attempt = await case.crashed(S.SUBMITTED)
        case.provider.take({"taskUUID": attempt.task_uuid})
        async with case.run("next") as run:
            kept = (await run.first()).kept
        assert (kept.origin.video_uuid, kept.origin.seed) == (f"video-{attempt.task_uuid}", 7)

    async def test_what_a_person_settled_keeps_its_cost(self, case: Case) -> None:
        await case.crashed(S.SUBMITTED, S.UNKNOWN, cost="0.40")
        async with case.run("next", rebuy_lost=True) as run:
            await run.first()
        assert case.provider.submitted == []
        assert [attempt.cost_usd for attempt in case.house.attempts()] == [Decimal("0.40")]

    @pytest.mark.parametrize("key", ["rw-5ecret-key-0123456789", "rw-an0ther-key-9876543210"])
    @pytest.mark.parametrize("left", ["submitted", "accepted", "unknown"])
    async def test_a_recovery_takes_it_in_whoever_paid(self, case: Case, left: str, key: str) -> None:
        await case.crashed(*LEFT[left])
        [recovered] = await case.recover(key=key)
        assert (recovered.happened, case.house.states()) == (Happened.STORED, [S.STORED])
        assert case.provider.submitted == []

    async def test_a_clip_of_which_only_the_record_is_left(self, case: Case, template: Path) -> None:
        attempt = await case.crashed(*LEFT["submitted"])
        async with case.run("next") as run:
            kept = (await run.first()).kept
            case.bucket.fs.rm(f"films/work/clips/{kept.key[:2]}/{kept.key}.mp4")
            case.put(run.store, attempt.task_uuid)
        (case.house.folder / "elsewhere").mkdir()
        there = Case(
            House(case.house.folder / "elsewhere", PLAN, template, work=case.house.work), case.bucket, case.provider
        )
        async with there.run() as run:
            assert (await run.first()).kept.origin == kept.origin
        assert case.provider.submitted == []

    async def test_it_cannot_be_settled_as_free(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        from flows.commands.settle import settle  # the commands' own imports are slow

        monkeypatch.delenv("RUNWARE_API_KEY", raising=False)
        attempt = await case.crashed(S.SUBMITTED, S.UNKNOWN)
        ledger = str(case.house.folder / "ledger.db")
        with pytest.raises(BadInput, match="the clip of this attempt was made"):
            settle(attempt.task_uuid, charged=False, work=case.house.work, ledger=ledger)
        assert case.house.states() == [S.UNKNOWN]
        case.bucket.fs.rm(f"films/work/clips/incoming/{attempt.task_uuid}")
        settle(attempt.task_uuid, charged=False, work=case.house.work, ledger=ledger)
        assert case.house.states() == [S.FAILED]


def put_and_accept(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
    """Take it and put its clip, as a provider does that hears nothing of how that went."""
    httpx.put(task["uploadEndpoint"], content=provider.clip).raise_for_status()
    return accept(provider, task, request)


def failed(**facts: Any) -> dict[str, Any]:
    return {"code": "uploadFailed", "message": "could not be uploaded", "parameter": "uploadEndpoint", **facts}


class TestAFailedUpload:
    @pytest.mark.parametrize("facts", [{"cost": 0.42}, {}, {"cost": 0}], ids=["charged", "not told", "free"])
    async def test_what_came_all_the_same_is_taken_in(self, case: Case, facts: dict[str, Any]) -> None:
        case.provider.submissions.append(put_and_accept)
        case.provider.endings.append(failed(**facts))
        async with case.run() as run:
            assert not (await run.first()).is_here
        assert (len(case.provider.submitted), case.house.states()) == (1, [S.STORED])
        assert case.house.held_usd() == (0 if facts.get("cost") == 0 else PRICE_USD)

    async def test_what_the_provider_shows_elsewhere_is_downloaded(self, case: Case) -> None:
        case.provider.endings.append(None)

        class TwoAnswers(Provider):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                body = await request.aread()
                if b'"getResponse"' in body:
                    [uuid] = self.submitted
                    error = {**failed(cost=0.42), "taskUUID": uuid, "status": "error"}
                    return httpx.Response(200, json={"data": [], "errors": [error]})
                return await super().handle_async_request(request)

        case.provider = TwoAnswers(clip=case.provider.clip)
        async with case.run() as run:
            assert (await run.first()).is_here
        assert (len(case.provider.submitted), case.house.states()) == (1, [S.STORED])

    @pytest.mark.parametrize("by_recovery", [False, True])
    async def test_what_is_charged_and_gone_is_bought_again_only_if_that_is_asked_for(
        self, case: Case, by_recovery: bool
    ) -> None:
        case.provider.endings.append(failed(cost=0.42))
        if by_recovery:
            async with case.run("dead") as run:
                case.provider.take({"taskUUID": left_by_a_crash(run, S.SUBMITTED).task_uuid})
            [recovered] = await case.recover()
            assert recovered.happened is Happened.LOST
        async with case.run() as run:
            with pytest.raises(ClipLost, match="could not deliver it") as caught:
                await run.first()
        assert (caught.value.cost_usd, caught.value.charged) == (PRICE_USD, Charged.YES)
        assert "--rebuy-lost" in str(caught.value.advice)
        [it] = case.house.attempts()
        assert (it.state, it.charged, it.totals.spent_usd) == (S.UNKNOWN, Charged.YES, PRICE_USD)
        async with case.run("again") as run:
            with pytest.raises(ClipLost, match="could not deliver it"):
                await run.first()
        assert len(case.provider.tasks) == 1
        async with case.run("asked for", rebuy_lost=True) as run:
            assert (await run.first()).paid_usd == PRICE_USD
        assert (len(case.provider.tasks), case.house.states()) == (2, [S.FAILED, S.STORED])
        assert sum(attempt.totals.spent_usd for attempt in case.house.attempts()) == 2 * PRICE_USD

    async def test_one_of_which_no_cost_is_told_waits_for_a_person(self, case: Case) -> None:
        case.provider.endings.append(failed())
        for run_id in ("run", "next"):
            async with case.run(run_id, rebuy_lost=True) as run:
                with pytest.raises(OutcomeUnknown, match="does not say whether it charged"):
                    await run.first()
        assert (len(case.provider.submitted), case.house.states()) == (1, [S.UNKNOWN])
        assert case.house.held_usd() == PRICE_USD
        [it] = case.house.attempts()
        with open_ledger(str(case.house.folder / "ledger.db")) as ledger:
            assert ledger.settle(it.task_uuid, charged=Charged.NO) is not None
        async with case.run("settled") as run:
            await run.first()
        assert len(case.provider.submitted) == 2

    async def test_what_comes_after_that_is_found_by_the_next_run(self, case: Case) -> None:
        case.provider.endings.append(failed(cost=0.42))
        async with case.run() as run:
            with pytest.raises(ClipLost):
                await run.first()
            case.put(run.store, run.ledger.attempts()[0].task_uuid)
        async with case.run("next", rebuy_lost=True) as run:
            await run.first()
        assert (len(case.provider.submitted), case.house.states()) == (1, [S.STORED])

    @pytest.mark.parametrize("how", ["at the post", "afterwards"])
    async def test_one_that_cost_nothing_is_made_anew_without_using_up_a_try(self, case: Case, how: str) -> None:
        if how == "at the post":
            case.provider.submissions.append(refuse("unsupportedParameter", parameter="uploadEndpoint"))
        else:
            case.provider.endings.append(failed(cost=0))
        async with case.run(retries=0) as run:
            assert (await run.first()).is_here
        posts = [body[0] for body in case.provider.bodies if body[0]["taskType"] == "videoInference"]
        assert ["uploadEndpoint" in post for post in posts] == [True, False]
        assert case.provider.charged_usd == PRICE_USD

    async def test_gc_spares_what_an_attempt_left_that_may_have_been_charged(self, case: Case) -> None:
        async with case.run("dead") as run:
            attempt = left_by_a_crash(run, S.SUBMITTED, S.ACCEPTED, S.FAILED)
            case.put(run.store, attempt.task_uuid)
            items = judge(
                run.store.inventory(),
                read_claims(run.ledger),
                {},
                Rules(),
                datetime.now(UTC) + timedelta(days=90),
                {attempt.task_uuid: attempt},
            )
            assert [(item.why, item.goes) for item in items] == [(Why.UNFINISHED, False)]


class TestWhatIsSaidOfAnAddress:
    """An address is another for each post, so what is said of one says nothing of the post before."""

    async def test_a_post_that_is_refused_for_it_goes_again_without_under_the_same_name(self, case: Case) -> None:
        async with case.run("dead", direct_delivery=False) as run:
            attempt = left_by_a_crash(run, S.SUBMITTED)
        case.provider.polls, case.provider.silent = float("inf"), True
        case.provider.take({"taskUUID": attempt.task_uuid})  # the post of the run that is dead had come

        def wake(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
            provider.tasks[attempt.task_uuid].polls = 0
            return accept(provider, task, request)

        case.provider.submissions += [refuse("unsupportedParameter", parameter="uploadEndpoint"), wake]
        async with case.run("next") as run:
            assert (await run.first()).kept.origin.task_uuid == attempt.task_uuid
        posts = [body[0] for body in case.provider.bodies if body[0]["taskType"] == "videoInference"]
        assert ["uploadEndpoint" in post for post in posts] == [True, False]
        assert (list(case.provider.tasks), case.house.states()) == ([attempt.task_uuid], [S.STORED])

    @pytest.mark.parametrize("parameter", ["webhookURL", "uploadEndpoint"])
    async def test_a_refusal_of_the_one_more_post_does_not_say_that_the_first_was_refused(
        self, case: Case, parameter: str
    ) -> None:
        async with case.run("dead", direct_delivery=False) as run:
            attempt = left_by_a_crash(run, S.SUBMITTED)
        case.provider.polls, case.provider.silent = float("inf"), True
        case.provider.take({"taskUUID": attempt.task_uuid})
        case.provider.submissions += [refuse("invalidValue", parameter=parameter)] * 3
        async with case.run("next") as run:
            with pytest.raises(OutcomeUnknown):
                await run.first()
        assert (list(case.provider.tasks), case.house.states()) == ([attempt.task_uuid], [S.UNKNOWN])

    async def test_who_names_it_though_none_was_sent_is_not_asked_for_ever(self, case: Case) -> None:
        case.provider.submissions += [refuse("missingParameter", parameter="uploadEndpoint")] * 9
        async with case.run() as run:
            with pytest.raises(RequestRejected, match="missingParameter"):
                await run.first()
        assert len(case.provider.submitted) == 2

    @pytest.mark.parametrize("how", ["run", "recovery", "comparison"])
    async def test_whoever_goes_on_without_deliveries_knows_that_one_failed(self, case: Case, how: str) -> None:
        """An earlier run had asked for it, and the provider does not say where to the upload failed."""
        case.provider.endings.append({"code": "uploadFailed", "message": "the video could not be stored"})
        async with case.run("dead") as run:
            attempt = left_by_a_crash(run, S.SUBMITTED, S.ACCEPTED)
            case.provider.take({"taskUUID": attempt.task_uuid})
        if how == "recovery":
            await case.recover(direct_delivery=False)
        elif how == "comparison":
            await case.compare(direct_delivery=False)
        assert how == "run" or case.house.states() == [S.UNKNOWN]
        async with case.run("next", direct_delivery=False) as run:
            with pytest.raises(OutcomeUnknown):
                await run.first()
        assert (list(case.provider.tasks), case.house.states()) == ([attempt.task_uuid], [S.UNKNOWN])

    async def test_what_was_sent_without_one_fails_like_anything(self, case: Case) -> None:
        case.provider.endings += [{"code": "uploadFailed", "message": "the video could not be stored"}]
        async with case.run(direct_delivery=False) as run:
            await run.first()
        assert case.house.states() == [S.FAILED, S.STORED]

    @pytest.mark.parametrize(
        ("error", "is_so"),
        [
            ({"code": "uploadFailed"}, True),
            ({"code": "taskFailed", "message": "could not upload the result (403)"}, True),
            ({"code": "somethingNew", "message": "delivery to the presigned address failed"}, True),
            ({"code": "uploadTimeout"}, True),
            ({"code": "invalidUploadEndpoint"}, True),
            ({"code": "invalidValue", "parameter": "uploadEndpoint"}, True),
            ({"code": "invalidImage", "message": "the uploaded image is no image"}, False),
            ({"code": "inferenceFailed", "message": "uploaded image", "parameter": "inputs.frameImages"}, False),
            ({"code": "contentPolicyViolation", "message": "an uploaded image is unsafe"}, False),
            ({"code": "inferenceFailed", "message": "no"}, False),
        ],
    )
    def test_what_is_taken_for_a_delivery_that_failed(self, error: dict[str, Any], is_so: bool) -> None:
        assert is_of_delivery(failure_from_error(error)) is is_so


class TestWhoeverAsks:
    """A run, a recovery and a comparison make the same of the same answers."""

    async def left(self, case: Case, how: str, *, state: State = S.UNKNOWN, is_there: bool = False) -> Attempt:
        """What there is of an attempt of a run that died, once it was looked at."""
        async with case.run("dead") as run:
            attempt = left_by_a_crash(run, S.SUBMITTED, state)
            case.provider.take({"taskUUID": attempt.task_uuid})
            if is_there:
                case.put(run.store, attempt.task_uuid)
        if how == "recovery":
            await case.recover()
        elif how == "comparison":
            await case.compare()
        else:
            async with case.run("next", retries=0) as run:
                with suppress(ShotchainError):
                    await run.first()
        return next(it for it in case.house.attempts() if it.task_uuid == attempt.task_uuid)

    @pytest.mark.parametrize("how", ["run", "recovery", "comparison"])
    async def test_what_lies_in_the_store_costs_and_is_what_the_provider_says(self, case: Case, how: str) -> None:
        case.provider.endings.append({"code": "contentPolicyViolation", "message": "unsafe", "cost": 0.21})
        it = await self.left(case, how, is_there=True)
        assert it.state in {S.SUCCEEDED, S.STORED}
        assert (it.cost_usd, it.charged) == (Decimal("0.21"), Charged.YES)
        assert recorded_result(it).nsfw

    @pytest.mark.parametrize("how", ["run", "recovery", "comparison"])
    @pytest.mark.parametrize("facts", [{"cost": 0.42}, {}, {"cost": 0}], ids=["charged", "not told", "free"])
    async def test_what_could_not_be_put_is_asked_for_elsewhere(
        self, case: Case, how: str, facts: dict[str, Any]
    ) -> None:
        class TwoAnswers(Provider):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if b'"getResponse"' in await request.aread():
                    [uuid] = self.tasks
                    return reply(200, {"errors": [{**failed(**facts), "taskUUID": uuid, "status": "error"}]})
                return await super().handle_async_request(request)

        case.provider = TwoAnswers(clip=case.provider.clip)
        it = await self.left(case, how)
        assert it.state in {S.SUCCEEDED, S.STORED}
        assert (recorded_result(it).video_uuid, it.cost_usd) == (f"video-{it.task_uuid}", PRICE_USD)

    @pytest.mark.parametrize("how", ["run", "recovery", "comparison"])
    @pytest.mark.parametrize("code", ["contentPolicyViolation", "invalidValue", "inferenceError"])
    async def test_what_was_worked_on_has_failed(self, case: Case, how: str, code: str) -> None:
        case.provider.endings.append({"code": code, "message": "no"})
        it = await self.left(case, how, state=S.ACCEPTED)
        assert (it.state, it.charged) == (S.FAILED, Charged.UNKNOWN)


class TestWhatComesInSpiteOfAll:
    @pytest.mark.parametrize("facts", [{}, {"cost": 0}, {"cost": 0.42}], ids=["not told", "free", "charged"])
    async def test_what_comes_after_its_attempt_had_failed_is_not_bought_again(
        self, case: Case, facts: dict[str, Any]
    ) -> None:
        case.provider.endings.append({"code": "inferenceFailed", "message": "no", **facts})
        async with case.run(retries=0) as run:
            with pytest.raises(ProviderFailed):
                await run.first()
            [attempt] = run.ledger.attempts()
            case.put(run.store, attempt.task_uuid)
        async with case.run("next") as run:
            await open_gate(run.plan, run.store, run.ledger, run.run_id)
            taken = await run.brought()
        assert taken.kept.origin.task_uuid == attempt.task_uuid
        assert (len(case.provider.tasks), case.house.states()) == (1, [S.FAILED, S.RELEASED])
        assert case.incoming() == []
        cost_usd = 0 if facts.get("cost") == 0 else PRICE_USD
        assert (case.house.held_usd(), taken.kept.origin.cost_usd) == (cost_usd, cost_usd)

    async def test_one_that_the_provider_does_not_want_to_be_seen_is_flagged(self, case: Case) -> None:
        case.provider.submissions.append(put_and_accept)
        case.provider.endings.append({"code": "contentPolicyViolation", "message": "the result is unsafe"})
        async with case.run(nsfw="fail") as run:
            with pytest.raises(ContentRefused, match="flagged"):
                await run.first()
        assert (len(case.provider.tasks), case.house.states()) == (1, [S.STORED])

    async def test_a_comparison_ends_nothing_whose_clip_is_there(self, case: Case) -> None:
        attempt = await case.crashed(S.SUBMITTED, S.ACCEPTED)
        case.provider.endings.append({"code": "inferenceFailed", "message": "no"})
        case.provider.take({"taskUUID": attempt.task_uuid})
        case.bucket.refuses = lambda method, key: method == "HEAD" and "incoming/" in key
        [compared] = await case.compare()
        assert (compared.settled, case.house.states()) == (False, [S.ACCEPTED])
        case.bucket.refuses = lambda _method, _key: False
        [compared] = await case.compare()
        assert (compared.settled, case.house.states()) == (True, [S.SUCCEEDED])
        async with case.run("next") as run:
            await run.first()
        assert (list(case.provider.tasks), case.house.states()) == ([attempt.task_uuid], [S.STORED])

    @pytest.mark.parametrize("facts", [{"cost": 0.42}, {}], ids=["cost", "no cost"])
    async def test_a_result_that_names_nothing_is_found_where_it_was_put(
        self, case: Case, facts: dict[str, Any]
    ) -> None:
        class Nameless(Provider):
            def result(self, task: Any) -> dict[str, Any]:
                return {"taskType": "videoInference", "taskUUID": task.uuid, "status": "success", **facts}

        case.provider = Nameless(clip=case.provider.clip)
        case.provider.submissions.append(put_and_accept)
        async with asyncio.timeout(20), case.run(deadline_s=60.0 if facts else 0.4) as run:
            await run.first()
        assert (len(case.provider.tasks), case.house.states()) == (1, [S.STORED])

    @pytest.mark.parametrize(("hours", "kind"), [(0.5, ProviderUnreachable), (2, ClipLost)])
    async def test_what_has_no_address_and_did_not_come_is_lost_when_it_can_come_no_more(
        self, case: Case, hours: float, kind: type[Exception]
    ) -> None:
        class Addressless(Provider):
            def result(self, task: Any) -> dict[str, Any]:
                return {**super().result(task), "videoURL": None}

        case.provider = Addressless(clip=case.provider.clip)
        async with case.run() as run:
            with pytest.raises(ProviderUnreachable, match="names no address"):
                await run.first()
            [attempt] = run.ledger.attempts()
            finished_at = attempt.finished_at
            assert finished_at is not None
            fetcher = Fetcher(
                client=run.client,
                ask_again=run.driver.ask_again,
                store=run.store,
                ledger=run.ledger,
                scratch=case.house.folder / "scratch",
                observer=case.house.events.append,
                pauses=PAUSES,
            )
            old = replace(attempt, finished_at=finished_at - timedelta(hours=hours))
            with pytest.raises(kind):
                await fetcher.fetch(old, await fetcher.result_of(old), key=old.content_key, shot="a", take=1)
        assert len(case.provider.tasks) == 1

    async def test_what_comes_before_it_is_tried_again_is_not_bought_again(self, case: Case) -> None:
        class Arriving(list[Event]):
            def append(self, event: Event) -> None:
                super().append(event)
                if event.stage is Stage.RETRYING:
                    case.put(ClipStore(case.house.work, case.house.folder / "cache"), *case.provider.tasks)

        case.house.events = Arriving()
        case.provider.endings.append({"code": "inferenceFailed", "message": "no"})
        async with case.run() as run:
            taken = await run.brought()
        assert (taken.paid_usd, len(case.provider.tasks)) == (PRICE_USD, 1)
        assert case.house.states() == [S.FAILED, S.RELEASED]

    async def test_what_is_damaged_at_the_provider_may_have_come_meanwhile(self, case: Case) -> None:
        class Late(Provider):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if request.method == "GET" and len(self.downloads) == 1:
                    store = ClipStore(case.house.work, case.house.folder / "cache")
                    await asyncio.to_thread(case.put, store, next(iter(self.tasks)))
                return await super().handle_async_request(request)

        case.provider = Late(clip=case.provider.clip)
        case.provider.downloads += ["broken"] * 3
        async with case.run(rebuy_lost=True, delivery_grace_s=0.0) as run:
            assert not (await run.first()).is_here
        assert (case.provider.counts["downloads"], len(case.provider.tasks)) == (3, 1)

    async def test_what_is_no_clip_and_cannot_be_deleted_is_not_taken_in_for_ever(self, case: Case) -> None:
        def put_half(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
            httpx.put(task["uploadEndpoint"], content=provider.clip[: len(provider.clip) // 2]).raise_for_status()
            return accept(provider, task, request)

        case.bucket.refuses = lambda method, key: method == "DELETE" and "/incoming/" in key and "/." not in key
        case.provider.submissions.append(put_half)
        async with asyncio.timeout(20):
            async with case.run() as run:
                assert (await run.brought()).is_here
        assert (case.provider.counts["downloads"], len(case.provider.tasks)) == (1, 1)

    async def test_gc_spares_it_while_the_clip_is_in_its_place_no_more(self, case: Case) -> None:
        async with case.run() as run:
            kept = (await run.first()).kept
            [attempt] = run.ledger.attempts()
            case.put(run.store, attempt.task_uuid)

            def goes() -> bool:
                now = datetime.now(UTC) + timedelta(hours=2)
                mine = {attempt.task_uuid: attempt}
                items = judge(run.store.inventory(), read_claims(run.ledger), {}, Rules(), now, mine)
                return next(item.goes for item in items if item.task_uuid is not None)

            assert goes()
            case.bucket.fs.rm(f"films/work/clips/{kept.key[:2]}/{kept.key}.mp4")
            assert not goes()


def books_of(emulator: EmulatorServer) -> dict[str, Any]:
    told: dict[str, Any] = httpx.get(f"{emulator.origin}/_emulator/books").json()
    return told


# Every delivery is refused, and its task charged.
REFUSED_AND_CHARGED = EmulatorSettings(
    instant=True,
    frames_per_second=1,
    upload_endpoints=UploadEndpointSettings(
        tries=Tries(most=2, first_pause_s=0.05, longest_pause_s=0.05, jitter=0, timeout_s=5), failure="charged"
    ),
    faults={"rules": [{"fault": "fail_put", "status": 403, "times": 99}]},
)


class TestFailing:
    async def test_where_deliveries_fail_and_are_charged_no_take_is_paid_twice(
        self, tmp_path: Path, template: Path, bucket: Bucket
    ) -> None:
        house = House(tmp_path, make_plan("One", "Two", "Three"), template, work="s3://films/work")
        with EmulatorServer(REFUSED_AND_CHARGED) as emulator:
            options: dict[str, Any] = {"direct_delivery": True, "delivery_grace_s": 0.3, "deadline_s": 30.0}
            for _ in range(2):
                async with house.run(None, base_url=emulator.base_url, **options) as run:
                    with pytest.raises(ShotchainError):
                        await run.all()
            books = books_of(emulator)
        assert (books["total_usd"], len(books["tasks"])) == ("1.26", 3)
        assert set(house.states()) <= {S.STORED, S.UNKNOWN}

    async def test_after_one_that_failed_none_is_asked_for(
        self, tmp_path: Path, template: Path, bucket: Bucket
    ) -> None:
        house = House(tmp_path, make_plan("One", "Two", "Three"), template, work="s3://films/work")
        with EmulatorServer(REFUSED_AND_CHARGED) as emulator:
            options: dict[str, Any] = {"direct_delivery": True, "delivery_grace_s": 0.3, "deadline_s": 30.0}
            async with house.run(None, base_url=emulator.base_url, places=1, **options) as run:
                with pytest.raises(ShotchainError):
                    await run.all()
            books = books_of(emulator)
        assert ["uploadEndpoint" in task["request"] for task in books["tasks"]].count(True) == 1

    async def test_where_our_own_upload_is_refused_none_is_asked_for(self, case: Case) -> None:
        """As by a clock that is wrong, or a rule of the bucket."""
        case.bucket.refuses = lambda method, key: method == "PUT" and "/incoming/." in key
        async with case.run() as run:
            assert (await run.first()).is_here
        assert "uploadEndpoint" not in case.provider.bodies[0][0]
        [note] = case.notes()
        assert "takes nothing by an address that is signed here (HTTP 403)" in note

    async def test_nothing_of_ours_stays(self, case: Case) -> None:
        case.provider.submissions.append(put_and_accept)
        async with case.run() as run:
            await run.first()
        assert case.incoming() == []


class TestTakingIn:
    async def test_what_goes_away_before_it_is_copied_is_downloaded(self, case: Case) -> None:
        case.provider.submissions.append(put_and_accept)
        heads = 0

        def take_away(method: str, key: str) -> None:
            nonlocal heads
            if method == "HEAD" and "incoming/" in key and "/incoming/." not in key:
                heads += 1
                if heads == 1:  # it is there when it is looked at, and gone when it is to be copied
                    case.bucket.behind = lambda _method, _key: None
                    case.bucket.fs.rm(f"films/{key}")

        case.bucket.behind = take_away
        async with case.run() as run:
            assert (await run.first()).is_here
        assert (heads, len(case.provider.submitted), case.house.states()) == (1, 1, [S.STORED])

    async def test_what_the_store_does_not_copy_is_downloaded_with_a_note(self, case: Case) -> None:
        case.provider.submissions.append(put_and_accept)
        case.bucket.refuses = lambda method, key: method == "PUT" and key.endswith(".mp4") and not downloads()

        def downloads() -> int:
            return case.provider.counts["downloads"]

        async with case.run() as run:
            assert (await run.first()).is_here
        assert (downloads(), len(case.provider.submitted), case.house.states()) == (1, 1, [S.STORED])
        assert any("what was delivered cannot be taken in; downloading it" in note for note in case.notes())

    async def test_what_the_store_gives_and_takes_and_does_not_copy_is_carried(self, case: Case) -> None:
        refused: list[str] = []

        def refuses(method: str, key: str) -> bool:
            is_first = method == "PUT" and key.endswith(".mp4") and not refused
            refused.extend([key] if is_first else [])
            return is_first

        case.provider.submissions.append(put_and_accept)
        case.bucket.refuses = refuses
        async with case.run() as run:
            taken = await run.brought()
        assert (len(refused), taken.clip.size_bytes) == (1, len(case.provider.clip))
        assert (case.provider.counts["downloads"], case.house.states(), case.incoming()) == (0, [S.STORED], [])
        assert [path.name for path in (case.house.folder / "cache" / "clips").iterdir()] == [f"{taken.kept.key}.mp4"]

    async def test_what_is_there_and_cannot_be_taken_in_is_not_lost(self, case: Case) -> None:
        attempt = await case.crashed(*LEFT["stored"])
        case.bucket.refuses = lambda method, key: method == "PUT" and key.endswith(".mp4")
        async with case.run("next", rebuy_lost=True) as run:
            with pytest.raises(StorageUnreachable):
                await run.first()
        case.bucket.refuses = lambda _method, _key: False
        async with case.run("after") as run:
            assert (await run.first()).kept.origin.task_uuid == attempt.task_uuid
        assert case.provider.submitted == []

    async def test_a_copy_to_be_made_of_nothing_says_so(self, bucket: Bucket) -> None:
        store = ClipStore("s3://films/work", Path("unused"))
        assert store.incoming("x").copy_to(store.incoming("y")) is False
        assert bucket.names() == []


async def test_verify_knows_whose_it_is_whichever_attempt_that_was(case: Case, tmp_path: Path) -> None:
    async with case.run() as run:
        first = left_by_a_crash(run, S.SUBMITTED, S.ACCEPTED, S.FAILED)
        await run.first()
        case.put(run.store, first.task_uuid)  # late: its take was bought anew
        attempts = run.ledger.attempts()
        assert len(attempts) == 2
        by_task = {attempt.task_uuid: attempt for attempt in attempts}
        found = await verify(run.store, attempts_by_key(attempts), tmp_path, by_task=by_task)
    [finding] = [one for one in found.findings if one.flaw is Flaw.INCOMING]
    assert (finding.task_uuid, finding.shot, finding.key) == (first.task_uuid, "a", first.content_key)
