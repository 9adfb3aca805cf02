"""Who drives an attempt: this process, or another that lives and is waited for.

Two that want the same take, for two runs or for one, have it made once. The one that drives it holds its wheel; the
other watches, at no cost and in nobody's way, until the clip is there, the attempt is over, or the wheel is free.
"""

from __future__ import annotations

from collections.abc import Callable

from tasks.clips.writing import in_ledger, read_again
from tasks.ledger import LIVE, Attempt, State
from tasks.ledger.ledger import Ledger
from tasks.runware.pauses import Pauses

__all__ = ["Wheel"]


class Wheel:
    """Takes the wheels of attempts for one process that works for a run.

    Args:
        ledger: Where they tell each other.
        holder: The process's name, whose lease is kept alive by whoever opened it.
        run_id: The run; by default one of the same name.
        pauses: How long to wait between two looks at what another drives.
    """

    def __init__(self, ledger: Ledger, holder: str, run_id: str | None = None, *, pauses: Pauses | None = None) -> None:
        self._ledger = ledger
        self._holder = holder
        self._run_id = run_id or holder
        self._pauses = pauses or Pauses()

    async def watch(self, attempt: Attempt, waiting: Callable[[], None]) -> Attempt:
        """Wait while another living run is to drive an attempt. The attempt as it is then.

        Args:
            attempt: As it was read last.
            waiting: Called once, if there is something to wait for.
        """
        turn = 0
        while await self._is_anothers(attempt):
            if not turn:
                waiting()
            turn += 1
            await self._pauses.backoff(turn, first_s=0.5, most_s=2.0)
            attempt = await self.read(attempt)
        return attempt

    async def take(self, attempt: Attempt) -> Attempt | None:
        """Become its driver; None where another has become that meanwhile."""
        return await in_ledger(self._ledger.take_wheel, attempt.task_uuid, self._holder, run_id=self._run_id)

    async def let_go(self, attempt: Attempt) -> None:
        """Drive it no longer, if this process does."""
        await in_ledger(self._ledger.let_go, attempt.task_uuid, self._holder)

    async def read(self, attempt: Attempt) -> Attempt:
        """The attempt as it is now."""
        return await read_again(self._ledger, attempt)

    async def _is_anothers(self, attempt: Attempt) -> bool:
        if attempt.state not in LIVE:
            return False
        if attempt.state is State.RESERVED and attempt.run_id != self._run_id:
            # What has not left yet is for the run alone that reserved it.
            return await in_ledger(self._ledger.is_alive, attempt.run_id)
        driver = attempt.driver
        return driver is not None and driver != self._holder and await in_ledger(self._ledger.is_held, driver)
