"""Decides when a run stops sending: after what no further request can mend, or after failure upon failure.

What was sent already is waited for and kept. The next run starts with a closed circuit.
"""

from __future__ import annotations

import copy

from tasks.errors import CircuitOpen, KeyRefused, NoCredit, ProviderUnreachable, ShotchainError

__all__ = ["STOPPERS", "Circuit"]

STOPPERS = (KeyRefused, NoCredit, ProviderUnreachable)
"""After these it would be idle to send more in this run."""


class Circuit:
    """The breaker of one run.

    Args:
        limit: So many failures in a row, whosever, open it; one success in between starts the count anew.
    """

    def __init__(self, limit: int = 5) -> None:
        self._limit = limit
        self._failures = 0
        self._open: ShotchainError | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing more may be sent."""
        return self._open is not None

    def close(self) -> None:
        """Let the run send again, after what had opened it was mended."""
        self._open = None
        self._failures = 0

    def trip(self, error: ShotchainError) -> None:
        """Open it, for the reason that `error` gives."""
        self._open = self._open or error

    def failed(self, error: ShotchainError) -> None:
        """Count a generation that the provider could not finish, or a result that could not be had."""
        self._failures += 1
        if self._failures >= self._limit:
            self.trip(
                CircuitOpen(
                    f"{self._failures} failures in a row, the last one: {error.message}",
                    advice="No more is submitted in this run, so that a bad hour at the provider costs no budget. "
                    "Run the same command again later; what is made is kept.",
                )
            )

    def worked(self) -> None:
        """Count a clip that was had whole."""
        self._failures = 0

    def check(self, shot: str) -> None:
        """Let `shot` send, or say why not.

        Raises:
            ShotchainError: The circuit is open; nothing was sent for this shot.
        """
        if self._open is not None:
            error = copy.copy(self._open)
            error.shot, error.task_uuid = shot, None
            raise error
