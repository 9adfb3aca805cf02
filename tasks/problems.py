"""What errors are made of: a mistake and its place, whether money went, and how sums are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

__all__ = ["Charged", "Problem", "listed_shots", "usd"]


class Charged(StrEnum):
    """Whether the provider took money for something that failed."""

    NO = "no"
    UNKNOWN = "unknown"
    YES = "yes"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, where it is, and what would be accepted instead."""

    message: str
    file: str | None = None
    line: int | None = None
    key: str | None = None
    shot: str | None = None
    accepted: str | None = None

    def __str__(self) -> str:
        where = self.file or ""
        if self.line is not None:
            where = f"{where}:{self.line}" if where else f"line {self.line}"
        what = f"shot '{self.shot}': {self.message}" if self.shot else self.message
        text = f"{where}: {what}" if where else what
        return f"{text}\n    accepted: {self.accepted}" if self.accepted else text


def listed_shots(shots: Sequence[str]) -> str:
    """Shots by name, the first six: «shots 'a', 'b' and 3 more»."""
    names = ", ".join(f"'{shot}'" for shot in shots[:6])
    more = f" and {len(shots) - 6} more" if len(shots) > 6 else ""
    return f"{'shot' if len(shots) == 1 else 'shots'} {names}{more}"


def usd(amount: Decimal) -> str:
    """Dollars as a plain decimal string with at least two places: `0.42`, `0.756`, `12.00`."""
    text = f"{amount.normalize():f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"
