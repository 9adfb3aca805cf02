"""The one poller: it asks about every task in flight in one request, and wakes whoever waits for each.

How often: an answer is asked for again after a tenth of the time already waited, never sooner than a quarter of a
second and never later than ten. So a result is learnt at most a tenth late, and a long wait costs few requests.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tasks.errors import (
    KeyRefused,
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
    ShotchainError,
)
from tasks.runware.client import RunwareClient
from tasks.runware.failures import failure_from_error
from tasks.runware.messages import Reply, VideoResult

__all__ = ["Poller"]

_SHARE = 0.1
_SOONEST_S = 0.25
_LATEST_S = 10.0
_BATCH = 100


@dataclass(slots=True)
class _Waiting:
    """Someone who waits for a task: since when, how late it gives up, when to ask next."""

    since_s: float
    deadline_s: float
    next_s: float
    done: asyncio.Future[VideoResult] = field(repr=False)


class Poller:
    """Waits for results on behalf of many coroutines of one event loop.

    Args:
        client: Asks.
        say: Told once, in a sentence, when something unusual happens.
        random_source: Makes the jitter.
    """

    def __init__(
        self,
        client: RunwareClient,
        *,
        say: Callable[[str], None] = lambda _: None,
        random_source: random.Random | None = None,
    ) -> None:
        self._client = client
        self._say = say
        self._random = random_source or random.Random()  # noqa: S311 -- jitter, not a secret
        self._waiting: dict[str, _Waiting] = {}
        self._loop_task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._batch = _BATCH
        self._failures = 0

    async def wait(self, task_uuid: str, *, deadline_s: float, waited_s: float = 0.0) -> VideoResult:
        """Wait until a task has its result.

        Args:
            task_uuid: A task that the provider accepted.
            deadline_s: Seconds from now after which to give up. The task stays with the provider, to be asked for
                by a later run.
            waited_s: How long it has been in work already.

        Raises:
            OutcomeUnknown: The deadline passed.
            ShotchainError: The provider ended the task, or refuses to be asked.
        """
        now = asyncio.get_running_loop().time()
        future: asyncio.Future[VideoResult] = asyncio.get_running_loop().create_future()
        entry = _Waiting(now - waited_s, now + deadline_s, now + self._pause(waited_s), future)
        self._waiting[task_uuid] = entry
        self._news.set()
        if self._loop_task is None or self._loop_task.done():
            self._loop_task = asyncio.create_task(self._run(), name="poller")
        try:
            return await future
        finally:
            if self._waiting.get(task_uuid) is entry:
                del self._waiting[task_uuid]

    async def close(self) -> None:
        """Stop asking."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            await asyncio.gather(self._loop_task, return_exceptions=True)

    def _pause(self, waited_s: float) -> float:
        return min(_LATEST_S, max(_SOONEST_S, _SHARE * waited_s)) * self._random.uniform(0.85, 1.15)

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._sleep_until_due()
                await self._tick()
        except Exception as error:  # noqa: BLE001 -- whoever waits must hear of it, whatever it is
            for entry in self._waiting.values():
                if not entry.done.done():
                    entry.done.set_exception(error)

    async def _sleep_until_due(self) -> None:
        while self._waiting:
            now = asyncio.get_running_loop().time()
            due = min(min(entry.next_s, entry.deadline_s) for entry in self._waiting.values())
            if due <= now:
                return
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), due - now)
            except TimeoutError:
                return

    async def _tick(self) -> None:
        asked = list(self._waiting)
        for start in range(0, len(asked), self._batch):
            batch = asked[start : start + self._batch]
            try:
                reply = await self._client.get_responses(batch)
            except RequestRejected as error:
                if len(batch) == 1:
                    self._fail(batch[0], error)
                    continue
                self._batch = 1
                self._say("The provider does not answer about several tasks in one request; asking one by one.")
                break
            except ShotchainError as error:
                if isinstance(error, KeyRefused) or not error.transient:
                    for task_uuid in batch:
                        self._fail(task_uuid, error)
                    continue
                self._after_failure(error)
                break
            self._failures = 0
            self._read(batch, reply)
        self._plan_next(asked)

    def _read(self, batch: Sequence[str], reply: Reply) -> None:
        for task_uuid in batch:
            results = reply.results_of(task_uuid)
            error = reply.error_of(task_uuid, alone=len(batch) == 1)
            if results:
                entry = self._waiting.get(task_uuid)
                if entry is not None and not entry.done.done():
                    entry.done.set_result(results[0])
            elif error is not None:
                self._fail(task_uuid, failure_from_error(error))

    def _fail(self, task_uuid: str, error: ShotchainError) -> None:
        entry = self._waiting.get(task_uuid)
        if entry is not None and not entry.done.done():
            error.task_uuid = task_uuid
            entry.done.set_exception(error)

    def _after_failure(self, error: ShotchainError) -> None:
        """A question that failed is asked again later, and later each time."""
        self._failures += 1
        if self._failures == 3:
            self._say(f"The provider does not answer just now ({error.message}); still asking.")
        asked_to_wait = error.retry_after_s if isinstance(error, RateLimited) else None
        pause = asked_to_wait or min(60.0, 0.5 * 2**self._failures) * self._random.uniform(0.5, 1.0)
        now = asyncio.get_running_loop().time()
        for entry in self._waiting.values():
            entry.next_s = now + pause

    def _plan_next(self, asked: Sequence[str]) -> None:
        now = asyncio.get_running_loop().time()
        for task_uuid in asked:
            entry = self._waiting.get(task_uuid)
            if entry is None or entry.done.done():
                self._waiting.pop(task_uuid, None)
                continue
            if now >= entry.deadline_s:
                entry.done.set_exception(
                    OutcomeUnknown(
                        f"no result after {now - entry.since_s:.0f} s",
                        advice="The task is still the provider's; run the same command again to fetch it.",
                        task_uuid=task_uuid,
                    )
                )
                self._waiting.pop(task_uuid, None)
            elif entry.next_s <= now:
                entry.next_s = now + self._pause(now - entry.since_s)
