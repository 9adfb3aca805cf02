"""A run in a process of its own, which somebody may kill, with deliveries into a store elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.clips.house import House, make_plan

__all__ = ["PROMPT", "Job", "deliver_and_bring"]

PROMPT = "A tram climbs through autumn trees"


@dataclass(frozen=True)
class Job:
    """Where it works: the folder of its ledger, which is there, its store, its provider."""

    folder: Path
    work: str
    base_url: str


def deliver_and_bring(job: Job) -> None:
    """Have one take delivered, and bring it here."""

    async def work() -> None:
        house = House(job.folder, make_plan(PROMPT), job.folder / "ledger.db", work=job.work)
        async with house.run(
            None, base_url=job.base_url, direct_delivery=True, lease_s=1.0, deadline_s=30.0, grace_s=5.0
        ) as run:
            await run.brought()

    asyncio.run(work())
