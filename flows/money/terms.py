"""The terms of a run: the limits and standing budgets that it is under, and what it may spend without asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from tasks.ledger import Limits, read_budgets
from tasks.settings import Settings, parse_usd

__all__ = ["Terms", "terms_of"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run may spend.

    `limits` has only the standing budgets that match `tags`. `approved_usd` is what may be spent without asking; None
    for whatever the budgets allow.
    """

    tags: Mapping[str, str]
    limits: Limits
    approved_usd: Decimal | None

    @property
    def run_usd(self) -> Decimal | None:
        """What the run and its resumptions may spend in all: its budget, and no more than is approved."""
        return min((sum_ for sum_ in (self.limits.run_usd, self.approved_usd) if sum_ is not None), default=None)

    @property
    def ask_above_usd(self) -> Decimal | None:
        """The approved sum, where more might be spent with a yes: None where the run's budget allows no more anyway."""
        own_usd, approved_usd = self.limits.run_usd, self.approved_usd
        return None if approved_usd is None or (own_usd is not None and own_usd <= approved_usd) else approved_usd

    def approved(self, sum_usd: Decimal, limit_usd: Decimal | None = None) -> Terms:
        """The terms after a person's yes to `sum_usd`. With `limit_usd`, that is the run's budget from now on."""
        if limit_usd is None:
            return replace(self, approved_usd=sum_usd)
        return replace(self, limits=replace(self.limits, run_usd=limit_usd), approved_usd=limit_usd)

    def raised(self, run_usd: Decimal) -> Terms:
        """The terms once somebody who may has let the run spend `run_usd`: its budget, and what is approved, if lower.

        A run without a budget of its own gets none by that.
        """

        def at_least(sum_usd: Decimal | None) -> Decimal | None:
            return None if sum_usd is None else max(sum_usd, run_usd)

        limits = replace(self.limits, run_usd=at_least(self.limits.run_usd))
        return replace(self, limits=limits, approved_usd=at_least(self.approved_usd))


def terms_of(
    settings: Settings,
    tags: Mapping[str, str],
    *,
    budget_usd: str | None,
    shot_budget_usd: str | None,
    approve_above_usd: str | None,
    approved: bool,
) -> Terms:
    """The terms of a run as flags, parameters and the file of standing budgets give them.

    Args:
        settings: Names the file of standing budgets.
        tags: Those of the run.
        budget_usd: What the run may spend.
        shot_budget_usd: What any one of its shots may.
        approve_above_usd: More is asked about first; the smallest of this and those of matching budgets counts.
        approved: Whether whatever the budgets allow is approved.

    Raises:
        SettingsError: A sum is no amount of dollars, or there is a mistake in the file of standing budgets.
    """
    limits = Limits(
        run_usd=parse_usd(budget_usd, "budget_usd"),
        shot_usd=parse_usd(shot_budget_usd, "shot_budget_usd"),
        standing=read_budgets(settings.budgets),
        approve_above_usd=parse_usd(approve_above_usd, "approve_above_usd"),
    ).for_tags(tags)
    return Terms(tags, limits, None if approved else limits.ask_above_usd)
