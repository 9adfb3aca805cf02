"""What would bring a plan within a sum: fewer takes, shorter shots, fewer shots; the gentlest that does it.

Nothing here is a rule of thumb: each change is made to the storyboard, which is planned again, and what the two plans
cost apart is what the change saves. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tasks.errors import StoryboardError
from tasks.plan.build import build_plan
from tasks.plan.catalog import ModelSpec, load_catalog
from tasks.plan.model import Plan, PlannedShot, number, usd
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import Boundary, Storyboard

__all__ = ["Kind", "Saving", "Savings", "apply_savings", "find_savings"]

_MOST_CHANGES = 60
_SHOWN = 3


class Kind(StrEnum):
    """What is changed, the gentlest first: the film loses nothing, seconds, or shots."""

    FEWER_TAKES = "fewer takes"
    SHORTER = "shorter"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Saving:
    """One change of a storyboard, and what it saves in dollars.

    `shots` has one shot, or, where it is `dropped`, also those that take a frame or the clip of it. `was` and `becomes`
    are numbers of takes, or seconds; None where shots are dropped.
    """

    kind: Kind
    shots: tuple[str, ...]
    saves_usd: Decimal
    was: Decimal | None = None
    becomes: Decimal | None = None

    @property
    def says(self) -> str:
        """The change in words."""
        first = f"'{self.shots[0]}'"
        if self.was is None or self.becomes is None:
            names = ", ".join(f"'{shot}'" for shot in self.shots[1:])
            return f"drop {first}{f', with what takes frames of it: {names}' if names else ''}"
        was, becomes = number(self.was), number(self.becomes)
        key = "takes" if self.kind is Kind.FEWER_TAKES else "duration"
        return f"{first} with {key}: {becomes} instead of {was}"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "kind": str(self.kind),
            "shots": list(self.shots),
            "was": None if self.was is None else number(self.was),
            "becomes": None if self.becomes is None else number(self.becomes),
            "says": self.says,
            "saves_usd": usd(self.saves_usd),
        }


@dataclass(frozen=True, slots=True)
class Savings:
    """How a plan that costs `to_pay_usd` comes within `room_usd`.

    Each of `alone` saves what it says by itself. Those of `together`, made in their order, each save what they say
    after those before them, and lead to `left_usd`; which is still more than the room where nothing helps.
    """

    room_usd: Decimal
    to_pay_usd: Decimal
    alone: tuple[Saving, ...]
    together: tuple[Saving, ...]
    left_usd: Decimal

    @property
    def fits(self) -> bool:
        """Whether `together` is enough."""
        return self.left_usd <= self.room_usd

    @property
    def over_usd(self) -> Decimal:
        """By how much the plan is over now."""
        return self.to_pay_usd - self.room_usd

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields: dollars as decimal strings."""
        return {
            "room_usd": usd(self.room_usd),
            "over_usd": usd(self.over_usd),
            "alone": [saving.as_dict() for saving in self.alone],
            "together": [saving.as_dict() for saving in self.together],
            "left_usd": usd(self.left_usd),
            "fits": self.fits,
        }


def apply_savings(storyboard: Storyboard, savings: Sequence[Saving]) -> Storyboard:
    """The storyboard with these changes made. Of shots that are not in it, nothing is changed.

    A shot that comes to be what the film begins with is cut to: there is nothing left for it to dissolve with.
    """
    for saving in savings:
        if saving.becomes is None:
            kept = tuple(shot for shot in storyboard.shots if shot.id not in saving.shots)
            into = kept[0].transition if kept and storyboard.title_card is None else None
            if into is not None and into.kind.overlaps:
                kept = (replace(kept[0], transition=None), *kept[1:])
            storyboard = replace(storyboard, shots=kept)
            continue
        fields: dict[str, Any] = {"duration_s": saving.becomes}
        if saving.kind is Kind.FEWER_TAKES:
            fields = {"takes": int(saving.becomes)}
        changed = (replace(shot, **fields) if shot.id in saving.shots else shot for shot in storyboard.shots)
        storyboard = replace(storyboard, shots=tuple(changed))
    return storyboard


