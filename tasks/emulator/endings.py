"""How a result ended as far as anybody is told, by whichever way it is asked for or told."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from tasks.emulator.deliveries import Journal, asked_for
from tasks.emulator.items import result_item
from tasks.emulator.records import Outcome, ResultRecord, TaskRecord
from tasks.emulator.settings import EmulatorSettings
from tasks.emulator.state import StateStore

__all__ = ["Endings"]


class Endings:
    """The ends of results: when their clip is made, their time has come, and it is where it was to be put.

    Args:
        settings: How this emulator behaves.
        store: Where outcomes are.
    """

    def __init__(self, settings: EmulatorSettings, store: StateStore) -> None:
        self._settings = settings
        self._store = store
        self._journal = Journal(store)

    def of(self, task: TaskRecord, result: ResultRecord) -> Outcome | None:
        """How a result ended; None while there is nothing to tell."""
        outcome = self._store.outcome(result.video_uuid)
        if outcome is None or time.time() < task.ended_at(result, outcome):
            return None
        settings = self._settings.upload_endpoints
        if not settings.waits or "put" not in asked_for(task, outcome):
            return outcome
        put = self._journal.delivery(result.video_uuid, "put")
        if put.over_at is None:
            return None
        outcome = replace(outcome, rendered_at=max(outcome.rendered_at, put.over_at))
        if put.state != "failed" or settings.failure == "ignored":
            return outcome
        return replace(
            outcome,
            error="The clip could not be uploaded to 'uploadEndpoint'.",
            code="uploadFailed",
            parameter="uploadEndpoint",
            charged=settings.failure == "charged",
        )

    def item(self, task: TaskRecord, result: ResultRecord, *, origin: str, task_uuid: str) -> dict[str, Any]:
        """A result as a poll shows it now. See `result_item`."""
        return result_item(
            task,
            result,
            self.of(task, result),
            origin=origin,
            task_uuid=task_uuid,
            address=self._store.address(result.video_uuid) if result.fate.expiry else 0,
            has_url=self._settings.upload_endpoints.url or not task.upload_endpoint,
        )
