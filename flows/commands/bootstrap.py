"""`shotchain bootstrap`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flows.commands.flags import Json
from flows.commands.output import console, print_json
from tasks.errors import BadInput

if TYPE_CHECKING:
    from flows.server.bootstrap import Report

__all__ = ["bootstrap"]


def bootstrap(
    *,
    work: Annotated[str | None, Parameter(help="The clip store; by default SHOTCHAIN_WORK.")] = None,
    ledger: Annotated[str | None, Parameter(help="The ledger; by default SHOTCHAIN_LEDGER.")] = None,
    budgets: Annotated[
        str | None, Parameter(help="The file of standing budgets; by default SHOTCHAIN_BUDGETS.")
    ] = None,
    base_url: Annotated[
        str | None, Parameter(help="Another address of the Runware API; by default RUNWARE_BASE_URL.")
    ] = None,
    limit: Annotated[
        int | None,
        Parameter(help="At most so many clips at the provider at once, on all machines together; at first 8."),
    ] = None,
    notify: Annotated[
        str | None, Parameter(help="Whom to tell of failures and approvals: a notification block, TYPE/NAME.")
    ] = None,
    json: Json = False,
) -> None:
    """Put on the configured Prefect server what all machines share. Doing it again changes nothing.

    The key is taken from RUNWARE_API_KEY, and from no flag. What is not given is left as it is.
    """
    from flows.server.temporary import quiet_environment

    quiet_environment()
    from flows.commands.stoppable import run_stoppable
    from flows.server.bootstrap import Wanted
    from flows.server.bootstrap import bootstrap as prepare
    from flows.server.shared import VARIABLES

    if limit is not None and not 1 <= limit <= 1000:
        raise BadInput(f"--limit {limit} is out of range", advice="Accepted: 1 to 1000.")
    given = {
        "shotchain_work": work,
        "shotchain_ledger": ledger,
        "shotchain_budgets": budgets,
        "runware_base_url": base_url,
    }
    wanted = Wanted(
        key=os.environ.get("RUNWARE_API_KEY", "").strip() or None,
        variables={name: given[name] or os.environ.get(variable) or None for name, variable in VARIABLES.items()},
        limit=limit,
        notify=notify,
    )
    report = run_stoppable(lambda: prepare(wanted))
    if json:
        print_json(report.as_dict())
    else:
        _print(report)


def _print(report: Report) -> None:
    from rich.text import Text

    from flows.tables import plain_table, print_table

    table = plain_table(("", "what", "name", "note"))
    for item in report.items:
        table.add_row(*(Text(cell) for cell in (item.state, item.kind, item.name, item.note)))
    told = console()
    told.print(f"On {report.server}:", markup=False, highlight=False, soft_wrap=True)
    print_table(told, table)
