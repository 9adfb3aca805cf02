"""What a run tells whoever watches: the terminal, a log, a test. Watching changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

__all__ = ["Event", "Observer", "Stage", "observer", "watch"]


class Stage(StrEnum):
    """Where a take, or the film, is on its way."""

    WAITING = "waiting"
    REUSED = "reused"
    SUBMITTING = "submitting"
    GENERATING = "generating"
    RETRYING = "retrying"
    DOWNLOADING = "downloading"
    STORED = "stored"
    CONFORMING = "conforming"
    CONFORMED = "conformed"
    FAILED = "failed"
    SKIPPED = "skipped"
    JOINING = "joining"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    PUBLISHING = "publishing"
    DONE = "done"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Event:
    """One step. `shot` is None for what concerns the whole film; `cost_usd` is what was paid for this take."""

    stage: Stage
    shot: str | None = None
    take: int | None = None
    cost_usd: Decimal | None = None
    message: str = ""


Observer: TypeAlias = Callable[[Event], None]


def _nobody(_: Event) -> None:
    return


_observer: ContextVar[Observer] = ContextVar("shotchain_observer", default=_nobody)


def observer() -> Observer:
    """Whoever watches the current run."""
    return _observer.get()


def watch(who: Observer) -> None:
    """Let `who` be told of every step of the runs started in this context."""
    _observer.set(who)
