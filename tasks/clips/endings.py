"""What an answer of the provider does to an attempt: how its result, or its failure, is written into the ledger.

It decides about money, and is therefore one for all: for the run that waits, and for whoever finds the attempt later.
"""

from __future__ import annotations

from typing import Any

from tasks.clips.writing import in_ledger
from tasks.errors import (
    Charged,
    ClipLost,
    ContentRefused,
    KeyRefused,
    NoCredit,
    OutcomeUnknown,
    RequestRejected,
    SettingsError,
    ShotchainError,
)
from tasks.ledger import Attempt, State
from tasks.ledger.ledger import Ledger
from tasks.runware.messages import VideoResult

__all__ = ["AT_PROVIDER", "state_after", "state_of_verdict", "write_end", "write_success", "write_undelivered"]

AT_PROVIDER = frozenset({State.SUBMITTED, State.ACCEPTED, State.UNKNOWN})
"""The states of which the provider can say what comes next."""
_REFUSALS = (RequestRejected, ContentRefused, KeyRefused, NoCredit, SettingsError)


def state_after(error: ShotchainError) -> State:
    """The state of an attempt whose submission was answered with `error`: `refused` before any work, or `failed`."""
    return State.REFUSED if isinstance(error, _REFUSALS) else State.FAILED


def state_of_verdict(error: ShotchainError) -> State:
    """The state of an attempt that the provider had accepted and ended with `error`.

    Work may have been done for it: only who has no access or no credit was refused before.
    """
    return State.REFUSED if isinstance(error, KeyRefused | NoCredit) else State.FAILED


async def write_success(ledger: Ledger, attempt: Attempt, result: VideoResult) -> Attempt | None:
    """Settle an attempt whose result is known; None where another was faster."""
    return await in_ledger(
        ledger.move,
        attempt.task_uuid,
        State.SUCCEEDED,
        expect=AT_PROVIDER,
        cost_usd=result.cost_usd,
        result=result.as_json(),
    )


async def write_end(
    ledger: Ledger, attempt: Attempt, state: State, error: ShotchainError, *, at_post: bool = False
) -> Attempt | None:
    """End an attempt without a clip, and settle what was taken for it as far as `error` tells; None as above.

    Args:
        ledger: Where.
        attempt: Which.
        state: `refused` or `failed`; or `released` where nothing ever arrived.
        error: Why.
        at_post: Whether that was the answer to a post rather than to a question. It speaks of that post alone, so it
            ends the attempt only as it was posted: not if it was accepted, or posted again, meanwhile.
    """
    facts: dict[str, Any] = {"expect": AT_PROVIDER}
    if at_post or state is State.RELEASED:
        facts = {"expect": {State.SUBMITTED if state is State.RELEASED else attempt.state}, "posts": attempt.posts}
    if state is not State.RELEASED:
        facts["cost_usd"] = error.cost_usd if error.charged is Charged.YES else None
    return await in_ledger(ledger.move, attempt.task_uuid, state, error=error, **facts)


async def write_undelivered(ledger: Ledger, attempt: Attempt, error: OutcomeUnknown | ClipLost) -> Attempt | None:
    """Write down that the provider gave up an attempt for the sake of its delivery, and took money, or may have.

    It is left `unknown`, with what it cost: its clip is asked for again, its take is not bought again, and a person can
    settle it. It is `accepted` before, since work was done for it, so that the one more post is not for it.
    """
    if attempt.charged is Charged.YES and attempt.state is State.UNKNOWN:
        return attempt  # nothing more is known by that
    expect = {State.SUBMITTED, State.UNKNOWN}
    if attempt.state is not State.ACCEPTED:
        await in_ledger(ledger.move, attempt.task_uuid, State.ACCEPTED, expect=expect)
    facts: dict[str, Any] = {"expect": {State.ACCEPTED}, "error": error}
    if error.charged is Charged.YES:
        facts |= {"charged": Charged.YES, "cost_usd": error.cost_usd}
    return await in_ledger(ledger.move, attempt.task_uuid, State.UNKNOWN, **facts)
