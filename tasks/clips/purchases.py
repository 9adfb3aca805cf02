"""Decides what is paid for while a run goes on: what is tried again or bought anew, and when no money is left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tasks.clips.circuit import Circuit
from tasks.clips.delivery import Deliveries
from tasks.clips.gate import past_limit, wanted_take
from tasks.clips.setbacks import Setbacks
from tasks.clips.store import ClipStore
from tasks.clips.wheel import Wheel
from tasks.clips.writing import in_ledger
from tasks.errors import Charged, ClipDamaged, ClipLost, OverBudget, ProviderUnreachable, ShotchainError
from tasks.ledger import Attempt, State
from tasks.ledger.ledger import Ledger
from tasks.ledger.states import OVER, SETTLED_AS_FREE
from tasks.plan.model import Plan, PlannedShot, PlannedTake
from tasks.progress import Event, Observer, Stage
from tasks.runware.pauses import Pauses

__all__ = ["Purchases"]


class Purchases:
    """What one run reserves after its gate, and what it gives back.

    Args:
        plan: What is to be made.
        run_id: The run that pays.
        ledger: Where the money is held.
        store: What is there is not bought.
        wheel: The run's.
        setbacks: What went wrong in this run so far.
        retries: At most so many further attempts a take, after failures that are over and may pass.
        observer: Is told of each step.
        circuit: Is opened when there is no money left.
        pauses: How long to wait before trying again.
        approved_usd: What the run may spend without asking, if that is what limits it.
        deliveries: The ones that the driver has too.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        run_id: str,
        ledger: Ledger,
        store: ClipStore,
        wheel: Wheel,
        setbacks: Setbacks,
        retries: int,
        observer: Observer,
        circuit: Circuit,
        pauses: Pauses,
        approved_usd: Decimal | None,
        deliveries: Deliveries | None,
    ) -> None:
        self._plan = plan
        self._run_id = run_id
        self._ledger = ledger
        self._store = store
        self._wheel = wheel
        self._setbacks = setbacks
        self._retries = retries
        self._observe = observer
        self._circuit = circuit
        self._pauses = pauses
        self._deliveries = deliveries
        self.approved_usd = approved_usd
        """Is set anew when a limit was raised."""

    async def reserve(self, shot: PlannedShot, take: PlannedTake, replaces: str | None = None) -> Attempt:
        """Hold the money for a take; where an attempt at it lives or is paid for, that is given.

        Args:
            shot: As planned.
            take: Which of its takes.
            replaces: The attempt that was paid for, and whose clip is lost.

        Raises:
            OverBudget: A budget has no room. If it is not the shot's own, this run submits nothing more.
            ApprovalNeeded: The sum that needs no approval has none; as above.
        """
        wanted = wanted_take(self._plan, shot, take, replaces)
        try:
            return (await in_ledger(self._ledger.reserve, self._run_id, [wanted]))[0]
        except OverBudget as error:
            raise self._ran_out(error) from error

    async def give_back(self, key: str) -> None:
        """Give back what this run holds for a content key of which nothing was sent."""
        live = await in_ledger(self._ledger.live, self._plan.provider, key)
        if live is not None and live.state is State.RESERVED and live.run_id == self._run_id:
            await in_ledger(self._ledger.move, live.task_uuid, State.RELEASED, expect={State.RESERVED})

    async def after(
        self, attempt: Attempt, error: ShotchainError, replaces: str | None, shot: PlannedShot, take: PlannedTake
    ) -> Attempt:
        """The attempt that follows on one that failed.

        Raises:
            ShotchainError: `error`, where it is not over, may not pass, or no tries are left; or see `reserve`.
        """
        current = await in_ledger(self._ledger.attempt, attempt.task_uuid)
        if current is None or current.state not in OVER:
            raise error
        given_up = current.state is State.RELEASED and (current.posts == 0 or current.run_id != self._run_id)
        if given_up or current.error_code == SETTLED_AS_FREE:
            # It was given up untried here, by another run, or because this one had been taken for dead; or a person
            # said meanwhile that it came to nothing.
            return await self.reserve(shot, take, replaces)
        undelivered = self._deliveries is not None and self._deliveries.has_refused(current.task_uuid)
        if undelivered and current.charged is Charged.NO:
            # For the sake of its delivery, and for nothing: what is sent from now on asks for none.
            return await self.reserve(shot, take, replaces)
        tries = self._setbacks.tries[take.content_key] + 1
        if not error.transient or isinstance(error, ProviderUnreachable) or tries > self._retries:
            raise error
        self._setbacks.tries[take.content_key] = tries
        self._tell(Stage.RETRYING, shot, take, message=f"{error.message}; try {tries + 1}")
        await self._pauses.backoff(tries, first_s=2.0, most_s=30.0)
        try:
            return await in_ledger(self._ledger.retry, self._run_id, current, shot.price_usd)
        except OverBudget as refused:
            raise self._ran_out(refused) from error

    async def replace(
        self, attempt: Attempt, error: ClipLost | ClipDamaged, shot: PlannedShot, take: PlannedTake
    ) -> Attempt | None:
        """Reserve anew what was paid for and is lost, as the user has asked for. What was paid stays paid.

        None where it is not lost after all, or another run has its wheel: it may have brought the clip meanwhile.

        Raises:
            ShotchainError: See `reserve`.
        """
        held = await self._wheel.take(attempt)
        if held is None:
            return None
        try:
            if held.state is not attempt.state or await self._store.keeps(take.content_key) is not None:
                return None
            if held.state is not State.STORED:
                facts: dict[str, Any] = {"expect": {held.state}, "error": error}
                if await in_ledger(self._ledger.move, held.task_uuid, State.FAILED, **facts) is None:
                    return None
            self._tell(Stage.RETRYING, shot, take, message=f"{error.message}; paying for it once more, as asked")
            self._setbacks.lost.add(take.content_key)
            again = await self.reserve(shot, take, replaces=held.task_uuid)
            self._setbacks.lost.discard(take.content_key)
            return again
        finally:
            await self._wheel.let_go(held)

    def _ran_out(self, refused: OverBudget) -> ShotchainError:
        """What a refused reservation means, which ends this run's submissions unless it is about one shot alone."""
        error = past_limit(refused, self.approved_usd)
        if refused.scope != "shot":
            self._circuit.trip(error)
        return error

    def _tell(self, stage: Stage, shot: PlannedShot, take: PlannedTake, message: str) -> None:
        self._observe(Event(stage, shot.id, take.number, message=message))
