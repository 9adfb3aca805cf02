"""Planning, as a Prefect task."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.handed import Handed
from tasks.plan.build import build_plan
from tasks.plan.model import Plan
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import Storyboard

__all__ = ["plan_film"]


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE)
async def plan_film(read: Handed[tuple[Storyboard, dict[str, InputFacts]]], provider: str) -> Handed[Plan]:
    """See `build_plan`."""
    return Handed(build_plan(*read.value, provider))
