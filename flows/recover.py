"""Reconcile what earlier runs left unfinished; buy nothing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from prefect import flow
from prefect.artifacts import acreate_table_artifact
from pydantic import Field

from flows.reconcile import as_rows, raise_unclear, reconcile, summary_of, sums_of
from tasks.plan.model import usd
from tasks.progress import observer
from tasks.settings import resolve_settings

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
    artifact.

    Args:
        provider: Whose attempts.
        base_url: Another address of the Runware API, version path included.
        work: The clip store: a folder or any fsspec URL; by default one a user.
        ledger: The ledger: a file or a SQLAlchemy URL; by default one a user.
        wait_s: Seconds for which clips in work are waited for; without, they are left to the provider.

    Returns:
        Each attempt with what became of it, and sums; see `flows.reconcile.summary_of`.

    Raises:
        Incomplete: Something about an attempt, or its money, is not clear yet. What could be had is kept.
    """
    settings = resolve_settings(provider=provider, base_url=base_url, work=work, ledger=ledger)
    recovered = await reconcile(settings, wait_s=wait_s, observe=observer())
    sums = ", ".join(f"${usd(amount)} {name.removesuffix('_usd')}" for name, amount in sums_of(recovered).items())
    await acreate_table_artifact(
        key="shotchain-recovery",
        description=f"**{settings.identity}**: {len(recovered)} unfinished attempts; {sums}",
        table=as_rows(recovered),
    )
    raise_unclear(settings.identity, recovered)
    return summary_of(settings.identity, recovered)
