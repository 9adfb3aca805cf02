"""What the page shows before anything is made: the plan with its prices, and the graph."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from flows.books.history import learnt_times
from flows.page.tables import graph_of, plan_of
from flows.page.words import plain
from flows.page.writer import careful_artifacts
from tasks.clips.store import ClipStore
from tasks.plan.estimate import estimate
from tasks.plan.model import Plan
from tasks.plan.picture import draw
from tasks.settings import Settings
from tasks.together import together

__all__ = ["introduce", "leave_plan"]

_MOST_S = 5.0


async def introduce(settings: Settings, plan: Plan) -> None:
    """Leave the plan as a table (`shotchain-plan`) and as a graph (`shotchain-graph`), within seconds or not at all.

    Args:
        settings: Whose store, for what is reused, and whose ledger, for how long clips take.
        plan: What is to be made.
    """
    artifacts = careful_artifacts()
    if artifacts is None or not plan.shots:
        return
    try:
        async with asyncio.timeout(_MOST_S):
            reused = frozenset(await ClipStore(settings.work, settings.cache).has(plan.content_keys))
            times = await asyncio.to_thread(learnt_times, settings, plan.model)
            told = estimate(plan, reused, retries=settings.retries, times=times, max_in_flight=settings.max_in_flight)
            graph = graph_of(plan, draw(plan, told))
            table = artifacts.table("shotchain-plan", *plan_of(plan, reused))
            await together([table, artifacts.markdown("shotchain-graph", _graph_says(plan), graph)])
    except TimeoutError:
        artifacts.note(f"the plan could not be shown within {_MOST_S:.0f} s")
    except Exception as error:  # noqa: BLE001 -- what is wrong with store or ledger, the run itself will say
        artifacts.note(f"the plan could not be shown: {error}")


async def leave_plan(plan: Plan, reused: Collection[str]) -> None:
    """Leave the plan as a table (`shotchain-plan`). `reused` are content keys of the clips that are in the store."""
    artifacts = careful_artifacts()
    if artifacts is not None:
        await artifacts.table("shotchain-plan", *plan_of(plan, reused))


def _graph_says(plan: Plan) -> str:
    return f"{plain(plan.title)}: which shot takes frames of which"
