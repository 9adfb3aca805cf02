"""Every attempt that runs left unfinished is reconciled with the provider: no money unclear that could be clear."""

from __future__ import annotations

import asyncio
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.clips.gate import wanted_take
from tasks.clips.recover import Happened, Recovered, recover
from tasks.clips.store import ClipStore
from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.emulator.fault_plan import parse_faults
from tasks.errors import (
    Charged,
    ClipDamaged,
    ClipLost,
    KeyRefused,
    OutcomeUnknown,
    ProviderFailed,
    ProviderUnreachable,
    ShotchainError,
    StorageUnreachable,
)
from tasks.ledger import Attempt, Ledger, State, open_ledger
from tasks.plan.model import Plan
from tasks.redaction import fingerprint
from tasks.runware.client import RunwareClient
from tasks.runware.poller import Poller
from tests.clips.house import KEY, PAUSES, House, make_plan
from tests.runware.provider import PRICE_USD, Provider

S, H = State, Happened
NewHouse = Callable[[Plan], House]
LATER = 300.0
ALL_UNFINISHED = (S.SUBMITTED, S.ACCEPTED, S.UNKNOWN)


@dataclass
class Wreck:
    """What runs that were killed left behind, and the provider that they spoke to."""

    house: House
    transport: httpx.AsyncBaseTransport | None = None
    base_url: str = "https://api.test/v1"
    options: dict[str, Any] = field(default_factory=dict)

    def ledger(self) -> Ledger:
        return open_ledger(str(self.house.folder / "ledger.db"))

    def client(self, key: str = KEY) -> RunwareClient:
        return RunwareClient(self.base_url, key, transport=self.transport)

    async def leave(
        self, state: State, *, arrived: bool = True, shot: int = 0, run_id: str = "dead", key: str = KEY
    ) -> Attempt:
        """An attempt as a run leaves it that is killed in `state`, whose request `arrived` at the provider or not."""
        plan = self.house.plan
        with self.ledger() as ledger:
            ledger.begin_run(
                run_id=run_id, provider=plan.provider, account=fingerprint(key), storyboard=plan.title, budget_usd=None
            )
            ledger.hold_lease(run_id, 60.0)
            planned = plan.shots[shot]
            (attempt,) = ledger.reserve(run_id, [wanted_take(plan, planned, planned.takes[0])])
            ledger.end_lease(run_id)
            path = {
                S.RESERVED: (),
                S.SUBMITTED: (S.SUBMITTED,),
                S.ACCEPTED: (S.SUBMITTED, S.ACCEPTED),
                S.UNKNOWN: (S.SUBMITTED, S.UNKNOWN),
            }[state]
            for step in path:
                facts = {"account": fingerprint(key)} if step is S.SUBMITTED else {}
                attempt = ledger.move(attempt.task_uuid, step, **facts) or attempt  # type: ignore[arg-type]
        if arrived and state is not S.RESERVED:
            async with self.client(key) as client:
                await client.submit({**attempt.request, "taskUUID": attempt.task_uuid})
        return attempt

    async def leave_paid(self, shot: int = 0, **facts: Any) -> Attempt:
        """An attempt of a run that was killed after its result was known, and before its download."""
        attempt = await self.leave(S.ACCEPTED, shot=shot, **facts)
        async with self.client() as client:
            while not (results := (await client.get_responses([attempt.task_uuid])).results_of(attempt.task_uuid)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # until it is there
        with self.ledger() as ledger:
            result = results[0]
            moved = ledger.move(attempt.task_uuid, S.SUCCEEDED, cost_usd=result.cost_usd, result=result.as_json())
        assert moved is not None
        return moved

    async def recover(self, *, wait_s: float = 0.0, **options: Any) -> list[Recovered]:
        settings = self.house.settings(**{"grace_s": 0.0, **self.options, **options})
        with self.ledger() as ledger:
            async with self.client(settings.api_key) as client:
                poller = Poller(client, pauses=PAUSES)
                try:
                    return await recover(
                        settings=settings,
                        client=client,
                        poller=poller,
                        ledger=ledger,
                        store=ClipStore(settings.work, settings.cache),
                        scratch=self.house.folder / "scratch",
                        observer=self.house.events.append,
                        wait_s=wait_s,
                        pauses=PAUSES,
                    )
                finally:
                    await poller.close()

    async def recover_one(self, **options: Any) -> Recovered:
        (one,) = await self.recover(**options)
        return one

    async def is_stored(self, attempt: Attempt) -> bool:
        clip = await ClipStore(self.house.work, self.house.folder / "cache").find(attempt.content_key)
        return clip is not None and clip.origin.task_uuid == attempt.task_uuid


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorServer]:
    """An emulator whose clips have six frames and are there at once."""
    with EmulatorServer(EmulatorSettings(instant=True, frames_per_second=1)) as server:
        yield server


