"""Selects takes in a storyboard, and says what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows.books.past import past_of
from flows.commands.prepare import Prepared, prepare
from tasks.clips.store import ClipStore
from tasks.errors import BadInput
from tasks.plan.diff import PlanDiff, diff
from tasks.plan.model import Plan, PlannedShot, usd
from tasks.settings import Settings
from tasks.storyboard.edit import Edit, edited, rewrite
from tasks.storyboard.read import load_text

__all__ = ["Chosen", "choose", "clip_place", "planned_shot"]


@dataclass(frozen=True)
class Chosen:
    """Takes that are selected now: the plans before and after, each held against the store, and how they differ."""

    before: Prepared
    after: Prepared
    shots: tuple[str, ...]
    diff: PlanDiff

    @property
    def stale(self) -> list[str]:
        """The other shots whose clip was there and has to be made anew, since it takes a frame or the clip of these."""
        before, after = self.before, self.after
        made_before = {shot.id for shot in before.plan.shots if shot.selected.content_key in before.reused}
        made_after = {shot.id for shot in after.plan.shots if shot.selected.content_key in after.reused}
        return [shot.id for shot in after.plan.shots if shot.id in made_before - made_after - set(self.shots)]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        before, after = self.before.plan, self.after.plan
        return {
            "choices": [
                {
                    "shot": shot,
                    "take": after.shot(shot).select,
                    "was": before.shot(shot).select,
                    "made": after.shot(shot).selected.content_key in self.after.reused,
                }
                for shot in self.shots
            ],
            "stale": self.stale,
            "diff": self.diff.as_dict(),
            "to_pay_usd": usd(self.diff.to_pay_usd),
        }


async def choose(storyboard: str, settings: Settings, choices: Mapping[str, int]) -> Chosen:
    """Select takes in the storyboard's own text.

    Args:
        storyboard: Path or URL of the storyboard.
        settings: Where store and ledger are, and who would be paid.
        choices: The take's number by its shot.

    Raises:
        BadInput: There is no such shot or take, or the storyboard cannot be edited. It is as it was.
        StorageUnreachable: The storyboard, the store or the ledger does not answer.
    """
    text = load_text(storyboard)
    before = await prepare(storyboard, settings, text=text)
    for shot, number in choices.items():
        _check(before.plan, before.reused, shot, number)
    edits = [Edit(shot, "select", number) for shot, number in choices.items()]
    new_text = edited(text, storyboard, edits)
    after = await prepare(storyboard, settings, text=new_text)
    past = past_of(after.plan, settings.ledger)
    rewrite(storyboard, text, new_text, edits)
    told = diff(after.plan, past.plan or before.plan.memory(), after.reused, past.paid)
    return Chosen(before, after, tuple(choices), told)


def planned_shot(plan: Plan, shot: str) -> PlannedShot:
    """The shot with this id.

    Raises:
        BadInput: There is none; with those that there are.
    """
    try:
        return plan.shot(shot)
    except KeyError:
        ids = ", ".join(known.id for known in plan.shots)
        raise BadInput(f"there is no shot '{shot}'", advice=f"Accepted: {ids}.", file=plan.file) from None


def clip_place(store: ClipStore, key: str) -> str | None:
    """Where the clip of a key lies, for people; None if there is none. Blocks."""
    record = store.record(key)
    return None if record is None else store.file(f"{key[:2]}/{key}{record.suffix}").shown


def _check(plan: Plan, reused: set[str], shot: str, number: int) -> None:
    planned = planned_shot(plan, shot)
    if not 1 <= number <= len(planned.takes):
        exist = ", ".join(
            f"{take.number} ({'made' if take.content_key in reused else 'not made yet'})" for take in planned.takes
        )
        raise BadInput(
            f"there is no take {number}: the takes are {exist}",
            shot=shot,
            file=plan.file,
            advice=f"`shotchain retake` makes one more of '{shot}'.",
        )
