"""Money and memory: what was reserved, what left, what was accepted, what it cost. Nothing is paid for twice.

    states.py    which state may follow which, and what each holds of the money
    money.py     dollars at the API, whole micro-dollars in the database
    records.py   what the ledger takes and gives back
    budget.py    whether there is room
    moves.py     one move of one attempt, a compare-and-set
    leases.py    who lives, who drives which attempt, what the dead leave behind
    reserve.py   reserve or adopt, in one transaction
    plans.py     the latest plan of each storyboard
    ledger.py    the ledger itself
    engine.py    SQLite and PostgreSQL: the only module that knows their differences
    schema.py    the tables; upgrade.py and migrations/ bring an older database to them

Importing this package is cheap: the database libraries are loaded by `open_ledger`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.ledger.money import from_micro, nearest_micro, to_micro
from tasks.ledger.records import Attempt, RememberedPlan, Run, Totals, Wanted
from tasks.ledger.states import ALLOWED, ENDS, LIVE, PAID, State

if TYPE_CHECKING:
    from tasks.ledger.ledger import Ledger

__all__ = [
    "ALLOWED",
    "ENDS",
    "LIVE",
    "PAID",
    "Attempt",
    "Ledger",
    "RememberedPlan",
    "Run",
    "State",
    "Totals",
    "Wanted",
    "from_micro",
    "nearest_micro",
    "open_ledger",
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


def __getattr__(name: str) -> Any:
    if name == "Ledger":
        from tasks.ledger.ledger import Ledger as Opened  # noqa: PLC0415  # as above

        return Opened
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
