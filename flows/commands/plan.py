"""`shotchain plan`."""

from __future__ import annotations

import asyncio

from flows.commands.flags import BaseUrl, Json, Provider, StoryboardFile, Work
from flows.commands.output import console, print_json
from tasks.settings import resolve_settings

__all__ = ["plan"]


def plan(
    storyboard: StoryboardFile,
    /,
    *,
    provider: Provider = "runware",
    base_url: BaseUrl = None,
    work: Work = None,
    json: Json = False,
) -> None:
    """Show what rendering a storyboard would do and cost. Sends nothing, spends nothing."""
    from flows.commands.prepare import prepare
    from tasks.plan.model import usd

    settings = resolve_settings(provider=provider, base_url=base_url, work=work, needs_key=False)
    prepared = asyncio.run(prepare(storyboard, settings))
    if json:
        print_json({**prepared.plan.as_dict(), "to_pay_usd": usd(prepared.to_pay_usd)})
        return
    from flows.display import print_plan

    print_plan(console(), prepared.plan, prepared.reused)
