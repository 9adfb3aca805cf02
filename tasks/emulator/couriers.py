"""Brings results to where their tasks want them: clips to upload endpoints, results to webhooks.

What is not answered with 2xx is tried again. What an emulator was stopped or killed with, the next one on its state
folder goes on with, so that each delivery is made at least once; twice where an emulator was killed between sending
and noting it.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from tasks.emulator.deliveries import INTERRUPTED, Delivery, Errand, Journal, Sending, asked_for
from tasks.emulator.delivery_settings import Tries, may_go_to
from tasks.emulator.endings import Endings
from tasks.emulator.mischief import Mischief
from tasks.emulator.presence import Presence
from tasks.emulator.puts import put
from tasks.emulator.records import Outcome, ResultRecord, TaskRecord
from tasks.emulator.rounds import Rounds
from tasks.emulator.rule import Call
from tasks.emulator.settings import EmulatorSettings
from tasks.emulator.state import StateStore
from tasks.emulator.webhooks import Course, body_of, course_of

__all__ = ["Couriers"]

_OUTSIDE = "it leads outside of this machine, which this emulator may not reach"


class Couriers:
    """Delivers finished results in the background, all of them in one thread, which begins with the first.

    Args:
        settings: How it is sent, and where to.
        store: Where results are.
        mischief: What goes wrong.
        origin: Scheme, host and port that URLs in webhooks start with.
    """

    def __init__(self, settings: EmulatorSettings, store: StateStore, mischief: Mischief, origin: str) -> None:
        self._settings = settings
        self._store = store
        self._mischief = mischief
        self._origin = origin
        self._journal = Journal(store)
        self._endings = Endings(settings, store)
        self._presence = Presence(store.path("running"), store.name)
        self._random = random.Random(settings.seed)  # noqa: S311  pauses, not secrets
        self._lock = threading.Lock()
        self._is_stopped = False
        self._rounds: Rounds | None = None

    def start(self, ensure: Callable[[TaskRecord], None]) -> None:
        """Go on with what earlier emulators on this folder left undone.

        Args:
            ensure: Sees to it that the results of a task end. Nobody may ever ask about a task with a webhook.

        Raises:
            SettingsError: Another emulator, which starts on this folder too, does not come to an end with it.
        """
        self._presence.begin()
        unfinished: dict[str, TaskRecord] = {}
        with self._presence.alone():
            for task in self._journal.expected():
                for result in task.results:
                    outcome = self._store.outcome(result.video_uuid)
                    if outcome is None:
                        unfinished[task.task_uuid] = task
                    elif not self._journal.is_over(task, result, outcome):
                        owner = self._journal.owner(result, outcome)
                        if not self._presence.is_running(owner):
                            self._journal.take_over(result, self._store.name)
                            self.send(task, result, outcome)
                self._journal.forget_if_over(task)
        for task in unfinished.values():
            ensure(task)

    def send(self, task: TaskRecord, result: ResultRecord, outcome: Outcome) -> None:
        """Deliver a result that has just ended, where its task asks for it."""
        errands = asked_for(task, outcome)
        if not errands:
            return
        # One after another, where the result waits for its clip to be put.
        rounds_of = [errands] if self._settings.upload_endpoints.waits else [[errand] for errand in errands]
        with self._lock:
            # A result that ends too late is found, undelivered, by the next emulator.
            if self._is_stopped:
                return
            if self._rounds is None:
                self._rounds = Rounds()
            for some in rounds_of:
                self._rounds.add(self._deliver(task, result, outcome, some, self._rounds))

    def stop(self) -> None:
        """End what is being sent soon, and leave what is not delivered to the next emulator."""
        with self._lock:
            self._is_stopped = True
            rounds, self._rounds = self._rounds, None
        if rounds is not None:
            rounds.stop()
        self._presence.end()

    # One result

    async def _deliver(
        self, task: TaskRecord, result: ResultRecord, outcome: Outcome, errands: Sequence[Errand], rounds: Rounds
    ) -> None:
        while (left_s := task.ended_at(result, outcome) - time.time()) > 0:
            await rounds.pause(left_s)
        ways = {"put": self._put, "webhook": self._tell}
        for errand in errands:
            if not self._journal.delivery(result.video_uuid, errand).is_over:
                await ways[errand](task, result, rounds)
        self._journal.forget_if_over(task)

    async def _put(self, task: TaskRecord, result: ResultRecord, rounds: Rounds) -> None:
        settings, url = self._settings.upload_endpoints, task.upload_endpoint or ""
        if not may_go_to(url, settings.to):
            self._journal.note(result.video_uuid, "put", Delivery().ended("withheld", _OUTSIDE))
            return
        content = await asyncio.to_thread(self._store.video_path(task, result.video_uuid).read_bytes)

        async def send() -> Sending:
            self._store.count("puts")
            rules = self._mischief.take(_call("put", task, result), "before")
            return await put(rounds.line, url, content, task.media_type, settings, rules)

        await self._try(result, "put", send, settings.tries, rounds)

    async def _tell(self, task: TaskRecord, result: ResultRecord, rounds: Rounds) -> None:
        settings, url = self._settings.webhooks, task.webhook_url or ""
        course = self._course(task, result)
        if isinstance(course, Delivery):
            self._journal.note(result.video_uuid, "webhook", course)
            return
        await rounds.pause(course.after_s)
        await rounds.let_pass(course.behind, course.behind_at_most_s)

        async def send() -> Sending:
            self._store.count("webhooks")
            headers = {"Content-Type": "application/json"}
            return await rounds.line.send("POST", url, course.content or b"", headers, settings.tries.timeout_s)

        delivery = await self._try(result, "webhook", send, settings.tries, rounds)
        for _copy in range(course.copies if delivery.state == "delivered" else 0):
            await rounds.pause(course.copies_after_s)
            delivery = delivery.with_sending(replace(await send(), copy=True))
            self._journal.note(result.video_uuid, "webhook", delivery)

    def _course(self, task: TaskRecord, result: ResultRecord) -> Course | Delivery:
        """How a webhook goes; or, if nothing is sent, what is to be noted of it."""
        settings = self._settings.webhooks
        if not may_go_to(task.webhook_url or "", settings.to):
            return Delivery().ended("withheld", _OUTSIDE)
        # In the spelling of whoever sent the task.
        task_uuid = str(task.request.get("taskUUID", task.task_uuid))
        body = body_of(self._endings.item(task, result, origin=self._origin, task_uuid=task_uuid), settings)
        if body is None:
            return Delivery().ended("withheld", "failures are not told to webhooks here")
        course = course_of(body, self._mischief.take(_call("webhook", task, result), "before"))
        return Delivery().ended("lost") if course.content is None else course

    async def _try(
        self,
        result: ResultRecord,
        errand: Errand,
        send: Callable[[], Coroutine[Any, Any, Sending]],
        tries: Tries,
        rounds: Rounds,
    ) -> Delivery:
        delivery = self._journal.delivery(result.video_uuid, errand)
        while not delivery.is_over:
            async with rounds.at_once:
                began_at = time.time()
                try:
                    sending = await send()
                except asyncio.CancelledError:
                    sending = Sending(began_at, problem=INTERRUPTED)
                    self._journal.note(result.video_uuid, errand, delivery.with_sending(sending))
                    raise
            if errand == "webhook" and not delivery.tries:
                rounds.passed()
            delivery = delivery.with_sending(sending)
            if sending.is_taken:
                delivery = delivery.ended("delivered")
            elif delivery.tries >= tries.most:
                delivery = delivery.ended("failed")
            self._journal.note(result.video_uuid, errand, delivery)
            if not delivery.is_over:
                await rounds.pause(tries.pause_s(delivery.tries, self._random.random()))
        return delivery


def _call(kind: Errand, task: TaskRecord, result: ResultRecord) -> Call:
    number = 1 + [each.video_uuid for each in task.results].index(result.video_uuid)
    return Call(kind, task.task_uuid, task.prompt, result=number)
