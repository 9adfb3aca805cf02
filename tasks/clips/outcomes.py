"""Decides what is made of each thing that comes to be known of an attempt, and writes it to the ledger.

A clip in our own store proves that it was made, whatever the provider says: where the provider can put clips there
itself, a failure ends an attempt only if nothing of it lies there. One whose clip could not be put there, and that may
have cost something, is left to a later run and to a person.
"""

from __future__ import annotations

from typing import Any

from tasks.clips.circuit import Circuit
from tasks.clips.delivery import Deliveries
from tasks.clips.endings import made_in_spite_of, result_of_received, state_of_verdict, write_failure, write_success
from tasks.clips.order import Order
from tasks.clips.recall import Seen, ask_for_result, look_closely, other_account, recorded_error, unknown_outcome
from tasks.clips.writing import in_ledger, read_again
from tasks.errors import Charged, ShotchainError
from tasks.ledger import Attempt, State
from tasks.ledger.ledger import Ledger
from tasks.progress import Event, Observer, Stage
from tasks.runware.client import RunwareClient
from tasks.runware.messages import VideoResult
from tasks.settings import Settings

__all__ = ["Outcomes"]


class Outcomes:
    """What becomes of the attempts of one run.

    Each step is a compare-and-set. Whoever loses one gets the attempt as it is now: another run was faster.

    Args:
        settings: The run's.
        client: Asks the provider.
        ledger: Remembers.
        observer: Is told of each step.
        circuit: Counts what failed.
        deliveries: Where the provider may put clips itself; None where all are downloaded.
    """

    def __init__(
        self,
        settings: Settings,
        client: RunwareClient,
        ledger: Ledger,
        observer: Observer,
        circuit: Circuit,
        deliveries: Deliveries | None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._ledger = ledger
        self._observe = observer
        self._circuit = circuit
        self._deliveries = deliveries
        self._errors: dict[str, ShotchainError] = {}

    # -- what is known ---------------------------------------------------------------------------------------------

    async def accepted(self, attempt: Attempt, order: Order) -> Attempt:
        """The provider has it."""
        self.tell(Stage.GENERATING, order)
        moved = await self.move(attempt, State.ACCEPTED, expect={State.SUBMITTED, State.UNKNOWN})
        return moved or await self.reload(attempt)

    async def succeeded(self, attempt: Attempt, result: VideoResult) -> Attempt:
        """Its result is there."""
        moved = await write_success(self._ledger, attempt, result)
        return moved or await self.reload(attempt)

    async def received(self, attempt: Attempt) -> Attempt | None:
        """Go on from a clip that lies in our own store; None where none does.

        That it was made is known by that. The provider is asked for the rest, such as the cost, and need not know.
        """
        if self._deliveries is None or not await self._deliveries.received(attempt):
            return None
        return await self.succeeded(attempt, await result_of_received(attempt, lambda: self._see(attempt)))

    async def ended_by_provider(self, attempt: Attempt, error: ShotchainError, order: Order) -> Attempt:
        """The provider says that its task failed."""
        made = await made_in_spite_of(attempt, error, self._deliveries, self.ask_again)
        if made is not None:
            return await self.succeeded(attempt, made)
        self.count(error)
        return await self.end(attempt, state_of_verdict(error), error, order)

    # -- how it ends -----------------------------------------------------------------------------------------------

    async def end(self, attempt: Attempt, state: State, error: ShotchainError, order: Order) -> Attempt:
        """It is over without a clip: write down how, and keep the error with all that is known for whoever drives it.

        Args:
            attempt: Which.
            state: How.
            error: Why.
            order: What it was for.

        Raises:
            OutcomeUnknown: It failed for the sake of its delivery, and may have been charged.
            ClipLost: It did, and was.
        """
        error.shot = order.shot
        error.task_uuid = attempt.task_uuid
        is_undelivered = self._deliveries is not None and self._deliveries.was_refused(attempt, error)
        if is_undelivered and error.charged is Charged.NO:
            error.transient = True  # what is sent from now on asks for none
            error.advice = error.advice or "Leave SHOTCHAIN_DIRECT_DELIVERY off. This run asks for no more deliveries."
        moved = await write_failure(self._ledger, attempt, state, error, self._deliveries)
        if moved is None:
            return await self.reload(attempt)  # where another run ended it, the ledger says why
        if moved.state is State.UNKNOWN:
            raise unknown_outcome(moved)
        self._errors[attempt.task_uuid] = error
        return moved

    async def give_up(self, attempt: Attempt) -> Attempt:
        """Nothing can be learnt of it now: leave it to a later run, or to a person.

        Raises:
            OutcomeUnknown: It is `unknown` by that.
            ClipLost: See `unknown_outcome`.
        """
        if attempt.state is State.SUBMITTED:
            # Where it was posted again meanwhile, the grace time runs anew.
            facts: dict[str, Any] = {"expect": {State.SUBMITTED}, "posts": attempt.posts}
            moved = await self.move(attempt, State.UNKNOWN, **facts, error=unknown_outcome(attempt))
            attempt = moved or await self.reload(attempt)
        if attempt.state is State.UNKNOWN:
            error = unknown_outcome(attempt)
            self.count(error)
            raise error
        return attempt

    def error_of(self, attempt: Attempt) -> ShotchainError:
        """Why an attempt is over: as it was told here, or else as the ledger has it."""
        return self._errors.pop(attempt.task_uuid, None) or recorded_error(attempt)

    def count(self, error: ShotchainError) -> None:
        """Count what the provider could not do, and whatever else may have cost something and gave no clip."""
        if error.transient or error.charged is not Charged.NO:
            self._circuit.failed(error)

    # -- asking, and the ledger ------------------------------------------------------------------------------------

    def check_account(self, attempt: Attempt) -> None:
        """See that we may ask about an attempt.

        Raises:
            OutcomeUnknown: It was submitted from another account, and only that one can be asked.
        """
        if attempt.account and attempt.account != self._settings.account:
            raise other_account(attempt)

    async def ask_again(self, attempt: Attempt) -> VideoResult | None:
        """Ask for the result of a paid attempt anew, for a fresh address; None if the provider has it no more.

        Raises:
            OutcomeUnknown: See `check_account`.
            ShotchainError: The provider cannot be asked.
        """
        self.check_account(attempt)
        return await ask_for_result(self._client, attempt)

    async def _see(self, attempt: Attempt) -> Seen:
        self.check_account(attempt)
        return await look_closely(self._client, attempt.task_uuid)

    async def move(self, attempt: Attempt, to: State, **facts: Any) -> Attempt | None:
        """Bring an attempt to another state, with the facts that the ledger takes; None where another was faster."""
        return await in_ledger(self._ledger.move, attempt.task_uuid, to, **facts)

    async def reload(self, attempt: Attempt) -> Attempt:
        """The attempt as it is now."""
        return await read_again(self._ledger, attempt)

    def tell(self, stage: Stage, order: Order, message: str = "") -> None:
        """Tell whoever watches."""
        self._observe(Event(stage, order.shot, order.take, message=message))
