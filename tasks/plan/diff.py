"""Tells what rendering a plan would do beside the plan that was made before: what is reused, what is new, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tasks.plan.changes import Change, Takes, changes_between
from tasks.plan.model import Plan, PlannedShot, PlannedTake, usd

__all__ = ["PlanDiff", "Reason", "TakeDiff", "diff"]


class Reason(StrEnum):
    """Why a take is reused or generated."""

    REUSED = "reused"
    SAME_CLIP = "same_clip"
    NEW_SHOT = "new_shot"
    NEW_TAKE = "new_take"
    CHANGED = "changed"
    NOT_MADE = "not_made"
    CLIP_GONE = "clip_gone"


_WORDS = {
    Reason.REUSED: "",
    Reason.NEW_SHOT: "new shot",
    Reason.NEW_TAKE: "new take",
    Reason.NOT_MADE: "not made yet",
    Reason.CLIP_GONE: "its clip is gone from the store; the provider is asked for it before it is paid again",
}


@dataclass(frozen=True, slots=True)
class TakeDiff:
    """What rendering does for one take. `same_as` is the shot and take whose clip it shares, where it is not its own.

    `changes` is what its request says otherwise than before, and `cost_usd` the price that it adds, 0 where nothing is
    generated for it.
    """

    shot: str
    number: int
    content_key: str
    reason: Reason
    changes: tuple[Change, ...]
    cost_usd: Decimal
    same_as: tuple[str, int] | None = None

    @property
    def is_generated(self) -> bool:
        """Whether a clip is made for it."""
        return self.reason not in {Reason.REUSED, Reason.SAME_CLIP}

    @property
    def why(self) -> str:
        """The reason in words, one line a change; empty where it is reused."""
        if self.reason is Reason.CHANGED:
            return "\n".join(change.says for change in self.changes)
        if self.same_as is not None:
            return f"the same clip as '{self.same_as[0]}' take {self.same_as[1]}"
        return _WORDS[self.reason]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "shot": self.shot,
            "take": self.number,
            "content_key": self.content_key,
            "what": "generated" if self.is_generated else "reused",
            "reason": str(self.reason),
            "why": self.why,
            "changes": [change.as_dict() for change in self.changes],
            "cost_usd": usd(self.cost_usd),
        }


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """All takes of a plan in the order of the film, the shots that it no longer has, and the sum to pay.

    `compared` says whether there was an earlier plan to compare with.
    """

    takes: tuple[TakeDiff, ...]
    removed: tuple[str, ...]
    to_pay_usd: Decimal
    compared: bool

    @property
    def generated(self) -> tuple[TakeDiff, ...]:
        """The takes for which a clip is made."""
        return tuple(take for take in self.takes if take.is_generated)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields: dollars as decimal strings."""
        return {
            "compared": self.compared,
            "takes": [take.as_dict() for take in self.takes],
            "removed": list(self.removed),
            "to_pay_usd": usd(self.to_pay_usd),
        }


def diff(
    plan: Plan, remembered: Mapping[str, Any] | None, reused: Collection[str], paid: Collection[str] = frozenset()
) -> PlanDiff:
    """Compare a plan with an earlier one of the same storyboard.

    What changes no request (a title, a trim, ttl) is no change here: it costs nothing.

    Args:
        plan: The plan now.
        remembered: `Plan.memory()` of the earlier one; None where there is none, so that every shot is new.
        reused: The content keys whose clips are in the store.
        paid: The content keys that were paid for, as the ledger knows.
    """
    before = {str(shot["id"]): shot for shot in (remembered or {}).get("shots", ())}
    return PlanDiff(
        takes=tuple(_Comparison(plan, before, reused, paid).takes()),
        removed=tuple(shot for shot in before if shot not in {now.id for now in plan.shots}),
        to_pay_usd=plan.to_pay_usd(reused),
        compared=remembered is not None,
    )


class _Comparison:
    """One comparison of one plan."""

    def __init__(
        self, plan: Plan, before: Mapping[str, Mapping[str, Any]], reused: Collection[str], paid: Collection[str]
    ) -> None:
        self._plan = plan
        self._before = before
        self._reused = reused
        self._paid = paid
        self._was: Takes = {
            (shot, take["number"]): take["content_key"] for shot, told in before.items() for take in told["takes"]
        }
        self._now: Takes = {(shot.id, take.number): take.content_key for shot in plan.shots for take in shot.takes}

    def takes(self) -> Sequence[TakeDiff]:
        found: list[TakeDiff] = []
        first: dict[str, tuple[str, int]] = {}
        for shot in self._plan.shots:
            changes = self._changes(shot)
            for take in shot.takes:
                key = take.content_key
                same_as = first.get(key) if key not in self._reused else None
                first.setdefault(key, (shot.id, take.number))
                reason = Reason.SAME_CLIP if same_as else self._reason(shot, take, changes)
                pays = reason not in {Reason.REUSED, Reason.SAME_CLIP}
                found.append(
                    TakeDiff(
                        shot=shot.id,
                        number=take.number,
                        content_key=key,
                        reason=reason,
                        changes=changes if reason is Reason.CHANGED else (),
                        cost_usd=shot.price_usd if pays else Decimal(0),
                        same_as=same_as,
                    )
                )
        return found

    def _reason(self, shot: PlannedShot, take: PlannedTake, changes: Sequence[Change]) -> Reason:
        if take.content_key in self._reused:
            return Reason.REUSED
        if take.content_key in self._paid:
            return Reason.CLIP_GONE
        if shot.id not in self._before:
            return Reason.NEW_SHOT
        if changes:
            return Reason.CHANGED
        return Reason.NOT_MADE if (shot.id, take.number) in self._was else Reason.NEW_TAKE

    def _changes(self, shot: PlannedShot) -> tuple[Change, ...]:
        told = self._before.get(shot.id)
        if told is None:
            return ()
        return tuple(changes_between(told["identity"], shot, self._was, self._now, self._reused))
