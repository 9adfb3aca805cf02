"""Publishing, as a Prefect task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.handed import Handed
from tasks.publish.editing.media import MediaCopy
from tasks.publish.publish import publish
from tasks.publish.sidecars import Sidecar
from tasks.publish.targets import Targets
from tasks.sequence.verify import FilmFacts

__all__ = ["publish_film"]


@task(name="publish", task_run_name="publish", cache_policy=NO_CACHE)
async def publish_film(
    checked: Handed[FilmFacts] | None,
    film: Path,
    manifest: Handed[Mapping[str, Any]],
    targets: Handed[Targets],
    scratch: Path,
    sidecars: Sequence[Sidecar] = (),
    media: Sequence[MediaCopy] = (),
) -> None:
    """See `publish`. `checked` is what the film was found to be; None where there is none, and only its manifest."""
    await publish(None if checked is None else film, sidecars, manifest.value, targets.value, scratch, media)
