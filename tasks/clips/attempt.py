"""Drives one attempt from a reservation to a result, and never pays twice on the way.

Every step is written to the ledger, by compare-and-set, before its consequence leaves this machine; how, `outcomes`
decides. Whoever finds an attempt half done (this run, a later one, another machine) goes on from its state:

    reserved    submit it
    submitted   it may have been accepted: ask; after the grace time post the same UUID once more
    accepted    wait for it
    succeeded   the result is in the ledger
    unknown     ask; if it was posted only once and never said to be accepted, as `submitted`; else, if the provider
                still cannot tell, a person must; what a person said was charged is lost where the provider has nothing

What a clip in our own store proves, no answer of the provider, nor its silence, disproves: where it can put clips there
itself, that is looked at first, before anything is asked or posted again.

Whoever loses a compare-and-set reads the row again and goes on from there: another run was faster.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tasks.clips.circuit import STOPPERS, Circuit
from tasks.clips.delivery import Deliveries
from tasks.clips.endings import state_after
from tasks.clips.order import Order
from tasks.clips.outcomes import Outcomes
from tasks.clips.recall import look, unknown_outcome
from tasks.clips.reports import addressed
from tasks.clips.writing import in_ledger
from tasks.errors import (
    Charged,
    OutcomeUnknown,
    ProviderError,
    ProviderUnreachable,
    RateLimited,
    RequestRejected,
    ShotchainError,
    StorageUnreachable,
)
from tasks.ledger import Attempt, State
from tasks.ledger.ledger import Ledger
from tasks.presigned import secrets_of
from tasks.progress import Observer, Stage
from tasks.runware.client import RunwareClient, is_conflict
from tasks.runware.messages import VideoResult, named_task
from tasks.runware.pauses import Pauses
from tasks.runware.poller import Poller
from tasks.settings import Settings

__all__ = ["Driver"]

_BUSY_TRIES = 8
# An address where nobody answers is more often wrong than busy.
_UNREACHABLE_TRIES = 4
_ASK_TRIES = 5
_MOST_POSTS = 2
# What a request holds beside the take: it may be another, or missing, whenever the request is posted.
_OF_ONE_POST = re.compile(r"upload-?_?endpoint|webhook", re.IGNORECASE)


class Driver:
    """Drives attempts for one run.

    A refused key, an empty account or a provider that cannot be reached opens the circuit: this driver submits
    nothing more, and what waits for its turn fails with the same error and unspent. What is at the provider already
    is still waited for.

    Args:
        settings: The run's.
        client: Speaks to the provider.
        poller: Waits for results.
        ledger: Remembers.
        observer: Is told of each step.
        pauses: How long to wait before trying again.
        circuit: Stops a run that only fails.
        deliveries: Where the provider may put clips itself; None where all are downloaded.
    """

    def __init__(
        self,
        settings: Settings,
        client: RunwareClient,
        poller: Poller,
        ledger: Ledger,
        observer: Observer,
        pauses: Pauses | None = None,
        circuit: Circuit | None = None,
        deliveries: Deliveries | None = None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._poller = poller
        self._ledger = ledger
        self._pauses = pauses or Pauses()
        self._circuit = circuit or Circuit()
        self._deliveries = deliveries
        self._outcomes = Outcomes(settings, client, ledger, observer, self._circuit, deliveries)

    async def drive(self, attempt: Attempt, order: Order) -> Attempt:
        """Bring an attempt to its result.

        Returns:
            The attempt, `succeeded` or `stored`, with the result as the provider gave it.

        Raises:
            OutcomeUnknown: It cannot be told what became of it, or it is still in work after the deadline. The
                attempt keeps its reservation, and the next run goes on with it.
            ShotchainError: It is over, and the ledger says how; or the provider cannot be asked, and the attempt
                is as it was.
        """
        while True:
            match attempt.state:
                case State.RESERVED:
                    attempt = await self._submit(attempt, order)
                case State.SUBMITTED | State.UNKNOWN:
                    if (received := await self._outcomes.received(attempt)) is not None:
                        attempt = received
                        continue
                    self._outcomes.check_account(attempt)
                    attempt = await self._find_out(attempt, order)
                case State.ACCEPTED:
                    if self._is_old(attempt) and (received := await self._outcomes.received(attempt)) is not None:
                        attempt = received
                        continue
                    self._outcomes.check_account(attempt)
                    attempt = await self._wait(attempt, order)
                case State.SUCCEEDED | State.STORED:
                    return attempt
                case _:
                    raise self._outcomes.error_of(attempt)

    async def ask_again(self, attempt: Attempt) -> VideoResult | None:
        """Ask for the result of a paid attempt anew, for a fresh address; None if the provider has it no more.

        Raises:
            OutcomeUnknown: It was paid from another account, and only that one can be asked.
            ShotchainError: The provider cannot be asked.
        """
        return await self._outcomes.ask_again(attempt)

    # -- submitting ------------------------------------------------------------------------------------------------

    async def _submit(self, attempt: Attempt, order: Order) -> Attempt:
        self._circuit.check(order.shot)
        request = await self._request(attempt, order)
        self._circuit.check(order.shot)
        moved = await self._outcomes.move(
            attempt, State.SUBMITTED, expect={State.RESERVED}, account=self._settings.account
        )
        if moved is None:
            return await self._outcomes.reload(attempt)
        self._outcomes.tell(Stage.SUBMITTING, order)
        return await self._post(moved, order, request)

    async def _request(self, attempt: Attempt, order: Order) -> Mapping[str, Any]:
        try:
            built = await order.build()
        except STOPPERS as error:
            self._circuit.trip(error)  # an input could not be uploaded, and the next will not be either
            raise
        endpoint = None if self._deliveries is None else await self._deliveries.address(attempt)
        if endpoint is not None:
            self._client.hide(*secrets_of(endpoint))
        return addressed(built, attempt.task_uuid, self._settings, endpoint)

    async def _post(self, attempt: Attempt, order: Order, request: Mapping[str, Any]) -> Attempt:
        """Post a submitted attempt: the first post of it, or the one more that the grace rule allows.

        What comes back `submitted` is unclear.
        """
        # Whether a byte of this attempt may have been taken before the answer at hand.
        doubtful = attempt.posts > 1
        failure: RateLimited | ProviderUnreachable | None = None
        for turn in range(_BUSY_TRIES):
            if isinstance(failure, ProviderUnreachable) and turn >= _UNREACHABLE_TRIES:
                break
            if failure is not None:
                await self._pause_after(failure, turn, attempt, order, doubtful=doubtful)
                if doubtful and (received := await self._outcomes.received(attempt)) is not None:
                    return received
            try:
                results = await self._client.submit(request)
            except (RateLimited, ProviderUnreachable) as error:
                # Not accepted, so the same UUID may go again. Where a gateway said so and had passed it on all the
                # same, the provider will say that it knows this UUID.
                doubtful |= error.charged is not Charged.NO
                failure = error
                self._outcomes.tell(Stage.SUBMITTING, order, f"{error.message}; trying again")
                continue
            except OutcomeUnknown:
                return attempt
            except ShotchainError as error:
                if is_conflict(error):
                    return await self._outcomes.accepted(attempt, order)
                if isinstance(error, STOPPERS):
                    self._circuit.trip(error)
                    if doubtful:
                        raise  # it is about now, and says nothing of the post before
                if doubtful and "uploadEndpoint" in request and self._rejects_delivery(attempt, error):
                    # The post before had another address, or none, and may have been taken. So this goes without.
                    request = {name: value for name, value in request.items() if name != "uploadEndpoint"}
                    failure = None
                    continue
                if doubtful and not _rejects(error, attempt.task_uuid):
                    return attempt  # so is this; but what is rejected now was rejected before
                self._outcomes.count(error)
                return await self._outcomes.end(attempt, state_after(error), error, order)
            attempt = await self._outcomes.accepted(attempt, order)
            return await self._outcomes.succeeded(attempt, results[0]) if results else attempt
        if failure is None or doubtful:
            return attempt
        if isinstance(failure, STOPPERS):
            self._circuit.trip(failure)
        return await self._outcomes.end(attempt, State.RELEASED, failure, order)

    async def _pause_after(
        self, failure: RateLimited | ProviderUnreachable, turn: int, attempt: Attempt, order: Order, *, doubtful: bool
    ) -> None:
        """Wait before the same request goes again. Who is stopped here, with nothing sent, gives it back."""
        asked_s = failure.retry_after_s if isinstance(failure, RateLimited) else None
        try:
            await self._pauses.backoff(turn, first_s=1.0, most_s=30.0, asked_s=asked_s)
            if not doubtful:
                self._circuit.check(order.shot)  # the run may send no more by now
        except (asyncio.CancelledError, ShotchainError):
            if not doubtful:
                await self._outcomes.end(attempt, State.RELEASED, failure, order)
            raise

    def _rejects_delivery(self, attempt: Attempt, error: ShotchainError) -> bool:
        """Whether the provider did not take a post for the sake of its address alone."""
        is_ours = self._deliveries is not None and self._deliveries.was_refused(attempt, error)
        return is_ours and isinstance(error, RequestRejected)

    # -- finding out what became of it -----------------------------------------------------------------------------

    async def _find_out(self, attempt: Attempt, order: Order) -> Attempt:
        """Ask what became of an attempt whose reply is missing.

        An empty answer proves nothing: a task that was never taken and one in work may look alike. So it is asked
        about until the grace time is over; then the same UUID is posted once more, which the provider either takes,
        for the first time, or refuses as known, which means that it had it all along. If that reply is lost too, it
        is asked about for as long again.
        """
        self._outcomes.tell(Stage.GENERATING, order, "asking what became of it")
        grace_s = self._settings.grace_s
        # By the clock of whoever posted it, which may be fast.
        sent_s = min(_posted_at(attempt).timestamp(), time.time())
        waits = attempt.state is State.SUBMITTED or _may_be_posted(attempt)
        found = await self._look_until(attempt, order, sent_s + grace_s if waits else 0.0)
        if found.state is not attempt.state:
            return found
        if _may_be_posted(found):
            if self._circuit.is_open:
                raise unknown_outcome(found)  # as it is; a later run goes on from there
            request = await self._request(attempt, order)
            if (received := await self._outcomes.received(found)) is not None:
                return received
            claimed = await in_ledger(self._ledger.count_post, attempt.task_uuid, posts=found.posts)
            if claimed is None:
                return await self._outcomes.reload(attempt)
            found = await self._post(claimed, order, request)
            if found.state is not attempt.state:
                return found
            found = await self._look_until(found, order, time.time() + grace_s)
            if found.state is not attempt.state:
                return found
        return await self._outcomes.give_up(found)

    async def _look_until(self, attempt: Attempt, order: Order, until_s: float) -> Attempt:
        """Ask until something is known, or an answer that came after `until_s` (Unix time) knew nothing."""
        turn = unanswered = 0
        while True:
            turn += 1
            current = await self._outcomes.reload(attempt)
            if current.state is not attempt.state:
                return current  # another run found out
            failure: ShotchainError | None = None
            asked_s = time.time()
            try:
                known = await self._look(current, order)
            except ShotchainError as error:
                if not error.transient:
                    raise
                failure = error
            else:
                if known is not None:
                    return known
            unanswered = unanswered + 1 if failure else 0
            if asked_s >= until_s:
                if failure is None:
                    return current
                if unanswered >= _ASK_TRIES:
                    raise failure
            await self._pauses.backoff(turn, first_s=0.5, most_s=5.0)

    async def _look(self, attempt: Attempt, order: Order) -> Attempt | None:
        """One look at both places where the provider may know a task, and at our own store; None where none does."""
        seen = await look(self._client, attempt.task_uuid)
        if isinstance(seen, VideoResult):
            return await self._outcomes.succeeded(await self._outcomes.accepted(attempt, order), seen)
        if isinstance(seen, ShotchainError):
            return await self._outcomes.ended_by_provider(attempt, seen, order)
        return await self._outcomes.accepted(attempt, order) if seen else await self._outcomes.received(attempt)

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def _wait(self, attempt: Attempt, order: Order) -> Attempt:
        self._outcomes.tell(Stage.GENERATING, order)
        waited_s = _waited_s(attempt)
        if waited_s > self._settings.grace_s:
            # It was accepted by an earlier run. Details are kept longer than what polling shows.
            known = await self._look_once(attempt, order)
            if known is not None:
                return known
        try:
            outcome = await self._poller.wait(
                attempt.task_uuid,
                deadline_s=self._settings.deadline_s,
                waited_s=max(0.0, waited_s),
                missing_s=self._settings.grace_s,
            )
        except OutcomeUnknown as error:
            known = await self._look_once(attempt, order, is_last=True)
            if known is not None:
                return known
            error.shot = order.shot
            self._outcomes.count(error)
            if error.code is not None:
                await self._outcomes.move(attempt, State.UNKNOWN, expect={State.ACCEPTED}, error=error)
            raise
        if isinstance(outcome, ShotchainError):
            return await self._outcomes.ended_by_provider(attempt, outcome, order)
        return await self._outcomes.succeeded(attempt, outcome)

    async def _look_once(self, attempt: Attempt, order: Order, *, is_last: bool = False) -> Attempt | None:
        """Look beside the polling; None where that brings nothing new.

        The last look is at our own store, too, though the provider says that the task is in work.
        """
        try:
            known = await self._look(attempt, order)
            if is_last and (known is None or known.state is State.ACCEPTED):
                known = await self._outcomes.received(attempt)
        except (ProviderError, ProviderUnreachable, StorageUnreachable):
            return None  # the poller asks too, and says what keeps it from an answer
        return known if known is not None and known.state is not State.ACCEPTED else None

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _is_old(self, attempt: Attempt) -> bool:
        """Whether an accepted attempt may be one of which the provider says nothing more to us."""
        is_ours = not attempt.account or attempt.account == self._settings.account
        return not is_ours or _waited_s(attempt) > self._settings.grace_s


def _may_be_posted(attempt: Attempt) -> bool:
    """Whether the one more post is left to an attempt of which nobody ever said that it was accepted, or charged."""
    return attempt.posts < _MOST_POSTS and attempt.accepted_at is None and attempt.charged is None


def _waited_s(attempt: Attempt) -> float:
    """Seconds since it was accepted."""
    return (datetime.now(UTC) - (attempt.accepted_at or attempt.created_at)).total_seconds()


def _posted_at(attempt: Attempt) -> datetime:
    """When an attempt was posted last. While it is `submitted`, nothing but a post touches its row."""
    if attempt.state is State.SUBMITTED:
        return attempt.updated_at
    return attempt.submitted_at or attempt.created_at


def _rejects(error: ShotchainError, task_uuid: str) -> bool:
    """Whether the provider itself speaks of this request: a status alone, or a page of a gateway, may be anybody's.

    What is said of an address that is another for each post says nothing of the post before.
    """
    if not isinstance(error, RequestRejected) or error.details is None:
        return False
    if _OF_ONE_POST.search(error.parameter or ""):
        return False
    return error.parameter is not None or named_task(error.details) == task_uuid
