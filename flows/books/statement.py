"""Opens what holding the ledger against the provider's books needs, and says what came of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flows.provider import open_provider
from tasks.clips.reconcile import Compared, Found, reconcile
from tasks.errors import Incomplete
from tasks.ledger import open_ledger
from tasks.plan.model import usd
from tasks.progress import Observer
from tasks.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["books_as_dict", "check_books", "print_books", "raise_differences"]


async def check_books(settings: Settings, *, since: datetime | None, apply: bool, observe: Observer) -> list[Compared]:
    """Hold the ledger against the provider's books; see `tasks.clips.reconcile`.

    Args:
        settings: Whose ledger and account.
        since: Only what was submitted from then on.
        apply: Whether the provider's word is written into the ledger.
        observe: Is told what is unusual about the provider's answers.

    Raises:
        SettingsError: There is no ledger, or it cannot be used.
        StorageUnreachable: The ledger does not answer.
    """
    async with AsyncExitStack() as stack:
        ledger = await asyncio.to_thread(open_ledger, settings.ledger, create=False)
        stack.callback(ledger.close)
        client, _ = await stack.enter_async_context(open_provider(settings, observe))
        return await reconcile(settings=settings, client=client, ledger=ledger, since=since, apply=apply)


def books_as_dict(provider: str, compared: Sequence[Compared]) -> dict[str, Any]:
    """A comparison, JSON-ready: each attempt of which there is something to say, and what both books add up to.

    `ledger_usd` and `provider_usd` are sums over the attempts for which the provider names a cost.
    """
    told = [item for item in compared if item.provider_usd is not None]
    return {
        "provider": provider,
        "compared": len(compared),
        "differences": sum(item.differs for item in compared),
        "settled": sum(item.settled for item in compared),
        "counts": dict(sorted(Counter(str(item.found) for item in compared).items())),
        "ledger_usd": usd(sum((item.ledger_usd for item in told), Decimal(0))),
        "provider_usd": usd(sum((item.provider_usd or Decimal(0) for item in told), Decimal(0))),
        "attempts": [
            {
                "taskUUID": item.attempt.task_uuid,
                "run_id": item.attempt.run_id,
                "storyboard": item.attempt.storyboard,
                "shot": item.attempt.shot,
                "take": item.attempt.take,
                "state": str(item.attempt.state),
                "found": str(item.found),
                "differs": item.differs,
                "settled": item.settled,
                "ledger_usd": usd(item.ledger_usd),
                "provider_usd": None if item.provider_usd is None else usd(item.provider_usd),
                "message": item.message,
            }
            for item in compared
            if item.found is not Found.EQUAL
        ],
    }


def print_books(console: Console, provider: str, compared: Sequence[Compared]) -> None:
    """A table of what is not equal, and both sums under it."""
    from rich.text import Text

    from flows.tables import plain_table, print_table

    rows = [item for item in compared if item.found is not Found.EQUAL]
    if rows:
        names = ("when (UTC)", "storyboard", "shot", "take", "state", "ledger", "provider", "taskUUID", "found")
        table = plain_table(names, right={"take", "ledger", "provider"})
        for item in rows:
            made = item.attempt
            found = Text(f"{item.found}{', settled' if item.settled else ''}: {item.message}")
            found.stylize("yellow" if item.differs else "")
            table.add_row(
                f"{made.created_at:%Y-%m-%d %H:%M:%S}",
                Text(made.storyboard),
                Text(made.shot),
                str(made.take),
                str(made.state),
                f"${usd(item.ledger_usd)}",
                "–" if item.provider_usd is None else f"${usd(item.provider_usd)}",
                made.task_uuid,
                found,
            )
        print_table(console, table)
    told = books_as_dict(provider, compared)
    console.print(
        f"{provider}: {told['compared']} attempts compared, {told['differences']} differ, {told['settled']} settled; "
        f"${told['ledger_usd']} in the ledger, ${told['provider_usd']} at the provider",
        highlight=False,
        soft_wrap=True,
    )


def raise_differences(provider: str, compared: Sequence[Compared], *, applied: bool) -> None:
    """Nothing where both books say the same.

    Raises:
        Incomplete: Otherwise. Its exit code is 6 where the provider could not be asked.
    """
    differing = [item for item in compared if item.differs]
    if differing:
        left = (
            "They are left to be looked at." if applied else "`--apply` writes into the ledger what the provider says."
        )
        raise Incomplete(
            f"{len(differing)} of {len(compared)} attempts are not the same in the ledger and in the provider's books",
            advice=left,
            failures=[item.error for item in differing if item.error is not None],
            summary=books_as_dict(provider, compared),
        )
