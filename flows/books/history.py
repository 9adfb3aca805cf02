"""What a ledger remembers that helps to plan; where there is none yet, nothing, and none is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.ledger import PAID, Attempt, open_ledger
from tasks.plan.timing import Sample
from tasks.rounding import milliseconds

if TYPE_CHECKING:
    from tasks.ledger import Ledger  # the database libraries come with it

__all__ = ["ledger_if_there", "samples_of"]

_MICROSECOND = timedelta(microseconds=1)


@contextmanager
def ledger_if_there(ledger: str) -> Iterator[Ledger | None]:
    """The ledger at a path or URL; None where its file does not exist.

    Raises:
        SettingsError: The ledger cannot be one.
        StorageUnreachable: It does not answer.
    """
    if not _is_there(ledger):
        yield None
        return
    with open_ledger(ledger, create=False) as opened:
        yield opened


def _is_there(ledger: str) -> bool:
    scheme, parted, path = ledger.rpartition(":///")
    if parted and not scheme.startswith("sqlite"):
        return True
    return "://" in path or Path(path.partition("?")[0] if parted else path).expanduser().exists()


def samples_of(attempts: Iterable[Attempt], model: str) -> Iterator[Sample]:
    """How long the provider took for each clip of a model, from its acceptance to its result.

    Edits are as long as their source, which their requests do not say; they teach nothing.
    """
    for attempt in attempts:
        if attempt.model != model or attempt.state not in PAID:
            continue
        if attempt.accepted_at is None or attempt.finished_at is None:
            continue
        length_s = _seconds(attempt.request.get("duration"))
        took_s = attempt.finished_at - attempt.accepted_at
        if length_s is not None:
            yield Sample(length_s, milliseconds(Decimal(took_s // _MICROSECOND) / 1_000_000))


def _seconds(value: object) -> Decimal | None:
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None
