"""One take of one shot becomes one clip: from the store, from a paid attempt, or by paying for it once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tasks.clips.attempt import Driver
from tasks.clips.circuit import Circuit
from tasks.clips.delivery import Deliveries
from tasks.clips.fetch import Fetcher
from tasks.clips.inputs import Inputs
from tasks.clips.order import Order
from tasks.clips.purchases import Purchases
from tasks.clips.recall import recorded_error
from tasks.clips.setbacks import Setbacks
from tasks.clips.slots import Slots
from tasks.clips.store import Clip, ClipStore, Kept, Stills
from tasks.clips.taken import Taken
from tasks.clips.wheel import Wheel
from tasks.clips.writing import in_ledger
from tasks.errors import (
    Charged,
    ClipDamaged,
    ClipLost,
    ContentRefused,
    ShotchainError,
)
from tasks.ledger import Attempt, State
from tasks.ledger.ledger import Ledger
from tasks.ledger.states import OVER, PAID, SETTLED_AS_FREE
from tasks.plan.model import Input, Plan, PlannedShot, PlannedTake
from tasks.plan.request import fill_inputs
from tasks.progress import Event, Observer, Stage
from tasks.runware.client import RunwareClient
from tasks.runware.pauses import Pauses
from tasks.settings import Nsfw

__all__ = ["Generator"]


class Generator:
    """Makes clips for one run of one plan.

    Once a reservation is refused midway, because the run's budget, a standing one or the approved sum has no room, this
    run submits nothing more; what is at the provider is still waited for. A shot's own limit stops that shot alone.

    Args:
        plan: What is to be made.
        run_id: The run's name in the ledger.
        client: Speaks to the provider.
        driver: Drives attempts.
        ledger: Remembers.
        store: Keeps clips.
        inputs: Resolves inputs.
        slots: Limits how many are at the provider at once.
        scratch: Local folder for downloads under way.
        retries: At most so many further attempts a take, after failures that are over and may pass.
        rebuy_lost: Whether to pay again for a paid clip that is gone everywhere.
        observer: Is told of each step.
        nsfw: Whether a clip that the provider flags is kept, or fails its shot.
        approved_usd: What the run may spend without asking, if that is what limits it.
        deliveries: The ones that the driver has too.
        circuit: The one that the driver has too.
        pauses: How long to wait before trying again.
        holder: The name under which this process holds its lease; by default the run's.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        run_id: str,
        client: RunwareClient,
        driver: Driver,
        ledger: Ledger,
        store: ClipStore,
        inputs: Inputs,
        slots: Slots,
        scratch: Path,
        retries: int,
        rebuy_lost: bool,
        observer: Observer,
        nsfw: Nsfw = "keep",
        approved_usd: Decimal | None = None,
        deliveries: Deliveries | None = None,
        circuit: Circuit | None = None,
        pauses: Pauses | None = None,
        holder: str | None = None,
    ) -> None:
        self._plan = plan
        self._run_id = run_id
        self._driver = driver
        self._ledger = ledger
        self._store = store
        self._inputs = inputs
        self._slots = slots
        self._rebuy_lost = rebuy_lost
        self._observe = observer
        self._nsfw = nsfw
        self._deliveries = deliveries
        self._circuit = circuit or Circuit()
        self._pauses = pauses or Pauses()
        self._wheel = Wheel(ledger, holder or run_id, run_id, pauses=self._pauses)
        self._fetcher = Fetcher(
            client=client,
            ask_again=driver.ask_again,
            store=store,
            ledger=ledger,
            scratch=scratch,
            observer=observer,
            deliveries=deliveries,
            circuit=circuit,
            pauses=self._pauses,
        )
        # Takes of one content key are one clip: the first makes it, the others wait and find it, or its failure.
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.setbacks = Setbacks()
        self._purchases = Purchases(
            plan=plan,
            run_id=run_id,
            ledger=ledger,
            store=store,
            wheel=self._wheel,
            setbacks=self.setbacks,
            retries=retries,
            observer=observer,
            circuit=self._circuit,
            pauses=self._pauses,
            approved_usd=approved_usd,
            deliveries=deliveries,
        )
        self._billed: set[str] = set()
        self._slots.expect(take.content_key for shot in plan.shots if not shot.depends_on for take in shot.takes)

    async def take(self, shot: PlannedShot, take: PlannedTake, clips: Mapping[str, Clip]) -> Taken:
        """Have one take in the store. Where that is elsewhere, and the clip was delivered there, no byte comes here.

        Args:
            shot: As planned.
            take: Which of its takes.
            clips: The selected clips of the shots that it depends on, by id.

        Raises:
            ShotchainError: It could not be had; the error says whether money may have been spent.
        """
        async with self._alone(shot, take):
            return self._judged(await self._take(shot, take, clips))

    async def bring(self, taken: Taken, shot: PlannedShot, take: PlannedTake, clips: Mapping[str, Clip]) -> Taken:
        """Have a take on this machine, too, its clip looked at: to be called before its first frame is needed.

        A clip that turns out to be none is had as one that was damaged on its way here is: again, and not bought.

        Args:
            taken: The take in the store.
            shot: As planned.
            take: Which of its takes.
            clips: See `take`.

        Raises:
            ShotchainError: See `take`.
        """
        async with self._alone(shot, take):
            while not taken.is_here:
                clip = await self._store.find(take.content_key, self._stills(shot, take))
                if clip is not None:
                    return replace(taken, kept=clip)
                self._tell(
                    Stage.NOTE, shot, take, message="what lies in the store is not its whole clip; having it again"
                )
                if self._deliveries is not None:
                    self._deliveries.is_no_clip(taken.kept.origin.task_uuid)
                again = self._judged(await self._take(shot, take, clips))
                # It is billed already, unless it was paid for once more.
                is_same = again.kept.origin.task_uuid == taken.kept.origin.task_uuid
                taken = replace(taken, kept=again.kept) if is_same else again
            return taken

    async def forgo(self, shot: PlannedShot) -> None:
        """Give back what this run has reserved for a shot that it will not make: another run may wait for that."""
        for take in shot.takes:
            self._slots.waive(take.content_key)
            await self._purchases.give_back(take.content_key)

    def stop(self, error: ShotchainError) -> None:
        """Submit nothing more, for the reason that `error` gives, until it goes on."""
        self._circuit.trip(error)

    def go_on(self, approved_usd: Decimal | None) -> None:
        """Submit again, after money had run out and a limit was raised.

        Takes that failed for want of money, or of which nothing could be learnt, may be had now; others stay failed.

        Args:
            approved_usd: What the run may spend without asking from now on, if that is what limits it.
        """
        self._purchases.approved_usd = approved_usd
        self.setbacks.forget()
        self._circuit.close()

    async def _take(self, shot: PlannedShot, take: PlannedTake, clips: Mapping[str, Clip]) -> Taken:
        key = take.content_key
        if (known := self.setbacks.of(key, shot.id)) is not None:
            await self._purchases.give_back(key)
            raise known
        try:
            found = await self._store.keeps(key) or await self._regain(shot, take) or await self._late(shot, take)
            if found is None:
                return await self._have(shot, take, clips)
        except ShotchainError as error:
            self.setbacks.remember(key, error)
            await self._purchases.give_back(key)
            raise
        return await self._reuse(found, shot, take)

    @asynccontextmanager
    async def _alone(self, shot: PlannedShot, take: PlannedTake) -> AsyncIterator[None]:
        """Nobody else of this run makes a clip of the same key; an error says which shot it was for."""
        try:
            async with self._making[take.content_key]:
                yield
        except ShotchainError as error:
            error.shot = error.shot or shot.id
            raise
        finally:
            self._slots.waive(take.content_key)

    async def _reuse(self, found: Kept, shot: PlannedShot, take: PlannedTake) -> Taken:
        """A take whose clip is in the store."""
        attempt = await in_ledger(self._ledger.attempt, found.origin.task_uuid)
        if attempt is not None and attempt.state is State.SUCCEEDED:
            # A run was stopped after it had stored the clip and before it could write so.
            await self._fetcher.stored(attempt)
        self._tell(Stage.REUSED, shot, take)
        return self._taken(attempt, found, shot, take)

    async def _regain(self, shot: PlannedShot, take: PlannedTake) -> Kept | None:
        """Bring back a clip that only the store remembers; None where the ledger knows more, or it may be paid anew."""
        key, provider = take.content_key, self._plan.provider
        record = await asyncio.to_thread(self._store.remembered, key)
        if record is None or await in_ledger(self._ledger.paid, provider, key) is not None:
            return None
        live = await in_ledger(self._ledger.live, provider, key)
        if live is not None and live.state is not State.RESERVED and live.charged is None:
            return None  # it was paid for anew already
        try:
            kept = await self._fetcher.regain(record, shot=shot.id, take=take.number, stills=self._stills(shot, take))
        except (ClipLost, ClipDamaged) as error:
            if not self._rebuy_lost:
                raise
            self._tell(Stage.RETRYING, shot, take, f"{error.message}; paying for it once more, as asked")
            return None
        await self._purchases.give_back(key)
        return kept

    async def _late(self, shot: PlannedShot, take: PlannedTake, *, asks: bool = True) -> Kept | None:
        """Have what there is after all of an attempt that is over without a clip; None where nothing is.

        Whatever it cost, its clip may have been delivered meanwhile. If it may have been charged, or a person said that
        it was not, the provider is asked, too, before the take is paid for anew; unless `asks` is off, since it has
        just said itself that there is nothing. None, too, where the take was bought anew already.
        """
        key = take.content_key
        past = await in_ledger(self._ledger.attempts, provider=self._plan.provider, content_key=key)
        if any(attempt.state not in OVER | {State.RESERVED} for attempt in past):
            return None
        for attempt in reversed(past):
            if attempt.state not in OVER - {State.RELEASED}:
                continue
            kept, how = await self._fetcher.late(attempt, key), "its clip was delivered after its attempt had failed"
            # What had a result was looked for when it was given up.
            if kept is None and asks and attempt.result is None and _is_doubtful(attempt):
                kept = await self._fetcher.after_all(attempt, key, self._stills(shot, take))
                how = "the provider has made its clip after all, though its attempt had failed"
            if kept is not None:
                self._tell(Stage.NOTE, shot, take, how)
                await self._purchases.give_back(key)
                return kept
        return None

    async def _have(self, shot: PlannedShot, take: PlannedTake, clips: Mapping[str, Clip]) -> Taken:
        """Have a take that is not in the store: by an attempt of this run, or by that of another that lives."""
        order = Order(shot.id, take.number, lambda: self._build(shot, clips))
        replaces: str | None = None
        attempt = await self._purchases.reserve(shot, take)
        while True:
            attempt = await self._wheel.watch(attempt, lambda: self._wait_for_another(shot, take))
            if attempt.state is State.RESERVED and attempt.run_id != self._run_id:
                attempt = await self._purchases.reserve(shot, take, replaces)  # its run is dead: the money is free
                continue
            if attempt.state in PAID and (found := await self._store.keeps(take.content_key)):
                return await self._reuse(found, shot, take)
            try:
                taken = await self._turn(attempt, order, shot, take)
            except (ClipLost, ClipDamaged) as error:
                is_paid = attempt.state in PAID or attempt.charged is Charged.YES
                if not self._rebuy_lost or replaces is not None or not is_paid:
                    raise
                again = await self._purchases.replace(attempt, error, shot, take)
                if again is not None:
                    replaces = attempt.task_uuid
                attempt = again or await self._wheel.read(attempt)
            except ShotchainError as error:
                attempt = await self._purchases.after(attempt, error, replaces, shot, take)
                is_a_persons = getattr(error, "code", None) == SETTLED_AS_FREE
                if (late := await self._late(shot, take, asks=is_a_persons)) is not None:
                    return await self._reuse(late, shot, take)
            else:
                if taken is not None:
                    return taken
                attempt = await self._wheel.read(attempt)

    async def _turn(self, attempt: Attempt, order: Order, shot: PlannedShot, take: PlannedTake) -> Taken | None:
        """Bring an attempt to its clip, at its wheel all the way; None where another run has that."""
        if attempt.state in OVER:
            raise recorded_error(attempt)
        if attempt.state is State.STORED:
            return await self._fetch_paid(attempt, shot, take)
        taken: Taken | None = None
        try:
            if attempt.state is State.SUCCEEDED:
                held = await self._wheel.take(attempt)
                if held is not None and held.state is attempt.state:
                    taken = await self._fetch_paid(held, shot, take)
            elif (driven := await self._drive(attempt, order, shot, take)) is not None:
                taken = await self._fetch_paid(driven, shot, take)
        finally:
            if taken is None:
                await self._wheel.let_go(attempt)
        return taken

    async def _drive(self, attempt: Attempt, order: Order, shot: PlannedShot, take: PlannedTake) -> Attempt | None:
        async with self._slots.take(self._plan.priority[shot.id], take.content_key):
            held = await self._wheel.take(attempt)  # only now: whoever waits for a place keeps nobody else away
            return None if held is None else await self._driver.drive(held, order)

    def _wait_for_another(self, shot: PlannedShot, take: PlannedTake) -> None:
        self._slots.waive(take.content_key)  # whoever watches needs no place
        self._tell(Stage.WAITING, shot, take, "another run is making it, or was until a moment ago")

    async def _fetch_paid(self, attempt: Attempt, shot: PlannedShot, take: PlannedTake) -> Taken:
        """Have a clip that is paid for: delivered, from the address at hand or from a fresh one."""
        result = await self._fetcher.result_of(attempt)
        key, stills = take.content_key, self._stills(shot, take)
        kept = await self._fetcher.fetch(attempt, result, key=key, shot=shot.id, take=take.number, stills=stills)
        return self._taken(attempt, kept, shot, take)

    def _judged(self, taken: Taken) -> Taken:
        """Let a take pass, unless the provider flagged it and the run was told not to show such clips."""
        if taken.kept.origin.nsfw and self._nsfw == "fail":
            raise ContentRefused(
                "the provider flagged this clip as unsafe (NSFWContent)",
                advice="It is paid for and kept. Change the prompt or the pictures, or show it with --nsfw keep.",
                task_uuid=taken.kept.origin.task_uuid,
                cost_usd=taken.kept.origin.cost_usd,
                charged=Charged.YES,
            )
        return taken

    def _taken(self, attempt: Attempt | None, kept: Kept, shot: PlannedShot, take: PlannedTake) -> Taken:
        """A take as the run's bill has it: paid by the run in whose budget the ledger holds it, and once."""
        paid_by = kept.origin.task_uuid
        ours = attempt is not None and attempt.run_id == self._run_id and paid_by not in self._billed
        if ours:
            self._billed.add(paid_by)
        paid_usd = kept.origin.cost_usd if ours else Decimal(0)
        return Taken(shot.id, take.number, kept, reused=not ours, paid_usd=paid_usd)

    async def _build(self, shot: PlannedShot, clips: Mapping[str, Clip]) -> Mapping[str, Any]:
        if not shot.inputs:
            return shot.request
        filled: dict[Input, str] = await self._inputs.resolve(shot.inputs, clips)
        return {**shot.request, "inputs": fill_inputs(shot.inputs, filled.__getitem__)}

    def _stills(self, shot: PlannedShot, take: PlannedTake) -> Stills:
        # The frames that other shots wait for are taken in the same pass.
        taken = self._plan.frames_taken_of(shot.id) if take.number == shot.select else ()
        return lambda sha256: {index: self._inputs.still(sha256, index) for index in taken}

    def _tell(self, stage: Stage, shot: PlannedShot, take: PlannedTake, message: str = "") -> None:
        self._observe(Event(stage, shot.id, take.number, message=message))


def _is_doubtful(attempt: Attempt) -> bool:
    """Whether the provider may have more of an attempt that is over than the ledger says."""
    return attempt.charged is not Charged.NO or attempt.error_code == SETTLED_AS_FREE
