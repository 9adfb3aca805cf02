"""Answers on the line: whole and at once, or late, slow, cut short, or not at all."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from tasks.emulator.damage import zeroed
from tasks.emulator.doorway import Answer, in_the_manner_of, instead_of_all
from tasks.emulator.faults import Corrupt, NotAVideo, Truncate
from tasks.emulator.rule import Rule

__all__ = ["ClosableProtocol", "ClosableSocket", "answer_response", "close_line", "file_response"]

_CLOSE = "shotchain.close"
_PAUSE_S = 0.05
_WEB_PAGE = b"<!doctype html><title>Just a moment</title><p>The file is being prepared.</p>\n"


class ClosableProtocol(H11Protocol):
    """HTTP/1.1 on a connection that the application may close, by calling the scope's extension."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self.app = _closable(self.app, transport)


class ClosableSocket(WebSocketsSansIOProtocol):
    """The same for a WebSocket, whose line then ends without a word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self.app = _closable(self.app, transport)


def _closable(served: Any, transport: asyncio.BaseTransport) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        # Closing waits for what was written; aborting would throw it away.
        scope.setdefault("extensions", {})[_CLOSE] = transport.close
        await served(scope, receive, send)

    return app


def close_line(scope: Scope) -> None:
    """Close the connection that a request came by."""
    close: Callable[[], None] = scope["extensions"][_CLOSE]
    close()


class _Cut(Response):
    """The beginning of an answer (or nothing of it), and then the end of the connection."""

    def __init__(self, start: bytes = b"", whole_bytes: int = 0, media_type: str | None = None) -> None:
        super().__init__(media_type=media_type)
        self._start = start
        self._whole_bytes = whole_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._whole_bytes:
            headers = [(b"content-length", str(self._whole_bytes).encode())]
            if self.media_type:
                headers.append((b"content-type", self.media_type.encode()))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if self._start:
                await send({"type": "http.response.body", "body": self._start, "more_body": True})
        close_line(scope)
        # Until the server has noticed, it would take the end of this call for a mistake of ours.
        while (await receive())["type"] != "http.disconnect":
            pass


async def answer_response(answer: Answer) -> Response:
    """The response that sends an answer in its manner."""
    await asyncio.sleep(answer.after_s)
    if answer.is_dropped:
        return _Cut()
    if answer.over_s:
        content = json.dumps(answer.body).encode()
        return _slow(content, answer.over_s, "application/json", answer.status, answer.headers)
    return JSONResponse(answer.body, answer.status, headers=answer.headers)


async def file_response(path: Path, media_type: str, before: Sequence[Rule], rules: Sequence[Rule]) -> Response:
    """The response that sends a file, spoiled as the rules say.

    Args:
        path: The file.
        media_type: Its MIME type.
        before: Rules that decide what is sent.
        rules: Rules that decide how.
    """
    for rule in before:
        whole = instead_of_all(rule)
        if whole is not None:
            return await answer_response(whole)
    answer = in_the_manner_of(rules, Answer())
    if answer.status != 200:
        return await answer_response(answer)
    if not before and not rules:
        return FileResponse(path, media_type=media_type)
    await asyncio.sleep(answer.after_s)
    content = await asyncio.to_thread(path.read_bytes)
    whole_bytes = len(content)
    for rule in before:
        match rule:
            case Truncate():
                content = content[: int(whole_bytes * rule.keep)]
                if rule.announce_whole:
                    return _Cut(content, whole_bytes, media_type)
            case Corrupt():
                content = zeroed(content, rule.share)
            case NotAVideo():
                content, media_type = _WEB_PAGE, "text/html"
            case _:
                pass
    if answer.over_s:
        return _slow(content, answer.over_s, media_type)
    return Response(content, media_type=media_type)


def _slow(
    content: bytes, over_s: float, media_type: str, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    pauses = max(1, math.ceil(over_s / _PAUSE_S))
    size = max(1, math.ceil(len(content) / pauses))
    pieces = [content[start : start + size] for start in range(0, len(content), size)]

    async def trickle() -> AsyncIterator[bytes]:
        for piece in pieces:
            await asyncio.sleep(over_s / len(pieces))
            yield piece

    all_headers = {**(headers or {}), "Content-Length": str(len(content))}
    return StreamingResponse(trickle(), status, all_headers, media_type)
