"""What rendering a plan will cost and how long it will take: what is likely, and what is the worst. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tasks.plan.model import Plan, number, usd
from tasks.plan.timing import ClipTimes, Schedule, Span, lay_out

__all__ = ["DEFAULT_RETRIES", "Estimate", "ShotEstimate", "estimate"]

DEFAULT_RETRIES = 2
"""Further attempts a take, where neither flag nor storyboard says how many."""


@dataclass(frozen=True, slots=True)
class ShotEstimate:
    """One shot, in dollars and in seconds.

    Of its `takes` some are `reused` from the store for nothing, some are `generated`, and the rest are clips that an
    earlier shot of the film has made already. `price_usd` is that of one take, `to_pay_usd` that of those that are
    generated, `worst_usd` the same if every attempt fails, is charged, and is made again as often as retries allow.
    `saved_usd` is what the reused takes would cost. `span` is None where it is not known how long a clip takes.
    """

    id: str
    generate_s: Decimal
    takes: int
    reused: int
    generated: int
    price_usd: Decimal
    to_pay_usd: Decimal
    worst_usd: Decimal
    saved_usd: Decimal
    span: Span | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields: dollars as decimal strings, seconds as numbers."""
        return {
            "id": self.id,
            "takes": self.takes,
            "reused": self.reused,
            "generated": self.generated,
            "price_usd": usd(self.price_usd),
            "to_pay_usd": usd(self.to_pay_usd),
            "worst_usd": usd(self.worst_usd),
            "saved_usd": usd(self.saved_usd),
            "begins_s": None if self.span is None else number(self.span.begins_s),
            "ends_s": None if self.span is None else number(self.span.ends_s),
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """A whole plan, in dollars and in seconds; see `ShotEstimate`. `schedule` is None where times are not known."""

    shots: tuple[ShotEstimate, ...]
    retries: int
    max_in_flight: int
    times: ClipTimes
    schedule: Schedule | None

    @property
    def to_pay_usd(self) -> Decimal:
        """The price of what is generated, if nothing fails."""
        return sum((shot.to_pay_usd for shot in self.shots), Decimal(0))

    @property
    def worst_usd(self) -> Decimal:
        """The price if every attempt but the last of each take fails and is charged. A budget stops it earlier."""
        return sum((shot.worst_usd for shot in self.shots), Decimal(0))

    @property
    def saved_usd(self) -> Decimal:
        """What reused clips would cost."""
        return sum((shot.saved_usd for shot in self.shots), Decimal(0))

    @property
    def generated(self) -> int:
        """How many clips are generated."""
        return sum(shot.generated for shot in self.shots)

    @property
    def reused(self) -> int:
        """How many takes are reused from the store."""
        return sum(shot.reused for shot in self.shots)

    @property
    def takes(self) -> int:
        """How many takes there are."""
        return sum(shot.takes for shot in self.shots)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields: dollars as decimal strings, seconds as numbers."""
        laid = self.schedule
        return {
            "to_pay_usd": usd(self.to_pay_usd),
            "worst_usd": usd(self.worst_usd),
            "saved_usd": usd(self.saved_usd),
            "retries": self.retries,
            "takes": self.takes,
            "reused": self.reused,
            "generated": self.generated,
            "time": {
                "source": self.times.source,
                "clip_s": {
                    str(number(length_s)): {"seconds": number(time.took_s), "clips": time.samples}
                    for length_s, time in self.times.learnt.items()
                },
                "stated_s": None if self.times.stated_s is None else number(self.times.stated_s),
                "max_in_flight": self.max_in_flight,
                "wall_s": None if laid is None else number(laid.wall_s),
                "critical_path_s": None if laid is None else number(laid.critical_s),
                "critical_path": None if laid is None else list(laid.critical_path),
                "serial_s": None if laid is None else number(laid.serial_s),
            },
            "shots": [shot.as_dict() for shot in self.shots],
        }


def estimate(
    plan: Plan, reused: Collection[str], *, retries: int | None = None, times: ClipTimes, max_in_flight: int
) -> Estimate:
    """Estimate a plan.

    Args:
        plan: What would be made.
        reused: Content keys of the clips that are in the store.
        retries: Further attempts a take; None for the storyboard's, or else the default.
        times: How long one clip takes.
        max_in_flight: At most so many clips at the provider at once.
    """
    tries = next((count for count in (retries, plan.retries) if count is not None), DEFAULT_RETRIES)
    schedule = lay_out(plan, reused, times, max_in_flight)
    seen: set[str] = set()
    shots = []
    for shot in plan.shots:
        keys = [take.content_key for take in shot.takes]
        new = [key for key in keys if key not in seen]
        seen.update(keys)
        generated = sum(key not in reused for key in new)
        to_pay_usd = shot.price_usd * generated
        shots.append(
            ShotEstimate(
                id=shot.id,
                generate_s=shot.generate_s,
                takes=len(keys),
                reused=sum(key in reused for key in keys),
                generated=generated,
                price_usd=shot.price_usd,
                to_pay_usd=to_pay_usd,
                worst_usd=to_pay_usd * (1 + tries),
                saved_usd=shot.price_usd * (len(new) - generated),
                span=None if schedule is None else schedule.spans[shot.id],
            )
        )
    return Estimate(tuple(shots), tries, max_in_flight, times, schedule)
