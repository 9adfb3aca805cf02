"""Holds the ledger against the provider's own books: for every attempt that could have cost, what each of them says.

Nothing is bought and nothing fetched. What a living run drives is left to it, and what left under another API key is
not asked about. With `apply`, what the provider says is written down, as far as the ledger's rules allow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from tasks.clips.delivery import Deliveries
from tasks.clips.endings import AT_PROVIDER, made_in_spite_of, state_of_verdict, write_failure, write_success
from tasks.clips.recall import Seen, ask_for_result, ask_patiently, look_at_all, look_closely
from tasks.clips.recovered import driver_of, own_error
from tasks.clips.store import ClipStore
from tasks.clips.writing import in_ledger
from tasks.errors import Charged, ShotchainError
from tasks.ledger import PAID, Attempt, State, from_micro, nearest_micro
from tasks.ledger.ledger import Ledger
from tasks.runware.client import RunwareClient
from tasks.runware.messages import VideoResult
from tasks.runware.pauses import Pauses
from tasks.settings import Settings

__all__ = ["Compared", "Found", "compare", "reconcile"]

_ASKED_AT_ONCE = 4
_ZERO = Decimal(0)


class Found(StrEnum):
    """What comparing the two books found of one attempt."""

    EQUAL = "equal"
    IN_WORK = "in work"  # at the provider, or in the hands of a living run
    UNTOLD = "not told"  # the provider names no cost
    OTHER_ACCOUNT = "other account"  # only another API key can ask about it
    MORE = "charged more"
    LESS = "charged less"
    KNOWN_NOW = "known now"  # the ledger does not know what became of it, or of its money, and the provider does
    FAILED_CHARGED = "failed and charged"  # the ledger took it for free
    MADE = "made after all"  # the ledger took it for failed or never sent
    FAILED = "failed after all"  # the ledger has a clip of it
    GONE = "gone"  # paid for by the ledger, and the provider knows it no more
    UNKNOWN = "unknown"  # neither knows
    NOT_ASKED = "not asked"  # something kept the question from being answered


_AGREE = frozenset({Found.EQUAL, Found.IN_WORK, Found.UNTOLD, Found.OTHER_ACCOUNT})


@dataclass(frozen=True, slots=True)
class Compared:
    """One attempt in both books.

    `ledger_usd` is what the ledger counts for it, `provider_usd` what the provider says that it took; None where it
    does not say. `settled` says that the ledger was brought to what the provider says.
    """

    attempt: Attempt
    found: Found
    ledger_usd: Decimal
    provider_usd: Decimal | None
    message: str
    settled: bool = False
    error: ShotchainError | None = None

    @property
    def differs(self) -> bool:
        """Whether the two books differ, still."""
        return self.found not in _AGREE and not self.settled


async def reconcile(
    *,
    settings: Settings,
    client: RunwareClient,
    ledger: Ledger,
    since: datetime | None = None,
    apply: bool = False,
    pauses: Pauses | None = None,
) -> list[Compared]:
    """Compare every attempt of this provider that has left with what the provider keeps of it; see the module.

    Args:
        settings: Whose account asks.
        client: Asks.
        ledger: Whose attempts.
        since: Only what was submitted from then on; None for all.
        apply: Whether the provider's word is written into the ledger.
        pauses: How long to wait before asking again.

    Returns:
        One entry an attempt, oldest first. One attempt's trouble stops no other: it stands in the entry's `error`.

    Raises:
        StorageUnreachable: The ledger does not answer.
    """
    return await _Books(settings, client, ledger, pauses or Pauses()).compare(since, apply=apply)


class _Books:
    def __init__(self, settings: Settings, client: RunwareClient, ledger: Ledger, pauses: Pauses) -> None:
        self._settings = settings
        self._client = client
        self._ledger = ledger
        self._pauses = pauses
        # Nothing is delivered for a comparison; what was, for a run, speaks against what the provider says of it.
        self._deliveries = Deliveries(settings, ClipStore(settings.work, settings.cache), lambda _: None, pauses)
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def compare(self, since: datetime | None, *, apply: bool) -> list[Compared]:
        every = await in_ledger(self._ledger.attempts, provider=self._settings.identity)
        sent = [it for it in every if it.posts and (since is None or (it.submitted_at or it.created_at) >= since)]
        left = {it.task_uuid: found for it in sent if (found := await self._left_alone(it)) is not None}
        asked = [it for it in sent if it.task_uuid not in left]
        seen = await self._ask_about([it.task_uuid for it in asked])
        compared = await asyncio.gather(*(self._one(it, seen, apply=apply) for it in asked), return_exceptions=True)
        for item in compared:
            if isinstance(item, BaseException):
                raise item
            left[item.attempt.task_uuid] = item
        return [left[it.task_uuid] for it in sent]

    async def _left_alone(self, attempt: Attempt) -> Compared | None:
        if attempt.account and attempt.account != self._settings.account:
            message = "submitted with another API key, and only that account can be asked about it"
            return _compared(attempt, Found.OTHER_ACCOUNT, None, message)
        is_open = attempt.state in AT_PROVIDER
        if is_open and attempt.driver and await in_ledger(self._ledger.is_held, attempt.driver):
            return _compared(attempt, Found.IN_WORK, None, f"{driver_of(attempt)} drives it, and lives")
        return None

    async def _ask_about(self, task_uuids: Sequence[str]) -> dict[str, Seen] | ShotchainError:
        try:
            return (
                await ask_patiently(lambda: look_at_all(self._client, task_uuids), self._pauses) if task_uuids else {}
            )
        except ShotchainError as error:
            return error

    async def _one(self, attempt: Attempt, seen: dict[str, Seen] | ShotchainError, *, apply: bool) -> Compared:
        try:
            known = await self._known(attempt, seen)
        except ShotchainError as error:
            own = own_error(error, attempt)
            return replace(_compared(attempt, Found.NOT_ASKED, None, error.message), error=own)
        compared = compare(attempt, known)
        if apply and compared.differs and await self._settle(attempt, known, compared):
            return replace(compared, settled=True)
        return compared

    async def _known(self, attempt: Attempt, seen: dict[str, Seen] | ShotchainError) -> Seen:
        """What the provider knows of it. Details are kept longer than what polling shows."""
        if isinstance(seen, ShotchainError):
            raise seen
        known = seen.get(attempt.task_uuid)
        if known is not None and known != "missing":
            return known
        async with self._asking:
            return await ask_patiently(lambda: look_closely(self._client, attempt.task_uuid), self._pauses)

    async def _settle(self, attempt: Attempt, known: Seen, compared: Compared) -> bool:
        """Bring the ledger to what the provider says; whether nothing about it differs then.

        Each write holds only if the attempt is still what it was compared as.
        """
        if attempt.state in AT_PROVIDER:
            if isinstance(known, VideoResult):
                return await write_success(self._ledger, attempt, known) is not None
            if isinstance(known, ShotchainError):
                return await self._ended(attempt, own_error(known, attempt))
            return False
        cost_usd = compared.provider_usd
        if cost_usd is None or attempt.state is State.RELEASED:
            return False
        charged = Charged.YES if cost_usd or attempt.state in PAID else Charged.NO
        spent_usd = cost_usd if charged is Charged.YES else None
        if attempt.charged is Charged.UNKNOWN:
            settle = self._ledger.settle
            written = await in_ledger(settle, attempt.task_uuid, charged=charged, cost_usd=spent_usd)
        else:
            written = await in_ledger(self._ledger.correct, attempt, charged=charged, cost_usd=spent_usd)
        # That a clip which the ledger has is none at the provider stays to be looked at by a person.
        return written is not None and compared.found is not Found.FAILED

    async def _ended(self, attempt: Attempt, error: ShotchainError) -> bool:
        try:
            made = await made_in_spite_of(attempt, error, self._deliveries, self._ask_again)
        except ShotchainError:
            return False  # it stays as it is: what is ended may be bought again
        if made is not None:  # `shotchain recover` takes it in
            return await write_success(self._ledger, attempt, made) is not None
        ended = await write_failure(self._ledger, attempt, state_of_verdict(error), error, self._deliveries)
        return ended is not None and ended.charged in {Charged.YES, Charged.NO}

    async def _ask_again(self, attempt: Attempt) -> VideoResult | None:
        return await ask_patiently(lambda: ask_for_result(self._client, attempt), self._pauses)


def compare(attempt: Attempt, known: Seen) -> Compared:
    """What an attempt is in the ledger, beside what the provider says of it. Pure.

    Args:
        attempt: One that has left.
        known: See `tasks.clips.recall.look_closely`.
    """
    if known is None or known == "missing":
        return _not_known(attempt)
    if known == "known":
        if attempt.state in PAID:
            return _compared(attempt, Found.UNTOLD, None, "the provider knows it, and does not say what it cost")
        return _compared(attempt, Found.IN_WORK, None, "the provider is at work on it")
    told_usd = _told_usd(known)
    words = "does not say what it took" if told_usd is None else f"took ${told_usd}"
    if isinstance(known, VideoResult):
        return _made(attempt, told_usd, words)
    return _failed(attempt, told_usd, f"{known.message}; the provider {words}")


def _made(attempt: Attempt, told_usd: Decimal | None, words: str) -> Compared:
    if attempt.state in AT_PROVIDER:
        message = f"its clip is made, and the provider {words}; `shotchain recover` fetches it"
        return _compared(attempt, Found.KNOWN_NOW, told_usd, message)
    if attempt.state in PAID or attempt.charged is Charged.YES:
        # That a clip was made and then not accepted (flagged, or damaged) is no difference of the books.
        return _priced(attempt, told_usd, f"the provider made it and {words}")
    if told_usd == 0 and attempt.charged is not Charged.UNKNOWN:
        return _compared(attempt, Found.EQUAL, told_usd, "the provider made it and took nothing")
    message = f"the provider has a clip of it and {words}; the ledger has it as {attempt.state}"
    return _compared(attempt, Found.MADE, told_usd, message)


def _failed(attempt: Attempt, told_usd: Decimal | None, message: str) -> Compared:
    if attempt.state in AT_PROVIDER:
        return _compared(attempt, Found.KNOWN_NOW, told_usd, message)
    if attempt.state in PAID:
        return _compared(attempt, Found.FAILED, told_usd, f"the ledger has a clip of it; {message}")
    if attempt.charged is Charged.UNKNOWN:
        return _compared(attempt, Found.UNKNOWN if told_usd is None else Found.KNOWN_NOW, told_usd, message)
    if told_usd and attempt.charged is not Charged.YES:
        return _compared(attempt, Found.FAILED_CHARGED, told_usd, message)
    return _priced(attempt, told_usd, message)


def _not_known(attempt: Attempt) -> Compared:
    is_open = attempt.state in AT_PROVIDER and attempt.charged is None
    if is_open or attempt.charged is Charged.UNKNOWN:
        message = "what became of it is not known here, and the provider knows nothing of it"
        return _compared(attempt, Found.UNKNOWN, None, message)
    if attempt.state in PAID or attempt.charged is Charged.YES:
        return _compared(attempt, Found.GONE, None, "the provider knows it no more, so nothing can be compared")
    return _compared(attempt, Found.EQUAL, None, "nothing was taken, and the provider knows nothing of it")


def _priced(attempt: Attempt, told_usd: Decimal | None, message: str) -> Compared:
    if told_usd is None:
        return _compared(attempt, Found.UNTOLD, None, message)
    ledger_usd = attempt.totals.held_usd
    found = Found.EQUAL if told_usd == ledger_usd else Found.MORE if told_usd > ledger_usd else Found.LESS
    return _compared(attempt, found, told_usd, message)


def _told_usd(known: VideoResult | ShotchainError) -> Decimal | None:
    """What the provider says that it took, to the micro-dollar."""
    if isinstance(known, ShotchainError) and known.charged is Charged.UNKNOWN:
        return None
    if isinstance(known, ShotchainError) and known.charged is Charged.NO:
        return _ZERO
    return None if known.cost_usd is None else from_micro(nearest_micro(known.cost_usd))


def _compared(attempt: Attempt, found: Found, provider_usd: Decimal | None, message: str) -> Compared:
    return Compared(attempt, found, attempt.totals.held_usd, provider_usd, message)
