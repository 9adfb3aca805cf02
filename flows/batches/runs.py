"""How a batch has its storyboards rendered, and how each render ended; here, the renders of its own process."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import httpx
from prefect import Task
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun
from prefect.flow_engine import run_flow_async
from prefect.runtime import flow_run
from prefect.states import Crashed, Pending
from prefect.utilities.callables import get_call_parameters

from flows.render import render
from tasks import errors
from tasks.errors import Incomplete, PrefectUnreachable, ShotchainError
from tasks.redaction import redact

__all__ = ["Ended", "Here", "Renders", "away", "ended_of", "exit_code_of", "plain_name", "run_key", "start_of_batch"]

_EXCEPTION = re.compile(r"Flow run encountered an exception: (?P<type>\w+): (?P<message>.*)", re.DOTALL)
_MANY = 200


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

    async def render(self, name: str, film: str, parameters: Mapping[str, Any]) -> Ended:
        """Render one, as a run of this name.

        Args:
            name: The storyboard's name in the batch.
            film: Which film it describes, as a hash: a run that made another one is no answer.
            parameters: Those of the flow `render`.

        Raises:
            PrefectUnreachable: The Prefect server went away.
        """
        ...


def run_key(batch: str, name: str, film: str, start: int) -> str:
    """The key of a render's run: two keys are the same only if all of these are.

    Args:
        batch: Id of the batch's run.
        name: The storyboard's name in it.
        film: See `Renders.render`.
        start: Which start of the batch this is, from 1.
    """
    return "batch-" + hashlib.sha256(json.dumps([batch, name, film, start]).encode()).hexdigest()


def start_of_batch() -> int:
    """Which start of its run the current flow is at, from 1."""
    return max(1, int(flow_run.run_count or 1))


class Here:
    """Renders in this process.

    Each is a flow run of its own that belongs to the batch's. Prefect would tell subflows apart by the order of their
    calls, and a batch that is started again has others to call.

    Args:
        at_once: So many at a time, in the order in which they are asked for.
    """

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._batch = flow_run.get_id()
        self._start = start_of_batch()
        self._beginning = asyncio.Lock()
        self._has_closed = self._batch is None or self._start == 1

    async def render(self, name: str, film: str, parameters: Mapping[str, Any]) -> Ended:
        """See `Renders`."""
        async with self._places:
            named = render.with_options(flow_run_name=plain_name(name), persist_result=False)
            whole = get_call_parameters(render.fn, (), dict(parameters))
            try:
                # One by one: a server on SQLite refuses most of those that are created side by side.
                async with get_client() as client, self._beginning:
                    await self._close_what_was_left(client)
                    run = await self._begin(client, name, film, whole)
                state: Any = await run_flow_async(named, flow_run=run, parameters=whole, return_type="state")
            except httpx.HTTPError as error:
                raise away(error) from error
        run_id = str(run.id)
        result: Any = await state.aresult(raise_on_failure=False)
        if isinstance(result, ShotchainError):
            told = result.summary if isinstance(result, Incomplete) else {}
            return Ended(run_id, result.exit_code, redact(result.as_dict()), told)
        if isinstance(result, BaseException):
            return Ended(run_id, 1, {"type": type(result).__name__, "message": redact(str(result))})
        return Ended(run_id, told=result)

    async def _begin(self, client: PrefectClient, name: str, film: str, parameters: dict[str, Any]) -> FlowRun:
        parent = None
        if self._batch is not None:
            # What stands for the render among the tasks of the batch; by it the server knows whose run it is.
            parent = await client.create_task_run(
                task=Task(name="render", fn=lambda: None),
                flow_run_id=UUID(self._batch),
                dynamic_key=run_key(self._batch, name, film, self._start),
                name=plain_name(name),
                state=Pending(),
            )
        return await client.create_flow_run(
            render,
            name=plain_name(name),
            parameters=render.serialize_parameters(parameters),
            state=Pending(),
            parent_task_run_id=None if parent is None else parent.id,
        )

    async def _close_what_was_left(self, client: PrefectClient) -> None:
        """The renders of an earlier start ended with its process: nobody else would ever say so."""
        if self._has_closed or self._batch is None:
            return
        left = FlowRunFilter(
            parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[UUID(self._batch)]),
            deployment_id=FlowRunFilterDeploymentId(is_null_=True),
            state=FlowRunFilterState(type=FlowRunFilterStateType(not_any_=sorted(TERMINAL_STATES))),
        )
        for run in await client.read_flow_runs(flow_run_filter=left, limit=_MANY):
            await client.set_flow_run_state(
                run.id, Crashed(message="The process of its batch ended; the batch was started again."), force=True
            )
        self._has_closed = True


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
    short, shots = manifest.get("to_finish"), manifest.get("shots")
    if isinstance(short, dict) and isinstance(short.get("exit_code"), int):
        return int(short["exit_code"])
    told = [shot.get("error") for shot in shots if isinstance(shot, dict)] if isinstance(shots, list) else []
    failures = [error for error in told if isinstance(error, dict)]
    codes = {_code_of(str(error.get("type"))) for error in failures} - {Incomplete.exit_code}
    return min(codes, default=ended.exit_code)


def _code_of(name: str) -> int:
    """The exit code of an error of this name."""
    known = getattr(errors, name, None)
    return known.exit_code if isinstance(known, type) and issubclass(known, ShotchainError) else 1


def away(error: Exception) -> PrefectUnreachable:
    """What to say where the Prefect server does not answer, or answers with an error of its own."""
    said = redact(str(error)) or type(error).__name__
    return PrefectUnreachable(f"the Prefect server does not answer during the batch: {said}")


def plain_name(name: str) -> str:
    """A name for a flow run: Prefect would fill in what stands in braces."""
    return name.replace("{", "(").replace("}", ")")