@pytest.fixture
def new_wreck(emulator: EmulatorServer, new_house: NewHouse) -> Iterator[Callable[..., Wreck]]:
    def make(*prompts: str, faults: str = "", server: EmulatorServer = emulator) -> Wreck:
        server.faults.replace(parse_faults(faults))
        return Wreck(new_house(make_plan(*(prompts or ("a tram",)), provider="emulator")), base_url=server.base_url)

    yield make
    emulator.faults.replace(parse_faults(""))


@pytest.fixture
def scripted(house: House, provider: Provider) -> Wreck:
    """One shot for $0.42 at a provider that speaks from a script."""
    return Wreck(house, provider)


def submissions(emulator: EmulatorServer) -> int:
    return int(httpx.get(f"{emulator.origin}/_emulator/books").json()["counts"]["videoInference"])


async def until_made(emulator: EmulatorServer, task_uuid: str) -> None:
    """On a busy machine a clip that is there at once takes its time, and some questions are asked once."""
    async with httpx.AsyncClient(base_url=emulator.origin) as client:
        while True:
            tasks = (await client.get("/_emulator/books")).json()["tasks"]
            if all(task["state"] != "processing" for task in tasks if task["taskUUID"] == task_uuid):
                return
            await asyncio.sleep(0.01)


def put_in_the_way(path: Path) -> Path:
    path.write_text("no folder")
    return path


async def asked(provider: Provider, times: int) -> None:
    """Wait until so many questions have come."""
    while provider.counts["getResponse"] < times:  # noqa: ASYNC110  # it counts, and tells nobody
        await asyncio.sleep(0.01)


def rules(*lines: str) -> str:
    return "rules:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


@dataclass(frozen=True)
class Answer:
    """What the provider says of a task, and what becomes of an attempt at it whose grace time is over.

    Attributes:
        name: In words.
        faults: Rules of the fault plan, set before the request leaves.
        later: Rules that are set once it has arrived.
        arrived: Whether the request arrived.
        happened: What is reported; by state where it differs.
        state: The state afterwards; by state before where it differs, None for the same.
        error: What is in the entry.
        charged: Whether money went, afterwards.
    """

    name: str
    faults: str = ""
    later: str = ""
    arrived: bool = True
    happened: Happened = H.LEFT
    accepted: tuple[Happened, State] | None = None
    state: State | None = None
    error: type[ShotchainError] | None = None
    charged: Charged | None = None


