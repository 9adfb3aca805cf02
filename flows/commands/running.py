"""Runs the render flow from a terminal: beside a Prefect server, stoppable, with its progress shown."""

from __future__ import annotations

from typing import Any

import httpx

from flows.commands.output import console
from flows.commands.prepare import Prepared
from flows.display import watching
from flows.server import prefect_session
from flows.stoppable import run_stoppable
from tasks.clips.store import ClipStore
from tasks.errors import PrefectUnreachable
from tasks.ledger import open_ledger
from tasks.progress import watch
from tasks.settings import Settings

__all__ = ["run_render"]


def run_render(settings: Settings, prepared: Prepared, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run `flows.render.render` and give back its outcome.

    Raises:
        Stopped: A signal came.
        SettingsError: The ledger or the store cannot be used; found out before a server is started.
        PrefectUnreachable: There is no Prefect server, or it went away.
        ShotchainError: Whatever ended the run.
    """
    ClipStore(settings.work, settings.cache).check()
    open_ledger(settings.ledger).close()
    with prefect_session(settings.cache), watching(console(stderr=True), prepared.plan) as observe:
        from flows.render import render as render_flow

        async def run() -> dict[str, Any]:
            watch(observe)
            outcome: dict[str, Any] = await render_flow(**parameters)
            return outcome

        try:
            return run_stoppable(run)
        except httpx.TransportError as error:
            # Our own requests have errors of their own, so this is Prefect's.
            raise PrefectUnreachable(
                f"the Prefect server went away during the run: {error}",
                advice="What is paid is kept, and a film that was published is whole. Run the same command again.",
            ) from error
