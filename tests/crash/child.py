"""The process that is killed: `render` from end to end, without Prefect's engine, and in a hurry.

What runs is the flow's own coroutine with the functions that its tasks wrap: the engine beside it would need a server,
and decides nothing. Waits are shortened through the seam that exists for it, so that a resumed run takes a second.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
import sys
import tempfile
import traceback
from typing import Any, NoReturn

# Where a task would run in Prefect's engine after all, it must not start a server of its own for that.
os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "false"

import flows.production.studio
import flows.render
from tasks.errors import Incomplete, ShotchainError
from tasks.progress import Event, watch
from tasks.runware.pauses import Pauses
from tests.crash.job import Job
from tests.crash.kills import arrange
from tests.without_prefect import without_prefect

__all__ = ["render_and_end"]

_SCALE = 0.05


def render_and_end(job: Job) -> NoReturn:
    """Do a job and end the process with the exit code of the command line."""
    os.setsid()  # with its ffmpegs it can be killed as a whole
    job.folder.mkdir(parents=True)
    log = os.open(job.folder / "log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(job.environment)
    tempfile.tempdir = None  # it is taken from the environment anew
    without_prefect()
    _in_a_hurry()
    if job.kill is not None:
        arrange(job.kill, job.folder / "death")
    code, outcome = asyncio.run(_render(job))
    (job.folder / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
    sys.stdout.flush()
    os._exit(code)  # what others registered to be done at exit is not this process's to do


async def _render(job: Job) -> tuple[int, dict[str, Any]]:
    events = (job.folder / "events").open("a", buffering=1, encoding="utf-8")

    def observe(event: Event) -> None:
        events.write(f"{event.stage} {event.shot or '-'} {event.message}\n")

    watch(observe)
    with events:
        try:
            return 0, await flows.render.render.fn(**job.parameters)
        except ShotchainError as error:
            traceback.print_exc()
            told = error.as_dict()
            if isinstance(error, Incomplete):
                told["failures"] = [failure.as_dict() for failure in error.failures]
            return error.exit_code, {"error": told}
        except Exception as error:  # noqa: BLE001 -- a bug is a result too
            traceback.print_exc()
            return 1, {"error": {"type": type(error).__name__, "message": str(error)}}


def _in_a_hurry() -> None:
    pauses = Pauses(scale=_SCALE)
    for name, value in list(vars(flows.production.studio).items()):
        ours = inspect.isclass(value) and value.__module__.startswith("tasks.")
        if ours and "pauses" in inspect.signature(value).parameters:
            setattr(flows.production.studio, name, functools.partial(value, pauses=pauses))
