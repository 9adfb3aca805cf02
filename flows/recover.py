"""Reconcile what earlier runs left unfinished; buy nothing."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import Field

from flows.books.history import ledger_if_there
from flows.books.reconcile import as_rows, raise_unclear, reconcile, summary_of, sums_of
from flows.page.writer import careful_artifacts
from flows.server.shared import run_environment
from tasks.clips.recover import Recovered
from tasks.ledger import LIVE
from tasks.plan.model import usd
from tasks.progress import observer
from tasks.settings import Settings, resolve_settings

__all__ = ["recover"]


@flow(name="recover", log_prints=False, retries=0)
async def recover(
    provider: Literal["runware", "emulator"] = "runware",
    base_url: str | None = None,
    work: str | None = None,
    ledger: str | None = None,
    wait_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0,
) -> dict[str, Any]:
    """Ask the provider what became of every attempt that no living run drives, and bring every paid clip to the store.

    Safe at any time, on any machine that shares the ledger and the store, beside any run. Buys nothing. Leaves a table
    artifact, if there were any.

    Args:
        provider: Whose attempts.
        base_url: Another address of the Runware API, version path included.
        work: The clip store: a folder or any fsspec URL; by default one a user.
        ledger: The ledger: a file or a SQLAlchemy URL; by default one a user.
        wait_s: Seconds for which clips in work are waited for; without, they are left to the provider.

    Returns:
        Each attempt with what became of it, and sums; see `flows.books.reconcile.summary_of`.

    Raises:
        Incomplete: Something about an attempt, or its money, is not clear yet. What could be had is kept.
        KeyRefused: There is something to ask about, and no key to ask with.
    """
    environ = await run_environment()
    settle = partial(resolve_settings, provider=provider, base_url=base_url, work=work, ledger=ledger, environ=environ)
    settings = settle(needs_key=False)
    recovered: list[Recovered] = []
    if bool(settings.api_key) or await asyncio.to_thread(_has_unfinished, settings):
        settings = settle(needs_key=True)
        recovered = await reconcile(settings, wait_s=wait_s, observe=observer())
    sums = ", ".join(f"${usd(amount)} {name.removesuffix('_usd')}" for name, amount in sums_of(recovered).items())
    if artifacts := careful_artifacts():
        description = f"**{settings.identity}**: {len(recovered)} unfinished attempts; {sums}"
        await artifacts.table("shotchain-recovery", description, as_rows(recovered))
    raise_unclear(settings.identity, recovered)
    return summary_of(settings.identity, recovered)


def _has_unfinished(settings: Settings) -> bool:
    """Whether there is anything to ask about: by a schedule, this runs also where nothing was ever bought."""
    with ledger_if_there(settings.ledger) as ledger:
        return ledger is not None and bool(ledger.attempts(provider=settings.identity, states=LIVE))