ANSWERS = [
    Answer("the clip", happened=H.STORED, state=S.STORED, charged=Charged.YES),
    Answer("that it is in work", faults=rules("fault: stuck"), happened=H.IN_WORK, state=S.ACCEPTED),
    Answer(
        "that it failed, and what that cost",
        faults=rules("fault: fail, code: providerTimeout, charged: true"),
        happened=H.ENDED,
        state=S.FAILED,
        charged=Charged.YES,
    ),
    Answer(
        "that it failed, and not what that cost",
        faults=rules("fault: fail, code: inferenceError"),
        happened=H.ENDED,
        state=S.FAILED,
        charged=Charged.UNKNOWN,
        error=OutcomeUnknown,
    ),
    Answer(
        "nothing",
        arrived=False,
        happened=H.UNKNOWN,
        state=S.UNKNOWN,
        error=OutcomeUnknown,
        # An accepted task that is in work, and an unknown one, may look alike.
        accepted=(H.IN_WORK, S.ACCEPTED),
    ),
    Answer(
        "that there is no such task",
        later=rules("fault: unknown_task, call: poll", "fault: unknown_task, call: details"),
        arrived=False,
        happened=H.UNKNOWN,
        state=S.UNKNOWN,
        error=OutcomeUnknown,
    ),
    Answer(
        "the clip, in details alone", later=rules("fault: lose_task, call: poll"), happened=H.STORED, state=S.STORED
    ),
    Answer(
        "the clip, at the third question",
        later=rules("fault: status, call: poll, status: 503, times: 2"),
        happened=H.STORED,
        state=S.STORED,
    ),
    Answer("that it is broken", later=rules("fault: status, call: poll, status: 500"), error=ProviderFailed),
    Answer("nothing, since the line breaks", later=rules("fault: drop_request, call: poll"), error=ProviderUnreachable),
    Answer(
        "that the key is none",
        later=rules("fault: refuse, call: poll, code: invalidApiKey, status: 401"),
        error=KeyRefused,
    ),
]


@pytest.mark.thorough
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
@pytest.mark.parametrize("before", ALL_UNFINISHED)
async def test_what_the_provider_says_decides(
    before: State, answer: Answer, new_wreck: Callable[..., Wreck], emulator: EmulatorServer
) -> None:
    wreck = new_wreck(faults=answer.faults)
    attempt = await wreck.leave(before, arrived=answer.arrived)
    if answer.later:
        emulator.faults.replace(parse_faults(answer.later))
    if answer.state is S.STORED:
        await until_made(emulator, attempt.task_uuid)
    posts = submissions(emulator)

    one = await wreck.recover_one(wait_s=10.0 if answer.state is S.STORED else 0.0)

    happened, state = answer.happened, answer.state or before
    error = answer.error
    if before is S.ACCEPTED and answer.accepted:
        (happened, state), error = answer.accepted, None
    assert (one.happened, one.attempt.state, one.before) == (happened, state, before)
    assert type(one.error) is (error or type(None))
    assert one.attempt.task_uuid == attempt.task_uuid
    assert replace(one.attempt, driver=None) == wreck.house.attempts()[0]  # what is told is what is written
    assert one.is_clear is (error is None)
    if answer.charged:
        assert one.attempt.charged is answer.charged
    assert await wreck.is_stored(attempt) is (state is S.STORED)
    assert submissions(emulator) == posts  # nothing was bought
    if error is not None:
        assert one.error is not None
        assert (one.error.shot, one.error.task_uuid) == ("a", attempt.task_uuid)
        assert one.error.charged is Charged.UNKNOWN
        assert one.cost_usd == Decimal("0.42")


class TestNeverSent:
    async def test_what_a_dead_run_had_reserved_is_given_back(self, scripted: Wreck, provider: Provider) -> None:
        await scripted.leave(S.RESERVED)
        one = await scripted.recover_one()
        assert (one.happened, one.attempt.state, one.error) == (H.RELEASED, S.RELEASED, None)
        assert one.cost_usd == 0
        assert provider.counts["posts"] == 0

    async def test_what_a_living_run_has_reserved_is_its_own(self, scripted: Wreck) -> None:
        attempt = await scripted.leave(S.RESERVED, run_id="alive")
        with scripted.ledger() as ledger:
            ledger.hold_lease("alive", 60.0)
            one = await scripted.recover_one()
        assert (one.happened, one.error) == (H.DRIVEN, None)
        assert "by run alive, which lives" in one.message
        assert scripted.house.attempts() == [attempt]

    async def test_another_providers_attempts_are_not_looked_at(self, scripted: Wreck, provider: Provider) -> None:
        await scripted.leave(S.SUBMITTED)
        scripted.house.plan = make_plan("a ferry", provider="emulator")
        assert await scripted.recover() == []
        assert provider.counts["getResponse"] == 0


