"""What came of a run: takes, parts and failures, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL.Image import Image

from flows.money.shortfall import Shortfall
from tasks.clips.gate import lacks_money
from tasks.clips.taken import Taken
from tasks.errors import Incomplete, NeedFailed, OutcomeUnknown, ShotchainError
from tasks.handed import Handed
from tasks.ledger import Totals
from tasks.plan.model import Plan, PlannedCard, PlannedScene, PlannedShot, usd
from tasks.sequence.blend import Blended
from tasks.sequence.conform import Conformed
from tasks.sequence.cuts import card_cut, cut_of, differences, slate_cut
from tasks.sequence.scenes import Scene, scenes_of
from tasks.sequence.shots import Drawn
from tasks.sequence.timeline import Cut

__all__ = ["Made"]


@dataclass
class Made:
    """What was made so far, by shot and take, and what failed; under no shot's name what concerns the whole film.

    `blends` has the dissolve into a shot, under its name; `cards` the cards that are drawn, `slates` what stands in
    place of a shot that is missing; `stills` a picture of what the film shows for each; `undelivered` why a
    deliverable is missing, by its preset.
    """

    plan: Plan
    is_conforming: bool = True
    taken: dict[tuple[str, int], Handed[Taken]] = field(default_factory=dict)
    parts: dict[str, Handed[Conformed]] = field(default_factory=dict)
    blends: dict[str, Handed[Blended]] = field(default_factory=dict)
    cards: dict[str, Handed[Drawn]] = field(default_factory=dict)
    slates: dict[str, Path] = field(default_factory=dict)
    stills: dict[str, Image] = field(default_factory=dict)
    failures: dict[str, ShotchainError] = field(default_factory=dict)
    undelivered: dict[str, ShotchainError] = field(default_factory=dict)
    shortfall: Shortfall | None = None

    def selected(self, shot: PlannedShot) -> Taken:
        """The take that the film shows."""
        return self.taken[shot.id, shot.select].value

    def cut(self, shot: PlannedScene) -> Cut:
        """What the film shows for a shot or card: frames of its selected take, its slate, or the card as it is drawn.

        `KeyError` if there is none of these.
        """
        if isinstance(shot, PlannedCard):
            return card_cut(self.plan, shot, self.cards[shot.id].value.clip)
        if shot.id in self.slates:
            return slate_cut(self.plan, shot, self.slates[shot.id])
        return cut_of(self.plan, shot, self.selected(shot).clip)

    def scenes(self) -> list[Scene]:
        """The film, scene by scene; `KeyError` if a part of it is not made."""
        return scenes_of((self.cut(scene), self.parts[scene.id].value) for scene in self.plan.scenes)

    def takes(self) -> list[Taken]:
        """All takes that there are, in the order of the film."""
        numbered = [(shot.id, take.number) for shot in self.plan.shots for take in shot.takes]
        return [self.taken[which].value for which in numbered if which in self.taken]

    def whole(self) -> list[PlannedShot]:
        """The shots of which there is what was wanted: the selected take, and if a film is made its part of that."""
        if self.is_conforming:
            return [shot for shot in self.plan.shots if shot.id in self.parts and shot.id not in self.slates]
        return [shot for shot in self.plan.shots if (shot.id, shot.select) in self.taken]

    def drawn(self) -> list[PlannedCard]:
        """The cards that are there."""
        return [card for card in self.plan.cards if card.id in self.parts]

    def missing(self) -> list[PlannedShot]:
        """The others."""
        whole = {shot.id for shot in self.whole()}
        return [shot for shot in self.plan.shots if shot.id not in whole]

    @property
    def ran_out(self) -> ShotchainError | None:
        """Why nothing more was submitted, if money was why."""
        return next((error for error in self._in_film_order() if lacks_money(error)), None)

    def unpaid(self) -> list[str]:
        """The shots that failed for want of money alone, or because they need one of those, and may be made with it."""
        found: set[str] = set()
        for shot_id, error in self.failures.items():
            if lacks_money(error) or isinstance(error, OutcomeUnknown):
                found.add(shot_id)
        waiting = [shot for shot in self.plan.shots if isinstance(self.failures.get(shot.id), NeedFailed)]
        while more := {
            shot.id
            for shot in waiting
            if shot.id not in found and not {need for need in shot.depends_on if need in self.failures} - found
        }:
            found |= more
        return [shot.id for shot in self.plan.shots if shot.id in found]

    def warnings(self) -> list[str]:
        """What the plan warned of, and where clips are not what it expected."""
        found = list(self.plan.warnings)
        for shot in self.whole():
            selected = self.selected(shot)
            if selected.is_here:
                found += differences(self.plan, shot, selected.clip)
            if selected.kept.origin.nsfw:
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
            every_take = "" in self.failures or not self.failures
            made = "every shot is made and kept" + ("" if every_take else ", though not every take")
        if not self.is_conforming:
            film = ""
        elif published.get("output") is None:
            film = "; the film is not"
        else:
            film = "; the film is whole" if whole == count else "; the film shows slates in place of the others"
        summary = {**self.summary(totals), **published}
        if self.undelivered:
            film += f"; without {', '.join(self.undelivered)}"
        message = made + film
        advice = "Run the same command again when what is named below is mended: what is made costs nothing more."
        if self.shortfall is not None:
            message = f"money ran out: {self.shortfall.refused.message}; {message}; {self.shortfall.says}"
            advice = self.shortfall.advice
            summary["to_finish"] = self.shortfall.as_dict()
        failures = [*self._in_film_order(), *self.undelivered.values()]
        error = Incomplete(message, advice=advice, failures=failures, summary=summary)
        # Whatever kept a deliverable from its place, the film is whole.
        worse = [it.exit_code for it in self.failures.values() if it.exit_code != Incomplete.exit_code]
        error.exit_code = min(worse, default=Incomplete.exit_code)
        if set(self.failures) == {""}:
            error.exit_code = self.failures[""].exit_code  # all else went well
        if self.shortfall is not None:
            error.exit_code = self.shortfall.refused.exit_code  # whatever else failed: that it ran out ended it
        return error

    def _in_film_order(self) -> Iterator[ShotchainError]:
        order = [*(scene.id for scene in self.plan.scenes), ""]
        return (self.failures[shot] for shot in order if shot in self.failures)
