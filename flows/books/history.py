"""What a ledger remembers that helps to plan; where there is none yet, nothing, and none is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

from tasks.ledger import open_ledger
from tasks.local_path import local_path
from tasks.plan.timing import ClipTimes, Sample, learn
from tasks.rounding import milliseconds
from tasks.settings import Settings

if TYPE_CHECKING:
    from tasks.ledger import Ledger  # the database libraries come with it

__all__ = ["learnt_times", "ledger_if_there"]


@contextmanager
def ledger_if_there(ledger: str) -> Iterator[Ledger | None]:
    """The ledger at a path or URL; None where its file does not exist, or is empty.

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
    if "://" in path:
        return True
    file = local_path(path.partition("?")[0] if parted else path)
    # An empty file is a database without tables yet; whoever only looks does not make them.
    try:
        return file.exists() and not (file.is_file() and file.stat().st_size == 0)
    except OSError:
        return True  # what keeps it from being looked at is told by opening it


def learnt_times(settings: Settings, model: str, stated_s: Decimal | None = None) -> ClipTimes:
    """How long clips of a model take, by the latest that the ledger has from this provider. Blocks.

    Args:
        settings: Whose ledger, and whose provider.
        model: The model.
        stated_s: Seconds that a clip is said to take, for where the ledger has none.

    Raises:
        SettingsError: The ledger cannot be one.
        StorageUnreachable: It does not answer.
    """
    with ledger_if_there(settings.ledger) as ledger:
        known = [] if ledger is None else ledger.clip_times(settings.identity, model)
    return learn((Sample(clip.duration_s, milliseconds(clip.took_s)) for clip in known), stated_s)
