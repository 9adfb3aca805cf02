"""`shotchain ledger`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from flows.commands.flags import Json, LedgerUrl
from flows.commands.output import console, print_json
from tasks.settings import resolve_settings

__all__ = ["ledger"]


def ledger(
    *,
    ledger: LedgerUrl = None,
    run: Annotated[str | None, Parameter(help="Only the attempts of this run.")] = None,
    shot: Annotated[str | None, Parameter(help="Only the attempts at this shot.")] = None,
    json: Json = False,
) -> None:
    """List every attempt that was ever made, and what it cost."""
    from flows.accounts import attempts_as_dict, print_attempts
    from tasks.ledger import open_ledger

    settings = resolve_settings(ledger=ledger, needs_key=False)
    with open_ledger(settings.ledger, create=False) as opened:
        attempts = opened.attempts(run_id=run, shot=shot)
        if json:
            print_json(attempts_as_dict(attempts))
        else:
            print_attempts(console(), attempts)
