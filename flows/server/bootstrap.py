"""Puts on a Prefect server what all machines share. Doing it again changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import (
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    VariableCreate,
    VariableUpdate,
    WorkPoolCreate,
)
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.workers.process import ProcessWorker
from pydantic import SecretStr

from flows.server.automations import notifications, rescues
from flows.server.shared import BLOCK, BLOCK_TYPE, LIMIT, RunwareCredentials
from tasks.errors import BadInput, PrefectUnreachable, SettingsError
from tasks.redaction import fingerprint, redact
from tasks.storage import locate

__all__ = ["DEFAULT_LIMIT", "WORK_POOL", "Item", "Report", "Wanted", "bootstrap"]

WORK_POOL = "shotchain"
DEFAULT_LIMIT = 8

State: TypeAlias = Literal["made", "changed", "there", "lacking"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the server should keep.

    Attributes:
        key: The provider's key; without one, none is saved, and one that is there is kept.
        variables: Name -> value; a None is not wanted, and what is there is kept. Of a relative path the absolute one
            is kept.
        limit: Places at the provider for all machines together; None makes the default one if there is none.
        notify: Whom to tell: a notification block, as TYPE/NAME, such as `slack-webhook/producers`.
    """

    key: str | None = field(default=None, repr=False)
    variables: dict[str, str | None] = field(default_factory=dict)
    limit: int | None = None
    notify: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing on the server, what became of it, and in a sentence what there is to know."""

    kind: str
    name: str
    state: State
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What is on the server now, and what is not."""

    server: str
    items: tuple[Item, ...]

    def as_dict(self) -> dict[str, Any]:
        """`server`, and under `made`, `changed`, `there` and `lacking` what is so."""
        lists: dict[str, list[dict[str, str]]] = {"made": [], "changed": [], "there": [], "lacking": []}
        for item in self.items:
            lists[item.state].append({"kind": item.kind, "name": item.name, "note": item.note})
        return {"server": self.server, **lists}


async def bootstrap(wanted: Wanted) -> Report:
    """Make what is missing on the configured server, and change what is wanted otherwise.

    Raises:
        SettingsError: No server is configured.
        BadInput: There is no such notification block. Nothing was changed.
        PrefectUnreachable: The server does not answer.
    """
    address = PREFECT_API_URL.value()
    if not address:
        raise SettingsError(
            "no Prefect server is configured",
            advice="Set PREFECT_API_URL to its address, such as http://127.0.0.1:4200/api, or use `make ui`.",
        )
    async with _client(str(address)) as client:
        block = await _notification_block(client, wanted.notify) if wanted.notify else None
        items = [
            await _work_pool(client),
            await _block_type(client),
            await _credentials(client, wanted.key),
            *[await _variable(client, name, value) for name, value in wanted.variables.items()],
            await _limit(client, wanted.limit),
            *[await _automation(client, automation) for automation in rescues()],
            *await _notices(client, block),
        ]
    return Report(redact(str(address)), tuple(items))


@asynccontextmanager
async def _client(address: str) -> AsyncIterator[PrefectClient]:
    try:
        async with get_client() as client:
            yield client
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(address, error) from error
    except RuntimeError as error:
        # Prefect's client says so of a server that does not answer, whose error then is the cause.
        if not isinstance(error.__cause__, httpx.HTTPError | OSError):
            raise
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> PrefectUnreachable:
    return PrefectUnreachable(
        f"the Prefect server at {redact(address)} does not do what is asked: {redact(str(error))}",
        advice="See whether it runs, and whether PREFECT_API_URL and PREFECT_API_KEY are right.",
    )


