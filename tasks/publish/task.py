"""Publishing, as a Prefect task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.handed import Handed
from tasks.provenance.credit import Provenance
from tasks.publish.editing.media import MediaCopy
from tasks.publish.publish import Published, publish
from tasks.publish.sidecars import Sidecar
from tasks.publish.targets import Targets

__all__ = ["publish_film"]


@task(name="publish", task_run_name="publish", cache_policy=NO_CACHE)
async def publish_film(
    credited: Handed[Provenance] | None,
    film: Path,
    manifest: Handed[Mapping[str, Any]],
    targets: Handed[Targets],
    scratch: Path,
    sidecars: Sequence[Sidecar] = (),
    media: Sequence[MediaCopy] = (),
    delivered: Sequence[Handed[Provenance]] = (),  # noqa: ARG001 -- what the graph of a run draws its edges from
) -> Handed[Published]:
    """See `publish`. `credited` is what the film says of its origin; None where there is only its manifest."""
    made = None if credited is None else film
    return Handed(await publish(made, sidecars, manifest.value, targets.value, scratch, media))
