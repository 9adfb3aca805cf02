"""One take of one shot becomes one clip: from the store, from a paid attempt, or by paying for it once."""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.clips.attempt import Driver, Order
from tasks.clips.circuit import Circuit
from tasks.clips.gate import past_limit, wanted_take
from tasks.clips.inputs import Inputs
from tasks.clips.recall import recorded_result
from tasks.clips.slots import Slots
from tasks.clips.store import Clip, ClipStore, Origin
from tasks.clips.writing import in_ledger
from tasks.errors import (
    Charged,
    ClipDamaged,
    ClipLost,
    ContentRefused,
    OverBudget,
    ProviderUnreachable,
    ResultGone,
    ShotchainError,
)
from tasks.ledger import Attempt, State
from tasks.ledger.ledger import Ledger
from tasks.ledger.states import OVER, PAID
from tasks.media.frames import DecodedFacts, decode_whole
from tasks.plan.model import Input, Plan, PlannedShot, PlannedTake
from tasks.plan.request import fill_inputs
from tasks.progress import Event, Observer, Stage
from tasks.runware.client import RunwareClient
from tasks.runware.download import Download, download_result
from tasks.runware.messages import VideoResult
from tasks.runware.pauses import Pauses
from tasks.settings import Nsfw

__all__ = ["Generator", "Taken"]

_SUFFIXES = {".mp4", ".mov", ".webm"}
_DOWNLOADS = 3


@dataclass(frozen=True, slots=True)
class Taken:
    """A take that is in the store. `paid_usd` is what this run paid for it: nothing where it was reused."""

    shot: str
    take: int
    clip: Clip
    reused: bool
    paid_usd: Decimal