async def _there(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What is asked for, or None where the server has no such thing."""
    try:
        return await ask()
    except ObjectNotFound:
        return None


async def _notification_block(client: PrefectClient, name: str) -> UUID:
    kind, _, document = name.partition("/")
    found = await _there(lambda: client.read_block_document_by_name(document, kind)) if document else None
    if found is None:
        raise BadInput(
            f"there is no block '{redact(name)}' to notify by",
            advice="Make one in the UI under Blocks, and give TYPE/NAME, such as slack-webhook/producers.",
        )
    if "notify" not in (found.block_schema.capabilities if found.block_schema else []):
        raise BadInput(f"the block '{redact(name)}' is not one that can notify", advice="Give a notification block.")
    block_id: UUID = found.id
    return block_id


async def _work_pool(client: PrefectClient) -> Item:
    pool = await _there(lambda: client.read_work_pool(WORK_POOL))
    if pool is not None:
        return Item("work pool", WORK_POOL, "there", f"of type {pool.type}")
    await client.create_work_pool(
        WorkPoolCreate(name=WORK_POOL, type="process", base_job_template=ProcessWorker.get_default_base_job_template())
    )
    return Item("work pool", WORK_POOL, "made", "of type process")


async def _block_type(client: PrefectClient) -> Item:
    known = await _there(lambda: client.read_block_type_by_slug(BLOCK_TYPE))
    await RunwareCredentials.aregister_type_and_schema(client=client)
    return Item("block type", BLOCK_TYPE, "made" if known is None else "there")


async def _credentials(client: PrefectClient, key: str | None) -> Item:
    name = f"{BLOCK_TYPE}/{BLOCK}"
    kept = await _there(lambda: client.read_block_document_by_name(BLOCK, BLOCK_TYPE, include_secrets=True))
    before = None if kept is None else kept.data.get("key")
    if not key:
        if before:
            return Item("block", name, "there", f"key {fingerprint(str(before))}")
        return Item("block", name, "lacking", "no RUNWARE_API_KEY is set here; workers need it in their environment")
    if key == before:
        return Item("block", name, "there", f"key {fingerprint(key)}")
    await RunwareCredentials(key=SecretStr(key)).asave(BLOCK, overwrite=True, client=client)
    return Item("block", name, "made" if kept is None else "changed", f"key {fingerprint(key)}")


async def _variable(client: PrefectClient, name: str, value: str | None) -> Item:
    kept = await client.read_variable_by_name(name)
    shown = _shown(name, str(kept.value)) if kept else ""
    if value is not None:
        value = _place(name, value)[0]
    if value is None:
        if kept:
            return Item("variable", name, "there", shown)
        return Item("variable", name, "lacking", "each machine goes by its own environment and defaults")
    if redact(value) != value:
        return Item(
            "variable",
            name,
            "lacking",
            "it holds a secret, which anybody could read in a variable; give it to the workers in their environment",
        )
    if kept and kept.value == value:
        return Item("variable", name, "there", shown)
    if kept:
        await client.update_variable(VariableUpdate(name=name, value=value))
        return Item("variable", name, "changed", f"{_shown(name, value)}; was {redact(str(kept.value))}")
    await client.create_variable(VariableCreate(name=name, value=value, tags=["shotchain"]))
    return Item("variable", name, "made", _shown(name, value))


def _shown(name: str, value: str) -> str:
    """A variable for people, with what there is to know of a place on a disk."""
    meant, is_local = _place(name, value)
    if not is_local:
        return str(redact(value))
    if meant != value:
        return f"{redact(value)}: another place on each machine; give it again, as an absolute path"
    return f"{redact(value)}: on a disk; machines share it only where it is mounted on each of them"


def _place(name: str, value: str) -> tuple[str, bool]:
    """A value that means the same on all machines, and whether it is a place on a disk.

    A relative path means another folder in each process that reads it, so it is the one that it is here.
    """
    scheme, parted, path = value.partition(":///")
    if parted and scheme.startswith("sqlite"):
        path, query, more = path.partition("?")
        return f"{scheme}:///{Path(path).absolute()}{query}{more}", True
    local = None if name == "runware_base_url" else locate(value).local
    if local is None:
        return value, False
    return (value if "://" in value else str(local)), True


async def _limit(client: PrefectClient, wanted: int | None) -> Item:
    kept = await _there(lambda: client.read_global_concurrency_limit_by_name(LIMIT))
    if kept is None:
        limit = DEFAULT_LIMIT if wanted is None else wanted
        await client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=LIMIT, limit=limit))
        return Item("limit", LIMIT, "made", f"{limit} clips at the provider at once, on all machines together")
    if wanted is None or kept.limit == wanted:
        return Item("limit", LIMIT, "there", f"{kept.limit} clips at once{'' if kept.active else ', switched off'}")
    await client.update_global_concurrency_limit(LIMIT, GlobalConcurrencyLimitUpdate(limit=wanted))
    return Item("limit", LIMIT, "changed", f"{wanted} clips at once, was {kept.limit}")


async def _automation(client: PrefectClient, wanted: AutomationCore) -> Item:
    """Make one, or make it what it should be; whether it is switched on is up to the people who use it."""
    kept = await client.read_automations_by_name(wanted.name)
    if not kept:
        await client.create_automation(wanted)
        return Item("automation", wanted.name, "made", wanted.description)
    switched = "" if kept[0].enabled else "switched off"
    if _rules(kept[0]) == _rules(wanted):
        return Item("automation", wanted.name, "there", switched)
    wanted = wanted.model_copy(update={"enabled": kept[0].enabled})
    await client.update_automation(kept[0].id, wanted)
    return Item("automation", wanted.name, "changed", switched)


def _rules(automation: AutomationCore) -> dict[str, Any]:
    return automation.model_dump(include={"description", "trigger", "actions"})


async def _notices(client: PrefectClient, block: UUID | None) -> list[Item]:
    if block is not None:
        return [await _automation(client, automation) for automation in notifications(block)]
    items = []
    for name in [automation.name for automation in notifications(UUID(int=0))]:
        if await client.read_automations_by_name(name):
            items.append(Item("automation", name, "there"))
        else:
            why = "nobody to tell: make a notification block and give it with --notify TYPE/NAME"
            items.append(Item("automation", name, "lacking", why))
    return items