def find_savings(
    storyboard: Storyboard,
    facts: Mapping[str, InputFacts],
    provider: str,
    reused: Collection[str],
    room_usd: Decimal,
    catalog: Mapping[str, ModelSpec] | None = None,
) -> Savings | None:
    """Find the changes that bring a storyboard within `room_usd`.

    Args:
        storyboard: As read.
        facts: What was found out about its inputs.
        provider: Identity of the provider that would be paid.
        reused: Content keys of the clips that are in the store. What it holds of changed shots is not known, so that
            more may be saved than is said, and never less.
        room_usd: What may be spent.
        catalog: The models by id; those of `configs/models` if not given.

    Returns:
        The changes; None where the plan is within the sum as it is.

    Raises:
        StoryboardError: The storyboard cannot be planned.
    """
    search = _Search(storyboard, facts, provider, reused, load_catalog() if catalog is None else catalog)
    plan = search.plan(())
    to_pay_usd = plan.to_pay_usd(reused)
    if to_pay_usd <= room_usd:
        return None
    together, left_usd = search.together(plan, room_usd)
    return Savings(room_usd, to_pay_usd, tuple(search.alone(plan, to_pay_usd - room_usd)), tuple(together), left_usd)


class _Search:
    """The plans of one storyboard under one change or another."""

    def __init__(
        self,
        storyboard: Storyboard,
        facts: Mapping[str, InputFacts],
        provider: str,
        reused: Collection[str],
        catalog: Mapping[str, ModelSpec],
    ) -> None:
        self._storyboard = storyboard
        self._facts = facts
        self._provider = provider
        self._reused = reused
        self._catalog = catalog
        self._needs = {shot.id: shot.depends_on for shot in self.plan(()).shots}

    def plan(self, savings: Sequence[Saving]) -> Plan:
        """The plan after these changes."""
        return build_plan(apply_savings(self._storyboard, savings), self._facts, self._provider, self._catalog)

    def alone(self, plan: Plan, over_usd: Decimal) -> Iterator[Saving]:
        """Of each kind the few best single changes, one a shot: those that are enough first, the smallest of them."""
        cost_usd = plan.to_pay_usd(self._reused)
        for kind in Kind:
            shown: set[str] = set()
            for saving in self._promising(plan, kind, over_usd):
                if len(shown) == _SHOWN:
                    break
                after = self._after([saving]) if saving.shots[0] not in shown else None
                if after is not None and (saves_usd := cost_usd - after.to_pay_usd(self._reused)) > 0:
                    shown.add(saving.shots[0])
                    yield replace(saving, saves_usd=saves_usd)

    def together(self, plan: Plan, room_usd: Decimal) -> tuple[list[Saving], Decimal]:
        """Changes until it fits, gentle ones as long as there are any; and what is to pay after them."""
        made: list[Saving] = []
        cost_usd = plan.to_pay_usd(self._reused)
        while cost_usd > room_usd and len(made) < _MOST_CHANGES:
            step = self._step(made, plan, cost_usd, room_usd)
            if step is None:
                break
            saving, plan = step
            made.append(saving)
            cost_usd = plan.to_pay_usd(self._reused)
        return self._weighed(self._needed(made, max(room_usd, cost_usd)))

    def _step(
        self, made: Sequence[Saving], plan: Plan, cost_usd: Decimal, room_usd: Decimal
    ) -> tuple[Saving, Plan] | None:
        for kind in Kind:
            for saving in self._promising(plan, kind, cost_usd - room_usd):
                after = self._after([*made, saving])
                if after is not None and after.to_pay_usd(self._reused) < cost_usd:
                    return saving, after
        return None

    def _needed(self, made: list[Saving], room_usd: Decimal) -> list[Saving]:
        """Without what later changes have made needless."""
        for saving in reversed(made):
            others = [other for other in made if other is not saving]
            after = self._after(others)
            if after is not None and after.to_pay_usd(self._reused) <= room_usd:
                made = others
        return made

    def _weighed(self, made: Sequence[Saving]) -> tuple[list[Saving], Decimal]:
        """The changes with what each saves after those before it, and what is to pay after all."""
        costs_usd = [self.plan(made[:count]).to_pay_usd(self._reused) for count in range(len(made) + 1)]
        return [
            replace(saving, saves_usd=costs_usd[at] - costs_usd[at + 1]) for at, saving in enumerate(made)
        ], costs_usd[-1]

    def _after(self, savings: Sequence[Saving]) -> Plan | None:
        """The plan after these changes; None where the model, or a shot that stays, does not allow them."""
        gone = {shot for saving in savings if saving.kind is Kind.DROPPED for shot in saving.shots}
        # A shot that an earlier change dropped is not named by a later one that drops what it needs.
        if any(gone.intersection(needs) for shot, needs in self._needs.items() if shot not in gone):
            return None
        try:
            return self.plan(savings)
        except StoryboardError:
            return None

    # -- what may help ---------------------------------------------------------------------------------------------

    def _promising(self, plan: Plan, kind: Kind, over_usd: Decimal) -> list[Saving]:
        """Changes by what they save at first sight: first those that are enough, the smallest of them leading."""
        find = {Kind.FEWER_TAKES: self._fewer_takes, Kind.SHORTER: self._shorter, Kind.DROPPED: self._dropped}[kind]
        found = [saving for saving in find(plan) if saving.saves_usd > 0]
        enough = sorted((it for it in found if it.saves_usd >= over_usd), key=lambda it: it.saves_usd)
        return enough + sorted((it for it in found if it.saves_usd < over_usd), key=lambda it: -it.saves_usd)

    def _to_pay_usd(self, shot: PlannedShot) -> Decimal:
        return shot.price_usd * sum(take.content_key not in self._reused for take in shot.takes)

    def _fewer_takes(self, plan: Plan) -> Iterator[Saving]:
        """The selected take stays, so nothing else changes."""
        for shot in plan.shots:
            for takes in range(len(shot.takes) - 1, shot.select - 1, -1):
                unpaid = sum(take.content_key not in self._reused for take in shot.takes[takes:])
                yield Saving(
                    Kind.FEWER_TAKES, (shot.id,), shot.price_usd * unpaid, Decimal(len(shot.takes)), Decimal(takes)
                )

    def _shorter(self, plan: Plan) -> Iterator[Saving]:
        spec = self._catalog[plan.model]
        for shot in plan.shots:
            to_pay_usd = self._to_pay_usd(shot)
            for choice in reversed(spec.modes[shot.mode].choices_s):
                if choice < shot.duration_s and to_pay_usd:
                    saves_usd = to_pay_usd - spec.price_usd(shot.mode, Decimal(choice)) * len(shot.takes)
                    yield Saving(Kind.SHORTER, (shot.id,), saves_usd, shot.duration_s, Decimal(choice))

    def _dropped(self, plan: Plan) -> Iterator[Saving]:
        """With each shot those that need it. What comes next must not be joined to it in another way."""
        for shot in plan.shots:
            gone = {shot.id}
            while more := {it.id for it in plan.shots if it.id not in gone and gone.intersection(it.depends_on)}:
                gone |= more
            pairs = zip(plan.shots, plan.shots[1:], strict=False)
            is_torn = any(
                before.id in gone and after.id not in gone and after.boundary is not Boundary.CUT
                for before, after in pairs
            )
            if is_torn or len(gone) == len(plan.shots):
                continue
            dropped = [it for it in plan.shots if it.id in gone]
            others = tuple(it.id for it in dropped if it.id != shot.id)
            yield Saving(Kind.DROPPED, (shot.id, *others), sum(map(self._to_pay_usd, dropped), Decimal(0)))
