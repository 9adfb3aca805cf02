"""Plan and price a storyboard; spend nothing, send nothing."""

from __future__ import annotations

from typing import Any, Literal

from prefect import flow

from flows.books.pricing import Priced, parse_clip_seconds, price
from flows.display import minutes
from flows.page import leave_plan
from flows.page.tables import graph_of
from flows.page.words import plain
from flows.page.writer import careful_artifacts
from flows.parameters import InFlight, Retries
from flows.server.shared import run_environment
from tasks.plan.catalog import input_formats
from tasks.plan.estimate import Estimate
from tasks.plan.model import usd
from tasks.plan.picture import draw
from tasks.plan.task import plan_film
from tasks.settings import parse_usd, resolve_settings
from tasks.storyboard.task import read

__all__ = ["estimate"]


@flow(name="estimate", log_prints=False)
async def estimate(
    storyboard: str,
    provider: Literal["runware", "emulator"] = "runware",
    base_url: str | None = None,
    work: str | None = None,
    ledger: str | None = None,
    budget_usd: str | None = None,
    budgets: str | None = None,
    tags: dict[str, str] = {},  # noqa: B006 -- read only; a form shows it as it is
    max_in_flight: InFlight = 8,
    retries: Retries = None,
    clip_seconds: str | None = None,
) -> dict[str, Any]:
    """Plan and price a storyboard: modes, dependencies, frames, prices, the worst case and the time it takes.

    Leaves the plan and the estimate as table artifacts, and a picture of the graph as a markdown artifact.

    Args:
        storyboard: Path or URL of the storyboard (YAML or JSON), or the storyboard itself, typed in here.
        provider: Whose prices and whose clips.
        base_url: Another address of the Runware API, version path included.
        work: The clip store, for what is reused: a folder or any fsspec URL; by default one a user.
        ledger: The ledger, for how long clips take: a file or a SQLAlchemy URL; by default one a user.
        budget_usd: A sum in dollars, such as "12.50"; if the plan is over it, what would bring it within is said.
        budgets: The file of standing budgets (YAML); by default SHOTCHAIN_BUDGETS, else the one that ships.
        tags: Those of the run, which decide what standing budgets it draws on.
        max_in_flight: At most so many clips at the provider at once.
        retries: Further attempts a take after failures that may pass; by default the storyboard's, else 2.
        clip_seconds: Seconds a clip takes, for where the ledger has seen none of the model.

    Returns:
        The plan, and beside it `to_pay_usd`, `estimate`, `budgets` and `savings`.
    """
    settings = resolve_settings(
        provider=provider,
        base_url=base_url,
        work=work,
        ledger=ledger,
        max_in_flight=max_in_flight,
        retries=retries,
        budgets=budgets,
        needs_key=False,
        environ=await run_environment(),
    )
    budget = parse_usd(budget_usd, "budget_usd")
    clip_s = parse_clip_seconds(clip_seconds, "clip_seconds")
    boards = await read(storyboard, settings.cache, input_formats())
    plan = await plan_film(boards, settings.identity)
    priced = await price(plan.value, *boards.value, settings, budget_usd=budget, tags=tags, clip_s=clip_s)
    await leave_plan(priced.plan, priced.reused)
    await _leave_artifacts(priced)
    return priced.as_dict()


async def _leave_artifacts(priced: Priced) -> None:
    artifacts = careful_artifacts()
    if artifacts is None:
        return
    told, plan = priced.estimate, priced.plan
    over = ""
    if priced.savings is not None and priced.tightest is not None:
        over = f"; over {plain(priced.tightest.budget)} by ${usd(priced.savings.over_usd)}"
    await artifacts.table(
        "shotchain-estimate",
        f"**{plain(plan.title)}**: {told.generated} of {told.takes} takes to generate for "
        f"${usd(told.to_pay_usd)}, at worst ${usd(told.worst_usd)}{over}; {_time(told)}",
        [
            {
                "shot": shot.id,
                "takes": shot.takes,
                "reused": shot.reused,
                "generated": shot.generated,
                "price": f"${usd(shot.to_pay_usd)}",
                "at worst": f"${usd(shot.worst_usd)}",
                "begins after": "–" if shot.span is None else minutes(shot.span.begins_s),
                "there after": "–" if shot.span is None else minutes(shot.span.ends_s),
            }
            for shot in told.shots
        ],
    )
    changes = [] if priced.savings is None else [*priced.savings.together, *priced.savings.alone]
    if changes:
        await artifacts.table(
            "shotchain-savings",
            f"**{plain(plan.title)}**: what makes it cheaper{over}",
            [{"change": plain(saving.says), "saves": f"${usd(saving.saves_usd)}"} for saving in changes],
        )
    await artifacts.markdown(
        "shotchain-graph",
        f"{plain(plan.title)}: which shot takes frames of which",
        graph_of(plan, draw(plan, told)),
    )


def _time(told: Estimate) -> str:
    if told.schedule is None:
        return "how long it takes is not known"
    path = plain(" → ".join(told.schedule.critical_path)) or "nothing"
    return f"{minutes(told.schedule.wall_s)} ({told.times.source}), critical path: {path}"
