"""Two runs want the same take: one makes it, the other waits, and whoever is left over finishes it for one charge."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.clips.gate import open_gate
from tasks.clips.taken import Taken
from tasks.emulator import EmulatorServer, EmulatorSettings
from tasks.errors import (
    Charged,
    ClipLost,
    KeyRefused,
    OutcomeUnknown,
    ProviderFailed,
    ProviderUnreachable,
    RequestRejected,
    ShotchainError,
)
from tasks.ledger import Attempt, State, open_ledger
from tasks.plan.model import Plan
from tasks.progress import Stage
from tests.clips.house import House, Run, left_by_a_crash, make_plan, until
from tests.runware.provider import PRICE_USD, Provider, accept, busy, lose_reply, lose_request, refuse

S = State
NewHouse = Callable[[Plan], House]
FAILED = {"code": "inferenceError", "message": "the model fell over"}
ROOT = Path(__file__).parents[2]


def waits(house: House) -> bool:
    return any(event.stage is Stage.WAITING and "another run" in event.message for event in house.events)


def finish(provider: Provider) -> None:
    """What is in work is done."""
    provider.polls = 0
    for task in provider.tasks.values():
        task.polls = 0


@asynccontextmanager
async def driving(house: House, provider: Provider, run_id: str = "first", **options: Any) -> AsyncIterator[Run]:
    """A run whose take is in work at the provider and stays so; it is ended with the block."""
    provider.polls = float("inf")
    async with house.run(provider, run_id, **options) as run:
        making = asyncio.create_task(run.all())
        await until(lambda: S.ACCEPTED in house.states())
        yield run
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)


async def settled_while_it_waits(house: House, run: Run, provider: Provider, both: Plan) -> tuple[list[Taken], Attempt]:
    """What a run takes whose second take's unknown attempt is settled as free while it waits for a place."""
    await open_gate(both, run.store, run.ledger, run.run_id)
    first, second = both.shots
    making = [asyncio.create_task(run.generator.take(first, first.takes[0], {}))]
    await until(lambda: len(provider.submitted) == 1)
    making.append(asyncio.create_task(run.generator.take(second, second.takes[0], {})))
    await asyncio.sleep(0.2)  # the first has the one place, and the second waits for it
    (unknown,) = [attempt for attempt in house.attempts() if attempt.state is S.UNKNOWN]
    assert run.ledger.settle(unknown.task_uuid, charged=Charged.NO) is not None
    finish(provider)
    return await asyncio.gather(*making), unknown


class TestWatching:
    async def test_it_is_submitted_asked_about_and_downloaded_by_one_alone(
        self, house: House, provider: Provider
    ) -> None:
        async with driving(house, provider):
            waiting = asyncio.create_task(house.render(provider, "second", budget="0"))
            await until(lambda: waits(house))
            finish(provider)
            (taken,) = await waiting
        assert (taken.reused, taken.paid_usd) == (True, 0)
        assert len(provider.submitted) == 1
        assert provider.counts["downloads"] == 1
        assert house.states() == [S.STORED]
        assert (house.held_usd("first"), house.held_usd("second")) == (PRICE_USD, Decimal(0))

    async def test_nobody_watches_at_the_provider_or_in_a_place(self, new_house: NewHouse, provider: Provider) -> None:
        house = new_house(make_plan("a tram"))
        both = make_plan("a tram", "a ferry")
        async with driving(house, provider, deadline_s=60.0):
            provider.polls = 0
            waiting = asyncio.create_task(house.render(provider, "second", plan=both, places=1, patience_s=60.0))
            # The one place is free for the other shot, though the first came first, and is not kept for the first.
            await until(lambda: S.STORED in house.states())
            assert not waiting.done()
            finish(provider)
            assert [taken.reused for taken in await waiting] == [True, False]

    async def test_what_another_run_has_reserved_is_waited_for_and_paid_by_it(
        self, house: House, provider: Provider
    ) -> None:
        async with house.run(provider, "first") as first:
            await open_gate(first.plan, first.store, first.ledger, "first")
            waiting = asyncio.create_task(house.render(provider, "second"))
            await until(lambda: waits(house))
            (theirs,) = await first.all()
            (taken,) = await waiting
        assert (theirs.paid_usd, taken.paid_usd) == (PRICE_USD, 0)
        assert len(provider.submitted) == 1

    async def test_what_another_run_gives_back_is_bought_by_the_one_that_waits(
        self, house: House, provider: Provider
    ) -> None:
        async with house.run(provider, "first") as first:
            first.reserve()
            waiting = asyncio.create_task(house.render(provider, "second"))
            await until(lambda: waits(house))
        (taken,) = await waiting
        assert (taken.reused, taken.paid_usd) == (False, PRICE_USD)
        assert house.states() == [S.RELEASED, S.STORED]
        assert (house.held_usd("first"), house.held_usd("second")) == (Decimal(0), PRICE_USD)

    async def test_a_run_with_another_key_waits_for_what_only_the_first_can_ask_about(
        self, house: House, provider: Provider
    ) -> None:
        async with driving(house, provider):
            waiting = asyncio.create_task(house.render(provider, "second", key="another-key"))
            await until(lambda: waits(house))
            finish(provider)
            (taken,) = await waiting
        assert taken.reused


