"""The one poller: it asks about every task in flight in one request, and wakes whoever waits for each.

How often is decided in `tasks.runware.pace`. Whoever is due first takes all others along, so that the cost is that of
one task, whatever else is in flight.
"""

from __future__ import annotations

import asyncio
import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tasks.errors import KeyRefused, NoCredit, OutcomeUnknown, RateLimited, ShotchainError
from tasks.runware.client import RunwareClient
from tasks.runware.failures import is_not_found
from tasks.runware.messages import Reply, VideoResult
from tasks.runware.pace import Pace
from tasks.runware.pauses import Pauses

__all__ = ["Ended", "Poller", "Reports"]

# How many tasks one request asks about: all, as long as the provider takes that.
_BATCHES = (sys.maxsize, 100, 1)
# After so many failed questions about many, or so many answers that leave one out, one is asked about alone.
_PROBE_AFTER = 3
_RESUMED_S = 1.0
# Reading what was reported costs the provider nothing.
_LISTEN_S = 0.5
_MOST_STRETCH = 5
_STILL = (
    "The task is still the provider's; run the same command again to fetch it. If it never ends, tell the ledger what "
    "the provider's own books say: shotchain settle."
)


@dataclass(frozen=True, slots=True)
class Ended:
    """A task that is over: its results in the order in which they came, and the failure that took the others' place.

    `failure` is None where every result that was asked for is there.
    """

    results: tuple[VideoResult, ...]
    failure: ShotchainError | None = None


class Reports(Protocol):
    """What the provider tells of its own accord; `net_s` is how often, in seconds, it is asked all the same."""

    net_s: float

    async def of(self, task_uuids: Sequence[str]) -> Reply:
        """All that was told of these tasks, as one reply.

        Raises:
            ShotchainError: It cannot be read just now.
        """
        ...


@dataclass(slots=True, eq=False)
class _Waiting:
    """Someone who waits for a task: since when it is in work and waited for, when to give up, when to ask next."""

    task_uuid: str
    number_results: int
    since_s: float
    joined_s: float
    deadline_s: float
    next_s: float
    missing_s: float
    done: asyncio.Future[Ended] = field(repr=False)
    missing_since_s: float | None = None
    left_out: int = 0
    was_told_alone: bool = False
    in_work_s: float | None = None


