"""What a command knows before it spends anything: the plan, and what of it is in the store."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flows.commands.flags import RunFlags, parse_tags
from flows.commands.output import console
from tasks.clips.store import ClipStore
from tasks.errors import ApprovalNeeded
from tasks.plan.build import build_plan
from tasks.plan.catalog import input_formats
from tasks.plan.model import Plan, usd
from tasks.settings import Settings
from tasks.storyboard.inputs import inspect_inputs
from tasks.storyboard.read import read_storyboard

__all__ = ["Prepared", "approve", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """A storyboard, planned, and held against the clip store."""

    plan: Plan
    reused: set[str]
    to_pay_usd: Decimal
    settings: Settings
    tags: Mapping[str, str]


async def prepare(storyboard: str, settings: Settings, *, text: str | None = None) -> Prepared:
    """Plan a storyboard and look into the store. With `text`, that is what it says, whatever is in the file.

    Raises:
        StoryboardError: The storyboard has mistakes.
        StorageUnreachable: The store does not answer.
    """
    board = read_storyboard(storyboard, text=text)
    facts = await inspect_inputs(board, settings.cache, formats=input_formats())
    planned = build_plan(board, facts, settings.identity)
    reused = await ClipStore(settings.work, settings.cache).has(planned.content_keys)
    return Prepared(planned, reused, planned.to_pay_usd(reused), settings, board.tags)


def approve(prepared: Prepared, flags: RunFlags) -> dict[str, Any]:
    """Have a person approve what costs more than the flags let pass.

    Returns:
        Parameters of the flow that say what was approved.

    Raises:
        UnpinnedInput: An input cannot be read, so there is nothing to approve.
        ApprovalNeeded: Nobody can be asked, or the answer is no.
    """
    from tasks.clips.gate import refuse_unpinned  # it brings the ledger's database along

    refuse_unpinned(prepared.plan)
    from flows.terms import terms_of

    terms = terms_of(
        prepared.settings,
        {**prepared.tags, **parse_tags(flags.tag)},
        budget_usd=flags.budget,
        shot_budget_usd=flags.shot_budget,
        approve_above_usd=flags.approve_above,
        approved=flags.yes,
    )
    if terms.approved_usd is None or prepared.to_pay_usd <= terms.approved_usd:
        return {}
    _ask(prepared)
    # A yes is to this sum for this plan, and to no more.
    return {"approved_usd": str(prepared.to_pay_usd), "approved_plan": prepared.plan.fingerprint}


def _ask(prepared: Prepared) -> None:
    from rich.text import Text

    from flows.display import print_plan

    price = usd(prepared.to_pay_usd)
    if sys.stdin.isatty() and sys.stderr.isatty():
        told = console(stderr=True)
        print_plan(told, prepared.plan, prepared.reused)
        if told.input(Text(f"Spend up to ${price}? [y/N] ")).strip().lower() in {"y", "yes"}:
            return
        raise ApprovalNeeded(f"spending ${price} was not approved", cost_usd=prepared.to_pay_usd)
    raise ApprovalNeeded(
        f"spending ${price} needs approval, and there is nobody to ask",
        advice="Approve with --yes, or raise --approve-above. Nothing was spent.",
        cost_usd=prepared.to_pay_usd,
    )
