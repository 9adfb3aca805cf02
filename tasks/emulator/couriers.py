"""Webhooks and uploads of results: to this machine only, because an emulator never reaches outside.

When a result succeeds, its bytes go to the task's `uploadEndpoint` (HTTP PUT) and its item, as a poll would show it,
to the task's `webhookURL` (HTTP POST). What is not answered with 2xx is tried again.
"""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from tasks.emulator.items import result_item
from tasks.emulator.records import Outcome, ResultRecord, TaskRecord
from tasks.emulator.state import StateStore

__all__ = ["Couriers", "is_here"]

_HERE = re.compile(r"localhost|127(\.\d+){3}|::1", re.IGNORECASE)
_TRIES = 6
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 8.0
_TIMEOUT_S = 5.0


def is_here(url: str) -> bool:
    """Whether a URL's host is this machine's loopback."""
    return _HERE.fullmatch(urlsplit(url).hostname or "") is not None


class Couriers:
    """Delivers finished results in the background.

    Args:
        store: Where results are.
        origin: Scheme, host and port that URLs start with.
    """

    def __init__(self, store: StateStore, origin: str) -> None:
        self._store = store
        self._origin = origin
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        # Not through a proxy, and without following redirects: both could lead outside.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    def send(self, task: TaskRecord, result: ResultRecord, outcome: Outcome) -> None:
        """Deliver a result that has just ended, where the task asks for it."""
        targets = [url for url in (task.upload_endpoint, task.webhook_url) if url and is_here(url)]
        if not targets or self._stopped.is_set():
            return
        thread = threading.Thread(
            target=self._deliver, args=(task, result, outcome), name="emulator-courier", daemon=True
        )
        self._threads = [*(old for old in self._threads if old.is_alive()), thread]
        thread.start()

    def _deliver(self, task: TaskRecord, result: ResultRecord, outcome: Outcome) -> None:
        if self._stopped.wait(max(0.0, task.ended_at(result, outcome) - time.time())):
            return
        if task.upload_endpoint and is_here(task.upload_endpoint) and outcome.error is None:
            content = self._store.video_path(task, result.video_uuid).read_bytes()
            self._send("PUT", task.upload_endpoint, content, "application/octet-stream")
        if task.webhook_url and is_here(task.webhook_url):
            content = json.dumps(
                result_item(task, result, outcome, origin=self._origin, task_uuid=task.task_uuid)
            ).encode()
            self._send("POST", task.webhook_url, content, "application/json")

    def _send(self, method: str, url: str, content: bytes, content_type: str) -> None:
        pause_s = _FIRST_PAUSE_S
        for _try in range(_TRIES):
            request = urllib.request.Request(  # noqa: S310  the URL was checked to be http(s) on loopback
                url, content, {"Content-Type": content_type}, method=method
            )
            try:
                with self._opener.open(request, timeout=_TIMEOUT_S) as reply:
                    reply.read()
            except (OSError, HTTPException):
                # Nobody is there yet, or the answer was not 2xx: a later try may do better.
                if self._stopped.wait(pause_s):
                    return
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            else:
                return

    def stop(self) -> None:
        """Give up what is not yet delivered."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(0.3)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_fields: Any) -> None:
        return None
