"""The API by WebSocket: messages instead of requests, and results that come without being asked for.

The first message authenticates, and its answer names the session. Whoever loses the connection and comes back with that
name is sent what came to an end meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from tasks.emulator.doorway import Answer, Doorway
from tasks.emulator.endings import Endings
from tasks.emulator.envelope import authenticated, read_tasks
from tasks.emulator.errors import WireError
from tasks.emulator.records import ResultRecord, TaskRecord
from tasks.emulator.replies import close_line
from tasks.emulator.settings import EmulatorSettings
from tasks.emulator.state import StateStore

__all__ = ["Sockets"]

_LOG = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.03


@dataclass(frozen=True)
class _Watched:
    """A result that is to be pushed, and how its task was spelled."""

    task: TaskRecord
    result: ResultRecord
    task_uuid: str


@dataclass
class _Session:
    """What outlives a connection.

    Attributes:
        name: The `connectionSessionUUID`.
        owner: A hash of the key that it belongs to.
        watched: Results of its tasks that were not told yet, by their UUID.
        unsent: Messages that found no connection, and when (Unix seconds).
        holder: The connection that has it.
        left_at: Since when none has, in Unix seconds.
    """

    name: str
    owner: str
    watched: dict[str, _Watched] = field(default_factory=dict)
    unsent: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    holder: _Connection | None = None
    left_at: float | None = None


class Sockets:
    """All connections by WebSocket of one emulator, and their sessions. To be used in one event loop.

    Args:
        settings: Which key is accepted, and what is pushed.
        doorway: Who answers tasks.
        store: Which tasks are known.
        endings: How results end.
    """

    def __init__(self, settings: EmulatorSettings, doorway: Doorway, store: StateStore, endings: Endings) -> None:
        self.settings = settings
        self.doorway = doorway
        self.store = store
        self.endings = endings
        self._sessions: dict[str, _Session] = {}

    async def serve(self, websocket: WebSocket) -> None:
        """Speak with one client until either has enough."""
        await websocket.accept()
        await _Connection(self, websocket).serve()

    def session(self, key: str, name: Any, holder: _Connection) -> _Session:
        """The session of that name, if it is this key's, or else a new one; whoever else had it, has it no longer."""
        self._forget_old()
        owner = hashlib.sha256(key.encode()).hexdigest()
        session = self._sessions.get(name) if isinstance(name, str) else None
        if session is None or session.owner != owner:
            session = _Session(str(uuid.uuid4()), owner)
            self._sessions[session.name] = session
        session.holder, session.left_at = holder, None
        return session

    def _forget_old(self) -> None:
        oldest = time.time() - self.settings.websocket.buffer_s
        for session in list(self._sessions.values()):
            if session.left_at is not None and session.left_at < oldest and not session.watched:
                del self._sessions[session.name]


