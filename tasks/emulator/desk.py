"""What is answered to each task type, and the books."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tasks.emulator.deliveries import Journal, without_queries
from tasks.emulator.endings import Endings
from tasks.emulator.errors import WireError, conflict, invalid, missing
from tasks.emulator.fates import Fate
from tasks.emulator.fields import Fields, read_uuid4
from tasks.emulator.media_inputs import read_upload, resolve
from tasks.emulator.media_limits import longest_video_s
from tasks.emulator.prices import cost_usd, dollars
from tasks.emulator.records import ResultRecord, Source, TaskRecord
from tasks.emulator.renderers import Renderers
from tasks.emulator.rules import SIZES, Order, read_order
from tasks.emulator.settings import EmulatorSettings
from tasks.emulator.shorten import shorten
from tasks.emulator.state import StateStore

__all__ = ["Desk", "Reply"]

Items = tuple[list[dict[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Reply:
    """An HTTP status and a JSON body."""

    status: int
    body: dict[str, Any]


class Desk:
    """Answers tasks. Safe to use from many threads.

    Args:
        settings: How this emulator behaves.
        store: What is kept.
        renderers: Who renders.
        fates: What is to become of each result of a task that is being accepted.
    """

    def __init__(
        self,
        settings: EmulatorSettings,
        store: StateStore,
        renderers: Renderers,
        fates: Callable[[Order], tuple[Fate, ...]],
    ) -> None:
        self._settings = settings
        self._store = store
        self._renderers = renderers
        self._fates = fates
        self._journal = Journal(store)
        self._endings = Endings(settings, store)
        self._accepting = threading.Lock()
        self._answers: dict[str, Callable[[dict[str, Any], str], Items]] = {
            "videoInference": self._video_inference,
            "getResponse": self._get_response,
            "getTaskDetails": self._get_task_details,
            "imageUpload": self._image_upload,
            "mediaStorage": self._media_storage,
            "ping": self._ping,
        }

    def answer(self, tasks: list[dict[str, Any]], origin: str) -> Reply:
        """Answer the tasks of one POST, each for itself, in their order.

        Args:
            tasks: The elements of the body, without an authentication.
            origin: Scheme, host and port that URLs in the answer start with.
        """
        data: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        refused: list[int] = []
        for task in tasks:
            try:
                found, failed = self._answer_one(task, origin)
                data += found
                errors += failed
            except WireError as error:
                errors.append(error.as_wire(task))
                refused.append(error.http_status)
                self._store.count("rejected")
        body: dict[str, Any] = {"data": data}
        if errors:
            # Clients test for the key itself, so it must not be there on success.
            body["errors"] = errors
        return Reply(refused[0] if refused and len(refused) == len(tasks) else 200, body)

    def _answer_one(self, task: dict[str, Any], origin: str) -> Items:
        kind = Fields(task).text("taskType", required=True)
        if kind in {"videoInference", "getResponse"}:
            self._store.count(kind)
        answer = self._answers.get(kind)
        if answer is None:
            raise invalid(
                "taskType",
                f"Task type '{kind}' is not supported here.",
                "unsupportedTaskType",
                allowedValues=[*self._answers, "authentication"],
            )
        return answer(task, origin)

    # Generation

    def _video_inference(self, task: dict[str, Any], _origin: str) -> Items:
        task_uuid = read_uuid4(task)
        # First of all: whoever sends a task again after a lost reply must learn that it was accepted.
        if self._store.task(task_uuid) is not None:
            raise conflict(task_uuid)
        order = read_order(task)
        now = time.time()
        sources = resolve(order.inputs, self._store, now, longest_video_s(self._settings.rate))
        content_key = _content_key(order, sources)
        with self._accepting:
            occurrence = self._store.claim_occurrence(content_key)
            record = self._record(order, sources, content_key, occurrence, task)
            if record.webhook_url or record.upload_endpoint:
                self._journal.expect(record.task_uuid)
            try:
                self._store.add_task(record)
            except FileExistsError as error:
                self._store.release_occurrence(content_key, occurrence)
                raise conflict(task_uuid) from error
        self._renderers.ensure(record)
        return [{"taskType": "videoInference", "taskUUID": task["taskUUID"]}], []

    def _record(
        self,
        order: Order,
        sources: tuple[Source, ...],
        content_key: str,
        occurrence: int,
        request: dict[str, Any],
    ) -> TaskRecord:
        now = time.time()
        width, height = order.width or 0, order.height or 0
        billed_s: Decimal | int = order.duration_s or 0
        if order.mode == "edit":
            width, height, billed_s = sources[0].width, sources[0].height, sources[0].length_s
        elif order.mode == "frames":
            width, height = _nearest_size(order.model, sources[0])
        cost = cost_usd(order.model, billed_s, from_video=order.from_video)
        latency_s, fates = self._settings.result_after_s, self._fates(order)
        results = tuple(
            ResultRecord(
                video_uuid=str(uuid.uuid4()),
                seed=_seed(self._settings.seed, content_key, occurrence, index),
                cost_usd=fate.cost_usd or dollars(cost),
                # Several results come one after another, the last one when the latency is over.
                ready_at=now + _first_of(fate.failure_after_s, latency_s * (index + 1) / order.number_results),
                fate=fate,
            )
            for index, fate in enumerate(fates)
        )
        return TaskRecord(
            task_uuid=order.task_uuid,
            model=order.model,
            mode=order.mode,
            prompt=order.prompt,
            width=width,
            height=height,
            frame_count=self._settings.frame_count(order.duration_s or 0),
            rate=str(self._settings.rate),
            output_format=order.output_format,
            output_quality=order.output_quality,
            keep_original_sound=order.keep_original_sound,
            include_cost=order.include_cost,
            check_content=order.check_content,
            ttl_s=order.ttl_s,
            webhook_url=order.webhook_url,
            upload_endpoint=order.upload_endpoint,
            accepted_at=now,
            ready_at=now + latency_s,
            content_key=content_key,
            sources=sources,
            results=results,
            request=shorten(request),
        )

    # Polling

    def _get_response(self, task: dict[str, Any], origin: str) -> Items:
        record = self._known_task(task)
        if record is None or self._is_forgotten(record):
            return [], []
        return self._results_of(record, origin, task["taskUUID"])

    def _get_task_details(self, task: dict[str, Any], origin: str) -> Items:
        record = self._known_task(task)
        if record is None:
            return [], []
        data, errors = self._results_of(record, origin, task["taskUUID"])
        response = {"data": data, "errors": errors} if errors else {"data": data}
        item = {
            "taskType": "getTaskDetails",
            "taskUUID": task["taskUUID"],
            "request": [record.request],
            "response": response,
        }
        return [item], []

    def _known_task(self, task: dict[str, Any]) -> TaskRecord | None:
        task_uuid = read_uuid4(task)
        record = self._store.task(task_uuid)
        if record is None and self._settings.unknown_task_error:
            raise WireError(
                "taskNotFound", f"There is no task with taskUUID '{task_uuid}'.", "taskUUID", http_status=404
            )
        if record is not None:
            self._renderers.ensure(record)
        return record

    def _results_of(self, record: TaskRecord, origin: str, task_uuid: str) -> Items:
        data: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for result in record.results:
            item = self._endings.item(record, result, origin=origin, task_uuid=task_uuid)
            (errors if item["status"] == "error" else data).append(item)
        return data, errors

    def _is_forgotten(self, record: TaskRecord) -> bool:
        return any(
            result.fate.expiry is not None and result.fate.expiry.forget and self._store.address(result.video_uuid)
            for result in record.results
        )

    # Media

    def _image_upload(self, task: dict[str, Any], origin: str) -> Items:
        read_uuid4(task)
        Fields(task).only(frozenset({"taskType", "taskUUID", "image"}))
        media_uuid = str(uuid.uuid4())
        upload = read_upload(task, "image", self._store, media_uuid)
        self._store.add_upload(upload)
        item = {
            "taskType": "imageUpload",
            "taskUUID": task["taskUUID"],
            "imageUUID": media_uuid,
            "imageURL": f"{origin}/media/{media_uuid}{upload.suffix}",
        }
        return [item], []

    def _media_storage(self, task: dict[str, Any], origin: str) -> Items:
        read_uuid4(task)
        fields = Fields(task)
        fields.only(frozenset({"taskType", "taskUUID", "operation", "media", "mediaUUID"}))
        if not fields.has("operation"):
            raise missing("operation", "'operation' is required.", allowedValues=["upload", "delete"])
        operation = fields.choice("operation", ("upload", "delete"), "upload")
        item = {"taskType": "mediaStorage", "taskUUID": task["taskUUID"], "operation": operation}
        if operation == "delete":
            media_uuid = read_uuid4(task, "mediaUUID")
            if not self._store.delete_upload(media_uuid):
                raise WireError("mediaNotFound", f"There is no medium '{media_uuid}'.", "mediaUUID", http_status=404)
            return [item | {"mediaUUID": media_uuid}], []
        media_uuid = str(uuid.uuid4())
        upload = read_upload(task, "media", self._store, media_uuid)
        self._store.add_upload(upload)
        url = f"{origin}/media/{media_uuid}{upload.suffix}"
        return [item | {"mediaUUID": media_uuid, "mediaURL": url}], []

    def _ping(self, task: dict[str, Any], _origin: str) -> Items:
        del task
        return [{"taskType": "ping", "pong": True}], []

    # Books

    def books(self) -> dict[str, Any]:
        """All tasks with what they cost, and what was counted. A result is charged when it succeeds."""
        total = Decimal(0)
        entries: list[dict[str, Any]] = []
        for record in self._store.tasks():
            self._renderers.ensure(record)
            ended = [(result, self._endings.of(record, result)) for result in record.results]
            charge = sum(
                (Decimal(result.cost_usd) for result, outcome in ended if outcome and outcome.costs),
                Decimal(0),
            )
            outcomes = [outcome for _result, outcome in ended if outcome]
            is_over = len(outcomes) == len(ended)
            has_failed = any(outcome.error is not None for outcome in outcomes)
            times = [record.ended_at(result, outcome) for result, outcome in ended if outcome]
            entries.append(
                {
                    "taskUUID": record.task_uuid,
                    "state": "processing" if not is_over else "error" if has_failed else "success",
                    "results": len(record.results),
                    "charge_usd": dollars(charge),
                    "submitted_at": record.accepted_at,
                    "finished_at": max(times) if is_over else None,
                    "request": without_queries(record.request),
                    "deliveries": self._journal.told(record),
                }
            )
            total += charge
        return {
            "total_usd": dollars(total),
            "tasks": entries,
            "counts": self._store.counts(),
            "faults": self._store.fault_counts(),
        }


def _content_key(order: Order, sources: tuple[Source, ...]) -> str:
    """Hash of what a clip shows: neither of names and addresses, nor of how it is delivered."""
    content = {
        "model": order.model,
        "mode": order.mode,
        "prompt": order.prompt,
        "size": [order.width, order.height],
        "duration": order.duration_s,
        "inputs": [[source.role, source.content] for source in sources],
        "sound": order.keep_original_sound,
        "format": [order.output_format, order.output_quality],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _first_of(chosen: float | None, usual: float) -> float:
    return usual if chosen is None else chosen


def _seed(base: int, content_key: str, occurrence: int, index: int) -> int:
    text = f"{base}/{content_key}/{occurrence}/{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def _nearest_size(model: str, first: Source) -> tuple[int, int]:
    """The model's size whose aspect is nearest to the first picture's, by ratio."""
    aspect = Decimal(first.width) / first.height

    def distance(size: tuple[int, int]) -> Decimal:
        ratio = aspect * size[1] / size[0]
        return max(ratio, 1 / ratio)

    return min(SIZES[model], key=distance)
