"""Conforming and joining, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.clips.generate import Taken
from tasks.handed import Handed
from tasks.plan.model import Plan, PlannedShot
from tasks.sequence.conform import Conformed, conform
from tasks.sequence.cuts import cut_of, layout_of
from tasks.sequence.film import make_film
from tasks.sequence.slate import make_slate
from tasks.sequence.verify import FilmFacts

__all__ = ["conform_shot", "join_film", "slate_shot"]


@task(name="conform", task_run_name="{shot.value.id} · conform", cache_policy=NO_CACHE)
async def conform_shot(
    plan: Handed[Plan], shot: Handed[PlannedShot], taken: Handed[Taken], folder: Path
) -> Handed[Conformed]:
    """See `conform`."""
    cut = cut_of(plan.value, shot.value, taken.value.clip)
    return Handed(await conform(cut, layout_of(plan.value), folder))


@task(name="slate", task_run_name="{shot.value.id} · slate", cache_policy=NO_CACHE)
async def slate_shot(plan: Handed[Plan], shot: Handed[PlannedShot], words: str, folder: Path) -> Handed[Conformed]:
    """See `make_slate`."""
    return Handed(await make_slate(shot.value.id, words, shot.value.frames, layout_of(plan.value), folder))


@task(name="join", task_run_name="join", cache_policy=NO_CACHE)
async def join_film(plan: Handed[Plan], parts: Sequence[Handed[Conformed]], output: Path) -> Handed[FilmFacts]:
    """See `make_film`."""
    conformed = [part.value for part in parts]
    metadata = {"title": plan.value.title}
    return Handed(await make_film(conformed, layout_of(plan.value), output, metadata=metadata))
