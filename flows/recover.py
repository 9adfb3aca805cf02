"""Reconcile what earlier runs left unfinished; buy nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.books.history import ledger_if_there
from flows.books.recovery import as_rows, raise_unclear, recover_attempts, summary_of, sums_of
from flows.money.events import tell_unclear
from flows.page.words import plain
from flows.page.writer import careful_artifacts
from flows.server.shared import run_environment
from tasks.clips.recover import Happened, Recovered
from tasks.ledger import LIVE
from tasks.plan.model import usd
from tasks.progress import observer
from tasks.settings import Settings, resolve_settings

__all__ = ["recover"]

# So many attempts are named in a message.
_MOST = 10


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
        Each attempt with what became of it, and sums; see `flows.books.recovery.summary_of`.

    Raises:
        Incomplete: Something about an attempt, or its money, is not clear yet. What could be had is kept.
        KeyRefused: There is something to ask about, and no key to ask with.
    """
    environ = await run_environment()
    settle = partial(resolve_settings, provider=provider, base_url=base_url, work=work, ledger=ledger, environ=environ)
    tell = partial(tell_unclear, run_id=str(flow_run.get_id()))
    recovered: list[Recovered] = []
    try:
        settings = settle(needs_key=False)
        if bool(settings.api_key) or await asyncio.to_thread(_has_unfinished, settings):
            settings = settle(needs_key=True)
            recovered = await recover_attempts(settings, wait_s=wait_s, observe=observer())
    except Exception as error:
        tell([type(error).__name__], provider=provider, what=str(error))
        raise
    if about := _about(recovered):
        held_usd = sum((item.cost_usd for item in _unclear(recovered)), Decimal(0))
        tell(about, provider=settings.identity, what=_what(recovered), held_usd=held_usd)
    sums = ", ".join(f"${usd(amount)} {name.removesuffix('_usd')}" for name, amount in sums_of(recovered).items())
    if artifacts := careful_artifacts():
        description = f"**{settings.identity}**: {len(recovered)} unfinished attempts; {sums}"
        rows = [{name: plain(cell) for name, cell in row.items()} for row in as_rows(recovered)]
        await artifacts.table("shotchain-recovery", description, rows)
    raise_unclear(settings.identity, recovered)
    return summary_of(settings.identity, recovered)


def _unclear(recovered: Sequence[Recovered]) -> list[Recovered]:
    """What a person has to look at. What has just left is looked at again by the next recovery."""
    return [item for item in recovered if item.error is not None and item.happened is not Happened.TOO_EARLY]


def _about(recovered: Sequence[Recovered]) -> set[str]:
    """What is unclear: attempts, and what keeps others from being asked about, however many these are by now."""
    return {
        type(item.error).__name__
        if item.happened is Happened.LEFT
        else f"{item.happened} {item.attempt.task_uuid} {item.attempt.charged}"
        for item in _unclear(recovered)
    }


def _what(recovered: Sequence[Recovered]) -> str:
    unclear = _unclear(recovered)
    said = [
        f"{item.attempt.storyboard} · {item.attempt.shot}, take {item.attempt.take}: {item.message}"
        for item in unclear[:_MOST]
    ]
    return "; ".join([*said, *([f"and {len(unclear) - _MOST} more"] if len(unclear) > _MOST else [])])


def _has_unfinished(settings: Settings) -> bool:
    """Whether there is anything to ask about: by a schedule, this runs also where nothing was ever bought."""
    with ledger_if_there(settings.ledger) as ledger:
        return ledger is not None and bool(ledger.attempts(provider=settings.identity, states=LIVE))