class TestDriven:
    async def test_what_a_living_run_drives_is_left_to_it(self, scripted: Wreck, provider: Provider) -> None:
        attempt = await scripted.leave(S.ACCEPTED)
        with scripted.ledger() as ledger:
            ledger.hold_lease("alive", 60.0)
            ledger.take_wheel(attempt.task_uuid, "alive")
            one = await scripted.recover_one()
        assert (one.happened, one.error, one.attempt.state) == (H.DRIVEN, None, S.ACCEPTED)
        assert "by run alive, which lives" in one.message
        assert provider.counts["getResponse"] == 0

    async def test_what_a_dead_run_drove_is_reconciled(self, scripted: Wreck) -> None:
        attempt = await scripted.leave(S.ACCEPTED)
        with scripted.ledger() as ledger:
            ledger.hold_lease("killed", 60.0)
            ledger.take_wheel(attempt.task_uuid, "killed")
            ledger.hold_lease("killed", 0.0)
        assert (await scripted.recover_one()).happened is H.STORED

    async def test_two_at_once_share_the_work(self, new_house: NewHouse, provider: Provider) -> None:
        wreck = Wreck(new_house(make_plan("a tram", "a ferry", "a gull")), provider)
        for shot in range(3):
            await wreck.leave(S.SUBMITTED, shot=shot)
        provider.delay_s = 0.01
        found = await asyncio.gather(wreck.recover(), wreck.recover())
        assert {item.happened for items in found for item in items} <= {H.STORED, H.DRIVEN}
        assert wreck.house.states() == [S.STORED] * 3
        assert provider.counts["downloads"] == 3

    async def test_a_stopped_recovery_leaves_nothing_in_its_hands(self, scripted: Wreck, provider: Provider) -> None:
        await scripted.leave(S.ACCEPTED)
        provider.tasks[next(iter(provider.tasks))].polls = float("inf")
        waiting = asyncio.create_task(scripted.recover(wait_s=60.0))
        await asked(provider, 3)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        (attempt,) = scripted.house.attempts()
        assert (attempt.state, attempt.driver) == (S.ACCEPTED, None)

    async def test_another_account_is_not_asked_for(self, scripted: Wreck, provider: Provider) -> None:
        await scripted.leave(S.SUBMITTED, key="another-key-0123456789")
        one = await scripted.recover_one()
        assert (one.happened, one.attempt.state) == (H.OTHER_ACCOUNT, S.SUBMITTED)
        assert "RUNWARE_API_KEY" in (one.advice or "")
        assert not one.is_clear
        assert provider.counts["getResponse"] == 0

    async def test_another_accounts_clip_is_fetched_by_its_address(self, scripted: Wreck, provider: Provider) -> None:
        attempt = await scripted.leave_paid()
        assert (await scripted.recover_one(key="another-key-0123456789")).happened is H.STORED
        assert await scripted.is_stored(attempt)

    async def test_another_accounts_clip_with_an_expired_address_is_not(
        self, scripted: Wreck, provider: Provider
    ) -> None:
        await scripted.leave_paid()
        provider.downloads = deque(["gone"])
        one = await scripted.recover_one(key="another-key-0123456789")
        assert (one.happened, one.attempt.state) == (H.OTHER_ACCOUNT, S.SUCCEEDED)


