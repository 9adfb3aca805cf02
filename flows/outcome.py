"""What came of a run: takes, parts and failures, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tasks.clips.generate import Taken
from tasks.errors import Incomplete, ShotchainError
from tasks.handed import Handed
from tasks.ledger import Totals
from tasks.plan.model import Plan, PlannedShot, usd
from tasks.sequence.conform import Conformed
from tasks.sequence.cuts import differences

__all__ = ["Made"]


@dataclass
class Made:
    """What was made so far, by shot and take, and what failed."""

    plan: Plan
    taken: dict[tuple[str, int], Handed[Taken]] = field(default_factory=dict)
    parts: dict[str, Handed[Conformed]] = field(default_factory=dict)
    failures: dict[str, ShotchainError] = field(default_factory=dict)

    def selected(self, shot: PlannedShot) -> Taken:
        """The take that the film shows."""
        return self.taken[shot.id, shot.select].value

    def in_order(self) -> list[Taken]:
        """All takes, in the order of the film."""
        return [self.taken[shot.id, take.number].value for shot in self.plan.shots for take in shot.takes]

    def warnings(self) -> list[str]:
        """What the plan warned of, and where clips are not what it expected."""
        found = list(self.plan.warnings)
        for shot in self.plan.shots:
            found += differences(self.plan, shot, self.selected(shot).clip)
            if self.selected(shot).clip.origin.nsfw:
                found.append(f"shot '{shot.id}': the provider flagged its clip as unsafe (NSFWContent)")
        return list(dict.fromkeys(found))

    def summary(self, totals: Totals) -> dict[str, Any]:
        """The run in numbers; the money as the ledger has it, failed attempts that were charged included."""
        return {
            "shots": len(self.plan.shots),
            "generated": sum(not taken.value.reused for taken in self.taken.values()),
            "reused": sum(taken.value.reused for taken in self.taken.values()),
            "failed": len(self.failures),
            "cost_usd": usd(totals.spent_usd),
            "reserved_usd": usd(totals.reserved_usd),
            "unknown_usd": usd(totals.unknown_usd),
        }

    def raise_failures(self, totals: Totals) -> None:
        """Nothing where every shot was made.

        Raises:
            Incomplete: Otherwise, with every failure and with what was spent all the same.
        """
        if not self.failures:
            return
        whole = len(self.plan.shots) - len(self.failures)
        raise Incomplete(
            f"{whole} of {len(self.plan.shots)} shots are made and kept; the film is not",
            advice="Run the same command again when what is named below is mended: what is made costs nothing more.",
            failures=list(self._in_film_order()),
            summary=self.summary(totals),
        )

    def _in_film_order(self) -> Iterator[ShotchainError]:
        return (self.failures[shot.id] for shot in self.plan.shots if shot.id in self.failures)
