"""Plan and price a storyboard; spend nothing, send nothing."""

from __future__ import annotations

from typing import Any, Literal

from prefect import flow

from tasks.plan.catalog import input_formats
from tasks.plan.task import plan_film
from tasks.settings import resolve_settings
from tasks.storyboard.task import read

__all__ = ["estimate"]


@flow(name="estimate", log_prints=False)
async def estimate(
    storyboard: str,
    provider: Literal["runware", "emulator"] = "runware",
    base_url: str | None = None,
) -> dict[str, Any]:
    """Plan a storyboard: modes, dependencies, frames and prices, as JSON and as a table artifact.

    Args:
        storyboard: Path or URL of the storyboard (YAML or JSON).
        provider: Whose prices and whose clips.
        base_url: Another address of the Runware API, version path included.
    """
    settings = resolve_settings(provider=provider, base_url=base_url, needs_key=False)
    boards = await read(storyboard, settings.cache, input_formats())
    plan = await plan_film(boards, settings.identity)
    return plan.value.as_dict()
