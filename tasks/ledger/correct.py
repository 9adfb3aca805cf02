"""Says what an attempt has cost after all, when the provider's books say more than the attempt itself ever told."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sqlalchemy import Connection, update

from tasks.errors import Charged, LedgerError
from tasks.ledger.leases import refuse_driven
from tasks.ledger.money import nearest_micro, to_micro
from tasks.ledger.moves import Move, make
from tasks.ledger.records import Attempt
from tasks.ledger.rows import find_attempt, now_us
from tasks.ledger.schema import attempts
from tasks.ledger.states import PAID, State

__all__ = ["correct", "settle"]

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


def settle(connection: Connection, task_uuid: str, charged: Charged, cost_usd: Decimal | None) -> Attempt | None:
    """Say what became of money of which nobody could tell.

    An `unknown` attempt that was charged is `succeeded` then, without a result: its clip is asked for before its take
    is ever bought again; as long as there is none, the answer may be taken back. One that was not charged is `failed`.
    One that failed or was refused keeps its state.

    Args:
        connection: Inside a writing transaction.
        task_uuid: The attempt.
        charged: `yes` or `no`.
        cost_usd: What was charged; without it, the whole reservation.

    Returns:
        The attempt as it is now; `None` if nothing about it was unknown.

    Raises:
        BadInput: a living run drives it.
        LedgerError: `charged` is `unknown`, or `no` with a cost, or no such attempt exists.
    """
    if charged is Charged.UNKNOWN:
        raise LedgerError("settling needs an answer: charged or not", task_uuid=task_uuid)
    attempt = find_attempt(connection, task_uuid, lock=True)
    if attempt is None:
        raise LedgerError(f"the ledger knows no attempt {task_uuid}", task_uuid=task_uuid)
    if attempt.state is State.UNKNOWN:
        refuse_driven(connection, attempt)
        became = (
            Move(to=State.SUCCEEDED, cost_usd=cost_usd)
            if charged is Charged.YES
            else Move(to=State.FAILED, charged=charged, cost_usd=cost_usd)
        )
        return make(connection, task_uuid, replace(became, expect=frozenset({State.UNKNOWN})))
    if charged is Charged.NO and attempt.state is State.SUCCEEDED and attempt.result is None:
        refuse_driven(connection, attempt)
        connection.execute(update(attempts).where(attempts.c.task_uuid == task_uuid).values(cost_micro=None))
        return make(connection, task_uuid, Move(to=State.FAILED, charged=charged, cost_usd=cost_usd))
    if attempt.charged is not Charged.UNKNOWN:
        return None
    values = Move(to=attempt.state, charged=charged, cost_usd=cost_usd).values(now_us())
    open_still = (attempts.c.task_uuid == task_uuid) & (attempts.c.charged == str(Charged.UNKNOWN))
    changed = connection.execute(update(attempts).where(open_still).values(values)).rowcount
    return find_attempt(connection, task_uuid) if changed else None
