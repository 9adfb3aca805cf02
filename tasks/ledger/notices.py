"""What the provider reported of its own accord, kept for whichever run waits for it, on whatever machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from tasks.ledger.rows import chunks, find_attempt, now_us
from tasks.ledger.schema import notices

__all__ = ["keep", "kept"]

# Nobody waits for a task so long; what was never asked for is in nobody's way after it.
_KEPT_US: Final = 14 * 86_400 * 1_000_000


def keep(connection: Connection, task_uuid: str, body: str) -> bool:
    """See `Ledger.keep_notice`."""
    if find_attempt(connection, task_uuid) is None:
        return False
    digest = hashlib.sha256(body.encode()).hexdigest()
    row = {"task_uuid": task_uuid, "digest": digest}
    known = select(notices.c.digest).where(notices.c.task_uuid == task_uuid, notices.c.digest == digest)
    if connection.execute(known).first() is None:
        connection.execute(delete(notices).where(notices.c.received_at < now_us() - _KEPT_US))
        connection.execute(insert(notices).values({**row, "body": body, "received_at": now_us()}))
    return True


def kept(connection: Connection, task_uuids: Iterable[str]) -> list[Mapping[str, Any]]:
    """See `Questions.notices`."""
    found: list[Mapping[str, Any]] = []
    for some in chunks(list(task_uuids)):
        query = select(notices.c.body).where(notices.c.task_uuid.in_(some)).order_by(notices.c.received_at)
        # Costs stay exact, as they do in what is asked for.
        found += [json.loads(body, parse_float=Decimal) for body in connection.execute(query).scalars()]
    return found