class Poller:
    """Waits for results on behalf of many coroutines of one event loop.

    Args:
        client: Asks.
        say: Told once, in a sentence, when something unusual happens.
        pauses: Jitter and backoff.
        reports: What is told without being asked for; None where nothing is.
    """

    def __init__(
        self,
        client: RunwareClient,
        *,
        say: Callable[[str], None] = lambda _: None,
        pauses: Pauses | None = None,
        reports: Reports | None = None,
    ) -> None:
        self._client = client
        self._reports = reports
        self._is_deaf = False
        self._listening: asyncio.Task[None] | None = None
        self._say = say
        self._pauses = pauses or Pauses()
        self._waiting: list[_Waiting] = []
        self._loop_task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._pace = Pace()
        self._batch = _BATCHES[0]
        self._failures = 0
        self._is_doubting_batches = False
        self._told_alone = 0
        self._quiet_until_s = 0.0

    async def wait(
        self, task_uuid: str, *, deadline_s: float, waited_s: float = 0.0, missing_s: float = 120.0
    ) -> VideoResult | ShotchainError:
        """Wait until a task of one result is over; see `wait_all`.

        Returns:
            The result; or the failure with which the provider ended the task.
        """
        ended = await self.wait_all(task_uuid, 1, deadline_s=deadline_s, waited_s=waited_s, missing_s=missing_s)
        if ended.failure is not None:
            return ended.failure
        return ended.results[0]

    async def wait_all(
        self,
        task_uuid: str,
        number_results: int,
        *,
        deadline_s: float,
        waited_s: float = 0.0,
        missing_s: float = 120.0,
    ) -> Ended:
        """Wait until a task is over. Several may wait for the same task.

        Args:
            task_uuid: A task that the provider accepted.
            number_results: How many results it was asked for: its `numberResults`. They come one after another, each
                answer holds all that are there.
            deadline_s: Seconds from now after which to give up. The task stays with the provider, to be asked for
                by a later run.
            waited_s: How long it has been in work already.
            missing_s: Seconds for which the provider may say that it knows no such task before that is believed.

        Returns:
            All results; or those that there are, and the failure with which the provider ended the task.

        Raises:
            OutcomeUnknown: It could not be learnt: the deadline passed, or the provider will not say. The task may
                be in work. With a `code` where the provider says that it knows no such task any more.
            KeyRefused: The provider does not let us ask.
            NoCredit: The provider does not let us ask.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        entry = _Waiting(
            task_uuid, number_results, now - waited_s, now, now + deadline_s, now, missing_s, loop.create_future()
        )
        self._waiting.append(entry)
        # What was in work before anyone here waited for it may be over already.
        first_s = Pace.soonest_s if waited_s > _RESUMED_S else self._pause_s(waited_s, self._longest_s(now))
        entry.next_s = max(now + self._pauses.jittered_s(first_s), self._quiet_until_s)
        self._news.set()
        if self._loop_task is None or self._loop_task.done():
            self._loop_task = asyncio.create_task(self._run(), name="poller")
        if self._reports is not None and (self._listening is None or self._listening.done()):
            self._listening = asyncio.create_task(self._listen(self._reports), name="reports")
        try:
            return await entry.done
        finally:
            self._drop(entry)

    async def close(self) -> None:
        """Stop asking. Whoever still waits is cancelled."""
        running = [task for task in (self._loop_task, self._listening) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for entry in list(self._waiting):
            entry.done.cancel()

    def _longest_s(self, now: float) -> float:
        return now - min((entry.joined_s for entry in self._waiting), default=now)

    def _pause_s(self, waited_s: float, longest_s: float) -> float:
        """Seconds to the next question about a task: long ones where answers come by themselves."""
        if self._reports is not None and not self._is_deaf:
            return self._reports.net_s
        return self._pace.pause_s(waited_s, longest_s)

    async def _listen(self, reports: Reports) -> None:
        """Read what is told of whoever is waited for, as an answer to a question would be read."""
        while self._waiting:
            await asyncio.sleep(self._pauses.jittered_s(_LISTEN_S))
            try:
                reply = await reports.of(list(dict.fromkeys(entry.task_uuid for entry in self._waiting)))
            except Exception as error:  # noqa: BLE001 -- whatever is wrong with reports, the provider can be asked
                if not self._is_deaf:
                    words = error.message if isinstance(error, ShotchainError) else f"{type(error).__name__}: {error}"
                    self._say(f"What the provider reports cannot be read just now ({words}); asking for it.")
                self._is_deaf = True
                continue
            self._is_deaf = False
            for entry in list(self._waiting):
                if reply.is_known(entry.task_uuid) or reply.error_of(entry.task_uuid):
                    self._read(entry, reply, alone=False)
                    if entry.done.done():
                        self._drop(entry)
                        self._news.set()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._sleep_until_due()
                await self._tick()
        except Exception as error:  # noqa: BLE001 -- whoever waits must hear of it, whatever it is
            for entry in list(self._waiting):
                self._raise(entry, error)

    async def _sleep_until_due(self) -> None:
        while self._waiting:
            now = asyncio.get_running_loop().time()
            due = min(min(entry.next_s, entry.deadline_s) for entry in self._waiting)
            if due <= now:
                return
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), due - now)
            except TimeoutError:
                return

    async def _tick(self) -> None:
        """Ask about all in one request; where that is refused, one by one, and only about those that are due."""
        now = asyncio.get_running_loop().time()
        asked = [item for item in self._waiting if self._batch > 1 or min(item.next_s, item.deadline_s) <= now]
        wanted = list(dict.fromkeys(item.task_uuid for item in asked))
        if self._batch > 1 and len(wanted) > 1 and self._failures >= _PROBE_AFTER:
            # A gateway that cannot carry so much may say that with a failure of its own.
            if not await self._ask(wanted[:1]):
                self._end_overdue(asked)
                return
            self._is_doubting_batches = True
        for start in range(0, len(wanted), self._batch):
            if not await self._ask(wanted[start : start + self._batch]):
                self._end_overdue(asked)
                return
        await self._ask_about_one_left_out(asked)
        self._end_overdue(asked)
        self._plan_next(asked)

    async def _ask_about_one_left_out(self, asked: Sequence[_Waiting]) -> None:
        """Silence about a task may mean that it is in work, or that only the first of many questions is answered."""
        silent = [item for item in asked if item.left_out >= _PROBE_AFTER and not item.done.done()]
        if not silent or self._batch == 1:
            return
        one = max(silent, key=lambda item: item.left_out)
        if await self._ask([one.task_uuid]) and one.was_told_alone:
            self._told_alone += 1
            # Once may be chance: it was over in that moment.
            if self._told_alone > 1:
                self._ask_about_fewer(2)

    async def _ask(self, batch: Sequence[str]) -> bool:
        """Ask about some tasks; False to ask about no more for now."""
        try:
            reply = await self._client.get_responses(batch)
        except (KeyRefused, NoCredit) as error:
            for entry in self._of(batch):
                self._raise(entry, error)
            return True
        except ShotchainError as error:
            if error.transient and not (self._is_doubting_batches and len(batch) > 1):
                self._after_failure(error)
                return False
            if len(batch) > 1:
                self._ask_about_fewer(len(batch))
                return False
            for entry in self._of(batch):
                self._raise(entry, _unanswered(error))
            return True
        self._failures = 0
        if len(batch) > 1:
            self._is_doubting_batches = False
        for entry in self._of(batch):
            speaks = reply.is_known(entry.task_uuid) or reply.error_of(entry.task_uuid, alone=len(batch) == 1)
            entry.left_out = 0 if speaks or len(batch) == 1 else entry.left_out + 1
            entry.was_told_alone = bool(speaks) and len(batch) == 1
            self._read(entry, reply, alone=len(batch) == 1)
        return True

    def _ask_about_fewer(self, refused: int) -> None:
        """Never ask about so many again."""
        self._is_doubting_batches = False
        self._batch = next(size for size in _BATCHES if size < refused)
        if self._batch > 1:
            self._say(f"The provider does not answer about {refused} tasks in one request; asking about {self._batch}.")
        else:
            self._say("The provider does not answer about several tasks in one request; asking one by one.")

    def _read(self, entry: _Waiting, reply: Reply, *, alone: bool) -> None:
        if entry.done.done():
            return
        now = asyncio.get_running_loop().time()
        results = tuple({result.video_uuid: result for result in reply.results_of(entry.task_uuid)}.values())
        if len(results) >= entry.number_results:
            if entry.in_work_s is not None:
                self._pace.learn(entry.in_work_s, now - entry.since_s)
            entry.done.set_result(Ended(results))
            return
        verdict = self._client.verdict_of(reply, entry.task_uuid, alone=alone)
        # One result of several may have failed while another is still in work.
        if verdict is not None and not (entry.number_results > 1 and reply.is_in_work(entry.task_uuid)):
            entry.done.set_result(Ended(results, verdict))
            return
        error = reply.error_of(entry.task_uuid, alone=alone)
        if error is None or not is_not_found(error) or reply.is_known(entry.task_uuid):
            entry.missing_since_s = None
            entry.in_work_s = now - entry.since_s
        elif entry.missing_since_s is None:
            # A task that was accepted a moment ago may not be everywhere yet.
            entry.missing_since_s = now
        if entry.missing_since_s is not None and now - entry.missing_since_s >= entry.missing_s:
            unknown = OutcomeUnknown(
                f"the provider accepted this task and says now that it knows none ({error and error.get('code')})",
                advice="Its price stays reserved. See the task at the provider; the next run asks once more.",
                code=str(error and error.get("code")),
            )
            self._raise(entry, unknown)

    def _of(self, task_uuids: Sequence[str]) -> list[_Waiting]:
        return [entry for entry in self._waiting if entry.task_uuid in task_uuids]

    def _drop(self, entry: _Waiting) -> None:
        if entry in self._waiting:
            self._waiting.remove(entry)

    @staticmethod
    def _raise(entry: _Waiting, error: Exception) -> None:
        if entry.done.done():
            return
        own = copy.copy(error)  # one error for many would be changed by each
        if isinstance(own, ShotchainError):
            own.task_uuid = entry.task_uuid
        entry.done.set_exception(own)

    def _after_failure(self, error: ShotchainError) -> None:
        """A question that failed is asked again later, and later each time."""
        self._failures += 1
        if self._failures == 3:
            self._say(f"The provider does not answer just now ({error.message}); still asking.")
        asked_s = error.retry_after_s if isinstance(error, RateLimited) else None
        pause_s = self._pauses.backoff_s(self._failures, first_s=1.0, most_s=60.0, asked_s=asked_s)
        # Whoever comes meanwhile waits as well: one who asks asks for all.
        self._quiet_until_s = asyncio.get_running_loop().time() + pause_s
        for entry in self._waiting:
            entry.next_s = self._quiet_until_s

    def _end_overdue(self, asked: Sequence[_Waiting]) -> None:
        now = asyncio.get_running_loop().time()
        for entry in asked:
            if not entry.done.done() and now >= entry.deadline_s:
                self._raise(entry, OutcomeUnknown(f"no result after {now - entry.since_s:.0f} s", advice=_STILL))
            if entry.done.done():
                self._drop(entry)

    def _plan_next(self, asked: Sequence[_Waiting]) -> None:
        now = asyncio.get_running_loop().time()
        # One jitter for all: each with its own, they would be due one after another, and one request would be many.
        jitter = self._pauses.jittered_s(1.0)
        longest_s = self._longest_s(now)
        # Where each needs a request of its own, many who wait ask less often.
        stretch = 1 if self._batch > 1 else min(len(self._waiting), _MOST_STRETCH)
        for entry in asked:
            if not entry.done.done():
                pause_s = self._pause_s(now - entry.since_s, longest_s)
                entry.next_s = now + jitter * min(max(Pace.latest_s, pause_s), stretch * pause_s)


def _unanswered(error: ShotchainError) -> OutcomeUnknown:
    return OutcomeUnknown(f"the provider does not answer what became of this task: {error.message}", advice=_STILL)
