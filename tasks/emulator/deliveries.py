"""What has been brought of each result, and whose job it is: a journal that outlives the emulator.

undelivered/TASK_UUID      a task of which something is still to be brought
deliveries/VIDEO_UUID.json what was sent of one result
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from tasks.emulator.records import Outcome, ResultRecord, TaskRecord
from tasks.emulator.state import StateStore

__all__ = ["INTERRUPTED", "Delivery", "DeliveryState", "Errand", "Journal", "Sending", "asked_for", "without_queries"]

Errand = Literal["put", "webhook"]
"""What is brought: the clip, by PUT to the task's `uploadEndpoint`; its result, by POST to the `webhookURL`."""

DeliveryState = Literal["waiting", "delivered", "failed", "withheld", "lost"]
"""Still under way; taken; not taken in all tries; not to be sent at all; lost by a fault."""

INTERRUPTED = "the emulator was stopped"
"""The problem of a try that the emulator's own end cut short."""


@dataclass(frozen=True)
class Sending:
    """One try.

    Attributes:
        at: When it began, in Unix seconds.
        status: What was answered, if anything was.
        problem: Why there is no answer, or why it does not count.
        copy: Whether it only repeats what had been delivered.
    """

    at: float
    status: int | None = None
    problem: str | None = None
    copy: bool = False

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it."""
        return self.problem is None and self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Delivery:
    """How far one errand of one result is.

    Attributes:
        state: Whether something is still to be sent, and if not, how it ended.
        sent: The tries.
        over_at: When it ended, in Unix seconds.
        why: Why it was withheld.
    """

    state: DeliveryState = "waiting"
    sent: tuple[Sending, ...] = ()
    over_at: float | None = None
    why: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be sent."""
        return self.state != "waiting"

    @property
    def tries(self) -> int:
        """Tries that count: neither copies, nor those that the emulator's end cut short."""
        return sum(not sending.copy and sending.problem != INTERRUPTED for sending in self.sent)

    def ended(self, state: DeliveryState, why: str | None = None) -> Delivery:
        """The delivery, over now."""
        return replace(self, state=state, over_at=time.time(), why=why)

    def with_sending(self, sending: Sending) -> Delivery:
        """The delivery one try later."""
        return replace(self, sent=(*self.sent, sending))


@dataclass(frozen=True)
class _Entry:
    by: str = ""
    errands: dict[str, Delivery] = field(default_factory=dict)


def asked_for(task: TaskRecord, outcome: Outcome | None) -> list[Errand]:
    """What is to be brought of a result that ended so, or that has not ended."""
    has_failed = outcome is not None and outcome.error is not None
    put: list[Errand] = ["put"] if task.upload_endpoint and not has_failed else []
    return [*put, "webhook"] if task.webhook_url else put


class Journal:
    """The deliveries of one state folder.

    Args:
        store: The folder.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store

    # Tasks

    def expect(self, task_uuid: str) -> None:
        """Remember, before a task is accepted, that something of it will be to be brought."""
        self._store.path(f"undelivered/{task_uuid}").touch()

    def expected(self) -> list[TaskRecord]:
        """The tasks of which something is still to be brought, in the order of their acceptance."""
        found: list[TaskRecord] = []
        for path in self._store.path("undelivered").iterdir():
            task = self._store.task(path.name)
            if task is None:
                # It was never accepted.
                path.unlink(missing_ok=True)
            else:
                found.append(task)
        return sorted(found, key=lambda task: (task.accepted_at, task.task_uuid))

    def forget_if_over(self, task: TaskRecord) -> None:
        """Expect nothing more of a task if nothing more is to come."""
        for result in task.results:
            outcome = self._store.outcome(result.video_uuid)
            if outcome is None or not self.is_over(task, result, outcome):
                return
        self._store.path(f"undelivered/{task.task_uuid}").unlink(missing_ok=True)

    # Results

    def owner(self, result: ResultRecord, outcome: Outcome) -> str:
        """The emulator whose job it is to bring a result: the one that ended it, unless another one took over."""
        return self._read(result.video_uuid).by or outcome.by

    def take_over(self, result: ResultRecord, owner: str) -> None:
        """Make it the job of another emulator."""
        self._write(result.video_uuid, replace(self._read(result.video_uuid), by=owner))

    def is_over(self, task: TaskRecord, result: ResultRecord, outcome: Outcome) -> bool:
        """Whether nothing more is to be brought of a result."""
        return all(self.delivery(result.video_uuid, errand).is_over for errand in asked_for(task, outcome))

    def delivery(self, video_uuid: str, errand: Errand) -> Delivery:
        """How far an errand is."""
        return self._read(video_uuid).errands.get(errand, Delivery())

    def note(self, video_uuid: str, errand: Errand, delivery: Delivery) -> None:
        """Keep how far an errand is."""
        entry = self._read(video_uuid)
        self._write(video_uuid, replace(entry, errands={**entry.errands, errand: delivery}))

    def told(self, task: TaskRecord) -> list[dict[str, Any]]:
        """What the books say of a task's deliveries. Of addresses they say no more than where they lead."""
        told: list[dict[str, Any]] = []
        to: Mapping[str, str | None] = {"put": task.upload_endpoint, "webhook": task.webhook_url}
        for result in task.results:
            for errand in asked_for(task, self._store.outcome(result.video_uuid)):
                delivery = self.delivery(result.video_uuid, errand)
                item = {
                    "errand": errand,
                    "videoUUID": result.video_uuid,
                    "to": _without_query(to[errand] or ""),
                    "state": delivery.state,
                    "sent": [{key: value for key, value in asdict(each).items() if value} for each in delivery.sent],
                }
                more = {"over_at": delivery.over_at, "why": delivery.why}
                told.append(item | {key: value for key, value in more.items() if value})
        return told

    # Files

    def _read(self, video_uuid: str) -> _Entry:
        fields = self._store.read_json(f"deliveries/{video_uuid}.json") or {}
        errands = {
            errand: Delivery(**{**kept, "sent": tuple(Sending(**each) for each in kept["sent"])})
            for errand, kept in fields.get("errands", {}).items()
        }
        return _Entry(fields.get("by", ""), errands)

    def _write(self, video_uuid: str, entry: _Entry) -> None:
        self._store.write_json(f"deliveries/{video_uuid}.json", asdict(entry))


def without_queries(request: dict[str, Any]) -> dict[str, Any]:
    """A request, whose addresses to deliver to say no more than where they lead."""
    names = [name for name in ("uploadEndpoint", "webhookURL") if name in request]
    return {**request, **{name: _without_query(str(request[name])) for name in names}}


def _without_query(url: str) -> str:
    # Whoever may post there, or put something there, is told by the query as a rule.
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
