"""What `shotchain bootstrap` keeps on the Prefect server for all machines: the key, the folders, the provider's limit.

Each of it is optional. Where it is missing, a run goes by its own environment, as on a machine that stands alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError, concurrency
from prefect.exceptions import MissingContextError, ObjectNotFound
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_URL
from pydantic import Field, SecretStr

from tasks.errors import PrefectUnreachable

__all__ = [
    "BLOCK",
    "BLOCK_TYPE",
    "LIMIT",
    "VARIABLES",
    "RunwareCredentials",
    "run_environment",
    "shared_environment",
    "shared_slot",
]

BLOCK = "shotchain"
BLOCK_TYPE = "runware-credentials"
LIMIT = "shotchain-runware"
# The variable of the server -> the environment variable whose default it is.
VARIABLES = {
    "shotchain_work": "SHOTCHAIN_WORK",
    "shotchain_ledger": "SHOTCHAIN_LEDGER",
    "shotchain_budgets": "SHOTCHAIN_BUDGETS",
    "runware_base_url": "RUNWARE_BASE_URL",
}

# Set in each process that a worker, or `serve`, starts for a run.
_STARTED_FOR = "PREFECT__FLOW_RUN_ID"
# A shot goes on after so long, even if the server has not heard that its place is free.
_GIVE_BACK_S = 5.0
_logger = logging.getLogger(__name__)
_without: set[str] = set()  # addresses of servers that were found to have no such limit


class RunwareCredentials(Block):
    """The key of the account at Runware that pays."""

    _block_type_name = "Runware credentials"
    _block_type_slug = BLOCK_TYPE
    _description = "The API key with which shotchain has clips generated at Runware."

    key: SecretStr = Field(title="API key", description="From my.runware.ai. It is kept encrypted and never shown.")


def shared_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process, completed by what the server keeps for all; what is set here goes first.

    Made for `resolve_settings(environ=...)`. The key is in the answer only, never in the process's environment, where
    child processes would have it.

    Args:
        environ: Instead of the process's own environment.

    Raises:
        PrefectUnreachable: The configured server does not answer.
    """
    found = dict(os.environ if environ is None else environ)
    lacking = {name: variable for name, variable in VARIABLES.items() if not found.get(variable)}
    lacks_key = not found.get("RUNWARE_API_KEY", "").strip()
    if not PREFECT_API_URL.value() or not (lacking or lacks_key):
        return found
    with _asking() as client:
        for name, variable in lacking.items():
            kept = client.read_variable_by_name(name)
            if kept is not None and isinstance(kept.value, str) and kept.value:
                found[variable] = kept.value
        if lacks_key and (key := _key(client)):
            found["RUNWARE_API_KEY"] = key
    return found


async def run_environment() -> Mapping[str, str] | None:
    """The environment by which a run goes, for `resolve_settings(environ=...)`; None for the process's own.

    In a process that a worker started, that is completed by what the server keeps for all. A command has priced and
    shown its run by its own environment, and keeps to that. What neither has is said in one line of the run's log.

    Raises:
        PrefectUnreachable: The configured server does not answer.
    """
    if not os.environ.get(_STARTED_FOR):
        return None
    found = await asyncio.to_thread(shared_environment)
    lacking = [name for name in ("RUNWARE_API_KEY", *VARIABLES.values()) if not found.get(name, "").strip()]
    lacking = [name for name in lacking if name != "RUNWARE_BASE_URL"]  # the official one is meant
    if lacking:
        _say(
            logging.INFO,
            f"Neither set here nor kept on the Prefect server: {', '.join(lacking)}. The run goes without, or by the "
            "defaults of this machine; `shotchain bootstrap` keeps them for all.",
        )
    return found


@asynccontextmanager
async def shared_slot() -> AsyncIterator[None]:
    """Hold one of the places at the provider that all machines share, for the block; wait for one if none is free.

    Nothing is held, and that is said once, where the server has no such limit. The limit spares the provider; it does
    not guard money. So a server that does not answer keeps no shot from going on, neither at its beginning nor at its
    end, and what is paid for is not killed when the place cannot be held any longer.
    """
    held = AsyncExitStack()
    address = str(PREFECT_API_URL.value() or "")
    if address and address not in _without:
        try:
            await held.enter_async_context(concurrency(LIMIT, strict=True, raise_on_lease_renewal_failure=False))
        except ConcurrencySlotAcquisitionError as error:
            await _tell_why(error, address)
    try:
        yield
    finally:
        await _give_back(held)


async def _give_back(held: AsyncExitStack) -> None:
    """Let others have the place. Where the server does not hear of it, its lease ends by itself."""
    why: str | None = None
    limit = asyncio.timeout(_GIVE_BACK_S)
    try:
        async with limit:
            await held.aclose()
    except (httpx.HTTPError, RuntimeError, TimeoutError) as error:
        why = str(error) or type(error).__name__
    # Prefect keeps it to itself when it was stopped while it waited, so no error comes of that.
    if limit.expired():
        why = f"no answer in {_GIVE_BACK_S:.0f} s"
    if why is not None:
        _say(logging.WARNING, f"A place of the shared limit '{LIMIT}' is free again only when its lease ends: {why}")


async def _tell_why(error: ConcurrencySlotAcquisitionError, address: str) -> None:
    try:
        async with get_client() as client:
            await client.read_global_concurrency_limit_by_name(LIMIT)
    except ObjectNotFound:
        _without.add(address)
        _say(logging.INFO, f"There is no limit '{LIMIT}' that machines share; `shotchain bootstrap` makes it.")
    except (httpx.HTTPError, RuntimeError):
        _say(logging.WARNING, f"The shared limit '{LIMIT}' cannot be asked for; this clip goes without: {error}")
    else:
        _say(logging.WARNING, f"No place of the shared limit '{LIMIT}' could be had; this clip goes without: {error}")


def _say(level: int, text: str) -> None:
    """In the run's log, where there is a run."""
    try:
        get_run_logger().log(level, text)
    except MissingContextError:
        _logger.log(level, text)


def _key(client: SyncPrefectClient) -> str | None:
    try:
        kept = client.read_block_document_by_name(BLOCK, BLOCK_TYPE, include_secrets=True)
    except ObjectNotFound:
        return None
    key = kept.data.get("key")
    return key.strip() or None if isinstance(key, str) else None


class _Asking:
    """A client of the configured server, whose silence is our own error."""

    def __init__(self) -> None:
        self._client = get_client(sync_client=True)

    def __enter__(self) -> SyncPrefectClient:
        try:
            return self._client.__enter__()
        except (httpx.HTTPError, RuntimeError) as error:
            raise _unreachable(error) from error

    def __exit__(self, *raised: object) -> None:
        error = raised[1]
        self._client.__exit__(*raised)
        if isinstance(error, httpx.HTTPError):
            raise _unreachable(error) from error


def _asking() -> _Asking:
    return _Asking()


def _unreachable(error: Exception) -> PrefectUnreachable:
    return PrefectUnreachable(
        f"the configured Prefect server does not answer: {error}",
        advice="Start it, or set what is needed in the environment and unset PREFECT_API_URL.",
    )
