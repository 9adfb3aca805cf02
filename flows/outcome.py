"""What came of a run: takes, parts and failures, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    """What was made so far, by shot and take, and what failed; under no shot's name what concerns the whole film."""

    plan: Plan
    is_conforming: bool = True
    taken: dict[tuple[str, int], Handed[Taken]] = field(default_factory=dict)
    parts: dict[str, Handed[Conformed]] = field(default_factory=dict)
    slates: dict[str, Handed[Conformed]] = field(default_factory=dict)
    failures: dict[str, ShotchainError] = field(default_factory=dict)

    def selected(self, shot: PlannedShot) -> Taken:
        """The take that the film shows."""
        return self.taken[shot.id, shot.select].value

    def takes(self) -> list[Taken]:
        """All takes that there are, in the order of the film."""
        numbered = [(shot.id, take.number) for shot in self.plan.shots for take in shot.takes]
        return [self.taken[which].value for which in numbered if which in self.taken]

    def whole(self) -> list[PlannedShot]:
        """The shots of which there is what was wanted: the selected take, and if a film is made its part of that."""
        if self.is_conforming:
            return [shot for shot in self.plan.shots if shot.id in self.parts]
        return [shot for shot in self.plan.shots if (shot.id, shot.select) in self.taken]

    def missing(self) -> list[PlannedShot]:
        """The others."""
        whole = {shot.id for shot in self.whole()}
        return [shot for shot in self.plan.shots if shot.id not in whole]

    def warnings(self) -> list[str]:
        """What the plan warned of, and where clips are not what it expected."""
        found = list(self.plan.warnings)
        for shot in self.whole():
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
            "failed": len(self.missing()),
            "cost_usd": usd(totals.spent_usd),
            "reserved_usd": usd(totals.reserved_usd),
            "unknown_usd": usd(totals.unknown_usd),
        }

    def incomplete(self, totals: Totals, published: Mapping[str, Any]) -> Incomplete:
        """The error of a run with failures: each of them, what was published, what was spent all the same."""
        whole, count = len(self.whole()), len(self.plan.shots)
        made = f"{whole} of {count} shots are made and kept"
        if whole == count:
            made = "every shot is made and kept, though not every take"
        if not self.is_conforming:
            film = ""
        elif published.get("output") is None:
            film = "; the film is not"
        else:
            film = "; the film is whole" if whole == count else "; the film shows slates in place of the others"
        return Incomplete(
            made + film,
            advice="Run the same command again when what is named below is mended: what is made costs nothing more.",
            failures=list(self._in_film_order()),
            summary={**self.summary(totals), **published},
        )

    def _in_film_order(self) -> Iterator[ShotchainError]:
        order = [*(shot.id for shot in self.plan.shots), ""]
        return (self.failures[shot] for shot in order if shot in self.failures)
