"""Opens everything that a run works with, and closes it again, in the right order."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flows.money.terms import Terms
from flows.provider import open_provider
from flows.server.shared import shared_slot
from tasks.clips.attempt import Driver
from tasks.clips.caches import bound_caches
from tasks.clips.circuit import Circuit
from tasks.clips.delivery import Deliveries
from tasks.clips.generate import Generator
from tasks.clips.inputs import Inputs
from tasks.clips.reports import LedgerReports
from tasks.clips.scratch import scratch_folder
from tasks.clips.slots import Slots
from tasks.clips.store import ClipStore
from tasks.clips.writing import in_ledger
from tasks.errors import ShotchainError
from tasks.ledger import open_ledger
from tasks.ledger.heartbeat import Heartbeat
from tasks.ledger.ledger import Ledger
from tasks.plan.estimate import DEFAULT_RETRIES
from tasks.plan.model import Plan, PlannedCard
from tasks.progress import Event, Observer, Stage
from tasks.settings import Settings
from tasks.storyboard.inputs import InputFacts

__all__ = ["Studio", "open_studio"]


@dataclass(frozen=True)
class Studio:
    """What one run works with."""

    settings: Settings
    run_id: str
    ledger: Ledger
    store: ClipStore
    generator: Generator
    scratch: Path
    observe: Observer
    started_at: datetime
    facts: Mapping[str, InputFacts]

    async def begin(self, plan: Plan, terms: Terms) -> None:
        """Write down the run with its limits, or its limits anew."""
        await in_ledger(
            self.ledger.begin_run,
            run_id=self.run_id,
            provider=self.settings.identity,
            account=self.settings.account,
            storyboard=plan.title,
            budget_usd=terms.run_usd,
            shot_budget_usd=terms.limits.shot_usd,
            budgets=terms.limits.standing,
            tags=terms.tags,
        )

    def sounds(self, plan: Plan) -> dict[str, Path]:
        """Where the bytes of a plan's music and narration can be read, by URI."""
        sounds = [sound for sound in (plan.music, *(shot.narration for shot in plan.shots)) if sound is not None]
        found = ((sound.media.uri, self.facts[sound.media.uri].local) for sound in sounds)
        return {uri: path for uri, path in found if path is not None}

    def picture(self, card: PlannedCard) -> Path | None:
        """Where the bytes of a card's picture can be read; None where it has none."""
        return None if card.picture is None else self.facts[card.picture.uri].local

    @property
    def film(self) -> Path:
        """Where the film is made, before it is published."""
        return self.scratch / "film.mp4"

    @property
    def conformed(self) -> Path:
        """Local folder of what films are joined from, kept for the next run."""
        return self.settings.cache / "conformed"


@asynccontextmanager
async def open_studio(
    settings: Settings,
    plan: Plan,
    facts: Mapping[str, InputFacts],
    *,
    run_id: str,
    terms: Terms,
    rebuy_lost: bool,
    observe: Observer,
) -> AsyncIterator[Studio]:
    """Open the ledger, the clip store, the client and, if it is the provider, the embedded emulator.

    All the while a lease is held for the run, so that others wait for what this process makes. At the end, whatever
    happens, what the run has reserved and never submitted is given back, unless another process works for it too: an
    orchestrator may have started it again, taking this one for dead.

    Raises:
        SettingsError: A place cannot be used.
        StorageUnreachable: The ledger or the store does not answer.
    """
    async with AsyncExitStack() as stack:
        ledger = await asyncio.to_thread(open_ledger, settings.ledger)
        stack.callback(ledger.close)
        scratch = stack.enter_context(scratch_folder(settings.cache))
        await asyncio.to_thread(bound_caches, settings.cache, round(settings.cache_gb * 10**9))
        client, poller = await stack.enter_async_context(open_provider(settings, observe, _reports(settings, ledger)))
        store = ClipStore(settings.work, settings.cache)
        await asyncio.to_thread(store.check)
        retries = next((count for count in (settings.retries, plan.retries) if count is not None), DEFAULT_RETRIES)
        circuit = Circuit()
        deliveries = Deliveries(settings, store, observe)
        holder = f"{run_id}/{uuid.uuid4().hex[:8]}"
        generator = Generator(
            plan=plan,
            run_id=run_id,
            client=client,
            driver=Driver(settings, client, poller, ledger, observe, circuit=circuit, deliveries=deliveries),
            ledger=ledger,
            store=store,
            inputs=Inputs(client, facts, plan.clip_rate, settings.cache, settings.pictures),
            # Places that machines share spare the provider; the emulator inside needs no sparing.
            slots=Slots(settings.max_in_flight, shared=None if settings.identity == "emulator" else shared_slot),
            scratch=scratch,
            retries=retries,
            rebuy_lost=rebuy_lost,
            observer=observe,
            nsfw=settings.nsfw,
            approved_usd=terms.ask_above_usd,
            deliveries=deliveries,
            circuit=circuit,
            holder=holder,
        )
        loop = asyncio.get_running_loop()
        heartbeat = Heartbeat(
            ledger, holder, settings.lease_s, say=lambda text: _tell_soon(loop, observe, text), run_id=run_id
        )
        stack.callback(heartbeat.close)
        # Before it begins: another process that ends the same run now sees that it goes on here.
        await in_ledger(heartbeat.start)
        studio = Studio(settings, run_id, ledger, store, generator, scratch, observe, datetime.now(UTC), facts)
        await studio.begin(plan, terms)
        outcome = "stopped"
        try:
            yield studio
            outcome = "done"
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            heartbeat.close()
            try:
                ledger.end_run(run_id, outcome, holder=holder)
            except ShotchainError as error:
                # It hides no result and no other error; the end of the lease gives back what is reserved.
                observe(Event(Stage.NOTE, message=f"the run's end could not be written down: {error.message}"))


def _reports(settings: Settings, ledger: Ledger) -> LedgerReports | None:
    """What the provider reports to `shotchain webhook`; the emulator inside has nobody to report to."""
    if settings.webhook is None or settings.identity == "emulator":
        return None
    return LedgerReports(ledger, settings.webhook.net_s)


def _tell_soon(loop: asyncio.AbstractEventLoop, observe: Observer, text: str) -> None:
    """Tell from a thread what observers are told where the run runs, unless that is over."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(observe, Event(Stage.NOTE, message=text))