class _Connection:
    """One connection, from its first message to its end."""

    def __init__(self, sockets: Sockets, websocket: WebSocket) -> None:
        self._sockets = sockets
        self._websocket = websocket
        self._origin = "http" + str(websocket.base_url).rstrip("/").removeprefix("ws")
        self._session: _Session | None = None
        self._sending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_cut = False

    async def serve(self) -> None:
        pushing = asyncio.create_task(self._push())
        try:
            while True:
                message = await asyncio.wait_for(self._websocket.receive(), self._sockets.settings.websocket.idle_s)
                if message["type"] == "websocket.disconnect":
                    return
                # Whoever waits for a slow answer may ask something else meanwhile.
                task = asyncio.create_task(self._handle(message.get("text") or message.get("bytes") or ""))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                if self._session is None:
                    await task
        except TimeoutError:
            await self._websocket.close()
        finally:
            pushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pushing
            if self._session is not None and self._session.holder is self:
                self._session.holder, self._session.left_at = None, time.time()

    # Messages

    async def _handle(self, body: str | bytes) -> None:
        self._sockets.store.count("messages")
        try:
            await self._answer(body)
        except Exception as problem:  # noqa: BLE001  whoever waits is told that something went wrong
            # What went wrong may name files of this machine, and is for the log.
            _LOG.exception("a message could not be answered")
            error = WireError("internalServerError", f"The emulator failed ({type(problem).__name__}).")
            await self.send({"errors": [error.as_wire()]})

    async def _answer(self, body: str | bytes) -> None:
        settings, store = self._sockets.settings, self._sockets.store
        data: list[dict[str, Any]] = []
        try:
            tasks = read_tasks(body)
            if self._session is None or tasks[0].get("taskType") == "authentication":
                rest = authenticated(tasks, None, settings.api_key)
                data.append(self._begin_session(tasks[0]))
            else:
                rest = tasks
        except WireError as error:
            store.count("rejected")
            await self.send({"errors": [error.as_wire()]})
            return
        answer = Answer(body={"data": []})
        if rest:
            answer = await run_in_threadpool(self._sockets.doorway.answer, rest, self._origin)
        await asyncio.sleep(answer.after_s + answer.over_s)
        if answer.is_dropped:
            self._is_cut = True
            close_line(self._websocket.scope)
        else:
            told = _of_each(answer, rest)
            await self.send({**told, "data": [*data, *told.get("data", [])]} if data else told)
            self._need_not_push(answer.body)
            if data:
                await self._send_unsent()
        # Only now that the acknowledgement is on the line.
        await self._watch(rest, answer.body)

    def _begin_session(self, task: dict[str, Any]) -> dict[str, Any]:
        if self._session is None:
            self._session = self._sockets.session(str(task["apiKey"]), task.get("connectionSessionUUID"), self)
        return {"taskType": "authentication", "connectionSessionUUID": self._session.name}

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message; what finds nobody there is kept for whoever resumes the session."""
        async with self._sending:
            states = {self._websocket.client_state, self._websocket.application_state}
            if states == {WebSocketState.CONNECTED} and not self._is_cut:
                try:
                    await self._websocket.send_text(json.dumps(message))
                except WebSocketDisconnect:
                    self._is_cut = True
                else:
                    return
        session = self._session
        if session is None:
            return
        if session.holder is not None and session.holder is not self:
            # Whoever asked has come back by another one already.
            await session.holder.send(message)
        else:
            session.unsent.append((time.time(), message))

    async def _send_unsent(self) -> None:
        if self._session is not None:
            unsent, self._session.unsent = self._session.unsent, []
            oldest = time.time() - self._sockets.settings.websocket.buffer_s
            for at, message in unsent:
                if at >= oldest:
                    await self.send(message)

    # Results

    def _need_not_push(self, told: dict[str, Any]) -> None:
        """Leave what an answer has told already."""
        if self._session is not None:
            for item in told.get("data", []):
                self._session.watched.pop(str(item.get("videoUUID")), None)

    async def _watch(self, tasks: Iterable[dict[str, Any]], told: dict[str, Any]) -> None:
        """Push the results of tasks that were just accepted, when they end."""
        session = self._session
        if session is None or self._sockets.settings.websocket.push == "none":
            return
        accepted = {item.get("taskUUID") for item in told.get("data", [])}
        for task in tasks:
            if task.get("taskType") != "videoInference" or task.get("taskUUID") not in accepted:
                continue
            record = await run_in_threadpool(self._sockets.store.task, task["taskUUID"].lower())
            if record is not None:
                watched = (_Watched(record, result, task["taskUUID"]) for result in record.results)
                session.watched.update({each.result.video_uuid: each for each in watched})

    async def _push(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            session = self._session
            if session is None or session.holder is not self or not session.watched:
                continue
            for video_uuid, item in await run_in_threadpool(self._ended, list(session.watched.values())):
                if session.watched.pop(video_uuid, None) is not None and item is not None:
                    is_failure = item["status"] == "error"
                    await self.send({"errors": [item]} if is_failure else {"data": [item]})

    def _ended(self, watched: list[_Watched]) -> list[tuple[str, dict[str, Any] | None]]:
        """Which of these have ended, and what is to be pushed of each, if anything."""
        settings, endings = self._sockets.settings.websocket, self._sockets.endings
        oldest = time.time() - settings.buffer_s
        ended: list[tuple[str, dict[str, Any] | None]] = []
        for each in watched:
            is_early = time.time() < (each.result.ready_at or each.task.ready_at)
            outcome = None if is_early else endings.of(each.task, each.result)
            if outcome is None:
                continue
            is_kept = each.task.ended_at(each.result, outcome) >= oldest
            is_told = outcome.error is None or settings.push == "all"
            item = endings.item(each.task, each.result, origin=self._origin, task_uuid=each.task_uuid)
            ended.append((each.result.video_uuid, item if is_kept and is_told else None))
        return ended


def _of_each(answer: Answer, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """The body of an answer as a message, which has no status: an error of the whole request is one of each task."""
    if not answer.is_of_all:
        return answer.body
    names = ("taskType", "taskUUID")
    errors = [
        {**error, **{name: task[name] for name in names if name in task}}
        for error in answer.body["errors"]
        for task in tasks
    ]
    return {**answer.body, "errors": errors}