class TestTime:
    async def test_within_its_grace_time_an_unknown_task_is_left(self, scripted: Wreck) -> None:
        await scripted.leave(S.SUBMITTED, arrived=False)
        one = await scripted.recover_one(grace_s=LATER)
        assert (one.happened, one.attempt.state, one.is_clear) == (H.TOO_EARLY, S.SUBMITTED, False)
        assert "Recover again in" in (one.advice or "")

    async def test_with_time_it_is_asked_about_again(self, scripted: Wreck, provider: Provider) -> None:
        attempt = await scripted.leave(S.SUBMITTED)
        provider.lost.add(attempt.task_uuid)

        async def show_up() -> None:
            await asked(provider, 3)
            provider.lost.clear()

        one, _ = await asyncio.gather(scripted.recover_one(grace_s=LATER, wait_s=30.0), show_up())
        assert one.happened is H.STORED

    async def test_with_time_it_is_unknown_when_the_grace_time_is_over(self, scripted: Wreck) -> None:
        await scripted.leave(S.SUBMITTED, arrived=False)
        one = await scripted.recover_one(grace_s=0.3, wait_s=30.0)
        assert (one.happened, one.attempt.state) == (H.UNKNOWN, S.UNKNOWN)
        assert one.attempt.task_uuid in (one.advice or "")

    async def test_an_accepted_task_may_be_missing_for_a_moment(self, scripted: Wreck, provider: Provider) -> None:
        await scripted.leave(S.ACCEPTED, arrived=False)
        provider.not_found = True
        assert (await scripted.recover_one(grace_s=LATER)).happened is H.IN_WORK
        assert (await scripted.recover_one(grace_s=0.0)).happened is H.UNKNOWN

    async def test_silence_about_an_accepted_task_is_believed_after_the_deadline(
        self, scripted: Wreck, provider: Provider
    ) -> None:
        await scripted.leave(S.ACCEPTED)
        next(iter(provider.tasks.values())).polls = float("inf")
        provider.silent = True
        assert (await scripted.recover_one(deadline_s=LATER)).happened is H.IN_WORK
        assert (await scripted.recover_one(deadline_s=0.0)).happened is H.UNKNOWN

    async def test_what_is_in_work_is_waited_for_as_long_as_told(self, scripted: Wreck, provider: Provider) -> None:
        provider.polls = 4
        await scripted.leave(S.SUBMITTED)
        assert (await scripted.recover_one()).happened is H.IN_WORK
        assert (await scripted.recover_one(wait_s=30.0)).happened is H.STORED

    async def test_and_no_longer(self, scripted: Wreck, provider: Provider) -> None:
        provider.polls = float("inf")
        await scripted.leave(S.SUBMITTED)
        one = await scripted.recover_one(wait_s=0.2)
        assert (one.happened, one.attempt.state, one.is_clear) == (H.IN_WORK, S.ACCEPTED, True)

    async def test_a_task_that_fails_while_it_is_waited_for_is_ended(self, scripted: Wreck, provider: Provider) -> None:
        provider.polls = 4
        provider.endings = deque([{"code": "contentModerationFailed", "message": "no", "cost": 0}])
        await scripted.leave(S.ACCEPTED)
        one = await scripted.recover_one(wait_s=30.0)
        assert (one.happened, one.attempt.state, one.attempt.charged) == (H.ENDED, S.FAILED, Charged.NO)
        assert one.is_clear
        assert one.cost_usd == 0

    async def test_a_task_that_vanishes_while_it_is_waited_for_is_unknown(
        self, scripted: Wreck, provider: Provider
    ) -> None:
        provider.polls, provider.not_found = float("inf"), True
        attempt = await scripted.leave(S.ACCEPTED)

        async def vanish() -> None:
            await asked(provider, 3)
            provider.lost.add(attempt.task_uuid)

        one, _ = await asyncio.gather(scripted.recover_one(grace_s=0.05, wait_s=30.0), vanish())
        assert (one.happened, one.attempt.state) == (H.UNKNOWN, S.UNKNOWN)


