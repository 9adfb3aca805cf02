"""Runs the render flow from a terminal: beside a Prefect server, stoppable, with its progress shown."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from flows.commands.output import console
from flows.commands.prepare import Prepared
from flows.commands.stoppable import Stopped, run_stoppable
from flows.money.asking import Terminal, ask_at
from flows.server.temporary import prefect_session
from flows.watching import set_aside, watching
from tasks.clips.store import ClipStore
from tasks.errors import PrefectUnreachable, ShotchainError
from tasks.ledger import State, open_ledger
from tasks.plan.model import usd
from tasks.problems import listed_shots
from tasks.progress import watch
from tasks.settings import Settings

__all__ = ["begun", "run_render"]

_LOOK_S = 1.5


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
    with begun(settings.cache), watching(console(stderr=True), prepared.plan) as observe:
        from flows.render import render as render_flow

        async def run() -> dict[str, Any]:
            watch(observe)
            ask_at(_terminal())
            outcome: dict[str, Any] = await render_flow(**parameters)
            return outcome

        try:
            return run_stoppable(run)
        except Stopped as stopped:
            stopped.left = _left_soon(settings, prepared)
            raise
        except httpx.TransportError as error:
            # Our own requests have errors of their own, so this is Prefect's.
            raise PrefectUnreachable(
                f"the Prefect server went away during the run: {error}",
                advice="What is paid is kept, and a film that was published is whole. Run the same command again.",
            ) from error


@contextmanager
def begun(cache: Path) -> Iterator[None]:
    """A Prefect session, see `prefect_session`; a terminal says so while it begins, which takes seconds."""
    with ExitStack() as stack:
        with console(stderr=True).status("starting …"):
            stack.enter_context(prefect_session(cache))
        yield


def _terminal() -> Terminal | None:
    """Where a person may be asked while a run is under way; None where nobody sits."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    from rich.text import Text

    return Terminal(lambda question: console(stderr=True).input(Text(question)), set_aside)


def _left_soon(settings: Settings, prepared: Prepared) -> str:
    """See `_left`; whoever stops a run does not wait for a ledger that somebody else holds."""
    told: list[str] = []
    thread = threading.Thread(target=lambda: told.append(_left(settings, prepared)), daemon=True)
    thread.start()
    thread.join(_LOOK_S)
    return told[0] if told else "What is still at the provider cannot be told now; `shotchain ledger` lists it."


def _left(settings: Settings, prepared: Prepared) -> str:
    """What of this plan the provider still has, and may be charging for."""
    at_provider = {State.SUBMITTED, State.ACCEPTED}
    try:
        with open_ledger(settings.ledger) as ledger:
            attempts = ledger.attempts(states=at_provider, provider=settings.identity)
    except ShotchainError as error:
        return f"What is still at the provider cannot be told: {error.message}."
    left = [attempt for attempt in attempts if attempt.content_key in prepared.plan.content_keys]
    if not left:
        return "Nothing is at the provider."
    held = usd(sum((attempt.reserved_usd for attempt in left), Decimal(0)))
    return f"Still at the provider, for ${held}: {listed_shots(list(dict.fromkeys(attempt.shot for attempt in left)))}."
