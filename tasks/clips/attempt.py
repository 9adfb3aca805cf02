"""Drives one attempt from a reservation to a result, and never pays twice on the way.

Every step is written to the ledger, by compare-and-set, before its consequence leaves this machine. Whoever finds an
attempt half done (this run, a later one, another machine) goes on from its state:

    reserved    submit it
    submitted   it may have been accepted: ask; after the grace time post the same UUID once more
    accepted    wait for it
    succeeded   the result is in the ledger
    unknown     ask once; if the provider still cannot tell, a person must
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tasks.errors import (
    Charged,
    KeyRefused,
    LedgerError,
    NoCredit,
    OutcomeUnknown,
    ProviderError,
    ProviderUnreachable,
    RateLimited,
    ShotchainError,
)
from tasks.ledger import Attempt, State
from tasks.ledger.ledger import Ledger
from tasks.progress import Event, Observer, Stage
from tasks.runware.client import RunwareClient, is_conflict
from tasks.runware.failures import failure_from_error
from tasks.runware.messages import Reply, VideoResult, parse_reply
from tasks.runware.poller import Poller
from tasks.settings import Settings

__all__ = ["Driver", "Order"]

_NOT_FOUND = {"taskNotFound", "taskFailedOrNotFound", "taskExpired"}
_BUSY_TRIES = 8


@dataclass(frozen=True, slots=True)
class Order:
    """A take to be had: whose it is, and how to build its request when it is about to leave."""

    shot: str
    take: int
    build: Callable[[], Awaitable[Mapping[str, Any]]]


class Driver:
    """Drives attempts for one run.

    Args:
        settings: The run's.
        client: Speaks to the provider.
        poller: Waits for results.
        ledger: Remembers.
        observer: Is told of each step.
        random_source: Makes the jitter of waiting times.
    """

    def __init__(
        self,
        settings: Settings,
        client: RunwareClient,
        poller: Poller,
        ledger: Ledger,
        observer: Observer,
        random_source: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._poller = poller
        self._ledger = ledger
        self._observe = observer
        self._random = random_source or random.Random()  # noqa: S311 -- jitter, not a secret

    async def drive(self, attempt: Attempt, order: Order) -> tuple[Attempt, VideoResult]:
        """Bring an attempt to its result.

        Returns:
            The attempt, `succeeded` or `stored`, and the result as the provider gave it.

        Raises:
            OutcomeUnknown: It cannot be told what became of it, or it is still in work after the deadline. The
                attempt keeps its reservation, and the next run goes on with it.
            ShotchainError: It is over; the ledger says how.
        """
        while True:
            self._check_account(attempt)
            match attempt.state:
                case State.RESERVED:
                    attempt = await self._submit(attempt, order)
                case State.SUBMITTED | State.UNKNOWN:
                    attempt = await self._find_out(attempt, order)
                case State.ACCEPTED:
                    attempt = await self._wait(attempt, order)
                case State.SUCCEEDED | State.STORED:
                    return attempt, _result_of(attempt)
                case _:
                    raise _ended(attempt)

    async def ask_again(self, attempt: Attempt) -> VideoResult | None:
        """Ask for the result of a paid attempt anew, for a fresh address; None if the provider has it no more."""
        for question in (self._ask, self._details):
            reply = await question(attempt.task_uuid)
            if results := reply.results_of(attempt.task_uuid):
                return results[0]
        return None

    # -- submitting ------------------------------------------------------------------------------------------------

    async def _submit(self, attempt: Attempt, order: Order) -> Attempt:
        request = {**await order.build(), "taskUUID": attempt.task_uuid}
        moved = await self._move(attempt, State.SUBMITTED, expect={State.RESERVED}, account=self._settings.account)
        if moved is None:
            return await self._reload(attempt)
        self._tell(Stage.SUBMITTING, order)
        return await self._post(moved, order, request)

    async def _post(self, attempt: Attempt, order: Order, request: Mapping[str, Any]) -> Attempt:
        """Post a submitted attempt; the first post of it, or the one more that the grace rule allows."""
        doubtful = attempt.posts > 1
        failure: ShotchainError | None = None
        for turn in range(_BUSY_TRIES):
            if turn:
                await asyncio.sleep(self._pause(turn, failure))
            try:
                results = await self._client.submit(request)
            except (RateLimited, ProviderUnreachable) as error:
                # Not accepted, so the same UUID may go again. A busy gateway might have passed it on all the same;
                # then the provider will say that it knows this UUID.
                doubtful |= getattr(error, "code", None) in {"http503", "http504"}
                failure = error
                continue
            except OutcomeUnknown:
                return attempt
            except ShotchainError as error:
                if is_conflict(error):
                    return await self._accepted(attempt, order)
                raise await self._over(attempt, State.REFUSED, error, order) from error
            attempt = await self._accepted(attempt, order)
            return await self._succeeded(attempt, results[0]) if results else attempt
        if failure is None or doubtful:
            return attempt
        raise await self._over(attempt, State.RELEASED, failure, order) from failure

    async def _accepted(self, attempt: Attempt, order: Order) -> Attempt:
        self._tell(Stage.GENERATING, order)
        moved = await self._move(attempt, State.ACCEPTED, expect={State.SUBMITTED, State.UNKNOWN})
        return moved or await self._reload(attempt)

    # -- finding out what became of it -----------------------------------------------------------------------------

    async def _find_out(self, attempt: Attempt, order: Order) -> Attempt:
        """Ask what became of an attempt whose reply is missing.

        An empty answer proves nothing: a task that was never taken and one in work may look alike. So it is asked
        about until the grace time is over; then the same UUID is posted once more, which the provider either takes,
        for the first time, or refuses as known, which means that it had it all along.
        """
        self._tell(Stage.GENERATING, order, "asking what became of it")
        grace_until = (attempt.submitted_at or attempt.created_at).timestamp() + self._settings.grace_s
        turn = 0
        while True:
            turn += 1
            try:
                known = await self._look(attempt, order)
            except ShotchainError as error:
                if not error.transient:
                    raise
                known = None
            if known is not None:
                return known
            if datetime.now(UTC).timestamp() >= grace_until or attempt.state is State.UNKNOWN:
                break
            await asyncio.sleep(min(5.0, 0.25 * 1.5**turn) * self._random.uniform(0.85, 1.15))
        if attempt.state is State.SUBMITTED and attempt.posts < 2:
            claimed = await self._call(self._ledger.count_post, attempt.task_uuid, posts=attempt.posts)
            if claimed is None:
                return await self._reload(attempt)
            request = {**await order.build(), "taskUUID": attempt.task_uuid}
            posted = await self._post(claimed, order, request)
            if posted.state is not State.SUBMITTED:
                return posted
            known = await self._look(posted, order)
            if known is not None:
                return known
        await self._move(attempt, State.UNKNOWN, expect={State.SUBMITTED}, error=_unknown(attempt))
        raise _unknown(attempt)

    async def _look(self, attempt: Attempt, order: Order) -> Attempt | None:
        """One look at both places where the provider may know a task; None where neither does."""
        for question in (self._ask, self._details):
            reply = await question(attempt.task_uuid)
            if results := reply.results_of(attempt.task_uuid):
                accepted = await self._accepted(attempt, order)
                return await self._succeeded(accepted, results[0])
            if reply.is_running(attempt.task_uuid):
                return await self._accepted(attempt, order)
            error = reply.error_of(attempt.task_uuid)
            if error is not None and error.get("code") not in _NOT_FOUND:
                failure = failure_from_error(error, shot=order.shot)
                raise await self._over(attempt, State.FAILED, failure, order) from failure
        return None

    async def _ask(self, task_uuid: str) -> Reply:
        return await self._client.get_responses([task_uuid])

    async def _details(self, task_uuid: str) -> Reply:
        return await self._client.task_details(task_uuid)

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def _wait(self, attempt: Attempt, order: Order) -> Attempt:
        self._tell(Stage.GENERATING, order)
        waited_s = (datetime.now(UTC) - (attempt.accepted_at or attempt.created_at)).total_seconds()
        try:
            result = await self._poller.wait(
                attempt.task_uuid, deadline_s=self._settings.deadline_s, waited_s=max(0.0, waited_s)
            )
        except (OutcomeUnknown, KeyRefused, NoCredit):
            raise  # it is still the provider's, and the next run goes on with it
        except ShotchainError as error:
            raise await self._over(attempt, State.FAILED, error, order) from error
        return await self._succeeded(attempt, result)

    async def _succeeded(self, attempt: Attempt, result: VideoResult) -> Attempt:
        moved = await self._move(
            attempt,
            State.SUCCEEDED,
            expect={State.SUBMITTED, State.ACCEPTED, State.UNKNOWN},
            cost_usd=result.cost_usd,
            result=_jsonable(result.raw),
        )
        return moved or await self._reload(attempt)

    async def _over(self, attempt: Attempt, state: State, error: ShotchainError, order: Order) -> ShotchainError:
        """Write down how an attempt ended and give back the error with all that is known."""
        error.shot = order.shot
        error.task_uuid = attempt.task_uuid
        await self._move(attempt, state, error=error)
        return error

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _check_account(self, attempt: Attempt) -> None:
        if attempt.state in {State.RESERVED, State.STORED} or not attempt.account:
            return
        if attempt.account != self._settings.account:
            raise OutcomeUnknown(
                "this take was submitted with another API key, and only that account can be asked about it",
                advice="Set RUNWARE_API_KEY to the key it was submitted with and run again.",
                shot=attempt.shot,
                task_uuid=attempt.task_uuid,
            )

    async def _move(self, attempt: Attempt, to: State, **facts: Any) -> Attempt | None:
        return await self._call(self._ledger.move, attempt.task_uuid, to, **facts)

    async def _reload(self, attempt: Attempt) -> Attempt:
        current = await self._call(self._ledger.attempt, attempt.task_uuid)
        if current is None:
            raise LedgerError("an attempt is gone from the ledger", task_uuid=attempt.task_uuid)
        return current

    @staticmethod
    async def _call(function: Callable[..., Attempt | None], *args: Any, **kwargs: Any) -> Attempt | None:
        # What is being written must be written even if the run is cancelled in this moment.
        return await asyncio.shield(asyncio.create_task(asyncio.to_thread(function, *args, **kwargs)))

    def _pause(self, turn: int, failure: ShotchainError | None) -> float:
        asked = failure.retry_after_s if isinstance(failure, ProviderError) else None
        return asked if asked is not None else min(30.0, 0.5 * 2**turn) * self._random.uniform(0.5, 1.0)

    def _tell(self, stage: Stage, order: Order, message: str = "") -> None:
        self._observe(Event(stage, order.shot, order.take, message=message))


def _result_of(attempt: Attempt) -> VideoResult:
    body = _as_reply(attempt)
    results = body.results_of(attempt.task_uuid)
    if results:
        return results[0]
    raise LedgerError("the ledger holds no result of a paid attempt", task_uuid=attempt.task_uuid)


def _as_reply(attempt: Attempt) -> Reply:
    item = {**(attempt.result or {}), "taskUUID": attempt.task_uuid}
    return parse_reply(200, json.dumps({"data": [item]}, default=str).encode())


def _jsonable(raw: Mapping[str, Any]) -> dict[str, Any]:
    # A Decimal is kept as the text that came, so that not even the record rounds.
    jsonable: dict[str, Any] = json.loads(json.dumps(dict(raw), default=str))
    return jsonable


def _ended(attempt: Attempt) -> ShotchainError:
    """The error of an attempt that another run brought to an end."""
    told = attempt.error or {}
    return failure_from_error(
        {
            "code": attempt.error_code or told.get("code") or "taskFailed",
            "message": told.get("message", f"the attempt ended as {attempt.state}"),
            "taskUUID": attempt.task_uuid,
        },
        shot=attempt.shot,
    )


def _unknown(attempt: Attempt) -> OutcomeUnknown:
    return OutcomeUnknown(
        "the request was sent, its reply was lost, and the provider cannot say what became of it",
        advice="It is not sent again, and its price stays reserved. See the task at the provider; the next run asks "
        "once more.",
        shot=attempt.shot,
        task_uuid=attempt.task_uuid,
        cost_usd=attempt.reserved_usd,
        charged=Charged.UNKNOWN,
    )
