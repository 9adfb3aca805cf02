"""Runs of one plan against a scripted provider, on a real ledger and a real clip store."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from tasks.clips.attempt import Driver
from tasks.clips.circuit import Circuit
from tasks.clips.delivery import Deliveries
from tasks.clips.gate import open_gate, wanted_take
from tasks.clips.generate import Generator
from tasks.clips.inputs import Inputs
from tasks.clips.order import Order
from tasks.clips.recall import recorded_result
from tasks.clips.slots import Slots
from tasks.clips.store import ClipStore
from tasks.clips.taken import Taken
from tasks.errors import ShotchainError
from tasks.ledger import Attempt, Ledger, State, open_ledger
from tasks.ledger.heartbeat import Heartbeat
from tasks.plan.build import build_plan
from tasks.plan.model import Plan
from tasks.progress import Event, Stage
from tasks.redaction import fingerprint
from tasks.runware.client import RunwareClient
from tasks.runware.pauses import Pauses
from tasks.runware.poller import Poller
from tasks.settings import Settings
from tasks.storyboard.model import Boundary, Shot, Storyboard

KEY = "rw-5ecret-key-0123456789"
PAUSES = Pauses(scale=0.002)


def make_plan(*prompts: str, provider: str = "runware", **facts: Any) -> Plan:
    """A plan of text shots, one a prompt, named a, b, …"""
    shots = tuple(Shot(id=chr(97 + index), prompt=prompt, **facts) for index, prompt in enumerate(prompts))
    return plan_of(shots, provider)


def plan_of(shots: tuple[Shot, ...], provider: str = "runware") -> Plan:
    board = Storyboard(title="Harbour", model="klingai:kling@o1-standard", width=1280, height=720, shots=shots)
    return build_plan(board, {}, provider)


def chain(*prompts: str) -> Plan:
    """A plan of shots of which each takes the last frame of the one before."""
    boundaries = [Boundary.CUT] + [Boundary.CONTINUE] * (len(prompts) - 1)
    return plan_of(
        tuple(
            Shot(id=chr(97 + index), prompt=prompt, boundary=boundary)
            for index, (prompt, boundary) in enumerate(zip(prompts, boundaries, strict=True))
        )
    )


@dataclass
class Run:
    """One open run."""

    run_id: str
    plan: Plan
    ledger: Ledger
    store: ClipStore
    client: RunwareClient
    poller: Poller
    driver: Driver
    generator: Generator

    async def all(self) -> list[Taken]:
        """Make every take, those of later shots with the clips of the earlier ones; the first failure is raised."""
        await open_gate(self.plan, self.store, self.ledger, self.run_id)
        made: dict[str, asyncio.Task[list[Taken]]] = {}

        async def one(shot_id: str) -> list[Taken]:
            shot = self.plan.shot(shot_id)
            clips = {}
            for need in shot.depends_on:
                its = self.plan.shot(need)
                taken = (await made[need])[its.select - 1]
                clips[need] = (await self.generator.bring(taken, its, its.selected, {})).clip
            return [await self.generator.take(shot, take, clips) for take in shot.takes]

        for shot in self.plan.shots:
            made[shot.id] = asyncio.create_task(one(shot.id))
        try:
            results = await asyncio.gather(*made.values(), return_exceptions=True)
        except asyncio.CancelledError:
            await asyncio.gather(*made.values(), return_exceptions=True)
            raise
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [taken for result in results if not isinstance(result, BaseException) for taken in result]

    async def first(self) -> Taken:
        """Make the first take of the first shot."""
        return await self.generator.take(self.plan.shots[0], self.plan.shots[0].takes[0], {})

    async def brought(self) -> Taken:
        """Make the first take of the first shot, and bring it here."""
        shot = self.plan.shots[0]
        return await self.generator.bring(await self.first(), shot, shot.takes[0], {})

    def reserve(self) -> Attempt:
        """Reserve the first shot's take without doing anything about it."""
        shot = self.plan.shots[0]
        return self.ledger.reserve(self.run_id, [wanted_take(self.plan, shot, shot.takes[0])])[0]

    def order(self) -> Order:
        shot = self.plan.shots[0]

        async def build() -> dict[str, Any]:
            return shot.request

        return Order(shot.id, 1, build)


