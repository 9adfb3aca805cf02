"""What the provider's replies mean: the envelope, the results in it, the errors in it.

Both envelopes are read: `errors` may be absent, empty, or stand beside `data`. Numbers with a point become
`Decimal`, so that a cost never passes through a float. What no database keeps is taken out here, so that whatever a
reply says can be written down.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, Final

from tasks.redaction import redact

__all__ = [
    "Reply",
    "VideoResult",
    "asked_s",
    "money",
    "named_task",
    "parse_reply",
    "read_reply",
    "without_uploads",
]

# What claims to be more is no amount: the ledger could not hold it.
_MOST_USD: Final = Decimal(10**9)
_UPLOAD: Final = re.compile(r"(?i)upload[-_]?(endpoint|url|uri|address|target)s?")


@dataclass(frozen=True, slots=True)
class VideoResult:
    """One finished video. `raw` is the item as received; `video_url` is empty where it was only put to an endpoint."""

    task_uuid: str
    video_uuid: str
    video_url: str
    cost_usd: Decimal | None
    seed: int | None
    nsfw: bool
    raw: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The item JSON-ready: a `Decimal` is kept as the text that came, so that not even a record rounds.

        Should it repeat where the video was to be put, that is left out: it is a secret of ours.
        """
        jsonable: dict[str, Any] = json.loads(json.dumps(without_uploads(self.raw, self.task_uuid), default=str))
        return jsonable


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, sorted: `data` items and `errors` items, each as received."""

    status_code: int
    data: tuple[Mapping[str, Any], ...] = ()
    errors: tuple[Mapping[str, Any], ...] = ()
    retry_after_s: float | None = None
    readable: bool = field(default=True)

    def data_of(self, task_uuid: str) -> list[Mapping[str, Any]]:
        """The data items of one task; matched by UUID, never by position."""
        return [item for item in self.data if item.get("taskUUID") == task_uuid]

    def error_of(self, task_uuid: str, *, alone: bool = False) -> Mapping[str, Any] | None:
        """The first error of one task. With `alone`, errors that name no task are taken as its own."""
        own = [item for item in self.errors if named_task(item) == task_uuid]
        nameless = [item for item in self.errors if named_task(item) is None] if alone else []
        return next(iter(own + nameless), None)

    def results_of(self, task_uuid: str) -> list[VideoResult]:
        """The finished videos of one task."""
        return [result for item in self.data_of(task_uuid) if (result := _result(item)) is not None]

    def is_known(self, task_uuid: str) -> bool:
        """Whether the reply speaks of the task in `data`: then the provider has it, whatever its status is called."""
        return bool(self.data_of(task_uuid))

    def is_in_work(self, task_uuid: str) -> bool:
        """Whether something of the task is not over yet."""
        return any(str(item.get("status", "")).lower() == "processing" for item in self.data_of(task_uuid))


def parse_reply(status_code: int, body: bytes, retry_after: str | None = None) -> Reply:
    """Read a reply's body; one that is not the provider's JSON gives a `Reply` that is not `readable`."""
    try:
        content: Any = json.loads(body, parse_float=Decimal)
        return read_reply(status_code, content, asked_s(retry_after))
    except (ValueError, RecursionError):
        return Reply(status_code, retry_after_s=asked_s(retry_after), readable=False)


def read_reply(status_code: int, content: Any, retry_after_s: float | None = None) -> Reply:
    """Sort a reply that was parsed already; see `parse_reply`."""
    content = _writable(content)
    if not isinstance(content, Mapping):
        return Reply(status_code, retry_after_s=retry_after_s, readable=False)
    data = tuple(_objects(content.get("data")))
    errors = [*_objects(content.get("errors")), *_objects(content.get("error"))]
    # Some replies report a failure inside `data`.
    for item in data:
        if str(item.get("status", "")).lower() == "error":
            inner = item.get("error")
            details = dict(inner) if isinstance(inner, Mapping) else {}
            errors.append({**details, "taskUUID": item.get("taskUUID"), "status": "error"})
    return Reply(
        status_code,
        tuple(item for item in data if str(item.get("status", "")).lower() != "error"),
        tuple(errors),
        retry_after_s,
        readable="data" in content or bool(errors),
    )


def without_uploads(value: Any, task_uuid: str) -> Any:
    """An item of a reply, or of a report, without the addresses at which its video was to be put, at whatever depth.

    Each is a secret of ours. It may be repeated under another name, so what names the task's object is masked, too.
    """
    if isinstance(value, Mapping):
        kept = {name: item for name, item in value.items() if not _UPLOAD.fullmatch(str(name))}
        return {name: without_uploads(item, task_uuid) for name, item in kept.items()}
    if isinstance(value, list | tuple):
        return [without_uploads(item, task_uuid) for item in value]
    if isinstance(value, str) and task_uuid in value and "incoming" in value:
        return redact(value)
    return value


def named_task(error: Mapping[str, Any]) -> str | None:
    """The taskUUID that an error object names, itself or in its context."""
    context = error.get("context")
    named = error.get("taskUUID") or (context.get("taskUUID") if isinstance(context, Mapping) else None)
    return named if isinstance(named, str) else None


def money(value: Any) -> Decimal | None:
    """Dollars as the wire may write them; None for what is no amount."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 <= amount < _MOST_USD else None


def _writable(value: Any) -> Any:
    """The same, in what JSON and every database can say.

    A text that somebody cut may end in half a character, and some write numbers that are none.
    """
    if isinstance(value, Mapping):
        return {_writable(name): _writable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "?")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _objects(value: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        return [value]
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _result(item: Mapping[str, Any]) -> VideoResult | None:
    told, video_uuid = item.get("videoURL"), item.get("videoUUID")
    url = told if isinstance(told, str) else ""
    status = str(item.get("status") or "").lower()
    # One that was put to an endpoint may have no address. It is a result if it has a name all the same, or if it is
    # said to be one and to have cost something; that a task was taken is told without either.
    is_one = bool(url or video_uuid) or (status == "success" and money(item.get("cost")) is not None)
    if not is_one or status not in {"", "success"}:
        return None
    seed = item.get("seed")
    return VideoResult(
        task_uuid=str(item.get("taskUUID")),
        video_uuid=str(video_uuid or url.rsplit("/", 1)[-1].split(".")[0] or item.get("taskUUID")),
        video_url=url,
        cost_usd=money(item.get("cost")),
        seed=seed if isinstance(seed, int) else None,
        nsfw=item.get("NSFWContent") is True,
        raw=item,
    )


def asked_s(header: str | None) -> float | None:
    """Seconds that a `Retry-After` asks for: a number of them, or a date; None for what is neither."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
