"""A pause of the current flow run with a form on its page, which outlasts a server that is away for a while."""

from __future__ import annotations

import asyncio
from typing import TypeVar
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import apause_flow_run
from prefect.input import RunInput
from prefect.input.actions import aread_flow_run_input
from prefect.input.run_input import keyset_from_base_key
from prefect.runtime import flow_run

__all__ = ["pause_for"]

_POLL_S = 2
Form = TypeVar("Form", bound=RunInput)


async def pause_for(form: type[Form], timeout_s: float) -> Form:
    """Pause the flow run, show the form, and wait until it is sent.

    Args:
        form: What is to be filled in.
        timeout_s: How many seconds are waited for, those included in which Prefect's server does not answer.

    Raises:
        FlowPauseTimeout: Nobody sent it, or the server did not tell.
        ValidationError: The run was set running past the form.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    # A key of its own: Prefect lets a pause whose key it knows pass at once, without an answer.
    key = f"approval-{uuid4().hex}"
    lost = False
    while (left_s := deadline - loop.time()) > 0:
        try:
            is_asked, sent = await _look(form, key) if lost else (False, None)
            if sent is not None:
                return sent
            if not is_asked:
                return await apause_flow_run(form, timeout=max(1, round(left_s)), poll_interval=_POLL_S, key=key)
        except httpx.HTTPError:  # after all the retries of its client
            lost = True
        await asyncio.sleep(min(_POLL_S, max(0.0, deadline - loop.time())))
    raise FlowPauseTimeout("nobody answered in time, or Prefect's server did not tell")


async def _look(form: type[Form], key: str) -> tuple[bool, Form | None]:
    """Whether the server has heard of a pause, and the form, once it was sent."""
    keys = keyset_from_base_key(f"paused-{key}")
    async with get_client() as client:
        found = await client.read_flow_run(UUID(str(flow_run.get_id())))
    state = found.state
    if state is not None and state.is_paused():
        if await aread_flow_run_input(keys["schema"]) is None:
            await form.asave(keys)  # the pause was heard of, the form was not
        return True, None
    if state is None or not state.is_running():
        return True, None
    is_asked = key in (found.empirical_policy.pause_keys or ())
    return is_asked, await form.aload(keys) if is_asked else None
