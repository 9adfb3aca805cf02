"""Between HTTP and the desk: where a fault plan keeps requests from it, or spoils its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.emulator.desk import Desk, Reply
from tasks.emulator.errors import WireError
from tasks.emulator.faults import (
    Drip,
    DropReply,
    DropRequest,
    EmptyErrors,
    Hang,
    MixedErrors,
    Refuse,
    RefuseBatches,
    RefuseContent,
    Status,
    UnknownTask,
)
from tasks.emulator.fields import is_uuid4
from tasks.emulator.mischief import Mischief
from tasks.emulator.rule import Call, CallKind, Rule
from tasks.emulator.state import StateStore

__all__ = ["Answer", "Doorway", "in_the_manner_of", "instead_of_all"]

_KINDS: dict[Any, CallKind] = {
    "videoInference": "submit",
    "getResponse": "poll",
    "getTaskDetails": "details",
    "imageUpload": "upload",
    "mediaStorage": "upload",
}
_COUNTED = {"submit": "videoInference", "poll": "getResponse"}
_CODES = {429: "rateLimitExceeded", 503: "serviceUnavailable", 504: "queueTimeout"}


@dataclass(frozen=True)
class Answer:
    """What is sent, and how.

    Attributes:
        status: Of HTTP.
        body: JSON.
        headers: Further ones.
        is_dropped: Close the connection instead.
        after_s: Seconds to wait before anything is sent.
        over_s: Seconds over which the body trickles.
        is_of_all: Whether it answers the request as a whole, and none of its tasks.
    """

    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    is_dropped: bool = False
    after_s: float = 0.0
    over_s: float = 0.0
    is_of_all: bool = False


def instead_of_all(rule: Rule) -> Answer | None:
    """The answer to a whole request that this fault befell; None if it concerns one task or file."""
    if isinstance(rule, DropRequest):
        return Answer(is_dropped=True)
    if isinstance(rule, Status):
        error = WireError(_CODES.get(rule.status, "internalServerError"), "The provider cannot answer for the moment.")
        headers = {} if rule.retry_after_s is None else {"Retry-After": str(rule.retry_after_s)}
        return Answer(rule.status, {"errors": [error.as_wire()]}, headers, is_of_all=True)
    if isinstance(rule, RefuseBatches):
        error = WireError(rule.code, f"At most {rule.most} getResponse tasks are accepted in one request.")
        return Answer(rule.status, {"errors": [error.as_wire()]}, is_of_all=True)
    return None


def in_the_manner_of(rules: Sequence[Rule], answer: Answer) -> Answer:
    """`answer` as these rules have it: with another status, late, slow, or not at all."""
    for rule in rules:
        match rule:
            case Status():
                answer = instead_of_all(rule) or answer
            case EmptyErrors():
                answer = replace(answer, body={"errors": [], **answer.body})
            case MixedErrors():
                more = WireError(rule.code, rule.message).as_wire()
                answer = replace(answer, body={**answer.body, "errors": [*answer.body.get("errors", []), more]})
            case _:
                pass
    return replace(
        answer,
        is_dropped=any(isinstance(rule, DropReply) for rule in rules),
        after_s=sum(rule.after_s for rule in rules if isinstance(rule, Hang)),
        over_s=sum(rule.over_s for rule in rules if isinstance(rule, Drip)),
    )


class Doorway:
    """Answers POSTs as the desk does, faults aside.

    Args:
        desk: Who answers.
        mischief: What goes wrong.
        store: Which tasks are known.
    """

    def __init__(self, desk: Desk, mischief: Mischief, store: StateStore) -> None:
        self._desk = desk
        self._mischief = mischief
        self._store = store

    def answer(self, tasks: list[dict[str, Any]], origin: str) -> Answer:
        """The answer to the tasks of one POST. See `Desk.answer`."""
        questions = sum(task.get("taskType") == "getResponse" for task in tasks)
        calls = [self._call(task, questions) for task in tasks]
        passing: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        statuses: list[int] = []
        for task, call in zip(tasks, calls, strict=True):
            rule = next(iter(self._mischief.take(call, "before", only_first=True)), None) if call else None
            if call is None or rule is None:
                passing.append(task)
                continue
            whole = instead_of_all(rule)
            if whole is not None:
                return whole
            if call.kind in _COUNTED:
                self._store.count(_COUNTED[call.kind])
            refusal = _refusal(rule, call)
            if refusal is not None:
                self._store.count("rejected")
                errors.append(refusal.as_wire(task))
                statuses.append(refusal.http_status)
        reply = self._desk.answer(passing, origin) if passing else Reply(200, {"data": []})
        answered = Answer(reply.status, dict(reply.body))
        if errors:
            is_all = len(passing) + len(statuses) == len(tasks) and (not passing or reply.status != 200)
            body = {**reply.body, "errors": [*reply.body.get("errors", []), *errors]}
            answered = Answer(statuses[0] if is_all else 200, body)
        rules = [rule for call in calls if call for rule in self._mischief.take(call, "answer")]
        return in_the_manner_of(rules, answered)

    def _call(self, task: dict[str, Any], questions: int) -> Call | None:
        kind = _KINDS.get(str(task.get("taskType")))
        if kind is None:
            return None
        task_uuid = str(task.get("taskUUID", "")).lower()
        record = self._store.task(task_uuid) if is_uuid4(task_uuid) else None
        prompt = str(task.get("positivePrompt", "")) if kind == "submit" else record.prompt if record else ""
        return Call(kind, task_uuid, prompt, questions, is_known=record is not None)


def _refusal(rule: Rule, call: Call) -> WireError | None:
    """The error of a task that is kept from the desk; None if it is answered with nothing."""
    if isinstance(rule, Refuse):
        facts = {} if rule.allowed_values is None else {"allowedValues": rule.allowed_values}
        return WireError(rule.code, rule.message, rule.parameter, http_status=rule.status, **facts)
    if isinstance(rule, RefuseContent):
        return WireError(rule.code, rule.message, rule.input, http_status=rule.status)
    if isinstance(rule, UnknownTask):
        message = f"There is no task with taskUUID '{call.task_uuid}'."
        return WireError(rule.code, message, "taskUUID", http_status=rule.status)
    return None
