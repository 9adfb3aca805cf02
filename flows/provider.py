"""Opens the way to the provider: a client of its API, and the provider itself where that is the emulator inside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tasks.progress import Event, Observer, Stage
from tasks.runware.client import RunwareClient
from tasks.runware.poller import Poller, Reports
from tasks.settings import Settings

__all__ = ["open_provider"]


@asynccontextmanager
async def open_provider(
    settings: Settings, observe: Observer, reports: Reports | None = None
) -> AsyncIterator[tuple[RunwareClient, Poller]]:
    """A client and a poller for as long as the block lasts. Nothing is asked yet.

    Args:
        settings: Who the provider is, and with which key it is spoken to.
        observe: Told what is unusual about its answers.
        reports: What it tells without being asked.

    Raises:
        SettingsError: The embedded emulator cannot keep its state.
    """
    # It logs whole addresses, and those of results may be signed.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    async with AsyncExitStack() as stack:
        base_url = settings.base_url
        if settings.identity == "emulator":
            base_url = await _start_emulator(settings, stack)
        client = await stack.enter_async_context(RunwareClient(base_url, settings.api_key))
        poller = Poller(client, say=lambda text: observe(Event(Stage.NOTE, message=text)), reports=reports)
        stack.push_async_callback(poller.close)
        yield client, poller


async def _start_emulator(settings: Settings, stack: AsyncExitStack) -> str:
    from tasks.emulator.server import EmulatorServer
    from tasks.emulator.settings import EmulatorSettings

    server = EmulatorServer(EmulatorSettings(state_dir=settings.emulator_state, latency_s=0.0))
    await asyncio.to_thread(server.start)
    stack.push_async_callback(asyncio.to_thread, server.stop)
    return str(server.base_url)
