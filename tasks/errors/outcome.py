"""How a run may end short of a film: no money, no yes, or not all of its shots."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tasks.errors.base import ShotchainError
from tasks.problems import Charged, listed_shots, usd

__all__ = ["ApprovalNeeded", "Incomplete", "NeedFailed", "OverBudget"]


class OverBudget(ShotchainError):
    """A budget has no room for what a run wants to reserve. Nothing was reserved, and nothing submitted.

    Args:
        run_id: The run concerned.
        needed_usd: What the refused reservation would have added.
        limit_usd: The budget.
        held_usd: What counts in it already: reserved, spent and unknown.
        scope: Whose budget: `run`, `shot` (of this run), or `standing` (of many runs).
        budget: Name of the standing budget.
        period: The standing budget's: day, week, month or forever.
        shot: The shot whose budget it is.
    """

    exit_code = 3

    def __init__(
        self,
        run_id: str,
        *,
        needed_usd: Decimal,
        limit_usd: Decimal,
        held_usd: Decimal,
        scope: str = "run",
        budget: str | None = None,
        period: str | None = None,
        shot: str | None = None,
    ) -> None:
        a_period = f" a {period}" if period and period != "forever" else ""
        held = f", of which ${usd(held_usd)} is spent or reserved already" if held_usd else ""
        which = {"shot": "a shot's budget"}.get(scope, f"the budget '{budget}'" if budget else "the budget")
        wait = f", wait for the next {period}," if a_period else ""
        super().__init__(
            f"this needs ${usd(needed_usd)}, and {which} is ${usd(limit_usd)}{a_period}{held}",
            advice=f"Raise the budget{wait or ','} or shorten the storyboard. Nothing more was submitted.",
            shot=shot,
            cost_usd=needed_usd,
        )
        self.run_id = run_id
        self.needed_usd = needed_usd
        self.limit_usd = limit_usd
        self.held_usd = held_usd
        self.scope = scope
        self.budget = budget
        self.period = period

    def as_dict(self) -> dict[str, Any]:
        sums = {name: usd(getattr(self, name)) for name in ("needed_usd", "limit_usd", "held_usd")}
        named = {name: value for name in ("scope", "budget", "period") if (value := getattr(self, name)) is not None}
        return super().as_dict() | {"run_id": self.run_id} | sums | named


class ApprovalNeeded(ShotchainError):
    """More would be spent than may be without asking, and nobody said yes. Nothing was submitted."""

    exit_code = 4


class Incomplete(ShotchainError):
    """Some shots failed, or money is unknown; everything that was made is kept.

    Args:
        message: See `ShotchainError`.
        failures: What failed, each with its shot.
        summary: The run's outcome in numbers, as `--json` shows it.
        **fields: See `ShotchainError`.
    """

    exit_code = 5

    def __init__(
        self, message: str, *, failures: Sequence[ShotchainError], summary: dict[str, Any], **fields: Any
    ) -> None:
        super().__init__(message, **fields)
        self.failures = tuple(failures)
        self.summary = summary
        # What stops the whole run (a refused key, no room in the budget) says more than that shots failed.
        others = [failure for failure in failures if failure.exit_code != type(self).exit_code]
        self.exit_code = min((failure.exit_code for failure in others), default=type(self).exit_code)
        doubts = {failure.charged for failure in failures}
        self.charged = next((worst for worst in (Charged.UNKNOWN, Charged.YES) if worst in doubts), Charged.NO)

    def __str__(self) -> str:
        told: dict[str, list[str]] = {}
        for failure in self.failures:
            words = f"{failure.message}\n    {failure.advice}" if failure.advice else failure.message
            told.setdefault(words, []).append(failure.shot or "")
        causes = [f"{listed_shots(shots) if any(shots) else 'the film'}: {words}" for words, shots in told.items()]
        return "\n".join([super().__str__(), *causes])

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "failures": [failure.as_dict() for failure in self.failures]}


class NeedFailed(ShotchainError):
    """A shot was not begun, since one that it takes a frame of failed."""

    exit_code = 5
