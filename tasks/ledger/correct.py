"""Says what an attempt has cost after all, when the provider's books say more than the attempt itself ever told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, update

from tasks.errors import Charged, LedgerError
from tasks.ledger.leases import refuse_driven
from tasks.ledger.money import nearest_micro
from tasks.ledger.moves import Move, as_read, make
from tasks.ledger.records import Attempt
from tasks.ledger.rows import find_attempt, now_us
from tasks.ledger.schema import attempts
from tasks.ledger.states import PAID, SETTLED_AS_FREE, State

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
    values = {"charged": str(charged), "cost_micro": cost_micro, "updated_at": now_us()}
    changed = connection.execute(update(attempts).where(as_read(known)).values(values)).rowcount
    return find_attempt(connection, known.task_uuid) if changed else None


def settle(
    connection: Connection,
    task_uuid: str,
    charged: Charged,
    cost_usd: Decimal | None,
    overdue_after: timedelta | None = None,
) -> Attempt | None:
    """Say what became of money of which nobody could tell.

    An `unknown` attempt that was charged stays so and counts as spent: its clip is still asked for, and its take is not
    bought again. As long as there is no other word of the provider, the answer may be changed. One that was not charged
    is `failed`. One that failed or was refused keeps its state. One that is in work for longer than results are waited
    for is as `unknown` as any: a provider may say for ever that it is at work.

    Args:
        connection: Inside a writing transaction.
        task_uuid: The attempt.
        charged: `yes` or `no`.
        cost_usd: What was charged; without it, the whole reservation.
        overdue_after: After so long in work nobody can tell any more; None for never.

    Returns:
        The attempt as it is now; `None` if nothing about it was unknown.

    Raises:
        BadInput: somebody who lives drives it.
        LedgerError: `charged` is `unknown`, or `no` with a cost, or no such attempt exists.
    """
    if charged is Charged.UNKNOWN:
        raise LedgerError("settling needs an answer: charged or not", task_uuid=task_uuid)
    attempt = find_attempt(connection, task_uuid, lock=True)
    if attempt is None:
        raise LedgerError(f"the ledger knows no attempt {task_uuid}", task_uuid=task_uuid)
    if _is_overdue(attempt, overdue_after):
        refuse_driven(connection, attempt)
        attempt = make(connection, task_uuid, Move(to=State.UNKNOWN, known=attempt)) or attempt
    if attempt.state is State.UNKNOWN and charged is Charged.NO:
        refuse_driven(connection, attempt)
        message = "a person said that nothing was charged for it"
        said = {"type": "OutcomeUnknown", "message": message, "code": SETTLED_AS_FREE, "charged": str(charged)}
        return make(connection, task_uuid, Move(to=State.FAILED, charged=charged, cost_usd=cost_usd, error=said))
    if attempt.state is State.UNKNOWN:
        refuse_driven(connection, attempt)
    elif attempt.charged is not Charged.UNKNOWN:
        return None
    values = Move(to=State.FAILED, charged=charged, cost_usd=cost_usd).values(now_us())
    kept = {name: values[name] for name in ("charged", "cost_micro", "updated_at") if name in values}
    connection.execute(
        update(attempts).where(attempts.c.task_uuid == task_uuid).values({"cost_micro": None, **kept}),
    )
    return find_attempt(connection, task_uuid)


def _is_overdue(attempt: Attempt, after: timedelta | None) -> bool:
    if attempt.state is not State.ACCEPTED or attempt.accepted_at is None or after is None:
        return False
    return datetime.now(UTC) - attempt.accepted_at > after
