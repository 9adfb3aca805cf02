"""A Runware that speaks from a script: an httpx transport that accepts, drops, refuses, stalls and cuts short."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

import httpx

__all__ = [
    "PRICE_USD",
    "Answer",
    "Provider",
    "accept",
    "busy",
    "lose_reply",
    "lose_request",
    "refuse",
    "unavailable_after",
    "unreachable",
]

PRICE_USD = Decimal("0.42")

Answer: TypeAlias = Callable[["Provider", dict[str, Any], httpx.Request], httpx.Response]
Body: TypeAlias = Mapping[str, Any] | list[Any] | str


@dataclass
class Task:
    """An accepted task. `error` is how it will end, None for a video; it is in work for `polls` more questions."""

    uuid: str
    request: dict[str, Any]
    polls: float
    error: dict[str, Any] | None
    url_version: int = 0

    @property
    def has_ended(self) -> bool:
        return self.polls <= 0


@dataclass
class Provider(httpx.AsyncBaseTransport):
    """Answers in the order of its scripts, and like a healthy Runware where they are at their end.

    Attributes:
        clip: What downloads give.
        submissions: One answer for each `videoInference`, the next one first.
        endings: How accepted tasks end, in order of acceptance: an error object, or None for a video.
        downloads: One word for each download: `whole`, `cut` (announced, but not all sent), `broken` (whole, and no
            video), `gone`, `failing`.
        questions: Replies to whole POSTs of questions, before any is looked at: (HTTP status, body).
        polls: How many questions find a task in work.
        silent: Tasks in work answer as unknown ones do: not at all.
        most_questions: How many questions in one POST are answered.
        too_many: HTTP status of POSTs with more.
        answers_first_only: Whether of several questions only the first is answered.
        forgets: UUIDs that polling knows no more, though details do.
        lost: UUIDs that nothing knows any more.
        not_found: Whether an unknown task is told with an error.
        uploads: HTTP statuses of the next uploads that fail.
        nsfw: Whether every video is flagged.
        odd: What stands in every result besides, or instead.
        key: The key that is accepted; None for any.
    """

    clip: bytes = b""
    submissions: deque[Answer] = field(default_factory=deque)
    endings: deque[dict[str, Any] | None] = field(default_factory=deque)
    downloads: deque[str] = field(default_factory=deque)
    questions: deque[tuple[int, Body] | httpx.HTTPError] = field(default_factory=deque)
    polls: float = 0
    silent: bool = False
    most_questions: int | None = None
    too_many: int = 400
    answers_first_only: bool = False
    forgets: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    not_found: bool = False
    nsfw: bool = False
    odd: dict[str, Any] = field(default_factory=dict)
    uploads: deque[int] = field(default_factory=deque)
    key: str | None = None
    delay_s: float = 0.0
    tasks: dict[str, Task] = field(default_factory=dict)
    bodies: list[list[dict[str, Any]]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    headers: list[httpx.Headers] = field(default_factory=list)

    @property
    def charged_usd(self) -> Decimal:
        """The bill: every accepted task that gives a video."""
        return PRICE_USD * sum(task.error is None for task in self.tasks.values())

    @property
    def submitted(self) -> list[str]:
        """The taskUUID of each `videoInference` that arrived here, in order."""
        return [task["taskUUID"] for body in self.bodies for task in body if task["taskType"] == "videoInference"]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if request.method == "GET":
            self.headers.append(request.headers)
            return self._download(request)
        content = json.loads(await request.aread())
        kinds = {task["taskType"] for task in content}
        scripted_answer = kinds == {"videoInference"} and self.submissions
        answer = self.submissions.popleft() if scripted_answer else _healthy
        if answer is not unreachable:
            self.bodies.append(content)
            self.counts["posts"] += 1
            self.counts.update(task["taskType"] for task in content)
        if self.key is not None and request.headers["Authorization"] != f"Bearer {self.key}":
            told = request.headers["Authorization"].removeprefix("Bearer ")
            return reply(401, {"errors": [{"code": "invalidApiKey", "message": f"Invalid API key {told}"}]})
        if kinds <= {"getResponse", "getTaskDetails"} and self.questions:
            scripted = self.questions.popleft()
            if isinstance(scripted, httpx.HTTPError):
                raise scripted
            return reply(*scripted)
        if self.most_questions is not None and len(content) > self.most_questions:
            refusal = {"errors": [{"code": "invalidBody", "message": "too many tasks at a time"}]}
            return reply(self.too_many, refusal if self.too_many == 400 else "")
        if self.answers_first_only and kinds == {"getResponse"}:
            content = content[:1]
        if len(content) == 1:
            return answer(self, content[0], request)
        answers = [json.loads(answer(self, task, request).content) for task in content]
        data = [item for each in answers for item in each.get("data", [])]
        errors = [item for each in answers for item in each.get("errors", [])]
        return reply(200, {"data": data, **({"errors": errors} if errors else {})})

    def take(self, task: dict[str, Any]) -> None:
        """Accept a task: from now on it is known and will be charged."""
        error = self.endings.popleft() if self.endings else None
        self.tasks[task["taskUUID"]] = Task(task["taskUUID"], task, self.polls, error)

    def result(self, task: Task) -> dict[str, Any]:
        return {
            "taskType": "videoInference",
            "taskUUID": task.uuid,
            "status": "success",
            "videoUUID": f"video-{task.uuid}",
            "videoURL": f"https://cdn.test/{task.url_version}/{task.uuid}.mp4",
            "cost": float(PRICE_USD),
            "seed": 7,
            "NSFWContent": self.nsfw,
            **self.odd,
        }

    def _download(self, request: httpx.Request) -> httpx.Response:
        self.counts["downloads"] += 1
        word = self.downloads.popleft() if self.downloads else "whole"
        uuid = request.url.path.rsplit("/", 1)[-1].removesuffix(".mp4")
        if word == "gone" or uuid in self.lost:
            for task in self.tasks.values():
                task.url_version += task.uuid == uuid
            return httpx.Response(404, text="expired")
        if word == "failing":
            return httpx.Response(502)
        if word == "broken":
            return httpx.Response(200, content=self.clip[: len(self.clip) * 2 // 3])
        if word == "cut":
            return httpx.Response(
                200, headers={"Content-Length": str(len(self.clip))}, stream=_Cut(self.clip[: len(self.clip) // 2])
            )
        return httpx.Response(200, content=self.clip)


class _Cut(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


def reply(status: int, body: Body) -> httpx.Response:
    if isinstance(body, str):
        return httpx.Response(status, text=body)
    # As many servers do, which write whatever they hold: `NaN`, or half a character.
    return httpx.Response(status, content=json.dumps(body), headers={"Content-Type": "application/json"})


def _healthy(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
    uuid = task["taskUUID"]
    if task["taskType"] == "videoInference":
        return accept(provider, task, request)
    if task["taskType"] == "imageUpload":
        return reply(200, {"data": [{**task, "image": None, "imageUUID": f"image-{provider.counts['imageUpload']}"}]})
    if task["taskType"] == "mediaStorage" and provider.uploads:
        return reply(provider.uploads.popleft(), "busy")
    if task["taskType"] == "mediaStorage":
        return reply(200, {"data": [{**task, "media": None, "mediaUUID": f"media-{provider.counts['mediaStorage']}"}]})
    known = provider.tasks.get(uuid)
    if known is None or uuid in provider.lost or (uuid in provider.forgets and task["taskType"] == "getResponse"):
        if provider.not_found:
            error = {"code": "taskNotFound", "message": "no such task", "taskType": task["taskType"], "taskUUID": uuid}
            return reply(404, {"errors": [error]})
        return reply(200, {"data": []})
    items = _items(provider, known)
    if task["taskType"] == "getTaskDetails":
        outer = {"taskType": "getTaskDetails", "taskUUID": uuid, "request": [known.request], "response": items}
        return reply(200, {"data": [] if provider.silent and not known.has_ended else [outer]})
    known.polls -= 1
    return reply(200, items)


def _items(provider: Provider, task: Task) -> dict[str, Any]:
    if not task.has_ended:
        running = {"taskType": "videoInference", "taskUUID": task.uuid, "status": "processing"}
        return {"data": [] if provider.silent else [running]}
    if task.error is not None:
        return {"data": [], "errors": [{"status": "error", "taskUUID": task.uuid, **task.error}]}
    return {"data": [provider.result(task)]}


# -- what may become of a submission -----------------------------------------------------------------------------------


def accept(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
    """Take it, unless a task of this UUID is known."""
    del request
    if task["taskUUID"] in provider.tasks:
        error = {"code": "conflictTaskUUID", "message": "exists", "taskUUID": task["taskUUID"]}
        return reply(400, {"data": [], "errors": [error]})
    provider.take(task)
    return reply(200, {"data": [{"taskType": "videoInference", "taskUUID": task["taskUUID"]}]})


def lose_reply(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
    """Take it, and break the line before the reply."""
    accept(provider, task, request)
    raise httpx.ReadError("connection reset", request=request)


def lose_request(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
    """Break the line when the request is half way: it is not taken."""
    raise httpx.WriteError("broken pipe", request=request)


def unreachable(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
    """No connection comes about."""
    raise httpx.ConnectError("connection refused", request=request)


def unavailable_after(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
    """Take it, and let a gateway say that there is no capacity."""
    accept(provider, task, request)
    return httpx.Response(503, text="upstream unavailable")


def busy(status: int = 429, retry_after: str | None = None) -> Answer:
    """Do not take it: too many requests."""

    def answer(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={} if retry_after is None else {"Retry-After": retry_after})

    return answer


def refuse(code: str, status: int = 400, **facts: Any) -> Answer:
    """Do not take it, and say why."""

    def answer(provider: Provider, task: dict[str, Any], request: httpx.Request) -> httpx.Response:
        error = {"message": "no", "code": code, "taskType": "videoInference", "taskUUID": task["taskUUID"], **facts}
        return reply(status, {"errors": [error]})

    return answer