class TestOneRunInTwoProcesses:
    """An orchestrator may start a run again whose process it takes for dead: each works under a name of its own."""

    async def test_each_take_is_submitted_once_and_both_have_it(self, new_house: NewHouse, provider: Provider) -> None:
        house = new_house(make_plan("a tram", "a ferry"))
        async with (
            house.run(provider, "run", holder="run/1") as first,
            house.run(provider, "run", holder="run/2") as second,
        ):
            takes = await asyncio.gather(first.all(), second.all())
        assert len(provider.submitted) == 2
        assert [taken.clip.key for taken in takes[0]] == [taken.clip.key for taken in takes[1]]
        assert house.states() == [S.STORED] * 2
        assert house.held_usd("run") == 2 * PRICE_USD

    async def test_the_first_to_end_takes_nothing_from_the_other(self, new_house: NewHouse, provider: Provider) -> None:
        house = new_house(make_plan("a tram", "a ferry"))
        async with house.run(provider, "run", holder="run/2") as second:
            await open_gate(second.plan, second.store, second.ledger, "run")
            async with house.run(provider, "run", holder="run/1") as first:
                await first.first()
            run = second.ledger.run("run")
            assert run is not None
            assert run.finished_at is None
            assert {attempt.state for attempt in second.ledger.attempts()} == {S.STORED, S.RESERVED}
            assert [taken.reused for taken in await second.all()] == [False, False]
        assert len(provider.submitted) == 2
        with open_ledger(str(house.folder / "ledger.db")) as ledger:
            assert ledger.runs()[0].outcome == "over"


