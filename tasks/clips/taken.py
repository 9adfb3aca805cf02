"""What there is of a take once its clip is in the store."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tasks.clips.record import Clip, Kept

__all__ = ["Taken"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A take that is in the store. `paid_usd` is what this run paid for it: nothing where it was reused."""

    shot: str
    take: int
    kept: Kept
    reused: bool
    paid_usd: Decimal

    @property
    def is_here(self) -> bool:
        """Whether its clip is on this machine, and somebody has looked at it."""
        return isinstance(self.kept, Clip)

    @property
    def clip(self) -> Clip:
        """Its clip, of a take that is here.

        Raises:
            LookupError: It is not; see `Generator.bring`.
        """
        match self.kept:
            case Clip() as clip:
                return clip
            case _:
                raise LookupError(f"the clip of '{self.shot}', take {self.take}, was not brought here")
