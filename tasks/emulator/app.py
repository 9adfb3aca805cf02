"""The HTTP side: the API, downloads and the books."""

from __future__ import annotations

import hmac
import io
import json
import time
import uuid
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tasks.emulator.backdrop import placeholder_picture
from tasks.emulator.desk import Desk
from tasks.emulator.errors import WireError
from tasks.emulator.fields import is_uuid4
from tasks.emulator.media_inputs import PLACEHOLDER_SIZE
from tasks.emulator.settings import EmulatorSettings
from tasks.emulator.state import StateStore

__all__ = ["build_app"]

_MEDIA_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm", ".jpeg": "image/jpeg"}


def build_app(settings: EmulatorSettings, store: StateStore, desk: Desk) -> Starlette:
    """The ASGI application.

    Args:
        settings: Which key is accepted.
        store: Where downloads come from.
        desk: Who answers tasks.
    """

    async def post_tasks(request: Request) -> Response:
        body = await request.body()
        origin = str(request.base_url).rstrip("/")

        def answer() -> Response:
            store.count("posts")
            try:
                tasks = _read_tasks(body)
                rest = _authenticated(tasks, request.headers.get("authorization"), settings.api_key)
            except WireError as error:
                store.count("rejected")
                return JSONResponse({"errors": [error.as_wire()]}, error.http_status)
            if not rest:
                item = {"taskType": "authentication", "connectionSessionUUID": str(uuid.uuid4())}
                return JSONResponse({"data": [item]})
            reply = desk.answer(rest, origin)
            return JSONResponse(reply.body, reply.status)

        return await run_in_threadpool(answer)

    async def get_video(request: Request) -> Response:
        video_uuid, suffix = request.path_params["video_uuid"].lower(), request.path_params["suffix"]
        if request.method == "GET":
            store.count("downloads")
        task = store.task_of_video(video_uuid) if is_uuid4(video_uuid) else None
        outcome = store.outcome(video_uuid) if task else None
        if task is None or task.suffix != f".{suffix}" or outcome is None or outcome.error is not None:
            return _plain("mediaNotFound", 404)
        finished_at = max(task.ready_at, outcome.rendered_at)
        if time.time() < finished_at:
            return _plain("mediaNotFound", 404)
        if task.ttl_s is not None and time.time() > finished_at + task.ttl_s:
            return _plain("mediaExpired", 410)
        path = store.video_path(task, video_uuid)
        return (
            FileResponse(path, media_type=_MEDIA_TYPES[task.suffix]) if path.exists() else _plain("mediaExpired", 410)
        )

    async def get_media(request: Request) -> Response:
        media_uuid = request.path_params["media_uuid"].lower()
        upload = store.upload(media_uuid) if is_uuid4(media_uuid) else None
        if upload is None:
            return _plain("mediaNotFound", 404)
        if upload.file is not None:
            media_type = _MEDIA_TYPES.get(upload.suffix, f"image/{upload.suffix[1:]}")
            return FileResponse(store.path(upload.file), media_type=media_type)
        if upload.kind == "video":
            # It was never here: it only stands for what a remote URL may show.
            return _plain("mediaNotFound", 404)
        return await run_in_threadpool(_placeholder_png, upload.url or "")

    async def get_books(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(desk.books))

    return Starlette(
        routes=[
            Route("/v1", post_tasks, methods=["POST"]),
            Route("/video/{video_uuid}.{suffix}", get_video, methods=["GET", "HEAD"]),
            Route("/media/{media_uuid}.{suffix}", get_media, methods=["GET", "HEAD"]),
            Route("/_emulator/books", get_books, methods=["GET"]),
        ],
        exception_handlers={Exception: _internal_error},
    )


def _plain(code: str, status: int) -> Response:
    return JSONResponse({"errors": [WireError(code, "The file is not there (any more).").as_wire()]}, status)


async def _internal_error(_request: Request, problem: Exception) -> Response:
    error = WireError("internalServerError", f"The emulator failed: {type(problem).__name__}: {problem}")
    return JSONResponse({"errors": [error.as_wire()]}, 500)


def _placeholder_png(url: str) -> Response:
    content = io.BytesIO()
    placeholder_picture(url, *PLACEHOLDER_SIZE).save(content, "PNG", compress_level=1)
    return Response(content.getvalue(), media_type="image/png")


def _read_tasks(body: bytes) -> list[dict[str, Any]]:
    """The elements of a request's body.

    Raises:
        WireError: It is not a JSON array of objects, or an empty one.
    """
    try:
        tasks = json.loads(body)
        if b"\\u" in body:
            # An escape can be half of a character, which no file and no picture could hold.
            json.dumps(tasks, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise WireError("invalidBody", f"The body is not JSON: {error}.") from error
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        raise WireError("invalidBody", "The body must be a JSON array of one or more task objects.")
    return tasks


def _authenticated(tasks: list[dict[str, Any]], header: str | None, only_key: str | None) -> list[dict[str, Any]]:
    """The tasks behind the authentication, which is a header or the first task.

    Raises:
        WireError: There is no key, or not the right one.
    """
    given: Any = None
    rest = tasks
    if tasks[0].get("taskType") == "authentication":
        given, rest = tasks[0].get("apiKey"), tasks[1:]
    if header is not None:
        scheme, _, token = header.partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else None
    if given is None or given == "":
        raise WireError(
            "missingApiKey",
            "No API key was given. Send 'Authorization: Bearer KEY', or an authentication task first.",
            "apiKey",
            http_status=401,
            taskType="authentication",
        )
    is_right = isinstance(given, str) and (only_key is None or hmac.compare_digest(given.encode(), only_key.encode()))
    if not is_right:
        raise WireError(
            "invalidApiKey", "The API key is not valid.", "apiKey", http_status=401, taskType="authentication"
        )
    return rest
