"""The one budget over all renders of a batch: a standing budget, so that the ledger holds it on whatever machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flows.money.terms import Terms
from tasks.errors import SettingsError
from tasks.ledger import StandingBudget
from tasks.settings import parse_usd

__all__ = ["STORYBOARD_TAG", "TAG", "batch_budget", "under_batch"]

TAG = "batch"
"""The tag by which renders belong to a batch; its value is the id of the batch's flow run."""

STORYBOARD_TAG = "batch_storyboard"
"""The tag that says which storyboard of its batch a render is of; its value is the storyboard's name there."""


def batch_budget(tags: Mapping[str, str], limit_usd: str | None) -> StandingBudget | None:
    """The budget of the batch that a run with these tags belongs to; None without a limit.

    Raises:
        SettingsError: The limit is no amount of dollars, or there is one and the run belongs to no batch.
    """
    amount_usd = parse_usd(limit_usd, "batch_budget_usd")
    if amount_usd is None:
        return None
    batch = tags.get(TAG)
    if not batch:
        raise SettingsError(
            "batch_budget_usd is for the renders of a batch, and this one has no tag 'batch'",
            advice="Use budget_usd, or give all runs that share the budget a tag 'batch' of one value.",
        )
    return StandingBudget(f"batch {batch}", amount_usd, match={TAG: batch})


def under_batch(terms: Terms, limit_usd: str | None) -> Terms:
    """The terms of a run, under the budget of its batch too.

    Raises:
        SettingsError: See `batch_budget`.
    """
    budget = batch_budget(terms.tags, limit_usd)
    if budget is None:
        return terms
    others = tuple(other for other in terms.limits.standing if other.name != budget.name)
    return replace(terms, limits=replace(terms.limits, standing=(*others, budget)))
