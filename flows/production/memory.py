"""What the ledger remembers of a storyboard from run to run: the plan it was last made from, and what was reused."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from tasks.storage import locate

if TYPE_CHECKING:
    from flows.production.studio import Studio
    from tasks.clips.gate import Reserved
    from tasks.plan.model import Plan

__all__ = ["place_of", "remember"]


def place_of(plan: Plan) -> str:
    """Where a plan's storyboard lies, whole: two films of one name in two folders are two films."""
    return locate(plan.file).shown


async def remember(studio: Studio, plan: Plan, reserved: Reserved, only: Collection[str] | None = None) -> None:
    """Write down what a run has for nothing, and what it makes; of other shots, what was made of them before.

    Args:
        studio: The run's.
        plan: The whole plan.
        reserved: What the gate found.
        only: The shots that the run makes; None for all.
    """
    from tasks.clips.writing import in_ledger
    from tasks.ledger import Reuse

    shots = plan.shots if only is None else plan.part(only).shots
    reused = [
        Reuse(take.content_key, shot.id, take.number, plan.model, shot.price_usd)
        for shot in shots
        for take in shot.takes
        if take.content_key in reserved.reused
    ]
    await in_ledger(studio.ledger.record_reuse, studio.run_id, reused)
    memory, place = plan.memory(), place_of(plan)
    if only is not None:
        past = await in_ledger(studio.ledger.remembered_plans, plan.provider)
        same = [item.plan for item in past if (item.storyboard, item.file) == (plan.title, place)]
        before = {shot["id"]: shot for item in same for shot in item["shots"]}
        memory["shots"] = [shot if shot["id"] in only else before.get(shot["id"], shot) for shot in memory["shots"]]
    await in_ledger(
        studio.ledger.remember_plan,
        provider=plan.provider,
        storyboard=plan.title,
        file=place,
        run_id=studio.run_id,
        plan=memory,
    )
