"""Reconciles every unfinished attempt with the provider, whatever storyboard it was made for, if that is there at all.

Each attempt is asked about once, all of them in one request, and goes on from its state:

    reserved    of a run that is no more: given back
    submitted   asked about; not known when its grace time is over: unknown
    accepted    asked about, and waited for if there is time
    unknown     asked about once more
    succeeded   taken in where it was delivered, else downloaded into the store, whether or not a plan still wants it

What a living run drives is left to it. Nothing is bought here: the inputs of a request are not at hand, so that the
one more post after a lost reply, which the grace rule allows, is left to the next run of the storyboard.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tasks.clips.delivery import Deliveries
from tasks.clips.endings import (
    AT_PROVIDER,
    made_in_spite_of,
    result_of_received,
    state_of_verdict,
    write_failure,
    write_success,
)
from tasks.clips.fetch import Fetcher
from tasks.clips.recall import (
    Seen,
    ask_for_result,
    ask_patiently,
    look_at_all,
    look_closely,
    other_account,
    unknown_outcome,
)
from tasks.clips.recovered import (
    RECOVERY,
    Happened,
    Recovered,
    driven,
    ended,
    in_work,
    own_error,
    released,
    stored,
    too_early,
    unclear,
)
from tasks.clips.store import ClipStore
from tasks.clips.wheel import Wheel
from tasks.clips.writing import in_ledger
from tasks.errors import Charged, OutcomeUnknown, ShotchainError, StorageUnreachable
from tasks.ledger import LIVE, Attempt, State
from tasks.ledger.heartbeat import Heartbeat
from tasks.ledger.ledger import Ledger
from tasks.progress import Event, Observer, Stage
from tasks.runware.client import RunwareClient
from tasks.runware.messages import VideoResult
from tasks.runware.pauses import Pauses
from tasks.runware.poller import Poller
from tasks.settings import Settings

__all__ = ["Happened", "Recovered", "recover"]

_FETCHES_AT_ONCE = 4


async def recover(
    *,
    settings: Settings,
    client: RunwareClient,
    poller: Poller,
    ledger: Ledger,
    store: ClipStore,
    scratch: Path,
    observer: Observer,
    wait_s: float = 0.0,
    pauses: Pauses | None = None,
) -> list[Recovered]:
    """Reconcile every live attempt of this provider; see the module. Safe at any time, beside any run.

    Of attempts that failed and may have been charged, the provider is asked what it took. Posts no `videoInference`,
    whatever it finds, because the inputs of a request are not at hand.

    Args:
        settings: Whose account asks, and how long the grace time is.
        client: Asks and downloads.
        poller: Waits.
        ledger: Whose attempts.
        store: Where clips go.
        scratch: Local folder for downloads under way.
        observer: Is told of each step.
        wait_s: Seconds for which what is in work is waited for.
        pauses: How long to wait before asking again.

    Returns:
        One entry an attempt, oldest first. One attempt's trouble stops no other: it stands in the entry's `error`.

    Raises:
        StorageUnreachable: The ledger does not answer.
    """
    holder, loop = f"{RECOVERY}{uuid.uuid4()}", asyncio.get_running_loop()

    def say(text: str) -> None:
        loop.call_soon_threadsafe(observer, Event(Stage.NOTE, message=text))

    heartbeat = Heartbeat(ledger, holder, settings.lease_s, say=say)
    try:
        await in_ledger(heartbeat.start)
        pauses = pauses or Pauses()
        return await _Recovery(settings, client, poller, ledger, store, scratch, observer, pauses, holder, wait_s).run()
    finally:
        await in_ledger(heartbeat.close)  # whatever it still drives is free now


class _Recovery:
    def __init__(
        self,
        settings: Settings,
        client: RunwareClient,
        poller: Poller,
        ledger: Ledger,
        store: ClipStore,
        scratch: Path,
        observer: Observer,
        pauses: Pauses,
        holder: str,
        wait_s: float,
    ) -> None:
        self._settings = settings
        self._client = client
        self._poller = poller
        self._ledger = ledger
        self._store = store
        self._pauses = pauses
        self._wheel = Wheel(ledger, holder, pauses=pauses)
        self._until_s = asyncio.get_running_loop().time() + wait_s
        self._fetching = asyncio.Semaphore(_FETCHES_AT_ONCE)
        self._deliveries = Deliveries(settings, store, observer, pauses)
        self._fetcher = Fetcher(
            client=client,
            ask_again=self._ask_again,
            store=store,
            ledger=ledger,
            scratch=scratch,
            observer=observer,
            deliveries=self._deliveries,
            pauses=pauses,
        )

    async def run(self) -> list[Recovered]:
        identity = self._settings.identity
        lapsed = await in_ledger(self._ledger.release_lapsed)
        found = [released(attempt) for attempt in lapsed if attempt.provider == identity]
        ours: list[tuple[State, Attempt]] = []
        for attempt in await in_ledger(self._ledger.attempts, provider=identity, states=LIVE):
            mine = await self._claim(attempt)
            if isinstance(mine, Recovered):
                found.append(mine)
            elif mine is not None:
                ours.append((attempt.state, mine))
        doubtful = await self._doubtful()
        asked = [attempt for _, attempt in ours if attempt.state in AT_PROVIDER and self._is_ours(attempt)]
        seen = await self._ask_about([*asked, *(attempt for attempt in doubtful if self._is_ours(attempt))])
        reconciled = await asyncio.gather(
            *(self._attempt(before, attempt, seen) for before, attempt in ours),
            *(self._charge(attempt, seen) for attempt in doubtful),
            return_exceptions=True,  # nobody is left behind, whatever happens to one
        )
        for item in reconciled:
            if isinstance(item, BaseException):
                raise item
            found.append(item)
        return sorted(found, key=lambda item: (item.attempt.created_at, item.attempt.number, item.attempt.task_uuid))

    async def _claim(self, attempt: Attempt) -> Attempt | Recovered | None:
        """Take the wheel of an attempt: it, or what is to be said where it is not for us; None where it is over."""
        if attempt.state in AT_PROVIDER and not self._is_ours(attempt) and not await self._received(attempt):
            return self._unclear(attempt.state, attempt, other_account(attempt))
        mine = await self._wheel.take(attempt) if attempt.state is not State.RESERVED else None
        if mine is not None:
            return mine
        now = await self._wheel.read(attempt)
        if now.state not in LIVE:
            return None
        return driven(attempt.state, now)

    async def _doubtful(self) -> list[Attempt]:
        """What is over, without a clip, and may have been charged."""
        over = {State.FAILED, State.REFUSED}
        attempts = await in_ledger(self._ledger.attempts, provider=self._settings.identity, states=over)
        return [attempt for attempt in attempts if attempt.charged is Charged.UNKNOWN]

    # -- asking ----------------------------------------------------------------------------------------------------

    async def _ask_about(self, attempts: Sequence[Attempt]) -> dict[str, Seen] | ShotchainError:
        """All in one question; the error where the provider cannot be asked at all."""
        uuids = [attempt.task_uuid for attempt in attempts]
        try:
            return await ask_patiently(lambda: look_at_all(self._client, uuids), self._pauses) if uuids else {}
        except ShotchainError as error:
            return error

    async def _closely(self, attempt: Attempt) -> Seen:
        return await ask_patiently(lambda: look_closely(self._client, attempt.task_uuid), self._pauses)

    async def _known(self, attempt: Attempt, seen: dict[str, Seen] | ShotchainError) -> Seen:
        """What the provider knows of one attempt. Details are kept longer than what polling shows."""
        if isinstance(seen, ShotchainError):
            raise own_error(seen, attempt)
        known = seen.get(attempt.task_uuid)
        return known if known is not None and known != "missing" else await self._closely(attempt)

    async def _of_ours(self, attempt: Attempt, seen: dict[str, Seen] | ShotchainError) -> Seen:
        return await self._known(attempt, seen) if self._is_ours(attempt) else None

    async def _ask_again(self, attempt: Attempt) -> VideoResult | None:
        if not self._is_ours(attempt):
            raise other_account(attempt)
        return await ask_patiently(lambda: ask_for_result(self._client, attempt), self._pauses)

    # -- one attempt -----------------------------------------------------------------------------------------------

    async def _attempt(self, before: State, attempt: Attempt, seen: dict[str, Seen] | ShotchainError) -> Recovered:
        try:
            if attempt.state in AT_PROVIDER:
                attempt = await self._reconciled(attempt, seen)
            return await self._told(before, attempt)
        except ShotchainError as error:
            attempt = await self._wheel.read(attempt)
            if isinstance(error, OutcomeUnknown) and self._is_overdue(attempt):
                attempt = await self._move(attempt, State.UNKNOWN)  # so that a person can settle it
            return self._unclear(before, attempt, error)
        finally:
            await self._wheel.let_go(attempt)

    async def _reconciled(self, attempt: Attempt, seen: dict[str, Seen] | ShotchainError) -> Attempt:
        if not await self._deliveries.received(attempt):
            return await self._settle(attempt, await self._known(attempt, seen))
        return await self._over(attempt, await result_of_received(attempt, lambda: self._of_ours(attempt, seen)))

    async def _received(self, attempt: Attempt) -> bool:
        try:
            return await self._deliveries.received(attempt)
        except StorageUnreachable:
            return False  # it is said of those that are in the store; of this one, that it is another account's

    async def _settle(self, attempt: Attempt, known: Seen) -> Attempt:
        """Write down what is known, and wait for more as long as there is time."""
        turn = 0
        while attempt.state is State.SUBMITTED and (known is None or known == "missing"):
            if self._is_overdue(attempt):
                return await self._move(attempt, State.UNKNOWN)
            if self._left_s() <= 0:
                return attempt
            turn += 1
            pause_s = self._pauses.backoff_s(turn, first_s=0.5, most_s=5.0)
            await asyncio.sleep(max(0.0, min(pause_s, self._early_s(attempt), self._left_s())))
            known = await self._closely(attempt)
        if isinstance(known, VideoResult | ShotchainError):
            return await self._over(attempt, known)
        if known == "known" and attempt.state is not State.ACCEPTED:
            attempt = await self._move(attempt, State.ACCEPTED)
        if attempt.state is not State.ACCEPTED:
            return attempt
        if self._is_gone(attempt, known):
            return await self._move(attempt, State.UNKNOWN)
        return await self._wait(attempt) if self._left_s() > 0 else attempt

    async def _wait(self, attempt: Attempt) -> Attempt:
        try:
            outcome = await self._poller.wait(
                attempt.task_uuid,
                deadline_s=self._left_s(),
                waited_s=max(0.0, _age_s(attempt.accepted_at or attempt.created_at)),
                missing_s=self._settings.grace_s,
            )
        except OutcomeUnknown as error:
            if error.code is None:
                return attempt  # in work still
            known = await self._closely(attempt)
            if not isinstance(known, VideoResult | ShotchainError):
                return attempt if known == "known" else await self._move(attempt, State.UNKNOWN)
            outcome = known
        return await self._over(attempt, outcome)

    async def _over(self, attempt: Attempt, outcome: VideoResult | ShotchainError) -> Attempt:
        if isinstance(outcome, ShotchainError):
            error = own_error(outcome, attempt)
            made = await made_in_spite_of(attempt, error, self._deliveries, self._ask_again)
            if made is None:
                failed = await write_failure(self._ledger, attempt, state_of_verdict(error), error, self._deliveries)
                return failed or await self._wheel.read(attempt)
            outcome = made
        return await write_success(self._ledger, attempt, outcome) or await self._wheel.read(attempt)

    async def _move(self, attempt: Attempt, to: State) -> Attempt:
        error = unknown_outcome(attempt) if to is State.UNKNOWN else None
        expect = {attempt.state}
        moved = await in_ledger(self._ledger.move, attempt.task_uuid, to, expect=expect, error=error)
        return moved or await self._wheel.read(attempt)

    async def _bring(self, attempt: Attempt) -> None:
        """Have the clip of a paid attempt in the store."""
        async with self._fetching:
            if await self._store.keeps(attempt.content_key) is not None:
                await self._fetcher.stored(attempt)
                return
            result = await self._fetcher.result_of(attempt)
            await self._fetcher.fetch(attempt, result, key=attempt.content_key, shot=attempt.shot, take=attempt.take)

    async def _charge(self, attempt: Attempt, seen: dict[str, Seen] | ShotchainError) -> Recovered:
        """Settle what was taken for an attempt that failed, where the provider says that now."""
        known = seen.get(attempt.task_uuid) if isinstance(seen, dict) else None
        if isinstance(known, ShotchainError) and known.charged is not Charged.UNKNOWN and known.cost_usd is not None:
            settle, cost_usd = self._ledger.settle, known.cost_usd or None
            settled = await in_ledger(settle, attempt.task_uuid, charged=known.charged, cost_usd=cost_usd)
            attempt = settled or await self._wheel.read(attempt)
        return ended(attempt.state, attempt)

    async def _told(self, before: State, attempt: Attempt) -> Recovered:
        """What there is to be said of it, once its clip is in the store, if it has one."""
        match attempt.state:
            case State.SUCCEEDED:
                await self._bring(attempt)
                return stored(before, await self._wheel.read(attempt))
            case State.STORED:
                return stored(before, attempt)
            case State.ACCEPTED:
                return in_work(before, attempt)
            case State.RELEASED:
                return released(attempt)
            case State.SUBMITTED:
                return self._unclear(before, attempt, too_early(attempt, self._early_s(attempt)))
            case State.UNKNOWN:
                return self._unclear(before, attempt, unknown_outcome(attempt))
            case _:
                return ended(before, attempt)

    def _unclear(self, before: State, attempt: Attempt, error: ShotchainError) -> Recovered:
        return unclear(before, attempt, error, is_ours=self._is_ours(attempt))

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _is_ours(self, attempt: Attempt) -> bool:
        return not attempt.account or attempt.account == self._settings.account

    def _is_gone(self, attempt: Attempt, known: Seen) -> bool:
        """Whether an accepted task is known no more: by the provider's word, or by its silence for very long."""
        age_s = _age_s(attempt.accepted_at or attempt.created_at)
        if known == "missing":
            return age_s > self._settings.grace_s
        return known is None and age_s > self._settings.deadline_s

    def _early_s(self, attempt: Attempt) -> float:
        """Seconds of grace that are left to an attempt since it was posted last."""
        return self._settings.grace_s - _age_s(attempt.updated_at)

    def _is_overdue(self, attempt: Attempt) -> bool:
        """Whether the grace time of a lost request is over."""
        return attempt.state is State.SUBMITTED and self._early_s(attempt) <= 0

    def _left_s(self) -> float:
        """Seconds that are left for waiting."""
        return self._until_s - asyncio.get_running_loop().time()


def _age_s(since: datetime) -> float:
    return (datetime.now(UTC) - since).total_seconds()
