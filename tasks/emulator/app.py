"""The HTTP side: the API, downloads and the books. What a WebSocket brings goes to `tasks.emulator.websocket`."""

from __future__ import annotations

import io
import time
import uuid

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from tasks.emulator.backdrop import placeholder_picture
from tasks.emulator.desk import Desk
from tasks.emulator.doorway import Answer, Doorway
from tasks.emulator.endings import Endings
from tasks.emulator.envelope import authenticated, read_tasks
from tasks.emulator.errors import WireError
from tasks.emulator.fault_plan import FaultPlan, parse_faults
from tasks.emulator.fields import is_uuid4
from tasks.emulator.media_inputs import PLACEHOLDER_SIZE
from tasks.emulator.mischief import Mischief
from tasks.emulator.records import MEDIA_TYPES
from tasks.emulator.replies import answer_response, file_response
from tasks.emulator.rule import Call
from tasks.emulator.settings import EmulatorSettings
from tasks.emulator.state import StateStore
from tasks.emulator.websocket import Sockets
from tasks.errors import SettingsError

__all__ = ["build_app"]


def build_app(settings: EmulatorSettings, store: StateStore, desk: Desk, plan: FaultPlan) -> Starlette:
    """The ASGI application.

    Args:
        settings: Which key is accepted.
        store: Where downloads come from.
        desk: Who answers tasks.
        plan: What goes wrong.
    """
    mischief = Mischief(plan, store)
    doorway = Doorway(desk, mischief, store)
    sockets = Sockets(settings, doorway, store, Endings(settings, store))

    async def post_tasks(request: Request) -> Response:
        body = await request.body()
        origin = str(request.base_url).rstrip("/")

        def answer() -> Answer:
            store.count("posts")
            try:
                tasks = read_tasks(body)
                rest = authenticated(tasks, request.headers.get("authorization"), settings.api_key)
            except WireError as error:
                store.count("rejected")
                return Answer(error.http_status, {"errors": [error.as_wire()]})
            if not rest:
                item = {"taskType": "authentication", "connectionSessionUUID": str(uuid.uuid4())}
                return Answer(body={"data": [item]})
            return doorway.answer(rest, origin)

        return await answer_response(await run_in_threadpool(answer))

    async def get_video(request: Request) -> Response:
        video_uuid, suffix = request.path_params["video_uuid"].lower(), request.path_params["suffix"]
        if request.method == "GET":
            store.count("downloads")
        task = store.task_of_video(video_uuid) if is_uuid4(video_uuid) else None
        result = task.result(video_uuid) if task else None
        outcome = store.outcome(video_uuid) if task else None
        is_made = outcome is not None and outcome.error is None
        if task is None or result is None or outcome is None or not is_made or task.suffix != f".{suffix}":
            return _plain("mediaNotFound", 404)
        finished_at = task.ended_at(result, outcome)
        if time.time() < finished_at:
            return _plain("mediaNotFound", 404)
        if task.ttl_s is not None and time.time() > finished_at + task.ttl_s:
            return _plain("mediaExpired", 410)
        expiry, is_download = result.fate.expiry, request.method == "GET"
        if expiry is not None:
            address = request.query_params.get("fresh", "0")
            number = int(address) if address.isdecimal() else -1
            if not store.serve_address(video_uuid, number, expiry, counts=is_download):
                return _plain("mediaExpired", expiry.status)
        path = store.video_path(task, video_uuid)
        if not path.exists():
            return _plain("mediaExpired", 410)
        call = Call("download", task.task_uuid, task.prompt)
        before = mischief.take(call, "before", only_first=True) if is_download else []
        rules = mischief.take(call, "answer") if is_download else []
        return await file_response(path, task.media_type, before, rules)

    async def get_media(request: Request) -> Response:
        media_uuid = request.path_params["media_uuid"].lower()
        upload = store.upload(media_uuid) if is_uuid4(media_uuid) else None
        if upload is None:
            return _plain("mediaNotFound", 404)
        if upload.file is not None:
            media_type = MEDIA_TYPES.get(upload.suffix, f"image/{upload.suffix[1:]}")
            return FileResponse(store.path(upload.file), media_type=media_type)
        if upload.kind == "video":
            # It was never here: it only stands for what a remote URL may show.
            return _plain("mediaNotFound", 404)
        return await run_in_threadpool(_placeholder_png, upload.url or "")

    async def get_books(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(desk.books))

    async def faults(request: Request) -> Response:
        try:
            if request.method == "PUT":
                plan.replace(parse_faults(await request.body()))
            elif request.method == "POST":
                plan.add(parse_faults(await request.body()))
            elif request.method == "DELETE":
                plan.replace(parse_faults(""))
        except SettingsError as error:
            return JSONResponse({"errors": [WireError("invalidFaultPlan", error.message).as_wire()]}, 400)
        return JSONResponse(plan.as_json())

    return Starlette(
        routes=[
            Route("/v1", post_tasks, methods=["POST"]),
            WebSocketRoute("/v1", sockets.serve),
            Route("/video/{video_uuid}.{suffix}", get_video, methods=["GET", "HEAD"]),
            Route("/media/{media_uuid}.{suffix}", get_media, methods=["GET", "HEAD"]),
            Route("/_emulator/books", get_books, methods=["GET"]),
            Route("/_emulator/faults", faults, methods=["GET", "PUT", "POST", "DELETE"]),
        ],
        exception_handlers={Exception: _internal_error},
    )


def _plain(code: str, status: int) -> Response:
    return JSONResponse({"errors": [WireError(code, "The file is not there (any more).").as_wire()]}, status)


async def _internal_error(_request: Request, problem: Exception) -> Response:
    # What went wrong may name files of this machine; the server's log has it whole.
    error = WireError("internalServerError", f"The emulator failed ({type(problem).__name__}).")
    return JSONResponse({"errors": [error.as_wire()]}, 500)


def _placeholder_png(url: str) -> Response:
    content = io.BytesIO()
    placeholder_picture(url, *PLACEHOLDER_SIZE).save(content, "PNG", compress_level=1)
    return Response(content.getvalue(), media_type="image/png")
