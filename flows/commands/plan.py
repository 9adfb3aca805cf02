"""`shotchain plan`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from flows.commands.flags import (
    BaseUrl,
    Budgets,
    Json,
    LedgerUrl,
    Provider,
    Retries,
    StoryboardFile,
    Tags,
    Work,
    parse_sum,
    parse_tags,
)
from flows.commands.output import console, print_json
from tasks.settings import resolve_settings

__all__ = ["plan"]


def plan(
    storyboard: StoryboardFile,
    /,
    *,
    diff: Annotated[
        bool, Parameter(negative="", help="Show what has changed since the last render: reused, generated, and why.")
    ] = False,
    graph: Annotated[bool, Parameter(negative="", help="Print the graph of the shots as Mermaid.")] = False,
    budget: Annotated[
        str | None, Parameter(help="A sum in dollars; if the plan is over it, say what would bring it within.")
    ] = None,
    budgets: Budgets = None,
    tag: Tags = None,
    clip_seconds: Annotated[
        str | None, Parameter(help="Seconds a clip takes, for where none of the model was made yet.")
    ] = None,
    max_in_flight: Annotated[int, Parameter(help="At most so many clips at the provider at once.")] = 8,
    retries: Retries = None,
    provider: Provider = "runware",
    base_url: BaseUrl = None,
    work: Work = None,
    ledger: LedgerUrl = None,
    json: Json = False,
) -> None:
    """Show what rendering a storyboard would do and cost. Sends nothing, spends nothing."""
    from flows.books.pricing import parse_clip_seconds, price_storyboard

    settings = resolve_settings(
        provider=provider,
        base_url=base_url,
        work=work,
        ledger=ledger,
        max_in_flight=max_in_flight,
        retries=retries,
        budgets=budgets,
        needs_key=False,
    )
    budget_usd, tags = parse_sum(budget, "--budget"), parse_tags(tag)
    clip_s = parse_clip_seconds(clip_seconds, "--clip-seconds")
    priced = asyncio.run(price_storyboard(storyboard, settings, budget_usd=budget_usd, tags=tags, clip_s=clip_s))
    told = None
    if diff:
        from flows.books.past import past_of

        told = past_of(priced.plan, settings.ledger).diff(priced.plan, priced.reused)
    if json:
        shown = priced.as_dict()
        print_json(shown if told is None else {**shown, "diff": told.as_dict()})
        return
    if graph:
        from tasks.plan.picture import draw

        print(draw(priced.plan, priced.estimate), end="")  # noqa: T201 -- for another program, as it is
        return
    if told is not None:
        from flows.commands.take_tables import print_diff

        print_diff(console(), told)
    else:
        from flows.display import print_plan

        print_plan(console(), priced.plan, priced.reused, priced.estimate)
    if priced.savings is not None and priced.tightest is not None:
        from flows.display import print_savings

        print_savings(console(), priced.tightest.budget, priced.savings)
