"""The gate: adopt what exists, reserve the rest, all of it or none. Runs inside one writing transaction.

First, what runs without a living lease have reserved is given back. Then, for each wanted key, in this order:

1. an attempt is live, whoever began it: it is adopted as it is. The money stays with the run that began it,
   and what has not left yet is that run's to send;
2. a clip was paid for and stored: it is adopted, so that a clip which another run finished a moment ago is
   not bought again. Only `Wanted.replaces` says that it is lost;
3. otherwise a new attempt is reserved.

What this run itself has reserved and not sent is reserved anew where its price or the run's budgets are others now.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert, update

from tasks.errors import LedgerError
from tasks.ledger.budget import Claim, Limiter
from tasks.ledger.leases import is_alive, release_lapsed
from tasks.ledger.money import to_micro
from tasks.ledger.records import Attempt, Run, Wanted
from tasks.ledger.rows import by_keys, find_attempt, find_run, now_us, write_json
from tasks.ledger.schema import attempts, runs
from tasks.ledger.states import LIVE, OVER, PAID, State
from tasks.redaction import redact

__all__ = ["reserve", "retry"]


def reserve(connection: Connection, run_id: str, wanted: Sequence[Wanted]) -> list[Attempt]:
    """See `Ledger.reserve`."""
    run = find_run(connection, run_id, lock=True)
    if run.finished_at is not None:
        if not is_alive(connection, run_id):
            raise LedgerError(f"run {run_id} is finished and can reserve nothing")
        # Another process of it took this one, which had stalled, for dead, and ended it.
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(finished_at=None, outcome=None))
    limiter = Limiter(connection, run)
    release_lapsed(connection, spare=run_id)
    takes = {take.content_key: take for take in reversed(wanted)}  # of equal takes, the first speaks for all
    known = by_keys(connection, run.provider, takes)
    new: list[dict[str, Any]] = []
    own: dict[str, tuple[Attempt, Wanted]] = {}
    chosen: dict[str, str] = {}
    claims: list[Claim] = []
    for key in sorted(takes):  # one order for all, so that two gates cannot block each other
        take, past = takes[key], known.get(key, [])
        found = _adoptable(past, take)
        if found is None:
            row = _new_row(run, take, number=len(past) + 1)
            new.append(row)
            chosen[key] = row["task_uuid"]
            claims.append(Claim(row["task_uuid"], take.shot, to_micro(take.price_usd)))
            continue
        chosen[key] = found.task_uuid
        if found.state is State.RESERVED and found.run_id == run_id:
            own[found.task_uuid] = (found, take)
    misplaced = limiter.misplaced(attempt for attempt, _ in own.values())
    again = {
        task_uuid: take
        for task_uuid, (attempt, take) in own.items()
        if attempt.reserved_usd != take.price_usd or task_uuid in misplaced
    }
    claims += [Claim(it, take.shot, to_micro(take.price_usd), was=own[it][0]) for it, take in again.items()]
    limiter.check(claims)
    if new:
        connection.execute(insert(attempts), new)
    booked = [task_uuid for task_uuid, take in again.items() if _reprice(connection, task_uuid, run, take)]
    limiter.book([row["task_uuid"] for row in new] + booked)
    now_known = by_keys(connection, run.provider, takes)
    found_now = {attempt.task_uuid: attempt for past in now_known.values() for attempt in past}
    return [found_now[chosen[take.content_key]] for take in wanted]


def retry(connection: Connection, run_id: str, failed: Attempt, price_usd: Decimal) -> Attempt:
    """See `Ledger.retry`."""
    over = find_attempt(connection, failed.task_uuid)
    if over is None or over.state not in OVER:
        stands = "is unknown here" if over is None else f"is {over.state}"
        raise LedgerError(
            f"attempt {failed.task_uuid} {stands}: only what is over can be tried again",
            shot=failed.shot,
            task_uuid=failed.task_uuid,
        )
    again = Wanted(over.content_key, over.shot, over.take, over.model, price_usd, over.request, replaces=over.task_uuid)
    return reserve(connection, run_id, [again])[0]


def _adoptable(past: Sequence[Attempt], take: Wanted) -> Attempt | None:
    after = 0
    if take.replaces is not None:
        numbers = [attempt.number for attempt in past if attempt.task_uuid == take.replaces]
        if not numbers:
            raise LedgerError(
                f"attempt {take.replaces} is none of this take's, so it cannot be replaced",
                shot=take.shot,
                task_uuid=take.replaces,
            )
        after = numbers[0]
    for attempt in reversed(past):
        if attempt.state in LIVE or (attempt.state in PAID and attempt.number > after):
            return attempt
    return None


def _new_row(run: Run, take: Wanted, number: int) -> dict[str, Any]:
    now = now_us()
    return {
        "task_uuid": str(uuid4()),
        "number": number,
        "provider": run.provider,
        "content_key": take.content_key,
        "state": str(State.RESERVED),
        "created_at": now,
        "updated_at": now,
        **_of_run(run, take),
    }


def _reprice(connection: Connection, task_uuid: str, run: Run, take: Wanted) -> bool:
    # Where PostgreSQL let it leave just before, it keeps the price at which it left.
    still = (attempts.c.task_uuid == task_uuid) & (attempts.c.state == str(State.RESERVED))
    values = {**_of_run(run, take), "updated_at": now_us()}
    return bool(connection.execute(update(attempts).where(still).values(values)).rowcount)


def _of_run(run: Run, take: Wanted) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "account": run.account,
        "storyboard": run.storyboard,
        "shot": take.shot,
        "take": take.take,
        "model": take.model,
        "request": write_json(redact(dict(take.request))),
        "reserved_micro": to_micro(take.price_usd),
    }