class TestSettledByAPerson:
    """Nobody could tell what became of an attempt until a person said whether it was charged."""

    @pytest.fixture
    async def settled(self, house: House, provider: Provider) -> Attempt:
        """The provider took it, and says nothing of it until `provider.silent` ends."""
        provider.silent, provider.polls = True, float("inf")
        provider.submissions = deque([lose_reply, lose_request])
        assert isinstance(await house.render(provider), OutcomeUnknown)
        with open_ledger(str(house.folder / "ledger.db")) as ledger:
            settled = ledger.settle(house.attempts()[0].task_uuid, charged=Charged.YES, cost_usd=Decimal("0.40"))
        assert settled is not None
        return settled

    async def test_its_clip_is_asked_for_and_not_bought_again(
        self, house: House, provider: Provider, settled: Attempt
    ) -> None:
        provider.silent = False
        finish(provider)
        (taken,) = await house.render(provider, "next")
        assert taken.clip.origin.task_uuid == settled.task_uuid
        assert (house.states(), len(provider.tasks)) == ([S.STORED], 1)
        assert house.held_usd() == PRICE_USD  # as the provider says it

    async def test_what_is_in_work_still_is_waited_for(
        self, house: House, provider: Provider, settled: Attempt
    ) -> None:
        provider.silent = False
        waits_for_it = await house.render(provider, "next", deadline_s=0.3, rebuy_lost=True)
        assert isinstance(waits_for_it, OutcomeUnknown)
        assert "no result after" in str(waits_for_it)
        finish(provider)
        (taken,) = await house.render(provider, "later")
        assert (taken.clip.origin.task_uuid, len(provider.tasks)) == (settled.task_uuid, 1)

    @pytest.mark.usefixtures("settled")
    async def test_that_it_failed_is_said_and_written_down(self, house: House, provider: Provider) -> None:
        provider.silent = False
        for task in provider.tasks.values():
            task.error = {"code": "invalidPositivePrompt", "message": "no such words"}
        finish(provider)
        failed = await house.render(provider, "next")
        assert isinstance(failed, RequestRejected)
        assert "no such words" in str(failed)
        assert house.states() == [S.FAILED]

    @pytest.mark.usefixtures("settled")
    async def test_a_clip_that_the_provider_does_not_know_is_bought_again_only_when_asked(
        self, house: House, provider: Provider
    ) -> None:
        lost = await house.render(provider, "next")
        assert isinstance(lost, ClipLost)
        assert "settled as charged, and the provider knows nothing of it" in str(lost)
        assert len(provider.tasks) == 1
        provider.silent, provider.polls = False, 0
        provider.tasks.clear()
        (taken,) = await house.render(provider, "again", rebuy_lost=True)
        assert (taken.paid_usd, house.states()) == (PRICE_USD, [S.FAILED, S.STORED])
        assert (house.held_usd("run"), house.held_usd("again")) == (Decimal("0.40"), PRICE_USD)

    async def test_a_download_that_fails_does_not_open_it_to_a_persons_word_again(
        self, house: House, provider: Provider, settled: Attempt
    ) -> None:
        provider.silent = False
        finish(provider)
        provider.downloads = deque(["failing"] * 50)
        assert isinstance(await house.render(provider, "next"), ProviderUnreachable)
        with open_ledger(str(house.folder / "ledger.db")) as ledger:
            assert ledger.settle(settled.task_uuid, charged=Charged.NO) is None
        assert house.states() == [S.SUCCEEDED]

    async def test_what_is_settled_as_free_while_a_run_waits_for_a_place_is_bought_by_it(
        self, new_house: NewHouse, provider: Provider
    ) -> None:
        house = new_house(make_plan("a tram"))
        both = make_plan("a ferry", "a tram")
        async with house.run(provider, "dead") as dead:
            left_by_a_crash(dead, S.SUBMITTED, S.UNKNOWN)
        provider.polls = float("inf")
        async with house.run(provider, "run", plan=both, places=1, grace_s=0.0) as run:
            taken, unknown = await settled_while_it_waits(house, run, provider, both)
        assert [one.paid_usd for one in taken] == [PRICE_USD] * 2
        assert unknown.task_uuid not in provider.tasks

    async def test_what_is_settled_as_free_while_a_run_waits_is_not_bought_by_it_if_the_provider_has_it(
        self, new_house: NewHouse, provider: Provider
    ) -> None:
        house = new_house(make_plan("a tram"))
        both = make_plan("a ferry", "a tram")
        async with house.run(provider, "dead") as dead:
            attempt = left_by_a_crash(dead, S.SUBMITTED, S.UNKNOWN)
        provider.polls = float("inf")
        provider.take({"taskUUID": attempt.task_uuid})
        async with house.run(provider, "run", plan=both, places=1, grace_s=0.0) as run:
            taken, unknown = await settled_while_it_waits(house, run, provider, both)
        assert [one.paid_usd for one in taken] == [PRICE_USD, 0]
        assert unknown.task_uuid not in provider.submitted
        assert len(provider.tasks) == 2


