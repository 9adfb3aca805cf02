"""Whether there is room in a run's budget. The gate asks inside the transaction that reserves."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tasks.errors import OverBudget
from tasks.ledger.money import from_micro
from tasks.ledger.states import Weight

__all__ = ["RunOverBudget", "check_room", "weight_of"]


class RunOverBudget(OverBudget):
    """The run's own budget has no room for what it wants to reserve. Nothing was reserved.

    Args:
        run_id: The run concerned.
        needed_usd: What the refused reservation would have added.
        limit_usd: The run's budget.
        held_usd: What the run holds already: reserved, spent and unknown.
    """

    def __init__(self, run_id: str, *, needed_usd: Decimal, limit_usd: Decimal, held_usd: Decimal) -> None:
        held = f", of which {held_usd} USD are spent or reserved already" if held_usd else ""
        super().__init__(
            f"this needs {needed_usd} USD, and the budget is {limit_usd} USD{held}",
            advice="Raise the budget, or shorten the storyboard. Nothing was submitted.",
            cost_usd=needed_usd,
        )
        self.run_id = run_id
        self.needed_usd = needed_usd
        self.limit_usd = limit_usd
        self.held_usd = held_usd

    def as_dict(self) -> dict[str, Any]:
        sums = {name: str(getattr(self, name)) for name in ("needed_usd", "limit_usd", "held_usd")}
        return super().as_dict() | {"run_id": self.run_id} | sums


def weight_of(weights: Iterable[Weight]) -> Weight:
    """The sum of what attempts weigh, in micro-dollars."""
    reserved = spent = unknown = 0
    for weight in weights:
        reserved += weight.reserved
        spent += weight.spent
        unknown += weight.unknown
    return Weight(reserved, spent, unknown)


def check_room(run_id: str, budget_micro: int | None, held: Weight, needed_micro: int) -> None:
    """Refuse a reservation of `needed_micro` on top of `held` that would pass `budget_micro`.

    What needs nothing new always fits, even where a provider's overrun has passed the limit already.

    Raises:
        RunOverBudget: there is no room.
    """
    if budget_micro is None or needed_micro <= 0 or sum(held) + needed_micro <= budget_micro:
        return
    raise RunOverBudget(
        run_id,
        needed_usd=from_micro(needed_micro),
        limit_usd=from_micro(budget_micro),
        held_usd=from_micro(sum(held)),
    )