class TestClips:
    async def test_a_run_killed_between_result_and_download(self, scripted: Wreck, provider: Provider) -> None:
        attempt = await scripted.leave_paid()
        one = await scripted.recover_one()
        assert (one.before, one.happened, one.attempt.state) == (S.SUCCEEDED, H.STORED, S.STORED)
        assert one.cost_usd == PRICE_USD
        assert await scripted.is_stored(attempt)
        assert list((scripted.house.folder / "scratch").iterdir()) == []

    async def test_a_run_killed_between_store_and_ledger(
        self, scripted: Wreck, provider: Provider, template: Path
    ) -> None:
        await scripted.leave_paid()
        shutil.copy(scripted.house.folder / "ledger.db", scripted.house.folder / "before.db")
        await scripted.recover()
        shutil.copy(scripted.house.folder / "before.db", scripted.house.folder / "ledger.db")
        provider.counts.clear()
        assert (await scripted.recover_one()).happened is H.STORED
        assert scripted.house.states() == [S.STORED]
        assert provider.counts.total() == 0

    async def test_an_orphan_is_kept_and_waits_for_whoever_wants_it(
        self, new_house: NewHouse, provider: Provider
    ) -> None:
        """The storyboard has changed since: nothing wants this clip now, but it is paid for."""
        house = new_house(make_plan("a tram at dusk"))
        wreck = Wreck(house, provider)
        attempt = await wreck.leave(S.SUBMITTED)
        house.plan = make_plan("a ferry at dawn")
        assert (await wreck.recover_one()).happened is H.STORED
        assert await wreck.is_stored(attempt)

        before = provider.counts.copy()
        (taken,) = await house.render(provider, "next", plan=make_plan("a tram at dusk"))
        assert taken.reused
        assert provider.counts == before

    async def test_an_expired_address_is_asked_for_anew(self, scripted: Wreck, provider: Provider) -> None:
        attempt = await scripted.leave_paid()
        provider.downloads = deque(["gone"])
        assert (await scripted.recover_one()).happened is H.STORED
        assert await scripted.is_stored(attempt)

    async def test_a_clip_that_is_gone_at_the_provider_is_told_with_its_price(
        self, scripted: Wreck, provider: Provider
    ) -> None:
        attempt = await scripted.leave_paid()
        provider.lost.add(attempt.task_uuid)
        one = await scripted.recover_one()
        assert (one.happened, one.attempt.state, type(one.error)) == (H.LOST, S.SUCCEEDED, ClipLost)
        assert one.error is not None
        assert one.error.cost_usd == one.cost_usd == PRICE_USD
        assert "--rebuy-lost" in (one.advice or "")

    async def test_a_clip_that_cannot_be_decoded_is_kept_aside(self, scripted: Wreck, provider: Provider) -> None:
        await scripted.leave_paid()
        provider.downloads = deque(["broken"] * 3)
        one = await scripted.recover_one()
        assert (one.happened, one.attempt.state, type(one.error)) == (H.DAMAGED, S.SUCCEEDED, ClipDamaged)
        assert sum(".damaged-" in path.name for path in scripted.house.files()) >= 3
        assert (await scripted.recover_one()).happened is H.STORED

    async def test_a_download_that_fails_now_is_fetched_later(self, scripted: Wreck, provider: Provider) -> None:
        await scripted.leave(S.ACCEPTED)
        provider.downloads = deque(["failing"] * 5)
        one = await scripted.recover_one()
        assert (one.happened, one.attempt.state, type(one.error)) == (H.LEFT, S.SUCCEEDED, ProviderUnreachable)
        assert one.error is not None
        assert one.error.charged is Charged.YES
        assert (await scripted.recover_one()).happened is H.STORED
        assert len(provider.submitted) == 1

    async def test_a_store_that_cannot_be_written_loses_nothing(self, scripted: Wreck) -> None:
        await scripted.leave(S.ACCEPTED)
        scripted.house.work = str(put_in_the_way(scripted.house.folder / "file"))
        one = await scripted.recover_one()
        assert (one.happened, one.attempt.state, type(one.error)) == (H.LEFT, S.SUCCEEDED, StorageUnreachable)
        scripted.house.work = str(scripted.house.folder / "work")
        assert (await scripted.recover_one()).happened is H.STORED


