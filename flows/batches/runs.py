"""Runs the renders of a batch: in this process, a few at a time, or as runs of a deployment on any worker."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelling

from flows.render import render
from flows.server.automations import MOST_STARTS, RERUN_AFTER_S, TAG
from tasks import errors
from tasks.errors import Incomplete, PrefectUnreachable, ShotchainError
from tasks.redaction import redact

__all__ = ["Ended", "Here", "Renders", "Workers", "ended_of", "exit_code_of"]

_log = logging.getLogger("shotchain.batch")

_MANY = 100
_CANCEL_S = 15.0
_SILENT_S = 600.0
_NO_WORKER_S = 120.0
_NO_WORKER = (
    "No worker has taken a render for %d s. A batch takes up a place too: a worker with --limit 1 that runs it runs "
    "nothing else."
)
_EXCEPTION = re.compile(r"Flow run encountered an exception: (?P<type>\w+): (?P<message>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a render ended.

    `run_id` is that of its flow run, None where it had none; `told` what it returned, as far as that can be had;
    `error` JSON-ready, None where all went well; `exit_code` that of the error.
    """

    run_id: str | None
    exit_code: int = 0
    error: Mapping[str, Any] | None = None
    told: Mapping[str, Any] = field(default_factory=dict)


class Renders(Protocol):
    """Has storyboards rendered."""

    async def render(self, name: str, parameters: Mapping[str, Any]) -> Ended:
        """Render one, with these parameters of the flow `render`, as a run of this name.

        Raises:
            PrefectUnreachable: The Prefect server went away.
        """
        ...


class Here:
    """Renders in this process.

    Args:
        at_once: So many at a time, in the order in which they are asked for.
    """

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)

    async def render(self, name: str, parameters: Mapping[str, Any]) -> Ended:
        """See `Renders`."""
        async with self._places:
            named = render.with_options(flow_run_name=_plain(name))
            try:
                state: State[dict[str, Any]] = await named(**parameters, return_state=True)
            except httpx.TransportError as error:
                raise PrefectUnreachable(f"the Prefect server went away during the batch: {error}") from error
        run_id = None if state.state_details.flow_run_id is None else str(state.state_details.flow_run_id)
        result: Any = await state.aresult(raise_on_failure=False)
        if isinstance(result, ShotchainError):
            told = result.summary if isinstance(result, Incomplete) else {}
            return Ended(run_id, result.exit_code, redact(result.as_dict()), told)
        if isinstance(result, BaseException):
            return Ended(run_id, 1, {"type": type(result).__name__, "message": redact(str(result))})
        return Ended(run_id, told=result)


class Workers:
    """Renders as runs of a deployment, on as many workers as its work pool has. Cancelled, it cancels them.

    The runs belong to the flow run in which this is used, as its subflows. A flow run that is started again finds
    those that it had begun.

    Args:
        deployment: FLOW/NAME of the deployment.
        poll_s: Seconds between two looks at the runs.
        patience_s: Seconds for which a run that crashed is given to be started again.
    """

    def __init__(self, deployment: str, *, poll_s: float = 3.0, patience_s: float = RERUN_AFTER_S + 60.0) -> None:
        self._deployment = deployment
        self._poll_s = poll_s
        self._patience_s = patience_s
        self._batch = flow_run.get_id() or uuid4().hex
        self._began_at = datetime.now(UTC)
        self._asked = 0
        self._waiting: dict[UUID, asyncio.Future[FlowRun]] = {}
        self._crashed_s: dict[UUID, float] = {}
        self._looking: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def is_there(self) -> bool:
        """Whether the server has the deployment."""
        async with get_client() as client:
            try:
                await client.read_deployment_by_name(self._deployment)
            except ObjectNotFound:
                return False
        return True

    async def render(self, name: str, parameters: Mapping[str, Any]) -> Ended:
        """See `Renders`."""
        begun = await self._begin(name, parameters)
        ended: asyncio.Future[FlowRun] = asyncio.get_running_loop().create_future()
        self._waiting[begun.id] = ended
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            return ended_of(await ended)
        except asyncio.CancelledError:
            await asyncio.shield(_cancel(begun.id))
            raise
        finally:
            self._waiting.pop(begun.id, None)

    async def _begin(self, name: str, parameters: Mapping[str, Any]) -> FlowRun:
        # One after another, a moment apart: workers take them in the order of their times.
        async with self._one_at_a_time, get_client() as client:
            self._asked += 1
            when = self._began_at + timedelta(milliseconds=self._asked)
            for key in (f"{self._batch}:{name}", f"{self._batch}:{name}:{flow_run.run_count}"):
                try:
                    run = await arun_deployment(
                        self._deployment,
                        client=client,
                        parameters=dict(parameters),
                        flow_run_name=_plain(name),
                        scheduled_time=when,
                        timeout=0,
                        tags=[TAG],
                        idempotency_key=key,
                    )
                except httpx.TransportError as error:
                    raise _away(error) from error
                if not _is_over(run) or _is_done(run):
                    break  # new, under way, or done by an earlier start of this batch
            return run

    async def _look(self) -> None:
        """Tell whoever waits how the runs have ended."""
        began_s = answered_s = time.monotonic()
        told = False
        try:
            async with get_client() as client:
                while self._waiting:
                    try:
                        found = await self._read(client)
                        answered_s = time.monotonic()
                    except httpx.HTTPError:
                        if time.monotonic() - answered_s > _SILENT_S:
                            raise
                        found = []  # it may be restarting; the runs go on meanwhile
                    if found and not any(_is_begun(run) for run in found):
                        if not told and time.monotonic() - began_s > _NO_WORKER_S:
                            told = True
                            _log.warning(_NO_WORKER, _NO_WORKER_S)
                    else:
                        began_s = time.monotonic()
                    await asyncio.sleep(self._poll_s)
                self._looking = None  # whoever comes now looks anew
        except Exception as error:  # noqa: BLE001 -- whoever waits must not wait for ever
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(_away(error) if isinstance(error, httpx.HTTPError) else error)

    async def _read(self, client: PrefectClient) -> list[FlowRun]:
        """The runs that are waited for; those that are over are told of."""
        ids = list(self._waiting)
        found: list[FlowRun] = []
        for start in range(0, len(ids), _MANY):
            some = FlowRunFilter(id=FlowRunFilterId(any_=ids[start : start + _MANY]))
            found += await client.read_flow_runs(flow_run_filter=some, limit=_MANY)
        for run in found:
            waiting = self._waiting.get(run.id)
            if waiting is not None and not waiting.done() and self._is_final(run):
                waiting.set_result(run)
        return found

    def _is_final(self, run: FlowRun) -> bool:
        """Whether a run is over; one that crashed may be started again by the server, so it is given time for that."""
        if run.state is None or not run.state.is_final():
            self._crashed_s.pop(run.id, None)
            return False
        if not run.state.is_crashed() or run.run_count >= MOST_STARTS:
            return True
        crashed_s = self._crashed_s.setdefault(run.id, time.monotonic())
        return time.monotonic() - crashed_s >= self._patience_s


