"""Money and memory: what was reserved, what left, what was accepted, what it cost. Nothing is paid for twice.

    states.py    which state may follow which, and what each holds of the money
    money.py     dollars at the API, whole micro-dollars in the database
    records.py   what the ledger takes and gives back
    limits.py    what a run may hold: its own limits, and standing budgets that it shares
    periods.py   days, weeks and months in a time zone; budget_file.py reads configs/budgets.yaml
    budget.py    whether there is room: the one place that enforces limits
    standing.py  standing budgets in the database: the latest word, the lock, what each holds
    lifetime.py  a run is written down with its limits, and how it ended
    moves.py     one move of one attempt, a compare-and-set
    leases.py    who lives, who drives which attempt, what the dead leave behind
    reserve.py   reserve or adopt, in one transaction
    plans.py     the latest plan of each storyboard
    approvals.py who was asked, and what they said
    accounts.py  sums by project, month and more; what was saved by reuse
    ledger.py    the ledger itself; questions.py: what it can be asked
    engine.py    SQLite and PostgreSQL: the only module that knows their differences
    schema.py    the tables; upgrade.py and migrations/ bring an older database to them

Importing this package is cheap: the database libraries are loaded by `open_ledger`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.ledger.limits import Limits, StandingBudget
from tasks.ledger.money import from_micro, nearest_micro, to_micro
from tasks.ledger.periods import Period
from tasks.ledger.records import (
    Answer,
    Approval,
    Attempt,
    BudgetState,
    RememberedPlan,
    Reuse,
    Run,
    Sums,
    TimedClip,
    Totals,
    Wanted,
)
from tasks.ledger.states import ALLOWED, ENDS, LIVE, PAID, State

if TYPE_CHECKING:
    from tasks.ledger.ledger import Ledger

__all__ = [
    "ALLOWED",
    "ENDS",
    "LIVE",
    "PAID",
    "Answer",
    "Approval",
    "Attempt",
    "BudgetState",
    "Ledger",
    "Limits",
    "Period",
    "RememberedPlan",
    "Reuse",
    "Run",
    "StandingBudget",
    "State",
    "Sums",
    "TimedClip",
    "Totals",
    "Wanted",
    "from_micro",
    "nearest_micro",
    "open_ledger",
    "read_budgets",
    "to_micro",
]


def open_ledger(url: str, *, create: bool = True) -> Ledger:
    """Open the ledger at `url`, creating it or upgrading an older one where needed.

    Args:
        url: A path, `sqlite:///PATH`, or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`. Missing folders
            of a path are created.
        create: Whether to create the file of a ledger where there is none. Whoever only reads has no use for an
            empty one.

    Raises:
        SettingsError: `url` is nothing that a ledger can be, or names a database that is something else, or there
            is no ledger and none is to be created.
        LedgerTooNew: a newer shotchain wrote it; it is left untouched.
        StorageUnreachable: the path cannot be written, or the server does not answer or does not let us in.
    """
    from tasks.ledger.ledger import Ledger as Opened  # noqa: PLC0415  # SQLAlchemy is loaded only when it is used

    return Opened.at(url, create=create)


def read_budgets(path: str | Path | None = None) -> tuple[StandingBudget, ...]:
    """The standing budgets of a YAML file; without `path`, of the shipped `configs/budgets.yaml`.

    Raises:
        SettingsError: The file cannot be read, or there is a mistake in it; with file, line and what would do.
    """
    from tasks.ledger.budget_file import read_budget_file  # noqa: PLC0415  # YAML is loaded only when it is used

    return read_budget_file(path)


def __getattr__(name: str) -> Any:
    if name == "Ledger":
        from tasks.ledger.ledger import Ledger as Opened  # noqa: PLC0415  # as above

        return Opened
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
