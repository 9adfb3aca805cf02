"""Planning, as a Prefect task that leaves the plan as a table."""

from __future__ import annotations

from prefect import task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.handed import Handed
from tasks.plan.build import build_plan
from tasks.plan.model import Plan, number, usd
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import Storyboard

__all__ = ["plan_film"]


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE)
async def plan_film(read: Handed[tuple[Storyboard, dict[str, InputFacts]]], provider: str) -> Handed[Plan]:
    """See `build_plan`."""
    plan = build_plan(*read.value, provider)
    await acreate_table_artifact(
        key="shotchain-plan",
        description=f"**{plan.title}**: {len(plan.shots)} shots, {plan.frames} frames, "
        f"{number(plan.duration_s)} s, at most ${usd(plan.cost_usd)}",
        table=[
            {
                "shot": shot.id,
                "mode": str(shot.mode),
                "boundary": str(shot.boundary),
                "waits for": ", ".join(shot.depends_on) or "–",
                "seconds": str(shot.duration_s),
                "generated": str(shot.generate_s),
                "frames": shot.frames,
                "takes": len(shot.takes),
                "price": f"${usd(shot.cost_usd)}",
            }
            for shot in plan.shots
        ],
    )
    return Handed(plan)
