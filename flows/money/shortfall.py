"""What is missing when money runs out: the shots, the sum that finishes them, and which budgets lack how much."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tasks.clips.gate import still_to_buy_usd
from tasks.errors import OverBudget, ShotchainError
from tasks.ledger import BudgetState, Ledger, State
from tasks.plan.model import Plan, usd
from tasks.plan.savings import find_savings
from tasks.problems import listed_shots
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import Storyboard

__all__ = ["Lack", "Shortfall", "advise_savings", "has_begun", "held_usd", "lacks", "refuse_without_room", "short_of"]


@dataclass(frozen=True, slots=True)
class Lack:
    """A budget without room for a sum. `by_usd` is what it lacks, `to_usd` the limit with which the sum fits in."""

    state: BudgetState
    by_usd: Decimal
    to_usd: Decimal

    @property
    def name(self) -> str:
        """The budget in words."""
        return "the run's budget" if self.state.scope == "run" else f"the budget '{self.state.name}'"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "scope": self.state.scope,
            "budget": self.state.name if self.state.scope == "standing" else None,
            "period": str(self.state.period),
            "limit_usd": usd(self.state.limit_usd),
            "held_usd": usd(self.state.held_usd),
            "by_usd": usd(self.by_usd),
            "to_usd": usd(self.to_usd),
        }


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a run without money lacks.

    `refused` is the error that ended its submissions, `shots` what is missing of the film, `finish_usd` the price of
    what is still to be bought for that; `lacks` are the budgets without room for it.
    """

    refused: ShotchainError
    shots: tuple[str, ...]
    finish_usd: Decimal
    lacks: tuple[Lack, ...]

    @property
    def says(self) -> str:
        """What is missing, and the sum to finish."""
        return f"missing: {listed_shots(self.shots)}; to finish: ${usd(self.finish_usd)}"

    @property
    def advice(self) -> str:
        """How the rest is had."""
        told = [f"Raise {lack.name} by ${usd(lack.by_usd)}, to ${usd(lack.to_usd)}." for lack in self.lacks]
        if any(lack.state.scope == "run" for lack in self.lacks):
            told.append(f"Begun anew, a run has its budget to itself: then ${usd(self.finish_usd)} is enough.")
        if not self.lacks:
            told.append("By now there is room for that.")
        return " ".join([*told, "Run the same command again; what is made costs nothing more."])

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "exit_code": self.refused.exit_code,
            "cost_usd": usd(self.finish_usd),
            "shots": list(self.shots),
            "budgets": [lack.as_dict() for lack in self.lacks],
        }


def held_usd(ledger: Ledger, run_id: str) -> Decimal:
    """What a run holds and has spent, less what it reserved and has not sent."""
    unsent = ledger.attempts(run_id=run_id, states={State.RESERVED})
    return ledger.totals(run_id).held_usd - sum((attempt.reserved_usd for attempt in unsent), Decimal(0))


def has_begun(ledger: Ledger, run_id: str) -> bool:
    """Whether a run that is started again has sent something before."""
    return any(attempt.submitted_at is not None for attempt in ledger.attempts(run_id=run_id))


def lacks(states: Iterable[BudgetState], sum_usd: Decimal) -> tuple[Lack, ...]:
    """Those of the budgets that have no room for a sum."""
    found = []
    for state in states:
        to_usd = state.held_usd + sum_usd
        if sum_usd > 0 and to_usd > state.limit_usd:
            found.append(Lack(state, to_usd - state.limit_usd, to_usd))
    return tuple(found)


def short_of(
    refused: ShotchainError,
    plan: Plan,
    missing: Sequence[str],
    reused: Collection[str],
    ledger: Ledger,
    run_id: str,
    lost: Collection[str] = (),
) -> Shortfall:
    """What the missing shots of a run still cost, and which of its budgets have no room for that.

    Args:
        refused: Why it could not go on.
        plan: What was to be made.
        missing: Shots of it.
        reused: Content keys of the clips that are in the store.
        ledger: Is only asked.
        run_id: The run, which holds nothing for what it has not sent.
        lost: Content keys of what is paid for anew, since what was paid for is gone.
    """
    finish_usd = still_to_buy_usd(plan.part(missing), reused, ledger, run_id, lost)
    states = ledger.budget_states(plan.provider, run_id)
    return Shortfall(refused, tuple(missing), finish_usd, lacks(states, finish_usd))


def refuse_without_room(
    states: Iterable[BudgetState], sum_usd: Decimal, *, run_id: str, run_usd: Decimal | None, held_usd: Decimal
) -> None:
    """Refuse a sum for which a budget has no room, before anybody is asked about it.

    Args:
        states: The standing budgets of the run.
        sum_usd: What would be reserved.
        run_id: The run.
        run_usd: Its own budget.
        held_usd: What it holds of that.

    Raises:
        OverBudget: There is no room.
    """
    if run_usd is not None and held_usd + sum_usd > run_usd:
        raise OverBudget(run_id, needed_usd=sum_usd, limit_usd=run_usd, held_usd=held_usd)
    for lack in lacks(states, sum_usd):
        raise OverBudget(
            run_id,
            needed_usd=sum_usd,
            limit_usd=lack.state.limit_usd,
            held_usd=lack.state.held_usd,
            scope="standing",
            budget=lack.state.name,
            period=str(lack.state.period),
        )


def advise_savings(
    error: OverBudget, plan: Plan, storyboard: Storyboard, facts: Mapping[str, InputFacts], reused: Collection[str]
) -> None:
    """Let a refused sum say which cheapest changes would fit.

    Args:
        error: The refusal; its advice is completed.
        plan: The whole plan.
        storyboard: What it was made from.
        facts: What was found out about its inputs.
        reused: Content keys of the clips that are in the store.
    """
    room_usd = max(Decimal(0), error.limit_usd - error.held_usd)
    savings = find_savings(storyboard, facts, plan.provider, reused, room_usd)
    if savings is not None and savings.together:
        changes = "; ".join(f"{saving.says} saves ${usd(saving.saves_usd)}" for saving in savings.together)
        outcome = "Cheapest changes that fit" if savings.fits else "The cheapest changes, though still too much"
        error.advice = f"{error.advice} {outcome}: {changes}."
