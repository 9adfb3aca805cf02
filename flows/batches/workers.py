"""Renders of a batch as runs of a deployment, on whatever workers there are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterName,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelling

from flows.batches.runs import Ended, away, ended_of, plain_name, run_key, start_of_batch
from flows.server.automations import MOST_STARTS, RERUN_AFTER_S, TAG
from tasks.errors import SettingsError, Unreachable
from tasks.redaction import redact
from tasks.together import together

__all__ = ["GIVE_UP_S", "Workers"]

T = TypeVar("T")

GIVE_UP_S = 900.0
"""A batch of which no render has begun for so long gives its own place back."""

_log = logging.getLogger("shotchain.batch")

_MANY = 100
_CANCEL_S = 15.0
_SILENT_S = 600.0
_NO_WORKER_S = 120.0
_NO_WORKER = (
    "No worker has taken a render for %d s. A batch takes up a place too, and so does a run that waits for an answer: "
    "a worker with --limit 1 that runs a batch runs nothing else."
)
# A run that so many answered looks in a row do not show is gone: somebody deleted it.
_MISSED = 3
_LATER = frozenset({408, 429})
_REFUSED = frozenset({404, 409, 422})


class Workers:
    """Renders as runs of a deployment, on as many workers as its work pool has. Cancelled, it cancels them.

    The runs belong to the flow run in which this is used, as its subflows. A flow run that is started again finds
    those that it had begun and that are not over; one that is over is no answer, whatever it made.

    Args:
        deployment: FLOW/NAME of the deployment.
        poll_s: Seconds between two looks at the runs.
        patience_s: Seconds for which a run that crashed is given to be started again.
        silent_s: Seconds for which a server that does not answer is asked again.
        give_up_s: Seconds without any render having begun, or one of another batch being under way, after which the
            waiting ones are cancelled.
    """

    def __init__(
        self,
        deployment: str,
        *,
        poll_s: float = 3.0,
        patience_s: float = RERUN_AFTER_S + 60.0,
        silent_s: float = _SILENT_S,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        self._deployment = deployment
        self._poll_s = poll_s
        self._patience_s = patience_s
        self._silent_s = silent_s
        self._give_up_s = give_up_s
        self._batch = flow_run.get_id() or uuid4().hex
        self._start = start_of_batch()
        self._began_at = datetime.now(UTC)
        self._asked = 0
        self._answered_s = time.monotonic()
        self._waiting: dict[UUID, asyncio.Future[FlowRun | None]] = {}
        self._missed: dict[UUID, int] = {}
        self._crashed_s: dict[UUID, float] = {}
        self._looking: asyncio.Task[None] | None = None
        self._given_up: Unreachable | None = None
        self._one_at_a_time = asyncio.Lock()

    async def is_there(self) -> bool:
        """Whether the server has the deployment.

        Raises:
            SettingsError: Its name is none.
            PrefectUnreachable: The server does not answer.
        """
        flow, slash, name = self._deployment.partition("/")
        if not (flow and slash and name) or "/" in name:
            raise SettingsError(
                f"'{self._deployment}' names no deployment", advice="Accepted: FLOW/NAME, such as render/render."
            )

        async def ask(client: PrefectClient) -> bool:
            try:
                await client.read_deployment_by_name(self._deployment)
            except ObjectNotFound:
                return False
            return True

        return await self._patiently(ask)

    async def render(self, name: str, film: str, parameters: Mapping[str, Any]) -> Ended:
        """See `flows.batches.runs.Renders`.

        Raises:
            PrefectUnreachable: The server does not answer.
            SettingsError: The deployment is gone, or refuses such a run.
            Unreachable: No worker has begun a render for too long.
        """
        earlier = None
        if self._start > 1:
            earlier = await self._patiently(lambda client: self._living(client, name, film, parameters))
        if earlier is not None:
            over = await self._wait_for(earlier)
            # One that crashed before, and that nobody started again, is begun anew.
            if over is None or over.state is None or not over.state.is_crashed():
                return _ended(earlier.id, over)
        run = await self._begin(name, film, parameters)
        return _ended(run.id, await self._wait_for(run))

    async def _patiently(self, ask: Callable[[PrefectClient], Awaitable[T]]) -> T:
        """Ask until the server answers. What is asked may be asked twice."""
        while True:
            try:
                async with get_client() as client:
                    answer = await ask(client)
            except ObjectNotFound as error:
                raise self._refused("there is none") from error
            except httpx.HTTPError as error:
                status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
                if status in _REFUSED:
                    raise self._refused(str(error)) from error
                may_pass = status is None or status >= 500 or status in _LATER
                if not may_pass or time.monotonic() - self._answered_s > self._silent_s:
                    raise away(error) from error
            else:
                self._answered_s = time.monotonic()
                return answer
            await asyncio.sleep(self._poll_s)

    def _refused(self, why: str) -> SettingsError:
        return SettingsError(
            f"the deployment {self._deployment} takes no such run: {redact(why)}",
            advice="`prefect --no-prompt deploy --all` puts up the current ones.",
        )

    async def _living(
        self, client: PrefectClient, name: str, film: str, parameters: Mapping[str, Any]
    ) -> FlowRun | None:
        """The run for this film that an earlier start had begun and that is not over. Those for another are stopped."""
        keys = [run_key(self._batch, name, film, start) for start in range(1, self._start + 1)]
        ours = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=keys))
        found = await client.read_flow_runs(flow_run_filter=ours, limit=_MANY)
        alive = sorted(
            (run for run in found if self._is_alive(run)), key=lambda run: keys.index(str(run.idempotency_key))
        )
        outdated = FlowRunFilter(
            parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[UUID(self._batch)]),
            name=FlowRunFilterName(any_=[plain_name(name)]),
        )
        for run in await client.read_flow_runs(flow_run_filter=outdated, limit=_MANY):
            # Two renders of one storyboard would put their films in the same place, the older one perhaps later.
            is_same = run.parameters.get("storyboard") == parameters.get("storyboard")
            if is_same and run.idempotency_key not in keys and not _is_over(run):
                await _cancel(run.id)
        return alive[-1] if alive else None

    def _is_alive(self, run: FlowRun) -> bool:
        """Whether a run is under way, or about to be started again by the server."""
        if run.state is None or not run.state.is_final():
            return True
        ago = datetime.now(UTC) - run.state.timestamp
        return run.state.is_crashed() and run.run_count < MOST_STARTS and ago < timedelta(seconds=self._patience_s)

    async def _begin(self, name: str, film: str, parameters: Mapping[str, Any]) -> FlowRun:
        # One after another, a moment apart: workers take them in the order of their times.
        async with self._one_at_a_time:
            if self._given_up is not None:
                raise self._given_up
            self._asked += 1
            when = self._began_at + timedelta(milliseconds=self._asked)

            async def ask(client: PrefectClient) -> FlowRun:
                return await arun_deployment(
                    self._deployment,
                    client=client,
                    parameters=dict(parameters),
                    flow_run_name=plain_name(name),
                    scheduled_time=when,
                    timeout=0,
                    tags=[TAG],
                    idempotency_key=run_key(self._batch, name, film, self._start),
                )

            return await self._patiently(ask)

    async def _wait_for(self, run: FlowRun) -> FlowRun | None:
        """The run when it is over; None if it was deleted. Cancelled, it has the run cancelled."""
        ended: asyncio.Future[FlowRun | None] = asyncio.get_running_loop().create_future()
        self._waiting[run.id] = ended
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            return await ended
        except asyncio.CancelledError:
            await asyncio.shield(_cancel(run.id))
            raise
        finally:
            self._waiting.pop(run.id, None)
            self._missed.pop(run.id, None)

    async def _look(self) -> None:
        """Tell whoever waits how the runs have ended."""
        began_s = time.monotonic()
        told = False
        try:
            async with get_client() as client:
                while self._waiting:
                    try:
                        found = await self._read(client)
                        self._answered_s = time.monotonic()
                        if not found or any(_is_begun(run) for run in found):
                            began_s = time.monotonic()
                        waited_s = time.monotonic() - began_s
                        if not told and waited_s > _NO_WORKER_S:
                            told = True
                            _log.warning(_NO_WORKER, _NO_WORKER_S)
                        if waited_s > self._give_up_s:
                            if not await self._is_anything_made(client):
                                await self._give_up()
                            began_s = time.monotonic()  # what is under way will give its place away
                    except httpx.HTTPError:
                        # It may be restarting; the runs go on meanwhile.
                        if time.monotonic() - self._answered_s > self._silent_s:
                            raise
                    await asyncio.sleep(self._poll_s)
                self._looking = None  # whoever comes now looks anew
        except Exception as error:  # noqa: BLE001 -- whoever waits must not wait for ever
            self._tell_all(away(error) if isinstance(error, httpx.HTTPError) else error)

    async def _read(self, client: PrefectClient) -> list[FlowRun]:
        """The runs that are waited for; those that are over, or gone, are told of."""
        ids = list(self._waiting)
        found: list[FlowRun] = []
        for start in range(0, len(ids), _MANY):
            some = FlowRunFilter(id=FlowRunFilterId(any_=ids[start : start + _MANY]))
            found += await client.read_flow_runs(flow_run_filter=some, limit=_MANY)
        for run in found:
            self._missed.pop(run.id, None)
            if self._is_final(run):
                self._tell(run.id, run)
        for run_id in set(ids) - {run.id for run in found}:
            self._missed[run_id] = self._missed.get(run_id, 0) + 1
            if self._missed[run_id] >= _MISSED:
                self._tell(run_id, None)
        return found

    def _tell(self, run_id: UUID, run: FlowRun | None) -> None:
        waiting = self._waiting.get(run_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(run)

    def _tell_all(self, error: Exception) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)

    async def _is_anything_made(self, client: PrefectClient) -> bool:
        """Whether any worker is at a render, of whatever batch: that one will end, and leave its place."""
        running = FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])),
            deployment_id=FlowRunFilterDeploymentId(is_null_=False),
        )
        flows = FlowFilter(name=FlowFilterName(any_=[self._deployment.partition("/")[0]]))
        return bool(await client.read_flow_runs(flow_filter=flows, flow_run_filter=running, limit=1))

    async def _give_up(self) -> None:
        """Cancel what waits, so that the batch ends and its place is free: batches must not wait for one another."""
        minutes = f"{self._give_up_s / 60:.0f} minutes" if self._give_up_s >= 60 else f"{self._give_up_s:.0f} s"
        self._given_up = Unreachable(
            f"no worker has begun a render of this batch for {minutes}; those that waited are cancelled",
            advice="Every batch, and every run that waits for an answer, holds a place of a worker. Start a worker, or "
            "raise its --limit, then run the batch again: nothing was spent.",
        )
        await together(_cancel(run_id) for run_id in list(self._waiting))
        self._tell_all(self._given_up)

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


def _ended(run_id: UUID, run: FlowRun | None) -> Ended:
    if run is not None:
        return ended_of(run)
    return Ended(str(run_id), 1, {"type": "Deleted", "message": "the run was deleted; what is paid is kept"})


def _is_over(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()


def _is_begun(run: FlowRun) -> bool:
    return run.state is not None and not (run.state.is_scheduled() or run.state.is_pending())