class TestEndings:
    """How the other run's attempt ends is how this one's does, within this run's own retries and budget."""

    async def test_a_refusal_is_one_for_both(self, house: House, provider: Provider) -> None:
        async with driving(house, provider):
            waiting = asyncio.create_task(house.render(provider, "second"))
            await until(lambda: waits(house))
            for task in provider.tasks.values():
                task.error = {"code": "invalidPositivePrompt", "message": "no"}
            finish(provider)
            error = await waiting
        assert isinstance(error, RequestRejected)
        assert error.code == "invalidPositivePrompt"
        assert len(provider.submitted) == 1

    @pytest.mark.parametrize("retries", [0, 1])
    async def test_a_failure_that_may_pass_is_tried_again_by_whoever_may(
        self, house: House, provider: Provider, retries: int
    ) -> None:
        async with driving(house, provider, retries=0):
            waiting = asyncio.create_task(house.render(provider, "second", retries=retries))
            await until(lambda: waits(house))
            for task in provider.tasks.values():
                task.error = FAILED
            finish(provider)
            ended = await waiting
        if retries:
            assert (ended[0].reused, ended[0].paid_usd) == (False, PRICE_USD)
            assert house.held_usd("second") == PRICE_USD
        else:
            assert isinstance(ended, ProviderFailed)
        assert len(provider.submitted) == 1 + retries

    async def test_what_a_busy_provider_never_took_from_the_other_is_tried_by_this_run(
        self, house: House, provider: Provider
    ) -> None:
        async with house.run(provider, "first", retries=0) as first:
            attempt = left_by_a_crash(first, S.SUBMITTED)
            first.ledger.take_wheel(attempt.task_uuid, "first")
            waiting = asyncio.create_task(house.render(provider, "second", retries=0))
            await until(lambda: waits(house))
            first.ledger.move(attempt.task_uuid, S.RELEASED, posts=1)
            (taken,) = await waiting
        assert taken.paid_usd == PRICE_USD
        assert house.states() == [S.RELEASED, S.STORED]

    async def test_what_the_other_run_will_not_make_is_bought_at_once(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "first") as first:
            first.reserve()
            waiting = asyncio.create_task(house.render(provider, "second"))
            await until(lambda: waits(house))
            await first.generator.forgo(first.plan.shots[0])
            (taken,) = await waiting  # the first run still lives
        assert (taken.paid_usd, len(provider.submitted)) == (PRICE_USD, 1)

    async def test_a_run_whose_key_is_refused_keeps_nothing_from_one_with_a_better_key(
        self, new_house: NewHouse, provider: Provider
    ) -> None:
        house = new_house(make_plan("a tram", "a ferry"))
        provider.key = "a-better-key"
        async with house.run(provider, "first") as first:
            with pytest.raises(KeyRefused):
                await first.all()
            taken = await house.render(provider, "second", key="a-better-key")  # the first run still lives
        assert [one.paid_usd for one in taken] == [PRICE_USD] * 2
        assert house.held_usd("first") == 0

    async def test_who_gives_up_lets_go_and_the_other_goes_on(self, house: House, provider: Provider) -> None:
        provider.polls = float("inf")
        async with house.run(provider, "first", deadline_s=0.3) as first:
            making = asyncio.create_task(first.all())
            await until(lambda: S.ACCEPTED in house.states())
            waiting = asyncio.create_task(house.render(provider, "second", deadline_s=60.0))
            await until(lambda: waits(house))
            with pytest.raises(OutcomeUnknown, match="no result after"):
                await making
            finish(provider)
            (taken,) = await waiting  # the first run still lives
        assert (taken.reused, len(provider.submitted)) == (True, 1)

    async def test_who_is_stopped_lets_go(self, house: House, provider: Provider) -> None:
        provider.polls = float("inf")
        async with house.run(provider, "first") as first:
            making = asyncio.create_task(first.all())
            await until(lambda: S.ACCEPTED in house.states())
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
            finish(provider)
            (taken,) = await house.render(provider, "second")
        assert taken.reused
        assert not waits(house)


