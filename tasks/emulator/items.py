"""One result as a poll, a webhook or the task's details show it."""

from __future__ import annotations

from typing import Any

from tasks.emulator.errors import WireError
from tasks.emulator.records import Outcome, ResultRecord, TaskRecord

__all__ = ["result_item"]


def result_item(
    task: TaskRecord,
    result: ResultRecord,
    outcome: Outcome | None,
    *,
    origin: str,
    task_uuid: str,
    address: int = 0,
    has_url: bool = True,
) -> dict[str, Any]:
    """The item of one result, by its `status`: `processing`, `success`, or `error` (which belongs in `errors`).

    Args:
        task: The result's task.
        result: The result.
        outcome: How it ended; None while it has not.
        origin: Scheme, host and port that its URL starts with.
        task_uuid: The task's UUID in the asker's spelling.
        address: How many of its addresses have expired.
        has_url: Whether there is an address at all.
    """
    item: dict[str, Any] = {"taskType": "videoInference", "taskUUID": task_uuid}
    if outcome is None:
        return item | {"status": "processing"}
    if outcome.error is not None:
        error = WireError(outcome.code, outcome.error, outcome.parameter)
        failed = error.as_wire(item | {"model": task.model}) | {"status": "error"}
        return failed | ({"cost": float(result.cost_usd)} if outcome.charged and task.include_cost else {})
    item |= {
        "status": "success",
        "videoUUID": result.video_uuid,
    }
    if has_url:
        fresh = f"?fresh={address}" if address else ""
        item["videoURL"] = f"{origin}/video/{result.video_uuid}{task.suffix}{fresh}"
    item["seed"] = result.seed
    if task.include_cost:
        item["cost"] = float(result.cost_usd)
    if task.check_content or result.fate.nsfw:
        item["NSFWContent"] = result.fate.nsfw
    return item
