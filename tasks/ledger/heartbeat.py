"""Keeps the lease of a run alive while the run lives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tasks.errors import ShotchainError
from tasks.ledger.ledger import Ledger

__all__ = ["Heartbeat"]


class Heartbeat:
    """Holds a lease from `start` to `close` and renews it three times in its time.

    It beats in a thread of its own, so that a busy event loop does not let it lapse. A renewal that fails ends
    nothing: what is paid for goes on, and the worst that follows is that another run waits less. A context manager
    that starts and closes itself.

    Args:
        ledger: Open until this is closed.
        holder: Whose lease: this process's own name.
        ttl_s: After so many seconds without renewal it lapses.
        say: Told, once, that the lease cannot be renewed. Called from the thread.
        run_id: The run that the process works for; by default one of its own name.
    """

    def __init__(
        self, ledger: Ledger, holder: str, ttl_s: float, *, say: Callable[[str], None], run_id: str | None = None
    ) -> None:
        self._ledger = ledger
        self._holder = holder
        self._run_id = run_id
        self._ttl_s = ttl_s
        self._say = say
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="shotchain-lease", daemon=True)

    def start(self) -> None:
        """Hold the lease and begin to renew it.

        Raises:
            StorageUnreachable: The ledger does not answer.
            ValueError: No holder, or a time below 0.
        """
        self._hold()
        self._thread.start()

    def close(self) -> None:
        """Renew it no more and end it. Nothing is left to do where it was never started, or is closed already."""
        was_over = self._over.is_set()
        self._over.set()
        if was_over or self._thread.ident is None:
            return
        self._thread.join()
        self._told_if_it_fails(lambda: self._ledger.end_lease(self._holder), "ended")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _beat(self) -> None:
        said = False
        while not self._over.wait(self._ttl_s / 3):
            renewed = self._told_if_it_fails(self._hold, "renewed", say=not said)
            said = said or not renewed

    def _hold(self) -> None:
        self._ledger.hold_lease(self._holder, self._ttl_s, run_id=self._run_id)

    def _told_if_it_fails(self, work: Callable[[], None], done: str, *, say: bool = True) -> bool:
        try:
            work()
        except ShotchainError as error:
            if say:
                self._say(f"this run's lease cannot be {done}, so another run may wait for it less: {error.message}")
            return False
        return True
