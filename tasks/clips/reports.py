"""What the provider sends of its own accord: where it is told to, and how the ledger's copy of reports is read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tasks.ledger.ledger import Ledger
from tasks.runware.messages import Reply, read_reply
from tasks.runware.webhook import address_of
from tasks.settings import Settings

__all__ = ["LedgerReports", "addressed"]

_OK: Final = 200


def addressed(
    request: Mapping[str, Any], task_uuid: str, settings: Settings, upload_endpoint: str | None = None
) -> dict[str, Any]:
    """A request under its task's UUID, and with the address at which to report it, where somebody listens.

    The emulator inside has nobody to report to.

    Args:
        request: As planned, its inputs filled in.
        task_uuid: The attempt's.
        settings: Who listens, and to whom.
        upload_endpoint: Where the clip is to be put, if anywhere.
    """
    named = {**request, "taskUUID": task_uuid}
    if upload_endpoint is not None:
        named["uploadEndpoint"] = upload_endpoint
    webhook = settings.webhook
    if webhook is not None and settings.identity != "emulator":
        named["webhookURL"] = address_of(webhook.url, webhook.secret, task_uuid)
    return named


class LedgerReports:
    """What `shotchain webhook` kept in the ledger.

    Args:
        ledger: The one that the receiver writes to.
        net_s: How often the provider is asked all the same, in seconds.
    """

    def __init__(self, ledger: Ledger, net_s: float) -> None:
        self._ledger = ledger
        self.net_s = net_s

    async def of(self, task_uuids: Sequence[str]) -> Reply:
        """All that was reported of these tasks, as one reply.

        Raises:
            StorageUnreachable: The ledger does not answer.
        """
        items = await asyncio.to_thread(self._ledger.notices, task_uuids)
        failures = [item for item in items if "code" in item and "videoURL" not in item]
        return read_reply(_OK, {"data": [item for item in items if item not in failures], "errors": failures})
