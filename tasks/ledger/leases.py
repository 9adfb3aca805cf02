"""Who is alive, who drives which attempt, and what the dead leave behind.

A process that works for a run holds a lease, on the database's clock, and renews it while it lives. An orchestrator
may start a run again whose process it takes for dead: then two processes work for it, each under a lease of its own,
and the run lives as long as one of them does. Whoever drives an attempt takes its wheel; it is free again when its
driver lets go or is dead. Both only save work and say who waits: a stalled process may wake up and drive beside its
successor, and it is the compare-and-sets of `moves.py` that keep anything from being paid twice.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, or_, select, update

from tasks.errors import BadInput, LedgerError
from tasks.ledger.engine import clock_us
from tasks.ledger.moves import Move
from tasks.ledger.records import Attempt
from tasks.ledger.rows import chunks, find_attempt, find_attempts, now_us
from tasks.ledger.schema import attempts, leases, runs
from tasks.ledger.states import State

__all__ = ["end", "hold", "is_alive", "is_held", "let_go", "refuse_driven", "release_lapsed", "take_wheel"]

_whose: ColumnElement[str] = func.coalesce(leases.c.run_id, leases.c.holder)


def hold(connection: Connection, holder: str, ttl_s: float, run_id: str | None) -> None:
    """See `Ledger.hold_lease`."""
    if not holder or not ttl_s >= 0:
        raise ValueError(f"a lease needs a holder and a time, not {holder!r} and {ttl_s} s")
    values = {"until": clock_us(connection) + round(ttl_s * 1_000_000), "run_id": run_id}
    renewed = connection.execute(update(leases).where(leases.c.holder == holder).values(values)).rowcount
    if not renewed:  # of two who come here at once, the unique key lets one in, and the other starts again
        connection.execute(insert(leases).values({**values, "holder": holder}))


def end(connection: Connection, holder: str) -> None:
    """See `Ledger.end_lease`."""
    connection.execute(delete(leases).where(leases.c.holder == holder))


def is_held(connection: Connection, holder: str) -> bool:
    """See `Ledger.is_held`."""
    return bool(connection.execute(select(_lives(connection, holder))).scalar())


def is_alive(connection: Connection, run_id: str) -> bool:
    """See `Ledger.is_alive`."""
    return bool(connection.execute(select(_is_alive(connection, run_id))).scalar())


def take_wheel(connection: Connection, task_uuid: str, holder: str, run_id: str | None) -> Attempt | None:
    """See `Ledger.take_wheel`."""
    this = attempts.c.task_uuid == task_uuid
    # Locked first: the next statement then sees the leases of those who came before.
    if connection.execute(select(attempts.c.task_uuid).where(this).with_for_update()).scalar() is None:
        raise LedgerError(f"the ledger knows no attempt {task_uuid}", task_uuid=task_uuid)
    driver = attempts.c.driver
    free = or_(driver.is_(None), driver == holder, ~_lives(connection, driver))
    may = or_(attempts.c.state != str(State.RESERVED), attempts.c.run_id == (run_id or holder))
    taken = connection.execute(update(attempts).where(this, free, may).values(driver=holder)).rowcount
    return find_attempt(connection, task_uuid) if taken else None


def let_go(connection: Connection, task_uuid: str, holder: str) -> None:
    """See `Ledger.let_go`."""
    mine = and_(attempts.c.task_uuid == task_uuid, attempts.c.driver == holder)
    connection.execute(update(attempts).where(mine).values(driver=None))


def refuse_driven(connection: Connection, attempt: Attempt) -> None:
    """Refuse to take an attempt out of the hands of whoever drives it.

    Raises:
        BadInput: Its driver lives.
    """
    if attempt.driver is None:
        return
    run_id = connection.execute(select(_whose).where(_of(connection, leases.c.holder == attempt.driver))).scalar()
    if run_id is not None:
        raise BadInput(
            f"{run_id} is working on this attempt, and lives",
            advice="It may still find out what became of it. Stop it or wait for its end. Nothing was changed.",
            shot=attempt.shot,
            task_uuid=attempt.task_uuid,
        )


def release_lapsed(connection: Connection, *, spare: str | None = None) -> list[Attempt]:
    """See `Ledger.release_lapsed`. What the run `spare` reserved is left alone."""
    connection.execute(delete(leases).where(leases.c.until <= clock_us(connection)))
    reserved = attempts.c.state == str(State.RESERVED)
    query = select(attempts.c.task_uuid).where(reserved, ~_is_alive(connection, attempts.c.run_id))
    if spare is not None:
        query = query.where(attempts.c.run_id != spare)
    # What somebody moves in this moment is alive after all.
    locked = query.order_by(attempts.c.task_uuid).with_for_update(skip_locked=True)
    lapsed = list(connection.execute(locked).scalars())
    # One process of these said how the run ended, and the other, which was to go on, is dead.
    half_ended = and_(runs.c.outcome.is_not(None), runs.c.finished_at.is_(None))
    dead = and_(half_ended, ~_is_alive(connection, runs.c.run_id))
    connection.execute(update(runs).where(dead).values(finished_at=now_us()))
    if lapsed:
        values: dict[str, Any] = {**Move(to=State.RELEASED).values(now_us()), "driver": None}
        for some in chunks(lapsed):
            connection.execute(update(attempts).where(attempts.c.task_uuid.in_(some), reserved).values(values))
    return find_attempts(connection, lapsed)


def _lives(connection: Connection, holder: str | ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether this holder's lease has not lapsed yet."""
    return exists().where(_of(connection, leases.c.holder == holder))


def _is_alive(connection: Connection, run_id: str | ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a lease of this run has not lapsed yet."""
    return exists().where(_of(connection, _whose == run_id))


def _of(connection: Connection, which: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(which, leases.c.until > clock_us(connection))
