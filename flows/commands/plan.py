"""`shotchain plan`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from flows.commands.flags import BaseUrl, Json, LedgerUrl, Provider, StoryboardFile, Work
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
    provider: Provider = "runware",
    base_url: BaseUrl = None,
    work: Work = None,
    ledger: LedgerUrl = None,
    json: Json = False,
) -> None:
    """Show what rendering a storyboard would do and cost. Sends nothing, spends nothing."""
    from flows.commands.prepare import prepare
    from tasks.plan.model import usd

    settings = resolve_settings(provider=provider, base_url=base_url, work=work, ledger=ledger, needs_key=False)
    prepared = asyncio.run(prepare(storyboard, settings))
    told = None
    if diff:
        from flows.commands.compare import compare, past_of

        told = compare(prepared, past_of(prepared.plan, settings.ledger))
    if json:
        shown = {**prepared.plan.as_dict(), "to_pay_usd": usd(prepared.to_pay_usd)}
        print_json(shown if told is None else {**shown, "diff": told.as_dict()})
        return
    if told is not None:
        from flows.comparison import print_diff

        print_diff(console(), told)
        return
    from flows.display import print_plan

    print_plan(console(), prepared.plan, prepared.reused)
