"""What the ledger remembers of a plan: the one that was rendered before it, and what was paid for its takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.books.history import ledger_if_there
from flows.production.memory import place_of
from tasks.ledger import PAID, Attempt, RememberedPlan
from tasks.plan.diff import PlanDiff, diff
from tasks.plan.model import Plan

__all__ = ["Past", "past_of"]


@dataclass(frozen=True)
class Past:
    """What the ledger remembers of a plan: the one before it (`Plan.memory()`), and the attempts at its takes.

    `attempts` holds them by content key, oldest first.
    """

    plan: Mapping[str, Any] | None = None
    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)

    @property
    def paid(self) -> set[str]:
        """The content keys for which a clip was paid."""
        return {key for key, tries in self.attempts.items() if any(item.state in PAID for item in tries)}

    def diff(self, plan: Plan, reused: Collection[str]) -> PlanDiff:
        """What rendering a plan would do, beside what was rendered before. `reused` are content keys in the store."""
        return diff(plan, self.plan, reused, self.paid)


def past_of(plan: Plan, ledger: str) -> Past:
    """What the ledger at a path or URL remembers. Where there is no file yet, nothing, and none is made.

    Raises:
        SettingsError: The ledger cannot be one.
        StorageUnreachable: It does not answer.
    """
    with ledger_if_there(ledger) as opened:
        if opened is None:
            return Past()
        attempts: dict[str, list[Attempt]] = {}
        for attempt in opened.attempts(provider=plan.provider):
            attempts.setdefault(attempt.content_key, []).append(attempt)
        keys = plan.content_keys
        return Past(
            _latest(opened.remembered_plans(plan.provider), plan),
            {key: tries for key, tries in attempts.items() if key in keys},
        )


def _latest(remembered: Sequence[RememberedPlan], plan: Plan) -> Mapping[str, Any] | None:
    """The plan of this file, else the newest of this title: a storyboard that was moved is still the same one."""
    same = [item for item in remembered if item.storyboard == plan.title]
    place = place_of(plan)
    of_file = [item for item in same if item.file == place]
    newest = max(of_file or same, key=lambda item: item.written_at, default=None)
    return None if newest is None else newest.plan