class Generator:
    """Makes clips for one run of one plan.

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
        circuit: The one that the driver has too.
        pauses: How long to wait before trying again.
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
        circuit: Circuit | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self._plan = plan
        self._run_id = run_id
        self._client = client
        self._driver = driver
        self._ledger = ledger
        self._store = store
        self._inputs = inputs
        self._slots = slots
        self._scratch = scratch
        self._retries = retries
        self._rebuy_lost = rebuy_lost
        self._observe = observer
        self._nsfw = nsfw
        self._approved_usd = approved_usd
        self._circuit = circuit or Circuit()
        self._pauses = pauses or Pauses()
        # Takes of one content key are one clip: the first makes it, the others wait and find it, or its failure.
        self._making: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._failed: dict[str, ShotchainError] = {}
        self._billed: set[str] = set()
        self._slots.expect(take.content_key for shot in plan.shots if not shot.depends_on for take in shot.takes)

    async def take(self, shot: PlannedShot, take: PlannedTake, clips: Mapping[str, Clip]) -> Taken:
        """Have one take.

        Args:
            shot: As planned.
            take: Which of its takes.
            clips: The selected clips of the shots that it depends on, by id.

        Raises:
            ShotchainError: It could not be had; the error says whether money may have been spent.
        """
        try:
            async with self._making[take.content_key]:
                return self._judged(await self._take(shot, take, clips))
        except ShotchainError as error:
            error.shot = error.shot or shot.id
            raise
        finally:
            self._slots.waive(take.content_key)

    async def _take(self, shot: PlannedShot, take: PlannedTake, clips: Mapping[str, Clip]) -> Taken:
        key = take.content_key
        if key in self._failed:
            error = copy.copy(self._failed[key])
            error.shot = shot.id
            raise error
        try:
            found = await self._store.find(key)
            if found is None:
                return await self._have(shot, take, clips)
        except ShotchainError as error:
            self._failed[key] = error
            raise
        attempt = await in_ledger(self._ledger.attempt, found.origin.task_uuid)
        if attempt is not None and attempt.state is State.SUCCEEDED:
            # A run was stopped after it had stored the clip and before it could write so.
            await self._stored(attempt)
        self._tell(Stage.REUSED, shot, take)
        return self._taken(attempt, found, shot, take)

    async def _have(self, shot: PlannedShot, take: PlannedTake, clips: Mapping[str, Clip]) -> Taken:
        order = Order(shot.id, take.number, lambda: self._build(shot, clips))
        attempt = await self._reserve(shot, take)
        if attempt.state in PAID:
            try:
                return await self._fetch_paid(attempt, shot, take)
            except (ClipLost, ClipDamaged) as error:
                if not self._rebuy_lost:
                    raise
                attempt = await self._replace(attempt, error, shot, take)
        attempt, result = await self._drive(attempt, order, shot, take)
        return self._taken(attempt, await self._fetch(attempt, result, shot, take), shot, take)

    async def _fetch_paid(self, attempt: Attempt, shot: PlannedShot, take: PlannedTake) -> Taken:
        """Have a clip that was paid for before, from the address at hand or from a fresh one."""
        if attempt.state is State.SUCCEEDED:
            clip = await self._fetch(attempt, recorded_result(attempt), shot, take)
            return self._taken(attempt, clip, shot, take)
        clip = await self._fetch(attempt, await self._result(attempt), shot, take)
        return self._taken(attempt, clip, shot, take)

    def _judged(self, taken: Taken) -> Taken:
        """Let a take pass, unless the provider flagged it and the run was told not to show such clips."""
        if taken.clip.origin.nsfw and self._nsfw == "fail":
            raise ContentRefused(
                "the provider flagged this clip as unsafe (NSFWContent)",
                advice="It is paid for and kept. Change the prompt or the pictures, or show it with --nsfw keep.",
                task_uuid=taken.clip.origin.task_uuid,
                cost_usd=taken.clip.origin.cost_usd,
                charged=Charged.YES,
            )
        return taken

    def _taken(self, attempt: Attempt | None, clip: Clip, shot: PlannedShot, take: PlannedTake) -> Taken:
        """A take as the run's bill has it: paid by the run in whose budget the ledger holds it, and once."""
        ours = attempt is not None and attempt.run_id == self._run_id and clip.key not in self._billed
        if ours:
            self._billed.add(clip.key)
        paid_usd = clip.origin.cost_usd if ours else Decimal(0)
        return Taken(shot.id, take.number, clip, reused=not ours, paid_usd=paid_usd)

    async def _stored(self, attempt: Attempt) -> None:
        await in_ledger(self._ledger.move, attempt.task_uuid, State.STORED, expect={State.SUCCEEDED})

    async def _replace(
        self, attempt: Attempt, error: ClipLost | ClipDamaged, shot: PlannedShot, take: PlannedTake
    ) -> Attempt:
        """Reserve anew what was paid for and is lost, as the user has asked for. What was paid stays paid."""
        if attempt.state is State.SUCCEEDED:
            await in_ledger(self._ledger.move, attempt.task_uuid, State.FAILED, expect={State.SUCCEEDED}, error=error)
        self._tell(Stage.RETRYING, shot, take, message=f"{error.message}; paying for it once more, as asked")
        return await self._reserve(shot, take, replaces=attempt.task_uuid)

    async def _reserve(self, shot: PlannedShot, take: PlannedTake, replaces: str | None = None) -> Attempt:
        wanted = wanted_take(self._plan, shot, take, replaces)
        try:
            return (await in_ledger(self._ledger.reserve, self._run_id, [wanted]))[0]
        except OverBudget as error:
            raise past_limit(error, self._approved_usd) from error

    async def _drive(
        self, attempt: Attempt, order: Order, shot: PlannedShot, take: PlannedTake
    ) -> tuple[Attempt, VideoResult]:
        """Drive an attempt, and further ones where a failure is over, may pass, and tries are left."""
        tries = 0
        while True:
            try:
                async with self._slots.take(self._plan.priority[shot.id], take.content_key):
                    return await self._driver.drive(attempt, order)
            except ShotchainError as error:
                current = await in_ledger(self._ledger.attempt, attempt.task_uuid)
                if current is None or current.state not in OVER:
                    raise
                if current.state is State.RELEASED and current.posts == 0:
                    # Another run that had reserved it ended without sending it.
                    attempt = await self._reserve(shot, take)
                    continue
                if not error.transient or isinstance(error, ProviderUnreachable) or tries >= self._retries:
                    raise
                tries += 1
                self._tell(Stage.RETRYING, shot, take, message=f"{error.message}; try {tries + 1}")
                await self._pauses.backoff(tries, first_s=2.0, most_s=30.0)
                try:
                    attempt = await in_ledger(self._ledger.retry, self._run_id, current, shot.price_usd)
                except OverBudget as refused:
                    raise past_limit(refused, self._approved_usd) from error

    async def _build(self, shot: PlannedShot, clips: Mapping[str, Clip]) -> Mapping[str, Any]:
        if not shot.inputs:
            return shot.request
        filled: dict[Input, str] = await self._inputs.resolve(shot.inputs, clips)
        return {**shot.request, "inputs": fill_inputs(shot.inputs, filled.__getitem__)}

    # -- fetching --------------------------------------------------------------------------------------------------

    async def _result(self, attempt: Attempt) -> VideoResult:
        result = await self._driver.ask_again(attempt)
        if result is None:
            raise _lost(attempt)
        return result

    async def _fetch(self, attempt: Attempt, result: VideoResult, shot: PlannedShot, take: PlannedTake) -> Clip:
        """Bring a paid clip into the store. A failing download asks for the file again, never for another clip."""
        self._tell(Stage.DOWNLOADING, shot, take)
        damage: ClipDamaged | None = None
        for turn in range(_DOWNLOADS):
            if turn:
                await self._pauses.backoff(turn, first_s=1.0, most_s=8.0)
            try:
                download = await self._download(result, take)
            except ProviderUnreachable as error:
                self._circuit.failed(error)
                raise
            except ResultGone:
                result = await self._result(attempt)
                continue
            try:
                # The frames that other shots wait for are taken in the same pass.
                taken = self._plan.frames_taken_of(shot.id) if take.number == shot.select else ()
                stills = {index: self._inputs.still(download.sha256, index) for index in taken}
                facts = await asyncio.to_thread(decode_whole, download.path, stills)
                return await self._keep(attempt, result, shot, take, download, facts)
            except ClipDamaged as error:
                damage = error
                kept = await self._store.set_aside(take.content_key, download.path)
                self._tell(Stage.NOTE, shot, take, message=f"a damaged download was kept aside: {kept}")
                self._circuit.failed(error)
            finally:
                download.path.unlink(missing_ok=True)
        if damage is None:
            raise _lost(attempt)
        cost_usd = _cost_usd(attempt)
        raise ClipDamaged(
            f"the paid clip cannot be decoded, however often it is fetched: {damage.message}",
            advice=f"It is kept aside in the clip store. Run again to fetch it again, or pay ${cost_usd} once more "
            "with --rebuy-lost.",
            shot=shot.id,
            task_uuid=attempt.task_uuid,
            cost_usd=cost_usd,
        )

    async def _download(self, result: VideoResult, take: PlannedTake) -> Download:
        suffix = PurePosixPath(result.video_url.partition("?")[0]).suffix.lower()
        name = f"{take.content_key[:16]}-{uuid.uuid4().hex[:8]}{suffix if suffix in _SUFFIXES else '.mp4'}"
        return await download_result(self._client, result.video_url, self._scratch / name, pauses=self._pauses)

    async def _keep(
        self,
        attempt: Attempt,
        result: VideoResult,
        shot: PlannedShot,
        take: PlannedTake,
        download: Download,
        facts: DecodedFacts,
    ) -> Clip:
        cost_usd = _cost_usd(attempt)
        origin = Origin(
            provider=attempt.provider,
            model=attempt.model,
            task_uuid=attempt.task_uuid,
            video_uuid=result.video_uuid,
            cost_usd=cost_usd,
            seed=result.seed,
            nsfw=result.nsfw,
        )
        clip = await self._store.put(take.content_key, download, facts, origin)
        self._circuit.worked()
        if attempt.state is not State.STORED:
            await self._stored(attempt)
        self._tell(Stage.STORED, shot, take, cost_usd=cost_usd)
        return clip

    def _tell(
        self,
        stage: Stage,
        shot: PlannedShot,
        take: PlannedTake,
        *,
        cost_usd: Decimal | None = None,
        message: str = "",
    ) -> None:
        self._observe(Event(stage, shot.id, take.number, cost_usd=cost_usd, message=message))


def _lost(attempt: Attempt) -> ClipLost:
    cost = _cost_usd(attempt)
    return ClipLost(
        "this take was paid for, its clip is gone from the store, and the provider no longer has it",
        advice=f"Bring the file back to the store, or pay ${cost} once more with --rebuy-lost.",
        shot=attempt.shot,
        task_uuid=attempt.task_uuid,
        cost_usd=cost,
    )


def _cost_usd(attempt: Attempt) -> Decimal:
    """What an attempt cost; a cost that the provider did not name counts as the reservation."""
    return attempt.reserved_usd if attempt.cost_usd is None else attempt.cost_usd
