"""What went wrong with the takes of one run, by content key: what failed, how often it was tried, what is lost."""

from __future__ import annotations

import copy
from collections import Counter

from tasks.clips.gate import lacks_money
from tasks.errors import OutcomeUnknown, ShotchainError

__all__ = ["Setbacks"]


class Setbacks:
    """Remembers for one run. Takes of one content key are one clip, and share what became of it."""

    def __init__(self) -> None:
        self._failed: dict[str, ShotchainError] = {}
        self.tries: Counter[str] = Counter()
        """Further attempts that were used up, also by one for which there was no money: a raise gives no others."""
        self.lost: set[str] = set()
        """Keys of paid clips that are gone, and are to be paid for anew as soon as there is money for it."""

    def remember(self, key: str, error: ShotchainError) -> None:
        """Write down that `key` could not be had."""
        self._failed[key] = error

    def of(self, key: str, shot: str) -> ShotchainError | None:
        """Why `key` could not be had before, said of `shot`; None if that is not known."""
        if key not in self._failed:
            return None
        error = copy.copy(self._failed[key])
        error.shot = shot
        return error

    @property
    def hopeless(self) -> frozenset[str]:
        """Keys of what cannot be had in this run, however much money there is."""
        return frozenset(key for key, error in self._failed.items() if not _may_be_had(error))

    def forget(self) -> None:
        """Let be tried again, once there is money, what failed for want of it, or of which nothing could be learnt."""
        self._failed = {key: error for key, error in self._failed.items() if not _may_be_had(error)}


def _may_be_had(error: ShotchainError) -> bool:
    return lacks_money(error) or isinstance(error, OutcomeUnknown)
