"""Shows what the ledger holds: attempts, and sums by whatever one asks for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tasks.plan.model import usd

if TYPE_CHECKING:
    from rich.console import Console

    from tasks.ledger import Attempt, Sums

__all__ = [
    "attempt_as_dict",
    "attempts_as_csv",
    "attempts_as_dict",
    "parse_by",
    "print_attempts",
    "print_sums",
    "sums_as_csv",
    "sums_as_dict",
]

_HELD = ("spent_usd", "reserved_usd", "unknown_usd")
_MONEY = (*_HELD, "saved_usd")
_ATTEMPT_COLUMNS = (
    "created_at",
    "provider",
    "run_id",
    "storyboard",
    "shot",
    "take",
    "model",
    "state",
    "charged",
    "reserved_usd",
    "cost_usd",
    "taskUUID",
    "error",
)


def parse_by(text: str) -> tuple[str, ...]:
    """The groups that a comma-separated text names; which there are is the ledger's to say.

    The provider always is one of them, so that an emulator's dollars and real ones are never added up.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(dict.fromkeys(["provider", *names]))


def sums_as_dict(by: Sequence[str], sums: Sequence[Sums]) -> dict[str, Any]:
    """Sums, and those of each provider, JSON-ready: dollars as decimal strings."""
    return {"by": list(by), "sums": [_sum_as_dict(by, item) for item in sums], "totals": _as_text(_totals(sums))}


def sums_as_csv(by: Sequence[str], sums: Sequence[Sums]) -> str:
    """One line a group."""
    return _as_csv([*by, "attempts", "reused", *_MONEY], [_sum_as_dict(by, item) for item in sums])


def print_sums(console: Console, by: Sequence[str], sums: Sequence[Sums]) -> None:
    """Sums as a table, and those of each provider under it."""
    from rich.text import Text

    from flows.tables import plain_table, print_table

    numbers = ("attempts", "spent", "reserved", "unknown", "reused", "saved by reuse")
    table = plain_table([*by, *numbers], right=numbers)
    for item in sums:
        spent, reserved, unknown, saved = (f"${usd(getattr(item, name))}" for name in _MONEY)
        counts = (str(item.attempts), spent, reserved, unknown, str(item.reused), saved)
        table.add_row(*(Text(item.group[name]) for name in by), *counts)
    print_table(console, table)
    _print_totals(console, _totals(sums))


def _sum_as_dict(by: Sequence[str], item: Sums) -> dict[str, Any]:
    counts = {"attempts": item.attempts, "reused": item.reused}
    return {**{name: item.group[name] for name in by}, **counts, **{name: usd(getattr(item, name)) for name in _MONEY}}


def _totals(sums: Sequence[Sums]) -> dict[str, dict[str, Decimal]]:
    """The money of each provider."""
    totals: dict[str, dict[str, Decimal]] = {}
    for item in sums:
        _add(totals, item.group["provider"], {name: getattr(item, name) for name in _MONEY})
    return totals


def attempts_as_dict(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Attempts and their sums by provider, JSON-ready."""
    return {"attempts": [attempt_as_dict(item) for item in attempts], "totals": _as_text(_held(attempts))}


def attempts_as_csv(attempts: Sequence[Attempt]) -> str:
    """One line an attempt; of its error, the message."""
    rows = [{**attempt_as_dict(item), "error": (item.error or {}).get("message")} for item in attempts]
    return _as_csv(_ATTEMPT_COLUMNS, rows)


def print_attempts(console: Console, attempts: Sequence[Attempt]) -> None:
    """Attempts as a table, and the sums by provider under it."""
    from rich.text import Text

    from flows.tables import plain_table, print_table

    names = ("when (UTC)", "storyboard", "shot", "take", "state", "held", "taskUUID")
    table = plain_table(names, right={"take", "held"})
    for item in attempts:
        table.add_row(
            f"{item.created_at:%Y-%m-%d %H:%M:%S}",
            Text(item.storyboard),
            Text(item.shot),
            str(item.take),
            str(item.state),
            f"${usd(item.totals.held_usd)}",
            item.task_uuid,
        )
    if not attempts:
        console.print("no attempts", highlight=False)
        return
    print_table(console, table)
    _print_totals(console, _held(attempts))


def attempt_as_dict(item: Attempt) -> dict[str, Any]:
    return {
        "taskUUID": item.task_uuid,
        "provider": item.provider,
        "run_id": item.run_id,
        "storyboard": item.storyboard,
        "shot": item.shot,
        "take": item.take,
        "model": item.model,
        "state": str(item.state),
        "charged": None if item.charged is None else str(item.charged),
        "reserved_usd": usd(item.reserved_usd),
        "cost_usd": None if item.cost_usd is None else usd(item.cost_usd),
        "created_at": item.created_at.isoformat(timespec="seconds"),
        "error": item.error,
    }


def _held(attempts: Iterable[Attempt]) -> dict[str, dict[str, Decimal]]:
    """What attempts hold of the money of each provider."""
    held: dict[str, dict[str, Decimal]] = {}
    for item in attempts:
        totals = item.totals
        _add(held, item.provider, {name: getattr(totals, name) for name in _HELD})
    return held


def _add(totals: dict[str, dict[str, Decimal]], provider: str, money: Mapping[str, Decimal]) -> None:
    of_provider = totals.setdefault(provider, dict.fromkeys(money, Decimal(0)))
    for name, amount in money.items():
        of_provider[name] += amount


def _as_text(totals: Mapping[str, Mapping[str, Decimal]]) -> dict[str, dict[str, str]]:
    return {provider: {name: usd(amount) for name, amount in money.items()} for provider, money in totals.items()}


def _print_totals(console: Console, totals: Mapping[str, Mapping[str, Decimal]]) -> None:
    for provider, money in totals.items():
        told = ", ".join(f"${usd(amount)} {name.removesuffix('_usd')}" for name, amount in money.items())
        console.print(f"{provider}: {told}", highlight=False)


def _as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Comma-separated lines. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in columns])
    return out.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
