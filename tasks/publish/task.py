"""Publishing, as a Prefect task that leaves the bill as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.publish.publish import publish
from tasks.publish.targets import Targets
from tasks.sequence.verify import FilmFacts

__all__ = ["publish_film"]


@task(name="publish", cache_policy=NO_CACHE)
async def publish_film(
    facts: FilmFacts, film: Path, manifest: Mapping[str, Any], targets: Targets, scratch: Path
) -> None:
    """See `publish`. `facts` are the check that the film has passed."""
    await publish(film, manifest, targets, scratch)
    await acreate_table_artifact(
        key="shotchain-bill",
        description=f"**{manifest['title']}**: paid ${manifest['cost_usd']} for {facts.frames} frames, "
        f"published to {targets.film.shown}",
        table=[
            {
                "shot": shot["id"],
                "take": take["number"],
                "reused": "yes" if take["reused"] else "no",
                "paid": f"${take['paid_usd']}",
                "taskUUID": take["taskUUID"],
                "attempts": len(take["attempts"]),
            }
            for shot in manifest["shots"]
            for take in shot["takes"]
        ],
    )
