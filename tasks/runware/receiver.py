"""Who listens for what the provider reports.

A report is taken for what an answer to a question would have been, and no more: whoever waits for the task reads it so.
One that is lost is asked for like any other, a little later.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tasks.errors import ShotchainError
from tasks.runware.messages import without_uploads
from tasks.runware.webhook import TOKEN, is_genuine

__all__ = ["MOST_BYTES", "receiver"]

MOST_BYTES: Final = 256 * 1024
"""How large a report may be; the provider's have less than 2 KB."""


def receiver(secret: str, keep: Callable[[str, str], bool], path: str = "") -> Starlette:
    """An ASGI app that takes reports.

    It answers 204 to a report that was kept, or had been already; 404 to one at another address, or of a task that is
    not in the ledger; 400 to what is not a report of the task that the address is of; 413 to what is too large; 503
    where it cannot be kept just now, upon which the provider tries again.

    Args:
        secret: What addresses are made with.
        keep: Keeps a report of a task, and says whether there is such a task. Called in a thread.
        path: What stands before the task in addresses.
    """

    async def take(request: Request) -> Response:
        task_uuid = request.path_params["task_uuid"]
        if not is_genuine(secret, task_uuid, request.query_params.get(TOKEN, "")):
            return Response(status_code=404)
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return Response(status_code=413)
        reports = _reports(body, task_uuid)
        if not reports:
            return Response(status_code=400)
        try:
            is_known = [await asyncio.to_thread(keep, task_uuid, report) for report in reports]
        except ShotchainError:
            return Response(status_code=503)
        return Response(status_code=204 if all(is_known) else 404)

    async def health(_: Request) -> Response:
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route(f"{path}/{{task_uuid}}", take, methods=["POST"]),
            Route(path or "/", health, methods=["GET"]),
        ]
    )


async def _body(request: Request) -> bytes | None:
    """The body, or None where there is too much of it."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return body


def _reports(body: bytes, task_uuid: str) -> list[str]:
    """The objects that a body reports of a task, each as JSON: flat, as the provider sends them, or in `data`."""
    try:
        text = body.decode("utf-8-sig")
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        return []
    listed = content.get("data", content) if isinstance(content, dict) else content
    items = listed if isinstance(listed, list) else [listed]
    if isinstance(content, dict):
        items += content["errors"] if isinstance(content.get("errors"), list) else []
    ours = [item for item in items if isinstance(item, dict) and item.get("taskUUID") == task_uuid]
    # Should one repeat where its clip was to be put: that is a secret.
    named = [without_uploads(item, task_uuid) for item in ours]
    # As they came: numbers are read exactly by whoever reads them.
    return [text] if named == [content] else [json.dumps(item) for item in named]
