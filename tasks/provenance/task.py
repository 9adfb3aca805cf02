"""Marking and signing, as a Prefect task."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.clips.store import Clip
from tasks.handed import Handed
from tasks.media.thread import finish_in_thread
from tasks.plan.model import Plan
from tasks.provenance.credit import Provenance, credit
from tasks.provenance.credits import credits_of
from tasks.settings import Finish, Signing

__all__ = ["credit_film"]


@task(name="provenance", task_run_name="provenance", cache_policy=NO_CACHE)
async def credit_film(
    plan: Handed[Plan],
    clips: Handed[Mapping[str, Clip]],
    slates: Collection[str],
    finish: Handed[Finish],
    signing: Handed[Signing],
    checked: Handed[Any],
    film: Path,
) -> Handed[Provenance]:
    """See `credit`. `checked` is what the file was found to be before, and so an edge of the graph."""
    del checked
    told = credits_of(plan.value, clips.value, slates, finish.value)
    return Handed(await finish_in_thread(credit, film, told, signing.value))
