"""Renders one storyboard in this process, as the flow or as the plain coroutine, and says what that took.

`python -m tests.machines.share flow|plain STORYBOARD OUTPUT BASE_URL` prints one JSON object: seconds of wall time and
of this process's own processor time, while rendering; what ffmpeg took in children is apart.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from prefect.events.worker import EventsWorker

from flows.render import render
from tests.without_prefect import without_prefect

__all__ = ["plain_render"]


def plain_render() -> Callable[..., Awaitable[dict[str, Any]]]:
    """The flow's own coroutine. Nothing in this process is a task after that."""
    without_prefect()
    return render.fn


def processor_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def main(mode: str, storyboard: str, output: str, base_url: str) -> None:
    """Do it, and print the numbers."""
    work: Callable[..., Any] = render if mode == "flow" else plain_render()
    own_s, children_s = processor_s(resource.RUSAGE_SELF), processor_s(resource.RUSAGE_CHILDREN)
    began = time.monotonic()

    async def once() -> Any:
        return await work(storyboard, output, base_url=base_url)

    told = asyncio.run(once())
    wall_s = time.monotonic() - began
    if mode == "flow":
        EventsWorker.drain_all(timeout=30.0, at_exit=False)
    numbers = {
        "wall_s": wall_s,
        "own_s": processor_s(resource.RUSAGE_SELF) - own_s,
        "children_s": processor_s(resource.RUSAGE_CHILDREN) - children_s,
        "loading_s": own_s,
        "generated": told["generated"],
        "frames": told["frames"],
    }
    sys.stdout.write(json.dumps(numbers) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
