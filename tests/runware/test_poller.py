"""One request a tick for everything in flight, and an end for everyone who waits."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tasks.errors import KeyRefused, NoCredit, OutcomeUnknown, ProviderFailed, StorageUnreachable
from tasks.runware.client import RunwareClient
from tasks.runware.messages import Reply, VideoResult, read_reply
from tasks.runware.pauses import Pauses
from tasks.runware.poller import Ended, Poller
from tests.runware.provider import Provider

PAUSES = Pauses(scale=0.004, random_source=random.Random(1))


@asynccontextmanager
async def polling(provider: Provider, say: Callable[[str], None] = lambda _: None) -> AsyncIterator[Poller]:
    async with RunwareClient("https://api.test/v1", "a-key", transport=provider) as client:
        poller = Poller(client, say=say, pauses=PAUSES)
        yield poller
        await poller.close()


def taking(*uuids: str, polls: float = 0) -> Provider:
    provider = Provider(polls=polls)
    for uuid in uuids:
        provider.take({"taskUUID": uuid})
    return provider


async def test_many_are_asked_about_in_one_request_a_tick() -> None:
    uuids = [f"task {number}" for number in range(20)]
    provider = taking(*uuids, polls=5)
    async with polling(provider) as poller:
        results = await asyncio.gather(*(poller.wait(uuid, deadline_s=5) for uuid in uuids))
    assert [result.task_uuid for result in results if isinstance(result, VideoResult)] == uuids
    assert provider.counts["posts"] <= 12
    assert max(len(body) for body in provider.bodies) == 20


async def test_a_thousand_are_asked_about_in_one_request() -> None:
    uuids = [f"task {number}" for number in range(1000)]
    provider = taking(*uuids)
    async with polling(provider) as poller:
        await asyncio.gather(*(poller.wait(uuid, deadline_s=20) for uuid in uuids))
    assert [len(body) for body in provider.bodies] == [1000]


async def test_where_so_many_are_refused_a_hundred_are_asked_about_at_once() -> None:
    uuids = [f"task {number}" for number in range(230)]
    provider = taking(*uuids)
    provider.most_questions = 150
    said: list[str] = []
    async with polling(provider, said.append) as poller:
        await asyncio.gather(*(poller.wait(uuid, deadline_s=20) for uuid in uuids))
    assert [len(body) for body in provider.bodies] == [230, 100, 100, 30]
    assert said == ["The provider does not answer about 230 tasks in one request; asking about 100."]


async def test_several_may_wait_for_one_task() -> None:
    provider = taking("one", polls=3)
    async with polling(provider) as poller:
        results = await asyncio.gather(*(poller.wait("one", deadline_s=5) for _ in range(3)))
    assert all(isinstance(result, VideoResult) for result in results)
    assert all(len(body) == 1 for body in provider.bodies)


async def test_one_who_leaves_takes_nobody_along() -> None:
    provider = taking("one", "two", polls=4)
    async with polling(provider) as poller:
        leaving = asyncio.create_task(poller.wait("one", deadline_s=5))
        staying = asyncio.create_task(poller.wait("one", deadline_s=5))
        await asyncio.sleep(0.002)
        leaving.cancel()
        assert isinstance(await staying, VideoResult)
        assert isinstance(await poller.wait("two", deadline_s=5), VideoResult)


async def test_where_batches_are_refused_each_is_asked_alone() -> None:
    provider = taking("one", "two", "three", polls=2)
    provider.most_questions = 1
    said: list[str] = []
    async with polling(provider, said.append) as poller:
        results = await asyncio.gather(*(poller.wait(uuid, deadline_s=5) for uuid in ("one", "two", "three")))
    assert all(isinstance(result, VideoResult) for result in results)
    assert said == ["The provider does not answer about several tasks in one request; asking one by one."]
    assert [len(body) for body in provider.bodies].count(3) == 1


async def test_a_task_that_failed_is_told_with_its_failure_and_the_others_go_on() -> None:
    provider = Provider(endings=deque([{"code": "inferenceError", "message": "no"}, None]))
    for uuid in ("one", "two"):
        provider.take({"taskUUID": uuid})
    async with polling(provider) as poller:
        one, two = await asyncio.gather(poller.wait("one", deadline_s=5), poller.wait("two", deadline_s=5))
    assert isinstance(one, ProviderFailed)
    assert isinstance(two, VideoResult)


async def test_the_deadline_ends_the_waiting_of_one() -> None:
    provider = taking("stuck", "fine", polls=2)
    provider.tasks["stuck"].polls = float("inf")
    async with polling(provider) as poller:
        stuck, fine = await asyncio.gather(
            poller.wait("stuck", deadline_s=0.05), poller.wait("fine", deadline_s=5), return_exceptions=True
        )
    assert isinstance(stuck, OutcomeUnknown)
    assert (stuck.task_uuid, stuck.code) == ("stuck", None)
    assert isinstance(fine, VideoResult)


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(401, "invalidApiKey", KeyRefused), (402, "insufficientCredits", NoCredit)]
)
async def test_who_may_not_ask_hears_so_each_with_an_error_of_their_own(status: int, code: str, kind: type) -> None:
    provider = taking("one", "two")
    provider.questions = deque([(status, {"errors": [{"code": code}]})])
    async with polling(provider) as poller:
        errors = await asyncio.gather(
            poller.wait("one", deadline_s=5), poller.wait("two", deadline_s=5), return_exceptions=True
        )
    assert [type(error) for error in errors] == [kind, kind]
    assert [getattr(error, "task_uuid", None) for error in errors] == ["one", "two"]


async def test_a_provider_that_does_not_answer_is_asked_on_and_said_once() -> None:
    provider = taking("one")
    provider.questions = deque(
        [(503, ""), httpx.ReadError("reset"), (200, "junk"), httpx.ConnectError("no"), (429, "")]
    )
    said: list[str] = []
    async with polling(provider, said.append) as poller:
        assert isinstance(await poller.wait("one", deadline_s=5), VideoResult)
    assert len(said) == 1
    assert "still asking" in said[0]


async def test_not_found_is_believed_after_a_while_and_not_before() -> None:
    provider = Provider(not_found=True)
    async with polling(provider) as poller:
        with pytest.raises(OutcomeUnknown) as caught:
            await poller.wait("nowhere", deadline_s=5, missing_s=0.02)
        assert caught.value.code == "taskNotFound"
        late = asyncio.create_task(poller.wait("late", deadline_s=5, missing_s=5))
        await asyncio.sleep(0.01)
        provider.take({"taskUUID": "late"})
        assert isinstance(await late, VideoResult)


async def test_a_long_wait_costs_few_questions() -> None:
    provider = taking("one", polls=float("inf"))
    async with polling(provider) as poller:
        with pytest.raises(OutcomeUnknown):
            await poller.wait("one", deadline_s=0.3, waited_s=100.0)
    assert provider.counts["getResponse"] <= 12


async def test_closing_cancels_whoever_still_waits() -> None:
    provider = taking("one", polls=float("inf"))
    async with polling(provider) as poller:
        waiting = asyncio.create_task(poller.wait("one", deadline_s=60))
        await asyncio.sleep(0.005)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_mistake_of_ours_ends_the_waiting_instead_of_hanging() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    async with RunwareClient("https://api.test/v1", "a-key", transport=httpx.MockTransport(broken)) as client:
        poller = Poller(client, pauses=PAUSES)
        with pytest.raises(ZeroDivisionError):
            await poller.wait("one", deadline_s=5)
        await poller.close()


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_a_gateway_that_fails_on_many_is_asked_about_fewer(status: int) -> None:
    provider = taking("one", "two", "three", polls=6)
    provider.most_questions, provider.too_many = 1, status
    said: list[str] = []
    async with polling(provider, said.append) as poller:
        results = await asyncio.gather(*(poller.wait(uuid, deadline_s=5) for uuid in ("one", "two", "three")))
    assert all(isinstance(result, VideoResult) for result in results)
    assert said[-1] == "The provider does not answer about several tasks in one request; asking one by one."


async def test_a_bad_while_does_not_end_asking_about_many() -> None:
    provider = taking("one", "two", "three", polls=3)
    provider.questions = deque([(503, "")] * 5)
    async with polling(provider) as poller:
        await asyncio.gather(*(poller.wait(uuid, deadline_s=5) for uuid in ("one", "two", "three")))
    assert len(provider.bodies[-1]) > 1


async def test_where_only_the_first_of_many_is_answered_each_is_asked_alone() -> None:
    provider = taking("one", "two", "three", "four", polls=4)
    provider.answers_first_only = True
    said: list[str] = []
    async with polling(provider, said.append) as poller:
        results = await asyncio.gather(*(poller.wait(uuid, deadline_s=5) for uuid in ("one", "two", "three", "four")))
    assert all(isinstance(result, VideoResult) for result in results)
    assert said == ["The provider does not answer about several tasks in one request; asking one by one."]


async def test_silence_about_tasks_in_work_does_not_end_asking_about_many() -> None:
    provider = taking("one", "two", "three", polls=40)
    provider.silent = True
    async with polling(provider) as poller:
        await asyncio.gather(*(poller.wait(uuid, deadline_s=20) for uuid in ("one", "two", "three")))
    lengths = [len(body) for body in provider.bodies]
    assert lengths.count(1) < lengths.count(3)


class TestSeveralResultsOfOneTask:
    """Results of `numberResults` come one after another, and each answer holds all that are there."""

    @staticmethod
    async def ended(answers: list[list[dict[str, Any]]], number_results: int) -> tuple[Ended, int]:
        provider = taking("one")
        scripted = [sorted_out(items) for items in answers]
        provider.questions = deque((200, body) for body in scripted)
        async with polling(provider) as poller:
            return await poller.wait_all("one", number_results, deadline_s=5), len(provider.questions)

    async def test_all_are_waited_for_and_each_is_told_once(self) -> None:
        first, second, third = (item("success", video=name) for name in "abc")
        answers = [[item("processing")], [first, item("processing")], [first, second], [second, first, third, first]]
        ended, left = await self.ended(answers, 3)
        assert [result.video_uuid for result in ended.results] == ["b", "a", "c"]
        assert (ended.failure, left) == (None, 0)

    async def test_one_that_failed_leaves_the_others_time_to_finish(self) -> None:
        failed = {**item("error"), "code": "inferenceError"}
        answers = [[failed, item("processing")], [failed, item("success", video="a")]]
        ended, left = await self.ended(answers, 2)
        assert [result.video_uuid for result in ended.results] == ["a"]
        assert isinstance(ended.failure, ProviderFailed)
        assert left == 0

    async def test_more_than_were_asked_for_are_all_told(self) -> None:
        ended, _ = await self.ended([[item("success", video=name) for name in "abc"]], 2)
        assert len(ended.results) == 3


def item(status: str, *, video: str = "") -> dict[str, Any]:
    told = {"videoUUID": video, "videoURL": f"https://im.test/{video}.mp4", "cost": 0.42} if video else {}
    return {"taskType": "videoInference", "taskUUID": "one", "status": status, **told}


def sorted_out(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "data": [one for one in items if one["status"] != "error"],
        "errors": [one for one in items if one["status"] == "error"],
    }


@dataclass
class Told:
    """What a provider tells of its own accord."""

    net_s: float = 1_000.0
    items: list[dict[str, Any]] = field(default_factory=list)
    is_down: bool = False
    asked: int = 0

    async def of(self, task_uuids: Sequence[str]) -> Reply:
        self.asked += 1
        if self.is_down:
            raise StorageUnreachable("the ledger does not answer")
        return read_reply(200, {"data": [item for item in self.items if item["taskUUID"] in task_uuids]})

    def tell(self, task_uuid: str, **facts: Any) -> None:
        video = {"videoUUID": f"video of {task_uuid}", "videoURL": "https://x/v.mp4", "cost": Decimal("0.42")}
        self.items.append({"taskType": "videoInference", "taskUUID": task_uuid, **video, **facts})


class TestReports:
    """What comes by itself is not asked for; what does not come is, once in a while."""

    @asynccontextmanager
    async def polling(
        self, provider: Provider, told: Told, say: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[Poller]:
        async with RunwareClient("https://api.test/v1", "a-key", transport=provider) as client:
            poller = Poller(client, say=say, pauses=PAUSES, reports=told)
            yield poller
            await poller.close()

    async def test_what_was_told_is_not_asked_for(self) -> None:
        uuids = [f"task {number}" for number in range(50)]
        provider, told = taking(*uuids, polls=float("inf")), Told()
        async with self.polling(provider, told) as poller:
            waiting = [asyncio.create_task(poller.wait(uuid, deadline_s=20)) for uuid in uuids]
            for uuid in reversed(uuids):
                await asyncio.sleep(0.002)
                told.tell(uuid)
            results = await asyncio.gather(*waiting)

        assert [result.task_uuid for result in results if isinstance(result, VideoResult)] == uuids
        assert provider.counts["posts"] == 0

    async def test_one_that_was_lost_is_asked_for_after_one_interval(self) -> None:
        # Pauses are 0.004 of what they say, so this is 0.2 s.
        provider, told = taking("one", "lost"), Told(net_s=50.0)
        told.tell("one")
        loop = asyncio.get_running_loop()
        async with self.polling(provider, told) as poller:
            began_s = loop.time()
            one, lost = await asyncio.gather(poller.wait("one", deadline_s=20), poller.wait("lost", deadline_s=20))
            took_s = loop.time() - began_s

        assert isinstance(one, VideoResult)
        assert isinstance(lost, VideoResult)
        assert 0.15 < took_s < 0.6
        assert provider.counts["posts"] == 1

    async def test_a_failure_that_was_told_ends_the_waiting(self) -> None:
        provider, told = taking("one", polls=float("inf")), Told()
        told.items.append({"taskUUID": "one", "status": "error", "error": {"code": "inferenceError", "message": "no"}})
        async with self.polling(provider, told) as poller:
            failed = await poller.wait("one", deadline_s=5)

        assert isinstance(failed, ProviderFailed)
        assert failed.code == "inferenceError"

    async def test_what_is_told_of_others_or_again_changes_nothing(self) -> None:
        provider, told = taking("one", "two", polls=float("inf")), Told()
        told.tell("somebody else's")
        told.tell("one")
        told.tell("one")
        async with self.polling(provider, told) as poller:
            assert isinstance(await poller.wait("one", deadline_s=5), VideoResult)
            with pytest.raises(OutcomeUnknown):
                await poller.wait("two", deadline_s=0.1)

    async def test_all_results_of_a_task_are_waited_for(self) -> None:
        provider, told = taking("one", polls=float("inf")), Told()
        told.tell("one", videoUUID="first")
        async with self.polling(provider, told) as poller:
            waiting = asyncio.create_task(poller.wait_all("one", 2, deadline_s=5))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            told.tell("one", videoUUID="second")
            ended = await waiting

        assert [result.video_uuid for result in ended.results] == ["first", "second"]

    async def test_while_nothing_can_be_read_everything_is_asked_for(self) -> None:
        provider, told, said = taking("one", "two", polls=3), Told(is_down=True), list[str]()
        heard = asyncio.Event()

        def hear(text: str) -> None:
            said.append(text)
            heard.set()

        async with self.polling(provider, told, hear) as poller:
            first = asyncio.create_task(poller.wait("one", deadline_s=20))
            await heard.wait()
            # Whoever comes now is asked for at the usual pace, and takes the other along.
            assert isinstance(await poller.wait("two", deadline_s=20), VideoResult)
            assert isinstance(await first, VideoResult)

        (words,) = said
        assert words.startswith("What the provider reports cannot be read just now (the ledger does not answer)")

    async def test_a_report_that_cannot_be_read_takes_nobody_along(self) -> None:
        class Broken(Told):
            async def of(self, task_uuids: Sequence[str]) -> Reply:
                raise ValueError("not JSON")

        said = list[str]()
        async with self.polling(taking("one", "two", polls=2), Broken(net_s=50.0), said.append) as poller:
            results = await asyncio.gather(poller.wait("one", deadline_s=20), poller.wait("two", deadline_s=20))

        assert all(isinstance(result, VideoResult) for result in results)
        assert said == ["What the provider reports cannot be read just now (ValueError: not JSON); asking for it."]

    async def test_nobody_listens_when_nobody_waits(self) -> None:
        provider, told = taking("one"), Told()
        told.tell("one")
        async with self.polling(provider, told) as poller:
            await poller.wait("one", deadline_s=5)
            await asyncio.sleep(0.02)
            asked = told.asked
            await asyncio.sleep(0.05)
            assert told.asked == asked
