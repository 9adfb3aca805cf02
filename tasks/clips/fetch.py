"""Brings a paid clip into the store: as it was delivered there, else downloaded, decoded to its end and kept.

Nothing here can cost money. A download that fails asks for the file again, never for another clip.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from tasks.clips.circuit import Circuit
from tasks.clips.delivery import Deliveries, suffix_of
from tasks.clips.recall import (
    AskAgain,
    ask_patiently,
    cost_of,
    delivered_nowhere,
    delivered_result,
    in_work_after_all,
    is_in_work,
    lost,
    recorded_error,
    recorded_result,
    unreached,
)
from tasks.clips.record import ClipRecord
from tasks.clips.store import Clip, ClipStore, Kept, Origin, Stills, no_stills
from tasks.clips.writing import in_ledger
from tasks.errors import (
    Charged,
    ClipDamaged,
    OutcomeUnknown,
    ProviderError,
    ProviderUnreachable,
    ResultGone,
    ShotchainError,
    StorageUnreachable,
)
from tasks.ledger import Attempt, State
from tasks.ledger.ledger import Ledger
from tasks.media.frames import DecodedFacts, decode_whole
from tasks.progress import Event, Observer, Stage
from tasks.runware.client import RunwareClient
from tasks.runware.download import Download, download_result
from tasks.runware.messages import VideoResult
from tasks.runware.pauses import Pauses

__all__ = ["Fetcher"]

_DOWNLOADS = 3
# For so long after its result, a clip without an address may still be on its way into the store.
_MAY_COME_S = 3600.0


class Fetcher:
    """Fetches paid clips. Needs no plan: an attempt and its result are enough.

    Args:
        client: Whose connections are used.
        ask_again: Asks for a fresh address where one has expired; `Driver.ask_again`.
        store: Keeps clips.
        ledger: Is told of what is stored.
        scratch: Local folder for downloads under way.
        observer: Is told of each step.
        deliveries: What may have come into the store by itself; None where all is downloaded.
        circuit: The run's; told of what failed and what worked.
        pauses: How long to wait before trying again.
    """

    def __init__(
        self,
        *,
        client: RunwareClient,
        ask_again: AskAgain,
        store: ClipStore,
        ledger: Ledger,
        scratch: Path,
        observer: Observer,
        deliveries: Deliveries | None = None,
        circuit: Circuit | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        self._client = client
        self._ask_again = ask_again
        self._store = store
        self._ledger = ledger
        self._scratch = scratch
        self._observe = observer
        self._deliveries = deliveries
        self._circuit = circuit or Circuit()
        self._pauses = pauses or Pauses()

    async def result_of(self, attempt: Attempt) -> VideoResult:
        """The result of a paid attempt: as the ledger holds it, or asked for anew where its clip was stored once.

        The provider need not be asked, nor have it, where it has put the clip into the store.

        Raises:
            ClipLost: The provider has it no more.
            StorageUnreachable: The store does not answer.
            ShotchainError: The provider cannot be asked.
        """
        if attempt.state is State.SUCCEEDED and attempt.result:
            return recorded_result(attempt)
        if self._deliveries is not None and await self._deliveries.received(attempt):
            return delivered_result(attempt)
        return await self._fresh(attempt)

    async def fetch(
        self,
        attempt: Attempt,
        result: VideoResult,
        *,
        key: str,
        shot: str,
        take: int,
        stills: Stills = no_stills,
    ) -> Kept:
        """Bring the clip of a paid attempt into the store.

        Args:
            attempt: `succeeded` or `stored`; the ledger holds it as `stored` afterwards.
            result: Names the address.
            key: The content key under which it is kept.
            shot: Whose it is, for whoever watches.
            take: Which of its takes.
            stills: Frames to take in the same pass.

        Raises:
            ClipLost: It is gone at the provider, or was to be delivered long ago and has no address.
            ClipDamaged: It cannot be decoded, however often it is fetched; each copy was kept aside.
            ProviderUnreachable: It could not be downloaded now, though the provider has it.
            StorageUnreachable: It cannot be written.
            ShotchainError: The provider cannot be asked for a fresh address.
        """
        delivered = await self._delivered(attempt, result, key, is_last=False)
        if delivered is None:
            self._tell(Stage.DOWNLOADING, shot, take)
            try:
                return await self._downloaded(attempt, result, key=key, shot=shot, take=take, stills=stills)
            except (ProviderError, ClipDamaged):
                # It is not to be had from the provider. It may have come meanwhile, and is lost only if it has not.
                delivered = await self._delivered(attempt, result, key, is_last=True)
                if delivered is None:
                    raise
        self._tell(Stage.STORED, shot, take, cost_usd=cost_of(attempt))
        return delivered

    async def _downloaded(
        self, attempt: Attempt, result: VideoResult, *, key: str, shot: str, take: int, stills: Stills
    ) -> Clip:
        failure: ShotchainError | None = None
        elsewhere = False
        for turn in range(_DOWNLOADS):
            if turn:
                await self._pauses.backoff(turn, first_s=1.0, most_s=8.0)
            try:
                download = await self._download(attempt, result, key)
            except ProviderUnreachable as error:
                # The address may be of a server that is no more, though the provider is.
                fresh = None if elsewhere else await self._elsewhere(attempt, result)
                if fresh is None:
                    self._circuit.failed(error)
                    raise
                result, elsewhere, failure = fresh, True, error
                continue
            except ResultGone as error:
                result, failure = await self._fresh(attempt), error
                continue
            try:
                facts = await asyncio.to_thread(decode_whole, download.path, stills(download.sha256))
                clip = await self._keep(attempt, result, key, download, facts)
            except ClipDamaged as error:
                failure = error
                kept = await self._store.set_aside(key, download.path)
                self._tell(Stage.NOTE, shot, take, message=f"a damaged download was kept aside: {kept}")
                self._circuit.failed(error)
            else:
                self._tell(Stage.STORED, shot, take, cost_usd=cost_of(attempt))
                return clip
            finally:
                download.path.unlink(missing_ok=True)
        if not isinstance(failure, ClipDamaged):
            if not result.video_url and _age_s(attempt) > _MAY_COME_S:
                raise delivered_nowhere(attempt)
            out_of_reach = unreached(attempt, failure)
            self._circuit.failed(out_of_reach)
            raise out_of_reach
        cost_usd = cost_of(attempt)
        raise ClipDamaged(
            f"the paid clip cannot be decoded, however often it is fetched: {failure.message}",
            advice=f"It is kept aside in the clip store. Run again to fetch it again, or pay ${cost_usd} once more "
            "with --rebuy-lost.",
            shot=shot,
            task_uuid=attempt.task_uuid,
            cost_usd=cost_usd,
        )

    async def regain(self, record: ClipRecord, *, shot: str, take: int, stills: Stills = no_stills) -> Kept:
        """Bring a clip back into the store of which nothing is left but its record, and no row in the ledger.

        Args:
            record: What the store remembers of it.
            shot: See `fetch`.
            take: See `fetch`.
            stills: See `fetch`.

        Raises:
            ShotchainError: See `fetch`.
        """
        paid = _paid_by(record, shot, take)
        result = await self.result_of(paid)
        return await self.fetch(paid, result, key=record.key, shot=shot, take=take, stills=stills)

    async def late(self, attempt: Attempt, key: str) -> Kept | None:
        """Keep what was delivered for an attempt that had ended without a clip; None where nothing was.

        Raises:
            StorageUnreachable: The store does not answer, or refuses.
        """
        if self._deliveries is None or not await self._deliveries.received(attempt):
            return None
        result = delivered_result(attempt, recorded_error(attempt))
        if attempt.charged is Charged.NO:
            attempt = replace(attempt, cost_usd=Decimal(0))
        return await self._delivered(attempt, result, key, is_last=True)

    async def after_all(self, attempt: Attempt, key: str, stills: Stills = no_stills) -> Kept | None:
        """Keep the clip of an attempt that is over without one, if the provider has it after all; None without one.

        To be asked before it is bought anew what may have been charged. What the attempt cost is settled, if nobody
        knew that, and the provider says so.

        Raises:
            OutcomeUnknown: The provider is at work on it, and nobody has said that it costs nothing.
            ProviderUnreachable: It has the clip, and that cannot be downloaded now.
            StorageUnreachable: It cannot be written.
            ShotchainError: The provider cannot be asked.
        """
        try:
            result = await ask_patiently(lambda: self._ask_again(attempt), self._pauses)
        except OutcomeUnknown:
            return None  # only another account can ask, or nothing is said of it
        if result is None:
            if attempt.charged is Charged.UNKNOWN and await is_in_work(self._client, attempt):
                raise in_work_after_all(attempt)
            return None
        try:
            download = await self._download(attempt, result, key)
        except ResultGone:
            return None
        try:
            facts = await asyncio.to_thread(decode_whole, download.path, stills(download.sha256))
            paid = replace(attempt, cost_usd=attempt.cost_usd if result.cost_usd is None else result.cost_usd)
            kept = await self._keep(paid, result, key, download, facts)
        except ClipDamaged:
            return None
        finally:
            download.path.unlink(missing_ok=True)
        if attempt.charged is Charged.UNKNOWN and result.cost_usd is not None:
            charged = Charged.YES if result.cost_usd else Charged.NO
            cost_usd = result.cost_usd or None
            await in_ledger(self._ledger.settle, attempt.task_uuid, charged=charged, cost_usd=cost_usd)
        return kept

    async def stored(self, attempt: Attempt) -> Attempt | None:
        """Write down that the clip of a `succeeded` attempt is whole in the store; None where that was written."""
        return await in_ledger(self._ledger.move, attempt.task_uuid, State.STORED, expect={State.SUCCEEDED})

    async def _delivered(self, attempt: Attempt, result: VideoResult, key: str, *, is_last: bool) -> ClipRecord | None:
        """Keep what the provider itself has put into the store; None where that is nothing.

        The last look waits for nothing, and tells where the store refuses, because what lies there is not lost.
        """
        if self._deliveries is None:
            return None
        origin = _origin(attempt, result)
        try:
            record = await self._deliveries.arrived(attempt, result, key, origin, waits=not is_last)
        except StorageUnreachable as error:
            if is_last:
                raise
            # It may refuse this alone: to copy, or to let be seen what somebody else put there.
            message = f"what was delivered cannot be taken in; downloading it: {error.message}"
            self._tell(Stage.NOTE, attempt.shot, attempt.take, message=message)
            return None
        if record is None:
            return None
        await self._deliveries.taken_in(attempt)
        self._circuit.worked()
        if attempt.state is not State.STORED:
            await self.stored(attempt)
        return record

    async def _fresh(self, attempt: Attempt) -> VideoResult:
        result = await self._ask_again(attempt)
        if result is None:
            raise lost(attempt)
        return result

    async def _elsewhere(self, attempt: Attempt, result: VideoResult) -> VideoResult | None:
        """The same result at another address, if the provider names one."""
        try:
            fresh = await self._ask_again(attempt)
        except ShotchainError:
            return None  # that the download failed says more
        return fresh if fresh is not None and fresh.video_url != result.video_url else None

    async def _download(self, attempt: Attempt, result: VideoResult, key: str) -> Download:
        if not result.video_url:
            raise ResultGone("the provider names no address of it")
        name = f"{key[:16]}-{uuid.uuid4().hex[:8]}{suffix_of(result, attempt)}"
        return await download_result(self._client, result.video_url, self._scratch / name, pauses=self._pauses)

    async def _keep(
        self, attempt: Attempt, result: VideoResult, key: str, download: Download, facts: DecodedFacts
    ) -> Clip:
        origin = _origin(attempt, result)
        clip = await self._store.put(key, download, facts, origin)
        self._circuit.worked()
        if attempt.state is not State.STORED:
            await self.stored(attempt)
        return clip

    def _tell(self, stage: Stage, shot: str, take: int, *, cost_usd: Decimal | None = None, message: str = "") -> None:
        self._observe(Event(stage, shot, take, cost_usd=cost_usd, message=message))


def _origin(attempt: Attempt, result: VideoResult) -> Origin:
    return Origin(
        provider=attempt.provider,
        model=attempt.model,
        task_uuid=attempt.task_uuid,
        video_uuid=result.video_uuid,
        cost_usd=cost_of(attempt),
        seed=result.seed,
        nsfw=result.nsfw,
    )


def _age_s(attempt: Attempt) -> float:
    """Seconds since its result was known."""
    return (datetime.now(UTC) - (attempt.finished_at or attempt.updated_at)).total_seconds()


def _paid_by(record: ClipRecord, shot: str, take: int) -> Attempt:
    """The attempt that paid for a clip, as a ledger would have it. Which account that was, no record tells."""
    origin = record.origin
    return Attempt(
        task_uuid=origin.task_uuid,
        number=1,
        provider=origin.provider,
        account="",
        run_id="",
        storyboard="",
        shot=shot,
        take=take,
        model=origin.model,
        content_key=record.key,
        state=State.STORED,
        request={"outputFormat": record.suffix.removeprefix(".")},
        reserved_usd=origin.cost_usd,
        cost_usd=origin.cost_usd,
        charged=Charged.YES,
        posts=1,
        result={
            "videoUUID": origin.video_uuid,
            "cost": str(origin.cost_usd),
            "seed": origin.seed,
            "NSFWContent": origin.nsfw,
        },
        error=None,
        error_code=None,
        created_at=record.stored_at,
        updated_at=record.stored_at,
        stored_at=record.stored_at,
    )
