"""Reading a storyboard and what it names, as a Prefect task."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.handed import Handed
from tasks.storyboard.inputs import InputFacts, inspect_inputs
from tasks.storyboard.model import Storyboard
from tasks.storyboard.read import read_storyboard

__all__ = ["read"]


@task(name="read storyboard", task_run_name="read the storyboard", cache_policy=NO_CACHE)
async def read(
    source: str, cache: Path, formats: Mapping[str, Mapping[str, Sequence[str]]] | None = None
) -> Handed[tuple[Storyboard, dict[str, InputFacts]]]:
    """See `read_storyboard` and `inspect_inputs`."""
    storyboard = await asyncio.to_thread(read_storyboard, source)
    return Handed((storyboard, await inspect_inputs(storyboard, cache, formats=formats)))