async def _cancel(run_id: UUID) -> None:
    """Have a run stopped; it says itself what is still at the provider, and its attempts stay for the next run."""
    try:
        async with asyncio.timeout(_CANCEL_S), get_client() as client:
            run = await client.read_flow_run(run_id)
            if not _is_over(run):
                await client.set_flow_run_state(run_id, Cancelling(message="Its batch was cancelled."))
    except Exception as error:  # noqa: BLE001 -- the server cancels subflows too, some time later
        _log.warning("A render of the batch could not be cancelled: %s", redact(str(error)))


def ended_of(run: FlowRun) -> Ended:
    """How a run of the deployment ended, as far as its state tells: results do not leave the worker's machine."""
    run_id, state = str(run.id), run.state
    if state is None or state.is_completed():
        return Ended(run_id)
    message = str(redact(state.message or ""))
    if state.is_failed() and (said := _EXCEPTION.match(message)):
        return Ended(run_id, _code_of(said["type"]), {"type": said["type"], "message": said["message"].strip()})
    if state.is_cancelled():
        return Ended(run_id, 5, {"type": "Cancelled", "message": "the render was cancelled; what is paid is kept"})
    return Ended(run_id, 1, {"type": state.name, "message": message})


def exit_code_of(ended: Ended, manifest: Mapping[str, Any] | None) -> int:
    """The exit code of a render that ended; where shots failed, its manifest says what stopped it, if anything did.

    Args:
        ended: What is known of it.
        manifest: The one that it published, if it can be read here.
    """
    if (ended.error or {}).get("type") != Incomplete.__name__ or manifest is None:
        return ended.exit_code
    if (short := manifest.get("to_finish")) and "exit_code" in short:
        return int(short["exit_code"])
    failures = [shot["error"] for shot in manifest.get("shots", ()) if shot.get("error")]
    codes = {_code_of(str(error.get("type"))) for error in failures} - {Incomplete.exit_code}
    return min(codes, default=ended.exit_code)


def _code_of(name: str) -> int:
    """The exit code of an error of this name."""
    known = getattr(errors, name, None)
    return known.exit_code if isinstance(known, type) and issubclass(known, ShotchainError) else 1


def _is_over(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()


def _is_begun(run: FlowRun) -> bool:
    return run.state is not None and not (run.state.is_scheduled() or run.state.is_pending())


def _is_done(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_completed()


def _away(error: Exception) -> PrefectUnreachable:
    return PrefectUnreachable(f"the Prefect server does not answer during the batch: {redact(str(error))}")


def _plain(name: str) -> str:
    """A name for a flow run: Prefect would fill in what stands in braces."""
    return name.replace("{", "(").replace("}", ")")
