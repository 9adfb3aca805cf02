"""What a run may hold and spend: its own limits, and the standing budgets that it shares with other runs.

Every limit counts the same money: what is reserved, what is spent, and what nobody can tell yet. All are checked in
one place and at one moment, in the transaction that reserves (`budget.py`): before the run's first request leaves,
and again before each retry. None is checked later, so none can break off what is under way: what was reserved is
billed, whatever it costs, and a cost above its price may pass a limit. Then the next reservation is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tasks.ledger.money import to_micro
from tasks.ledger.periods import Period, zone

__all__ = ["Limits", "StandingBudget"]


@dataclass(frozen=True, slots=True)
class StandingBudget:
    """A budget that many runs draw on, told apart by its name.

    It counts what was reserved for a provider, by runs that it matched, since its period began; what was reserved
    earlier counts there, even if it is billed today. Dollars of an emulator are not those of a real provider.

    Raises:
        ValueError: No name, an amount that is no money or finer than a micro-dollar, or no such time zone.
    """

    name: str

    limit_usd: Decimal
    """What all runs together may hold and spend in one period.

    Checked when a run reserves its plan and before each retry. Billed anyway: takes that cost more than their price,
    and what was reserved before the limit was lowered.
    """

    period: Period = Period.FOREVER
    """When it is full again: what was reserved in an earlier period no longer counts."""

    timezone: str = "UTC"
    """Where days, weeks (from Monday) and months begin, as an IANA name."""

    match: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The tags that a run must have. Without any, it is for every run."""

    approve_above_usd: Decimal | None = None
    """A plan that costs more is asked about first. Never a limit: once approved, it is spent."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a budget needs a name")
        to_micro(self.limit_usd)
        if self.approve_above_usd is not None:
            to_micro(self.approve_above_usd)
        zone(self.timezone)

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Whether it is for a run with these tags."""
        return all(tags.get(name) == value for name, value in self.match.items())


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of one run. `None` limits nothing.

    Raises:
        ValueError: An amount that is no money or finer than a micro-dollar, or two budgets of one name.
    """

    run_usd: Decimal | None = None
    """What the run and its resumptions may hold and spend together.

    Checked when it reserves its plan, whole or not at all, and before each retry. Adopting what another run has under
    way, or has paid for, costs nothing. Billed anyway: takes that cost more than their price.
    """

    shot_usd: Decimal | None = None
    """What all takes and retries of any one shot may hold and spend in this run.

    Checked at the same moments. Billed anyway: as for `run_usd`.
    """

    standing: tuple[StandingBudget, ...] = ()
    """Budgets shared with other runs; see there."""

    approve_above_usd: Decimal | None = None
    """A plan that costs more is asked about first. Checked once, before anything is sent."""

    def __post_init__(self) -> None:
        for amount_usd in (self.run_usd, self.shot_usd, self.approve_above_usd):
            if amount_usd is not None:
                to_micro(amount_usd)
        names = [budget.name for budget in self.standing]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two budgets are called '{twice[0]}'")

    def for_tags(self, tags: Mapping[str, str]) -> Limits:
        """These limits, with the standing budgets alone that match a run of these tags."""
        return replace(self, standing=tuple(budget for budget in self.standing if budget.matches(tags)))

    @property
    def ask_above_usd(self) -> Decimal | None:
        """The smallest sum above which somebody is to be asked; `None` if nobody is."""
        sums_usd = [self.approve_above_usd, *(budget.approve_above_usd for budget in self.standing)]
        return min((it for it in sums_usd if it is not None), default=None)
