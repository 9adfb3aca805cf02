"""Whether there is room in a run's budget. The gate asks inside the transaction that reserves."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.errors import OverBudget
from tasks.ledger.money import from_micro
from tasks.ledger.states import Weight

__all__ = ["check_room", "weight_of"]


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
        OverBudget: there is no room.
    """
    if budget_micro is None or needed_micro <= 0 or sum(held) + needed_micro <= budget_micro:
        return
    raise OverBudget(
        run_id,
        needed_usd=from_micro(needed_micro),
        limit_usd=from_micro(budget_micro),
        held_usd=from_micro(sum(held)),
    )
