"""`shotchain recover`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from flows.commands.flags import BaseUrl, Json, LedgerUrl, Provider, Work
from flows.commands.output import console, print_json
from tasks.settings import resolve_settings

__all__ = ["recover"]


def recover(
    *,
    provider: Provider = "runware",
    base_url: BaseUrl = None,
    work: Work = None,
    ledger: LedgerUrl = None,
    wait: Annotated[float, Parameter(help="Wait so many seconds for clips in work.")] = 0.0,
    json: Json = False,
) -> None:
    """Ask what became of everything that was left unfinished, and fetch every paid clip. Buys nothing."""
    from flows.books.recovery import print_recovered, raise_unclear, recover_attempts, summary_of
    from flows.commands.stoppable import run_stoppable
    from tasks.errors import SettingsError
    from tasks.progress import observer

    settings = resolve_settings(provider=provider, base_url=base_url, work=work, ledger=ledger)
    if not 0 <= wait <= 86_400:
        raise SettingsError(f"--wait {wait:g} is no number of seconds to wait", advice="Accepted: 0 to 86400.")
    with console(stderr=True).status("asking the provider …"):
        recovered = run_stoppable(lambda: recover_attempts(settings, wait_s=wait, observe=observer()))
    if not json:
        print_recovered(console(), settings.identity, recovered)
    raise_unclear(settings.identity, recovered)
    if json:
        print_json(summary_of(settings.identity, recovered))
