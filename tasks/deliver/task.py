"""Deliverables, as Prefect tasks."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.deliver.deliver import Delivered, deliver
from tasks.deliver.presets import Preset
from tasks.handed import Handed
from tasks.sequence.parts import Progress
from tasks.sequence.verify import FilmFacts

__all__ = ["deliver_film"]


@task(name="deliver", task_run_name="{preset.value.name} · deliver", cache_policy=NO_CACHE)
async def deliver_film(
    film: Path,
    facts: Handed[FilmFacts],
    preset: Handed[Preset],
    captions: Path | None,
    folder: Path,
    on_frames: Progress | None = None,
) -> Handed[Delivered]:
    """See `deliver`."""
    return Handed(await deliver(film, facts.value, preset.value, captions, folder, on_frames))
