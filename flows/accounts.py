"""Shows what the ledger holds: attempts and sums."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tasks.plan.model import usd

if TYPE_CHECKING:
    from rich.console import Console

    from tasks.ledger import Attempt

__all__ = ["attempts_as_dict", "print_attempts"]


def attempts_as_dict(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Attempts and their sums by provider, JSON-ready."""
    return {
        "attempts": [
            {
                "taskUUID": item.task_uuid,
                "provider": item.provider,
                "run_id": item.run_id,
                "storyboard": item.storyboard,
                "shot": item.shot,
                "take": item.take,
                "state": str(item.state),
                "charged": None if item.charged is None else str(item.charged),
                "reserved_usd": usd(item.reserved_usd),
                "cost_usd": None if item.cost_usd is None else usd(item.cost_usd),
                "created_at": item.created_at.isoformat(timespec="seconds"),
                "error": item.error,
            }
            for item in attempts
        ],
        "totals": {
            provider: {name: usd(amount) for name, amount in sums.items()} for provider, sums in _sums(attempts).items()
        },
    }


def print_attempts(console: Console, attempts: Sequence[Attempt]) -> None:
    """Attempts as a table, and the sums by provider under it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("when (UTC)", "storyboard", "shot", "take", "state", "held", "taskUUID"):
        table.add_column(name, justify="right" if name in {"take", "held"} else "left")
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
    console.print(table)
    for provider, sums in _sums(attempts).items():
        told = ", ".join(f"${usd(amount)} {name.removesuffix('_usd')}" for name, amount in sums.items())
        console.print(f"{provider}: {told}", highlight=False)


def _sums(attempts: Sequence[Attempt]) -> dict[str, dict[str, Decimal]]:
    sums: dict[str, dict[str, Decimal]] = {}
    for item in attempts:
        totals = item.totals
        of_provider = sums.setdefault(
            item.provider,
            {"spent_usd": Decimal(0), "reserved_usd": Decimal(0), "unknown_usd": Decimal(0)},
        )
        for name in of_provider:
            of_provider[name] += getattr(totals, name)
    return sums
