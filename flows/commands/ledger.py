"""`shotchain ledger`: what was ever paid for, what it adds up to, and whether the provider says the same."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import App, Parameter

from flows.commands.flags import BaseUrl, Json, LedgerUrl, Provider
from flows.commands.output import console, print_json
from tasks.errors import BadInput
from tasks.settings import resolve_settings

__all__ = ["ledger"]

ledger = App(name="ledger", help="List every attempt that was ever made, and what it cost.")

_AGO = re.compile(r"(\d{1,5})([dh])")
_SINCE = 'Only from then on: days or hours ago ("30d", "12h"), or a date (UTC).'


@ledger.default
def attempts(
    *,
    ledger: LedgerUrl = None,
    run: Annotated[str | None, Parameter(help="Only the attempts of this run.")] = None,
    shot: Annotated[str | None, Parameter(help="Only the attempts at this shot.")] = None,
    since: Annotated[str | None, Parameter(help=_SINCE)] = None,
    by: Annotated[
        str | None,
        Parameter(help="Sums by any of project, storyboard, run, shot, month, model, state; comma-separated."),
    ] = None,
    csv: Annotated[bool, Parameter(negative="", help="Print comma-separated values on stdout.")] = False,
    json: Json = False,
) -> None:
    """List every attempt that was ever made, and what it cost; or sums of them."""
    from flows.commands import accounts
    from tasks.ledger import open_ledger

    if csv and json:
        raise BadInput("--csv and --json exclude one another", advice="Give one of them.")
    begin = _moment(since)
    settings = resolve_settings(ledger=ledger, needs_key=False)
    if by is not None:
        # What is asked for of one run, or one shot, is summed by that too, and shown of it alone.
        asked = {name: value for name, value in (("run", run), ("shot", shot)) if value is not None}
        dimensions = accounts.parse_by(",".join([*asked, by]))
        with open_ledger(settings.ledger, create=False) as opened:
            sums = [
                item
                for item in opened.sums(dimensions, since=begin)
                if all(item.group[name] == value for name, value in asked.items())
            ]
        if json:
            print_json(accounts.sums_as_dict(dimensions, sums))
        elif csv:
            _print_csv(accounts.sums_as_csv(dimensions, sums))
        else:
            accounts.print_sums(console(), dimensions, sums)
        return
    with open_ledger(settings.ledger, create=False) as opened:
        found = opened.attempts(run_id=run, shot=shot)
    found = [attempt for attempt in found if begin is None or attempt.created_at >= begin]
    if json:
        print_json(accounts.attempts_as_dict(found))
    elif csv:
        _print_csv(accounts.attempts_as_csv(found))
    else:
        accounts.print_attempts(console(), found)


@ledger.command
def reconcile(
    *,
    provider: Provider = "runware",
    base_url: BaseUrl = None,
    ledger: LedgerUrl = None,
    since: Annotated[str | None, Parameter(help=_SINCE)] = None,
    apply: Annotated[bool, Parameter(negative="", help="Write into the ledger what the provider says.")] = False,
    json: Json = False,
) -> None:
    """Ask the provider about every attempt that could have cost, and name what it says otherwise. Buys nothing."""
    from flows.books.statement import books_as_dict, check_books, print_books, raise_differences
    from flows.commands.stoppable import run_stoppable
    from tasks.progress import observer

    settings = resolve_settings(provider=provider, base_url=base_url, ledger=ledger)
    begin = _moment(since)
    with console(stderr=True).status("asking the provider …"):
        compared = run_stoppable(lambda: check_books(settings, since=begin, apply=apply, observe=observer()))
    if not json:
        print_books(console(), settings.identity, compared)
    raise_differences(settings.identity, compared, applied=apply)
    if json:
        print_json(books_as_dict(settings.identity, compared))


def _print_csv(text: str) -> None:
    """For another program, as it is."""
    sys.stdout.write(text)


def _moment(text: str | None) -> datetime | None:
    """A moment in UTC.

    Raises:
        BadInput: It is none.
    """
    if text is None:
        return None
    if ago := _AGO.fullmatch(text.strip()):
        length = timedelta(days=int(ago[1])) if ago[2] == "d" else timedelta(hours=int(ago[1]))
        return datetime.now(UTC) - length
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        accepted = 'Accepted: such as "30d", "12h", "2026-11-01" or "2026-11-01T12:00".'
        raise BadInput(f"--since '{text}' is no moment", advice=accepted) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
