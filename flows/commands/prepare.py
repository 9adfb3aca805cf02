"""What a command knows before it spends anything: the plan, and what of it is in the store."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands.flags import RunFlags, parse_tags
from flows.commands.output import console
from tasks.clips.store import ClipStore
from tasks.errors import ApprovalNeeded, OverBudget
from tasks.plan.build import build_plan
from tasks.plan.catalog import input_formats
from tasks.plan.model import Plan, usd
from tasks.settings import DEFAULT_FINISH, Settings
from tasks.storyboard.inputs import InputFacts, inspect_inputs
from tasks.storyboard.model import Storyboard
from tasks.storyboard.read import read_storyboard

if TYPE_CHECKING:
    from flows.money.terms import Terms  # the ledger's database comes with it

__all__ = ["Prepared", "approve", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """A storyboard, planned, and held against the clip store."""

    plan: Plan
    reused: set[str]
    to_pay_usd: Decimal
    settings: Settings
    tags: Mapping[str, str]
    made_of: tuple[Storyboard, Mapping[str, InputFacts]] | None = None

    @property
    def inputs(self) -> dict[str, Path | None]:
        """The files that the film is made of, by URI, with their paths where they can be read here."""
        return {} if self.made_of is None else {uri: facts.local for uri, facts in self.made_of[1].items()}


async def prepare(storyboard: str, settings: Settings, *, text: str | None = None) -> Prepared:
    """Plan a storyboard and look into the store. With `text`, that is what it says, whatever is in the file.

    Raises:
        StoryboardError: The storyboard has mistakes.
        BadInput: The film cannot be finished as it is to be.
        StorageUnreachable: The store does not answer.
    """
    board = read_storyboard(storyboard, text=text)
    facts = await inspect_inputs(board, settings.cache, formats=input_formats())
    planned = build_plan(board, facts, settings.identity)
    if settings.finish != DEFAULT_FINISH or planned.cards:
        from tasks.sequence.shots import check_finish  # it brings all that draws and decodes along

        check_finish(planned, settings.finish)
    reused = await ClipStore(settings.work, settings.cache).has(planned.content_keys)
    return Prepared(planned, reused, planned.to_pay_usd(reused), settings, board.tags, (board, facts))


def approve(prepared: Prepared, flags: RunFlags) -> dict[str, Any]:
    """Refuse what no budget has room for, and have a person approve what costs more than the flags let pass.

    The flow looks at both again, since it must stand alone; here it is before a server is started, and told in full.

    Returns:
        Parameters of the flow that say what was approved.

    Raises:
        UnpinnedInput: An input cannot be read, so there is nothing to approve.
        OverBudget: A budget has no room for it, whoever approves; nobody was asked.
        ApprovalNeeded: Nobody can be asked, or the answer is no.
    """
    from tasks.clips.gate import refuse_unpinned  # it brings the ledger's database along

    refuse_unpinned(prepared.plan)
    from flows.money.terms import terms_of

    terms = terms_of(
        prepared.settings,
        {**prepared.tags, **parse_tags(flags.tag)},
        budget_usd=flags.budget,
        shot_budget_usd=flags.shot_budget,
        approve_above_usd=flags.approve_above,
        approved=flags.yes,
    )
    if prepared.to_pay_usd and (terms.limits.run_usd is not None or terms.limits.standing):
        _refuse_without_room(prepared, terms)
    if terms.approved_usd is None or prepared.to_pay_usd <= terms.approved_usd:
        return {}
    _ask(prepared)
    # A yes is to this sum for this plan, and to no more.
    return {"approved_usd": str(prepared.to_pay_usd), "approved_plan": prepared.plan.fingerprint}


def _refuse_without_room(prepared: Prepared, terms: Terms) -> None:
    """Refuse what no yes could let pass, with what would make it cheaper, before anybody is asked."""
    from flows.money.shortfall import advise_savings, refuse_without_room
    from tasks.clips.gate import still_to_buy_usd
    from tasks.ledger import open_ledger

    plan, limits = prepared.plan, terms.limits
    with open_ledger(prepared.settings.ledger) as ledger:
        ledger.release_lapsed()  # what a dead run had reserved takes nobody's room
        # What other runs have under way already is not paid for again.
        needed_usd = still_to_buy_usd(plan, prepared.reused, ledger, "")
        states = ledger.budget_states(plan.provider, budgets=limits.standing)
    try:
        refuse_without_room(states, needed_usd, run_id="", run_usd=limits.run_usd, held_usd=Decimal(0))
    except OverBudget as error:
        if prepared.made_of is not None:
            advise_savings(error, plan, *prepared.made_of, prepared.reused)
        raise


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
