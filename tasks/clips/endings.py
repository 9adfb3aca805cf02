"""What an answer of the provider does to an attempt: whether its clip was made, and what the ledger is told of it.

It decides about money, and is therefore one for all: for the run that waits, for whoever finds the attempt later, and
for whoever compares the books. Each write holds only if the attempt is still what it was read as: posted as often, and
with the same said of its money, so that no answer overwrites what somebody said meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tasks.clips.delivery import Deliveries
from tasks.clips.recall import AskAgain, Seen, delivered_result, undelivered
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

__all__ = [
    "AT_PROVIDER",
    "made_in_spite_of",
    "result_of_received",
    "state_after",
    "state_of_verdict",
    "write_failure",
    "write_success",
]

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


async def made_in_spite_of(
    attempt: Attempt, error: ShotchainError, deliveries: Deliveries | None, ask: AskAgain
) -> VideoResult | None:
    """The result of an attempt of which the provider says that it failed, and whose clip there is; None without one.

    It was made if it lies in our own store. And if only its upload failed, the provider may have it all the same, who
    shows that in another answer.

    Args:
        attempt: Which.
        error: How it failed, by the provider's word. Tells what that cost.
        deliveries: What may lie in the store; None where nothing can.
        ask: Asks the provider for a result once more.

    Raises:
        StorageUnreachable: The store does not answer, so that nobody can tell.
        ShotchainError: The provider cannot be asked.
    """
    if deliveries is None:
        return None
    if await deliveries.received(attempt):
        return delivered_result(attempt, error)
    if not deliveries.was_refused(attempt, error):
        return None
    told = await ask(attempt)
    if told is None and await deliveries.received(attempt):  # it came while we asked
        return delivered_result(attempt, error)
    return told


async def result_of_received(attempt: Attempt, ask: Callable[[], Awaitable[Seen]]) -> VideoResult:
    """The result of an attempt whose clip lies in our own store: so it was made, whatever the provider says.

    Args:
        attempt: Which.
        ask: Asks the provider for the rest, such as what it cost. It need not know, nor answer.
    """
    try:
        seen = await ask()
    except ShotchainError:
        seen = None
    if isinstance(seen, VideoResult):
        return seen
    return delivered_result(attempt, seen if isinstance(seen, ShotchainError) else None)


async def write_success(ledger: Ledger, attempt: Attempt, result: VideoResult) -> Attempt | None:
    """Settle an attempt whose result is known; None where it is not any more what it was read as."""
    if attempt.state not in AT_PROVIDER:
        return None
    facts: dict[str, Any] = {"cost_usd": result.cost_usd, "result": result.as_json()}
    return await in_ledger(ledger.move, attempt.task_uuid, State.SUCCEEDED, known=attempt, **facts)


async def write_failure(
    ledger: Ledger, attempt: Attempt, state: State, error: ShotchainError, deliveries: Deliveries | None
) -> Attempt | None:
    """End an attempt that failed and of which there is no clip; None as above.

    One that failed for the sake of its delivery, and may have cost something, is not ended: its clip may come yet. It
    is left `unknown`, to a later run and to a person.

    Args:
        ledger: Where.
        attempt: Which.
        state: `refused` or `failed`.
        error: Why, with what is known of the money.
        deliveries: Tell what failed for their sake; None where there are none.
    """
    if error.charged is not Charged.NO and deliveries is not None and deliveries.was_refused(attempt, error):
        return await _write_undelivered(ledger, attempt, undelivered(attempt, error))
    return await _write_end(ledger, attempt, state, error)


async def _write_end(ledger: Ledger, attempt: Attempt, state: State, error: ShotchainError) -> Attempt | None:
    """End an attempt without a clip, and settle what was taken for it as far as `error` tells; None as above.

    Args:
        ledger: Where.
        attempt: Which.
        state: `refused` or `failed`; or `released` where nothing ever arrived.
        error: Why.
    """
    if attempt.state not in AT_PROVIDER:
        return None
    facts: dict[str, Any] = {}
    if state is not State.RELEASED:
        facts["cost_usd"] = error.cost_usd if error.charged is Charged.YES else None
    return await in_ledger(ledger.move, attempt.task_uuid, state, known=attempt, error=error, **facts)


async def _write_undelivered(ledger: Ledger, attempt: Attempt, error: OutcomeUnknown | ClipLost) -> Attempt | None:
    """Leave an attempt `unknown`, with what it cost: its clip is asked for again, its take is not bought again.

    It is `accepted` before, since work was done for it, so that the one more post is not for it.
    """
    if attempt.charged is Charged.YES and attempt.state is State.UNKNOWN:
        return attempt  # nothing more is known by that
    accepted: Attempt | None = attempt
    if attempt.state is not State.ACCEPTED:
        if attempt.state not in AT_PROVIDER:
            return None
        accepted = await in_ledger(ledger.move, attempt.task_uuid, State.ACCEPTED, known=attempt)
    if accepted is None:
        return None
    facts: dict[str, Any] = {"known": accepted, "error": error}
    if error.charged is Charged.YES:
        facts |= {"charged": Charged.YES, "cost_usd": error.cost_usd}
    return await in_ledger(ledger.move, attempt.task_uuid, State.UNKNOWN, **facts)
