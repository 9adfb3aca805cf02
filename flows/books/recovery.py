"""Opens what a recovery works with, and says what came of it: as JSON, as rows of a table, and as an error."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flows.provider import open_provider
from tasks.clips.recover import Recovered, recover
from tasks.clips.scratch import scratch_folder
from tasks.clips.store import ClipStore
from tasks.errors import Incomplete
from tasks.ledger import open_ledger
from tasks.plan.model import usd
from tasks.progress import Observer
from tasks.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["as_rows", "print_recovered", "raise_unclear", "recover_attempts", "summary_of", "sums_of"]


async def recover_attempts(settings: Settings, *, wait_s: float, observe: Observer) -> list[Recovered]:
    """Reconcile every unfinished attempt of this provider; see `tasks.clips.recover`.

    Args:
        settings: Whose ledger, store and account.
        wait_s: Seconds for which what is in work is waited for.
        observe: Is told of each step.

    Raises:
        SettingsError: A place cannot be used.
        StorageUnreachable: The ledger or the store does not answer.
    """
    async with AsyncExitStack() as stack:
        ledger = await asyncio.to_thread(open_ledger, settings.ledger)
        stack.callback(ledger.close)
        scratch = stack.enter_context(scratch_folder(settings.cache))
        store = ClipStore(settings.work, settings.cache)
        await asyncio.to_thread(store.check)
        client, poller = await stack.enter_async_context(open_provider(settings, observe))
        return await recover(
            settings=settings,
            client=client,
            poller=poller,
            ledger=ledger,
            store=store,
            scratch=scratch,
            observer=observe,
            wait_s=wait_s,
        )


def sums_of(recovered: Sequence[Recovered]) -> dict[str, Decimal]:
    """What the attempts hold now, in dollars: spent, reserved, unknown."""
    totals = [item.attempt.totals for item in recovered]
    return {
        name: sum((getattr(item, name) for item in totals), Decimal(0))
        for name in ("spent_usd", "reserved_usd", "unknown_usd")
    }


def summary_of(provider: str, recovered: Sequence[Recovered]) -> dict[str, Any]:
    """A recovery, JSON-ready: each attempt with what became of it, and what they add up to."""
    return {
        "provider": provider,
        "attempts": [
            {
                "taskUUID": item.attempt.task_uuid,
                "run_id": item.attempt.run_id,
                "storyboard": item.attempt.storyboard,
                "shot": item.attempt.shot,
                "take": item.attempt.take,
                "before": str(item.before),
                "state": str(item.attempt.state),
                "happened": str(item.happened),
                "is_clear": item.is_clear,
                "charged": None if item.attempt.charged is None else str(item.attempt.charged),
                "cost_usd": usd(item.cost_usd),
                "message": item.message,
                "advice": item.advice,
            }
            for item in recovered
        ],
        "counts": dict(sorted(Counter(str(item.happened) for item in recovered).items())),
        **{name: usd(amount) for name, amount in sums_of(recovered).items()},
    }


def as_rows(recovered: Sequence[Recovered]) -> list[dict[str, str]]:
    """A recovery as rows of a table, for people."""
    return [
        {
            "when (UTC)": f"{item.attempt.created_at:%Y-%m-%d %H:%M:%S}",
            "storyboard": item.attempt.storyboard,
            "shot": item.attempt.shot,
            "take": str(item.attempt.take),
            "was": str(item.before),
            "is": str(item.attempt.state),
            "held": f"${usd(item.cost_usd)}",
            "taskUUID": item.attempt.task_uuid,
            "what happened": f"{item.happened}: {item.message}",
        }
        for item in recovered
    ]


def print_recovered(console: Console, provider: str, recovered: Sequence[Recovered]) -> None:
    """A recovery as a table, and its sums under it."""
    from rich.text import Text

    from flows.tables import plain_table, print_table

    if not recovered:
        console.print(f"{provider}: nothing is unfinished", highlight=False)
        return
    rows = as_rows(recovered)
    table = plain_table(rows[0], right={"take", "held"})
    for row, item in zip(rows, recovered, strict=True):
        *cells, happened = (Text(cell) for cell in row.values())
        happened.stylize("" if item.is_clear else "yellow")
        table.add_row(*cells, happened)
    print_table(console, table)
    told = ", ".join(f"${usd(amount)} {name.removesuffix('_usd')}" for name, amount in sums_of(recovered).items())
    console.print(f"{provider}: {told}", highlight=False)


def raise_unclear(provider: str, recovered: Sequence[Recovered]) -> None:
    """Nothing where every attempt is clear, or in work.

    Raises:
        Incomplete: Otherwise, with each attempt's error; its exit code is 6 where the provider, or the store, could
            not be reached.
    """
    errors = [item.error for item in recovered if item.error is not None]
    if errors:
        raise Incomplete(
            f"{len(errors)} of {len(recovered)} unfinished attempts are not clear yet",
            advice="What could be had is kept. See below what each of the others needs, and recover again.",
            failures=errors,
            summary=summary_of(provider, recovered),
        )
