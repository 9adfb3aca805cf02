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
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from tasks.emulator.deliveries import INTERRUPTED, Delivery, Errand, Journal, Sending, asked_for
from tasks.emulator.delivery_settings import Tries, may_go_to
from tasks.emulator.items import result_item
from tasks.emulator.mischief import Mischief
from tasks.emulator.presence import Presence
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
            SettingsError: The folder cannot be shared with others.
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
        if not asked_for(task, outcome):
            return
        with self._lock:
            # A result that ends too late is found, undelivered, by the next emulator.
            if self._is_stopped:
                return
            if self._rounds is None:
                self._rounds = Rounds()
            self._rounds.add(self._deliver(task, result, outcome, self._rounds))

    def stop(self) -> None:
        """End what is being sent soon, and leave what is not delivered to the next emulator."""
        with self._lock:
            self._is_stopped = True
            rounds, self._rounds = self._rounds, None
        if rounds is not None:
            rounds.stop()
        self._presence.end()

    # One result

    async def _deliver(self, task: TaskRecord, result: ResultRecord, outcome: Outcome, rounds: Rounds) -> None:
        await rounds.pause(task.ended_at(result, outcome) - time.time())
        errands: dict[Errand, Callable[..., Coroutine[Any, Any, None]]] = {
            "upload": self._upload,
            "webhook": self._tell,
        }
        for errand in asked_for(task, outcome):
            if not self._journal.delivery(result.video_uuid, errand).is_over:
                await errands[errand](task, result, outcome, rounds)
        self._journal.forget_if_over(task)

    async def _upload(self, task: TaskRecord, result: ResultRecord, _outcome: Outcome, rounds: Rounds) -> None:
        url = task.upload_endpoint or ""
        if not may_go_to(url, "loopback"):
            self._journal.note(result.video_uuid, "upload", Delivery("withheld", why=_OUTSIDE))
            return
        path = self._store.video_path(task, result.video_uuid)
        content = await asyncio.to_thread(path.read_bytes)
        headers = {"Content-Type": "application/octet-stream"}

        async def put() -> Sending:
            self._store.count("uploads")
            return await rounds.line.send("PUT", url, content, headers, 60)

        await self._try(result, "upload", put, Tries(), rounds)

    async def _tell(self, task: TaskRecord, result: ResultRecord, outcome: Outcome, rounds: Rounds) -> None:
        settings, url = self._settings.webhooks, task.webhook_url or ""
        course = self._course(task, result, outcome)
        if isinstance(course, Delivery):
            self._journal.note(result.video_uuid, "webhook", course)
            return
        await rounds.pause(course.after_s)
        await rounds.let_pass(course.behind, course.behind_at_most_s)

        async def post() -> Sending:
            self._store.count("webhooks")
            headers = {"Content-Type": "application/json"}
            return await rounds.line.send("POST", url, course.content or b"", headers, settings.tries.timeout_s)

        delivery = await self._try(result, "webhook", post, settings.tries, rounds)
        for _copy in range(course.copies if delivery.state == "delivered" else 0):
            await rounds.pause(course.copies_after_s)
            delivery = delivery.with_sending(replace(await post(), copy=True))
            self._journal.note(result.video_uuid, "webhook", delivery)

    def _course(self, task: TaskRecord, result: ResultRecord, outcome: Outcome) -> Course | Delivery:
        """How a webhook goes; or, if nothing is sent, what is to be noted of it."""
        settings = self._settings.webhooks
        if not may_go_to(task.webhook_url or "", settings.to):
            return Delivery("withheld", why=_OUTSIDE)
        address = self._store.address(result.video_uuid) if result.fate.expiry else 0
        # In the spelling of whoever sent the task.
        task_uuid = str(task.request.get("taskUUID", task.task_uuid))
        item = result_item(task, result, outcome, origin=self._origin, task_uuid=task_uuid, address=address)
        body = body_of(item, settings)
        if body is None:
            return Delivery("withheld", why="failures are not told to webhooks here")
        number = 1 + [each.video_uuid for each in task.results].index(result.video_uuid)
        call = Call("webhook", task.task_uuid, task.prompt, result=number)
        course = course_of(body, self._mischief.take(call, "before"))
        return Delivery("lost") if course.content is None else course

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
                delivery = replace(delivery, state="delivered")
            elif delivery.tries >= tries.most:
                delivery = replace(delivery, state="failed")
            self._journal.note(result.video_uuid, errand, delivery)
            if not delivery.is_over:
                await rounds.pause(tries.pause_s(delivery.tries, self._random.random()))
        return delivery
