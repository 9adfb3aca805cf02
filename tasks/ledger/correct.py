"""Says what an attempt that is over has cost after all, when the provider's books say otherwise than ours."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Connection, update

from tasks.errors import Charged, LedgerError
from tasks.ledger.money import nearest_micro, to_micro
from tasks.ledger.records import Attempt
from tasks.ledger.rows import find_attempt, now_us
from tasks.ledger.schema import attempts
from tasks.ledger.states import PAID, State

__all__ = ["correct"]

_ENDED = frozenset({State.FAILED, State.REFUSED})


def correct(connection: Connection, known: Attempt, charged: Charged, cost_usd: Decimal | None) -> Attempt | None:
    """Write down another cost for an attempt that is over; its state stays.

    What it costs more counts against its budgets from now on, even past their limits: it is spent already.

    Args:
        connection: Inside a writing transaction.
        known: As it was read; nothing is changed if it is otherwise now.
        charged: `yes` or `no`.
        cost_usd: What was charged, rounded half up to the micro-dollar; without it, the whole reservation.

    Returns:
        The attempt as it is now; `None` where it has changed meanwhile.

    Raises:
        LedgerError: it is not over, or `charged` is `unknown`, or `no` for a clip that there is or with a cost.
    """
    may = {Charged.YES} if known.state in PAID else {Charged.YES, Charged.NO} if known.state in _ENDED else set()
    if charged not in may or (charged is Charged.NO and cost_usd):
        cost = "" if cost_usd is None else f" with a cost of {cost_usd} USD"
        message = f"an attempt that is `{known.state}` cannot be corrected to charged: {charged}{cost}"
        raise LedgerError(message, shot=known.shot, task_uuid=known.task_uuid)
    cost_micro = None if charged is Charged.NO or cost_usd is None else nearest_micro(cost_usd)
    still = (
        (attempts.c.task_uuid == known.task_uuid)
        & (attempts.c.state == str(known.state))
        & attempts.c.charged.is_not_distinct_from(None if known.charged is None else str(known.charged))
        & attempts.c.cost_micro.is_not_distinct_from(None if known.cost_usd is None else to_micro(known.cost_usd))
    )
    values = {"charged": str(charged), "cost_micro": cost_micro, "updated_at": now_us()}
    changed = connection.execute(update(attempts).where(still).values(values)).rowcount
    return find_attempt(connection, known.task_uuid) if changed else None
