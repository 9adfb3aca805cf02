"""The gate and the takes, as Prefect tasks. Trying again is the ledger's business, so Prefect retries nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.clips.gate import Reserved, open_gate
from tasks.clips.generate import Generator
from tasks.clips.store import ClipStore
from tasks.clips.taken import Taken
from tasks.handed import Handed
from tasks.ledger.ledger import Ledger
from tasks.plan.model import Plan, PlannedShot, PlannedTake

__all__ = ["bring", "generate", "reserve"]


@task(name="reserve", task_run_name="reserve", cache_policy=NO_CACHE)
async def reserve(
    plan: Handed[Plan],
    store: ClipStore,
    ledger: Ledger,
    run_id: str,
    approved_usd: Decimal | None,
    forgone: Collection[str] = (),
) -> Handed[Reserved]:
    """See `open_gate`."""
    return Handed(await open_gate(plan.value, store, ledger, run_id, approved_usd, forgone))


@task(name="generate", task_run_name="{shot.value.id} · take {take.value.number}", cache_policy=NO_CACHE)
async def generate(
    generator: Generator,
    shot: Handed[PlannedShot],
    take: Handed[PlannedTake],
    reserved: Handed[Reserved],
    upstream: Mapping[str, Handed[Taken]],
) -> Handed[Taken]:
    """See `Generator.take`. `reserved` and `upstream` are what it waits for, and so the edges of the graph."""
    del reserved
    clips = {needed: taken.value.clip for needed, taken in upstream.items()}
    return Handed(await generator.take(shot.value, take.value, clips))


@task(name="bring", task_run_name="{shot.value.id} · take {take.value.number} · bring", cache_policy=NO_CACHE)
async def bring(
    generator: Generator,
    taken: Handed[Taken],
    shot: Handed[PlannedShot],
    take: Handed[PlannedTake],
    upstream: Mapping[str, Handed[Taken]],
) -> Handed[Taken]:
    """See `Generator.bring`: of a clip that was delivered, this is its first byte here."""
    clips = {needed: its.value.clip for needed, its in upstream.items()}
    return Handed(await generator.bring(taken.value, shot.value, take.value, clips))