@dataclass
class House:
    """Where runs leave what they leave: a ledger, a clip store, and what was observed."""

    folder: Path
    plan: Plan
    template: Path
    events: list[Event] = field(default_factory=list)
    work: str = ""

    def __post_init__(self) -> None:
        if not (self.folder / "ledger.db").exists():
            shutil.copy(self.template, self.folder / "ledger.db")
        self.work = self.work or str(self.folder / "work")

    def note(self, text: str) -> None:
        self.events.append(Event(Stage.NOTE, message=text))

    def settings(self, **options: Any) -> Settings:
        key = options.pop("key", KEY)
        facts: dict[str, Any] = {"grace_s": 0.05, "deadline_s": 5.0, "base_url": "https://api.test/v1", **options}
        return Settings(
            provider="runware",
            identity=self.plan.provider,
            api_key=key,
            account=fingerprint(key),
            work=self.work,
            ledger=str(self.folder / "ledger.db"),
            cache=self.folder / "cache",
            emulator_state=self.folder / "emulator",
            **facts,
        )

    @asynccontextmanager
    async def run(
        self,
        transport: httpx.AsyncBaseTransport | None,
        run_id: str = "run",
        *,
        budget: str | None = None,
        retries: int = 2,
        rebuy_lost: bool = False,
        places: int = 8,
        patience_s: float = 0.2,
        base_url: str = "https://api.test/v1",
        plan: Plan | None = None,
        holder: str | None = None,
        **options: Any,
    ) -> AsyncIterator[Run]:
        """Open a run as the flows do, and close it as they do."""
        settings = self.settings(base_url=base_url, **options)
        plan = plan or self.plan
        with open_ledger(settings.ledger) as ledger:
            async with RunwareClient(base_url, settings.api_key, transport=transport) as client:
                poller = Poller(client, pauses=PAUSES, say=self.note)
                circuit = Circuit()
                store = ClipStore(settings.work, settings.cache)
                deliveries = Deliveries(settings, store, self.events.append, PAUSES)
                driver = Driver(settings, client, poller, ledger, self.events.append, PAUSES, circuit, deliveries)
                generator = Generator(
                    plan=plan,
                    run_id=run_id,
                    client=client,
                    driver=driver,
                    ledger=ledger,
                    store=store,
                    inputs=Inputs(client, {}, plan.clip_rate, settings.cache, pauses=PAUSES),
                    slots=Slots(places, patience_s=patience_s),
                    scratch=self.folder / "scratch",
                    retries=retries,
                    rebuy_lost=rebuy_lost,
                    observer=self.events.append,
                    deliveries=deliveries,
                    circuit=circuit,
                    nsfw=settings.nsfw,
                    pauses=PAUSES,
                    holder=holder,
                )
                ledger.begin_run(
                    run_id=run_id,
                    provider=settings.identity,
                    account=settings.account,
                    storyboard=plan.title,
                    budget_usd=None if budget is None else Decimal(budget),
                )
                try:
                    with Heartbeat(ledger, holder or run_id, settings.lease_s, say=self.note, run_id=run_id):
                        yield Run(run_id, plan, ledger, store, client, poller, driver, generator)
                finally:
                    await poller.close()
                    ledger.end_run(run_id, "over", holder=holder)

    async def render(self, transport: httpx.AsyncBaseTransport | None, run_id: str = "run", **options: Any) -> Any:
        """One whole run; the takes, or the error with which it ended."""
        async with self.run(transport, run_id, **options) as run:
            try:
                return await run.all()
            except ShotchainError as error:
                return error

    def attempts(self, **which: Any) -> list[Attempt]:
        with open_ledger(str(self.folder / "ledger.db")) as ledger:
            return ledger.attempts(**which)

    def states(self) -> list[State]:
        return [attempt.state for attempt in self.attempts()]

    def held_usd(self, run_id: str = "run") -> Decimal:
        with open_ledger(str(self.folder / "ledger.db")) as ledger:
            return ledger.totals(run_id).held_usd

    def lose_clips(self) -> None:
        """Delete every file of the store."""
        for path in self.files():
            path.unlink()

    def files(self) -> Sequence[Path]:
        return sorted(path for path in Path(self.work).rglob("*") if path.is_file())


async def drive(run: Run, attempt: Attempt | None = None) -> Attempt:
    attempt = await run.driver.drive(attempt or run.reserve(), run.order())
    assert recorded_result(attempt).task_uuid == attempt.task_uuid
    return attempt


def left_by_a_crash(run: Run, *states: State) -> Attempt:
    """A row as a run leaves it that is killed right after writing the last of `states`."""
    attempt = run.reserve()
    for state in states:
        facts: dict[str, Any] = {"account": fingerprint(KEY)} if state is State.SUBMITTED else {}
        moved = run.ledger.move(attempt.task_uuid, state, **facts)
        assert moved is not None
        attempt = moved
    return attempt


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that other coroutines, or the ledger, will tell."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # there is nothing that could ring
            await asyncio.sleep(0.005)
