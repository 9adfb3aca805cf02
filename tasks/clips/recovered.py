"""What is said of each attempt that was reconciled: what became of it, what it holds, and what a person can do."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tasks.clips.recall import recorded_error
from tasks.errors import Charged, ClipDamaged, ClipLost, OutcomeUnknown, ShotchainError
from tasks.ledger import Attempt, State

__all__ = [
    "RECOVERY",
    "Happened",
    "Recovered",
    "driven",
    "driver_of",
    "ended",
    "in_work",
    "own_error",
    "released",
    "stored",
    "too_early",
    "unclear",
]

RECOVERY = "recover-"
"""How the holders of recoveries begin; all others are runs."""


class Happened(StrEnum):
    """What became of an attempt."""

    STORED = "stored"  # its clip is in the store
    RELEASED = "released"  # it was never sent, and its run is no more
    ENDED = "ended"  # the provider ended it without a clip
    IN_WORK = "in work"  # at the provider
    DRIVEN = "driven"  # by a run that lives
    TOO_EARLY = "too early"  # sent a moment ago, and not known to the provider yet
    UNKNOWN = "unknown"  # the provider cannot tell
    LOST = "lost"  # paid for, and gone at the provider
    DAMAGED = "damaged"  # paid for, and cannot be decoded
    OTHER_ACCOUNT = "other account"  # only another API key can ask about it
    LEFT = "left"  # something kept it from being asked about, or from being brought here


@dataclass(frozen=True, slots=True)
class Recovered:
    """One attempt, before and after. `error` is set while something about it, or its money, is unclear."""

    before: State
    attempt: Attempt
    happened: Happened
    message: str
    advice: str | None = None
    error: ShotchainError | None = None

    @property
    def is_clear(self) -> bool:
        """Whether nobody has to do anything about it, or to know anything more of its money."""
        return self.error is None

    @property
    def cost_usd(self) -> Decimal:
        """Dollars that it holds of its run's money now: spent, reserved or unknown."""
        return self.attempt.totals.held_usd


def released(attempt: Attempt) -> Recovered:
    """Of a run that is no more, which never sent it."""
    message = "its run ended without sending it; what it held is given back"
    return Recovered(State.RESERVED, attempt, Happened.RELEASED, message)


def driven(before: State, attempt: Attempt) -> Recovered:
    """It is a living run's, or another recovery's."""
    what = "reserved, and about to be sent, by" if attempt.state is State.RESERVED else "in work by"
    return Recovered(before, attempt, Happened.DRIVEN, f"{what} {driver_of(attempt)}, which lives")


def driver_of(attempt: Attempt) -> str:
    """Who drives an attempt, or is to send it: a run, or a recovery."""
    holder = attempt.run_id if attempt.state is State.RESERVED else attempt.driver or ""
    run_id = holder.partition("/")[0]  # a process of a run is named for it
    return run_id if run_id.startswith(RECOVERY) else f"run {run_id}".rstrip()


def stored(before: State, attempt: Attempt) -> Recovered:
    """Its clip is in the store."""
    return Recovered(before, attempt, Happened.STORED, "its clip is in the store")


def in_work(before: State, attempt: Attempt) -> Recovered:
    """It is the provider's turn."""
    later = "It stays the provider's. Recover again later, or give it time with --wait."
    return Recovered(before, attempt, Happened.IN_WORK, "the provider is at work on it", advice=later)


def too_early(attempt: Attempt, in_s: float) -> OutcomeUnknown:
    """What is said of a request that left a moment ago. More can be said in `in_s` seconds."""
    return OutcomeUnknown(
        "the request left a moment ago, and the provider does not know it yet",
        advice=f"That may change. Recover again in {max(1.0, in_s):.0f} s.",
        cost_usd=attempt.reserved_usd,
        charged=Charged.UNKNOWN,
    )


def ended(before: State, attempt: Attempt) -> Recovered:
    """It came to nothing; with an error where it is not told whether money went with it."""
    why = recorded_error(attempt)
    if attempt.charged is not Charged.UNKNOWN:
        return Recovered(before, attempt, Happened.ENDED, why.message, why.advice)
    error = OutcomeUnknown(
        f"{why.message}; whether that was charged is not told",
        advice="Its price stays held. When the provider's own books say it: "
        f"shotchain settle {attempt.task_uuid} --charged, or --not-charged.",
        shot=attempt.shot,
        task_uuid=attempt.task_uuid,
        cost_usd=attempt.reserved_usd,
        charged=Charged.UNKNOWN,
    )
    return Recovered(before, attempt, Happened.ENDED, error.message, error.advice, error)


def unclear(before: State, attempt: Attempt, error: ShotchainError, *, is_ours: bool) -> Recovered:
    """Something could not be learnt of it, or could not be done about it.

    Args:
        before: Its state as it was found.
        attempt: As it is now.
        error: What is in the way.
        is_ours: Whether it is of the account that asks.
    """
    error = own_error(error, attempt)
    if error.cost_usd is None:
        error.cost_usd = attempt.totals.held_usd
    if error.charged is Charged.NO:
        # The step that failed cost nothing. The attempt may have, or has.
        error.charged = attempt.charged or Charged.UNKNOWN
    match error:
        case OutcomeUnknown() if not is_ours:
            happened = Happened.OTHER_ACCOUNT
        case OutcomeUnknown():
            happened = Happened.TOO_EARLY if attempt.state is State.SUBMITTED else Happened.UNKNOWN
        case ClipLost():
            happened = Happened.LOST
        case ClipDamaged():
            happened = Happened.DAMAGED
        case _:
            happened = Happened.LEFT
    return Recovered(before, attempt, happened, error.message, error.advice, error)


def own_error(error: ShotchainError, attempt: Attempt) -> ShotchainError:
    """An error that may be many attempts', as that of this one."""
    own = copy.copy(error)
    own.shot, own.task_uuid = attempt.shot, attempt.task_uuid
    return own