class TestDeath:
    """A run that dies is waited for until its lease lapses."""

    @pytest.mark.parametrize(
        ("states", "taken"),
        [
            ([S.SUBMITTED], True),
            ([S.SUBMITTED], False),
            ([S.SUBMITTED, S.ACCEPTED], True),
            ([S.SUBMITTED, S.UNKNOWN], True),
            ([S.SUBMITTED, S.UNKNOWN], False),
        ],
    )
    async def test_the_next_finishes_it_for_one_charge(
        self, house: House, provider: Provider, states: list[State], *, taken: bool
    ) -> None:
        async with house.run(provider, "dead") as dead:
            attempt = left_by_a_crash(dead, *states)
            dead.ledger.take_wheel(attempt.task_uuid, "dead")
            if taken:
                provider.take({"taskUUID": attempt.task_uuid})
            dead.ledger.hold_lease("dead", 0.4)
            began = time.monotonic()
            (had,) = await house.render(provider, "next", budget="0")
            assert time.monotonic() - began > 0.3
        assert had.clip.origin.task_uuid == attempt.task_uuid
        assert set(provider.submitted) <= {attempt.task_uuid}
        assert provider.charged_usd == PRICE_USD
        assert house.states() == [S.STORED]

    async def test_with_only_a_reservation_its_money_is_free(self, house: House, provider: Provider) -> None:
        async with house.run(provider, "dead") as dead:
            dead.reserve()
            dead.ledger.hold_lease("dead", 0.3)
            waiting = asyncio.create_task(house.render(provider, "next"))
            await until(lambda: waits(house))
            (taken,) = await waiting
            assert dead.ledger.totals("dead").held_usd == 0
        assert taken.paid_usd == PRICE_USD

    async def test_with_a_paid_clip_that_was_not_fetched_the_next_fetches_it(
        self, house: House, provider: Provider
    ) -> None:
        async with house.run(provider, "dead") as dead:
            attempt = left_by_a_crash(dead, S.SUBMITTED, S.ACCEPTED)
            provider.take({"taskUUID": attempt.task_uuid})
            await dead.driver.drive(attempt, dead.order())
            dead.ledger.take_wheel(attempt.task_uuid, "dead")
            waiting = asyncio.create_task(house.render(provider, "next"))
            await until(lambda: waits(house))
            assert provider.counts["downloads"] == 0
            dead.ledger.end_lease("dead")
            (taken,) = await waiting
        assert (taken.reused, provider.counts["downloads"]) == (True, 1)

    async def test_one_that_only_stalled_goes_on_beside_its_successor_and_one_charge_is_all(
        self, house: House, provider: Provider
    ) -> None:
        async with driving(house, provider) as stalled:
            stalled.ledger.end_lease("first")
            second = asyncio.create_task(house.render(provider, "second"))
            await until(lambda: house.attempts()[0].driver == "second")
            finish(provider)
            (taken,) = await second
            await until(lambda: house.states() == [S.STORED])
        assert taken.clip.path.is_file()
        assert provider.charged_usd == PRICE_USD
        assert len(provider.submitted) == 1


