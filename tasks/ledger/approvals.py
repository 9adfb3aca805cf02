"""Who was asked whether a sum may be spent, and what they said."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Connection, insert, select

from tasks.ledger.money import from_micro, to_micro
from tasks.ledger.records import Answer, Approval
from tasks.ledger.rows import microseconds, time_of
from tasks.ledger.schema import approvals

__all__ = ["approved_sum", "given", "record"]


def record(connection: Connection, approval: Approval) -> None:
    """See `Ledger.record_approval`."""
    row = {
        "run_id": approval.run_id,
        "provider": approval.provider,
        "fingerprint": approval.fingerprint,
        "sum_micro": to_micro(approval.sum_usd),
        "limit_micro": None if approval.limit_usd is None else to_micro(approval.limit_usd),
        "answer": str(approval.answer),
        "who": approval.who,
        "how": approval.how,
        "note": approval.note,
        "at": microseconds(approval.at),
    }
    connection.execute(insert(approvals).values(row))


def given(connection: Connection, run_id: str) -> list[Approval]:
    """See `Ledger.approvals`."""
    query = select(approvals).where(approvals.c.run_id == run_id).order_by(approvals.c.id)
    found = []
    for row in connection.execute(query).mappings():
        values = dict(row)
        del values["id"]
        sum_micro, limit_micro = values.pop("sum_micro"), values.pop("limit_micro")
        values |= {
            "sum_usd": from_micro(sum_micro),
            "limit_usd": None if limit_micro is None else from_micro(limit_micro),
            "answer": Answer(values["answer"]),
            "at": time_of(values["at"]),
        }
        found.append(Approval(**values))
    return found


def approved_sum(connection: Connection, provider: str, fingerprint: str, run_id: str) -> Decimal | None:
    """See `Ledger.approved_sum`."""
    approved_usd: Decimal | None = None
    for each in given(connection, run_id):
        if (each.provider, each.fingerprint) != (provider, fingerprint):
            continue
        if each.answer is Answer.APPROVED:
            approved_usd = each.sum_usd if approved_usd is None else max(approved_usd, each.sum_usd)
        elif each.answer is Answer.REJECTED and approved_usd is not None and each.sum_usd <= approved_usd:
            approved_usd = None  # a later no to what had been granted
    return approved_usd