class TestMany:
    @pytest.fixture
    def wreck(self, new_house: NewHouse, provider: Provider) -> Wreck:
        return Wreck(new_house(make_plan("a tram", "a ferry", "a gull", "a mole", "a buoy")), provider)

    async def test_all_are_asked_about_in_one_question(self, wreck: Wreck, provider: Provider) -> None:
        for shot, state in enumerate((S.SUBMITTED, S.ACCEPTED, S.UNKNOWN, S.SUBMITTED, S.ACCEPTED)):
            await wreck.leave(state, shot=shot)
        before = provider.counts["posts"]
        found = await wreck.recover()
        assert [item.happened for item in found] == [H.STORED] * 5
        assert [item.attempt.shot for item in found] == list("abcde")
        assert provider.counts["posts"] == before + 1

    async def test_a_provider_that_answers_about_one_only_is_asked_one_by_one(
        self, wreck: Wreck, provider: Provider
    ) -> None:
        provider.most_questions = 1
        for shot in range(5):
            await wreck.leave(S.SUBMITTED, shot=shot)
        assert [item.happened for item in await wreck.recover()] == [H.STORED] * 5

    async def test_each_goes_its_own_way(self, wreck: Wreck, provider: Provider) -> None:
        provider.endings = deque([None, {"code": "contentModerationFailed", "message": "no", "cost": 0}, None])
        await wreck.leave(S.SUBMITTED, shot=0)
        await wreck.leave(S.ACCEPTED, shot=1)
        lost = await wreck.leave_paid(shot=2)
        provider.lost.add(lost.task_uuid)
        await wreck.leave(S.SUBMITTED, arrived=False, shot=3)
        await wreck.leave(S.RESERVED, shot=4)
        found = await wreck.recover()
        assert [item.happened for item in found] == [H.STORED, H.ENDED, H.LOST, H.UNKNOWN, H.RELEASED]
        assert [item.is_clear for item in found] == [True, True, False, False, True]

    async def test_a_provider_that_is_away_keeps_nothing_else_from_being_done(
        self, wreck: Wreck, provider: Provider
    ) -> None:
        await wreck.leave(S.SUBMITTED, shot=0)
        await wreck.leave(S.RESERVED, shot=1)
        wreck.transport, wreck.base_url = None, "http://127.0.0.1:9/v1"
        found = await wreck.recover()
        assert [item.happened for item in found] == [H.LEFT, H.RELEASED]
        assert type(found[0].error) is ProviderUnreachable
        assert found[0].attempt.state is S.SUBMITTED

    async def test_a_second_recovery_finds_nothing_to_do(self, wreck: Wreck, provider: Provider) -> None:
        for shot in range(3):
            await wreck.leave(S.SUBMITTED, shot=shot)
        await wreck.recover()
        before = provider.counts.copy()
        assert await wreck.recover() == []
        assert provider.counts == before

    async def test_a_render_goes_on_from_whatever_it_left(self, wreck: Wreck, provider: Provider) -> None:
        provider.polls = 2
        await wreck.leave(S.SUBMITTED, shot=0)
        await wreck.leave(S.SUBMITTED, arrived=False, shot=1)
        await wreck.leave(S.RESERVED, shot=2)
        await wreck.recover()
        taken = await wreck.house.render(provider, "next")
        assert len(taken) == 5
        # Each was bought once: the one whose request had been lost, under its own UUID.
        assert provider.charged_usd == 5 * PRICE_USD
        assert len(provider.submitted) == 5 == len(set(provider.submitted))


class TestCharges:
    async def fail(self, wreck: Wreck, provider: Provider) -> Attempt:
        provider.endings = deque([{"code": "inferenceError", "message": "the model fell over"}])
        await wreck.leave(S.ACCEPTED)
        return (await wreck.recover_one()).attempt

    async def test_a_charge_that_nobody_told_stays_in_the_report_until_a_person_settles_it(
        self, scripted: Wreck, provider: Provider
    ) -> None:
        attempt = await self.fail(scripted, provider)
        assert (attempt.state, attempt.charged) == (S.FAILED, Charged.UNKNOWN)
        again = await scripted.recover_one()
        assert (again.happened, again.is_clear, again.cost_usd) == (H.ENDED, False, PRICE_USD)
        assert f"shotchain settle {attempt.task_uuid}" in (again.advice or "")
        with scripted.ledger() as ledger:
            ledger.settle(attempt.task_uuid, charged=Charged.NO)
        assert await scripted.recover() == []

    @pytest.mark.thorough
    @pytest.mark.parametrize(("cost_usd", "charged"), [("0.21", Charged.YES), ("0", Charged.NO)])
    async def test_a_charge_that_is_told_later_is_settled(
        self, cost_usd: str, charged: Charged, scripted: Wreck, provider: Provider
    ) -> None:
        attempt = await self.fail(scripted, provider)
        error = provider.tasks[attempt.task_uuid].error
        assert error is not None
        error["cost"] = cost_usd
        one = await scripted.recover_one()
        assert (one.attempt.charged, one.cost_usd, one.is_clear) == (charged, Decimal(cost_usd), True)
        assert await scripted.recover() == []