ANSWERS = {
    "accept": accept,
    "busy": busy(),
    "lose reply": lose_reply,
    "lose request": lose_request,
    "fails": refuse("internalServerError", 500),
}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answers=st.lists(st.sampled_from(sorted(ANSWERS)), max_size=4),
    polls=st.integers(0, 5),
    lapses=st.lists(st.tuples(st.sampled_from(["0", "1", "2"]), st.floats(0.0, 0.02)), max_size=8),
    stops=st.dictionaries(st.sampled_from(["0", "1"]), st.floats(0.0, 0.06), max_size=2),
)
def test_nothing_that_is_paid_rests_on_leases(
    template: Path,
    provider: Provider,
    answers: list[str],
    polls: int,
    lapses: list[tuple[str, float]],
    stops: dict[str, float],
) -> None:
    """Three runs at once, whose leases lapse at any moment though they live, and of which some are stopped."""

    async def runs(folder: Path) -> None:
        wire = Provider(clip=provider.clip, submissions=deque(ANSWERS[name] for name in answers), polls=polls)
        house = House(folder, make_plan("a tram"), template)

        async def run(name: str) -> Any:
            try:
                async with asyncio.timeout(stops.get(name)):
                    return await house.render(wire, name, grace_s=0.02, retries=5)
            except TimeoutError:
                return None

        async def lapse() -> None:
            with open_ledger(str(house.folder / "ledger.db")) as ledger:
                for name, pause_s in lapses:
                    await asyncio.sleep(pause_s)
                    await asyncio.to_thread(ledger.hold_lease, name, 0)

        *ended, _ = await asyncio.gather(*(run(name) for name in "012"), lapse())
        assert len(wire.tasks) <= 1
        ended.append(await house.render(wire, "last", grace_s=0.02, retries=5))
        assert len(wire.tasks) <= 1
        assert wire.charged_usd == sum(
            (it.cost_usd or 0 for it in house.attempts(states={S.STORED})), start=PRICE_USD * 0
        )
        for end in ended:
            if isinstance(end, ShotchainError):
                # Stopped within the one further post, so that only a person can tell; or a provider that stays busy.
                assert isinstance(end, OutcomeUnknown) or end.transient
                assert not isinstance(end, OutcomeUnknown) or house.attempts()[-1].posts == 2

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(runs(Path(folder)))


# -- real processes ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorServer]:
    with EmulatorServer(EmulatorSettings(latency_s=1.0, frames_per_second=1)) as server:
        yield server


PROCESS = """
import asyncio, sys
from pathlib import Path
from tests.clips.house import House, make_plan
folder, base_url, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
house = House(folder, make_plan(*sys.argv[4:]), folder / "ledger.db")
print("ready", flush=True)
sys.stdin.readline()
taken = asyncio.run(house.render(None, name, base_url=base_url, lease_s=1.5, grace_s=5.0, deadline_s=60.0))
if not isinstance(taken, list):
    raise SystemExit(str(taken))
print(len(taken), sum(one.paid_usd for one in taken), flush=True)
"""


def process(house: House, emulator: EmulatorServer, name: str, *prompts: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROCESS, str(house.folder), str(emulator.base_url), name, *prompts],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def tasks_of(emulator: EmulatorServer, prompt: str) -> list[dict[str, Any]]:
    tasks = httpx.get(f"{emulator.origin}/_emulator/books").json()["tasks"]
    return [task for task in tasks if task["request"]["positivePrompt"] == prompt]


def begin(*children: subprocess.Popen[str]) -> None:
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()


def test_two_processes_make_each_clip_once(emulator: EmulatorServer, new_house: NewHouse) -> None:
    prompts = ("a tram in a process", "a ferry in a process")
    house = new_house(make_plan(*prompts))
    children = [process(house, emulator, name, *prompts) for name in ("one", "other")]
    begin(*children)
    said = [child.communicate(timeout=50)[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert [one[0] for one in said] == ["2", "2"]
    assert sum(float(one[1]) for one in said) == pytest.approx(2 * float(PRICE_USD))
    assert [len(tasks_of(emulator, prompt)) for prompt in prompts] == [1, 1]
    assert house.states() == [S.STORED] * 2


def test_a_process_that_is_killed_is_waited_for_and_its_clip_finished(
    emulator: EmulatorServer, new_house: NewHouse
) -> None:
    prompt = "a gull in a process"
    house = new_house(make_plan(prompt))
    killed, heir = (process(house, emulator, name, prompt) for name in ("killed", "heir"))
    begin(killed)

    def at_provider() -> list[Attempt]:
        return [it for it in house.attempts() if it.state in {S.SUBMITTED, S.ACCEPTED}]

    deadline = time.monotonic() + 20
    while not at_provider():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    begin(heir)
    said = heir.communicate(timeout=50)[0].split()
    assert (heir.returncode, said) == (0, ["1", "0"])
    assert len(tasks_of(emulator, prompt)) == 1
    (attempt,) = house.attempts()
    assert (attempt.state, attempt.driver) == (S.STORED, "heir")
