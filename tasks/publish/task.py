"""Publishing, as a Prefect task that leaves the bill as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.handed import Handed
from tasks.publish.publish import publish
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
) -> None:
    """See `publish`. `checked` is what the film was found to be; None where there is none, and only its manifest."""
    told, places = manifest.value, targets.value
    await publish(None if checked is None else film, told, places, scratch)
    frames = "no film" if checked is None else f"{checked.value.frames} frames"
    await acreate_table_artifact(
        key="shotchain-bill",
        description=f"**{told['title']}**: paid ${told['cost_usd']} for {frames}, "
        f"published to {places.film.shown if checked else places.manifest.shown}",
        table=[
            {
                "shot": shot["id"],
                "take": take["number"],
                "reused": "yes" if take["reused"] else "no",
                "paid": f"${take['paid_usd']}",
                "taskUUID": take["taskUUID"],
                "attempts": len(take["attempts"]),
            }
            for shot in told["shots"]
            for take in shot["takes"]
            if take["made"]
        ],
    )
