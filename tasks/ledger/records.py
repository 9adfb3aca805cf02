"""What the ledger takes and what it gives back: plain values, detached from the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from tasks.errors import Charged
from tasks.ledger.money import from_micro, nearest_micro, to_micro
from tasks.ledger.periods import Period, zone
from tasks.ledger.states import LIVE, State, Weight, weigh

__all__ = [
    "Answer",
    "Approval",
    "Attempt",
    "BudgetState",
    "RememberedPlan",
    "Reuse",
    "Run",
    "Sums",
    "TimedClip",
    "Totals",
    "Wanted",
]


@dataclass(frozen=True, slots=True)
class TimedClip:
    """How long the provider took for a clip that was paid: the seconds that were asked for, and those that it took."""

    duration_s: Decimal
    took_s: Decimal


@dataclass(frozen=True, slots=True)
class Wanted:
    """One take that a run wants to have.

    `price_usd` is what it would cost, exact to the micro-dollar. `request` is kept as a record and redacted
    on the way in. `replaces` is the `task_uuid` of an attempt of the same key whose clip is lost, or that
    came to nothing: only what is newer than it is adopted, so that a clip is bought again when a person asks
    for it, and once.

    Raises:
        ValueError: a price that is no amount of money or finer than a micro-dollar, an empty key, a take
            below 1.
    """

    content_key: str
    shot: str
    take: int
    model: str
    price_usd: Decimal
    request: Mapping[str, Any]
    replaces: str | None = None

    def __post_init__(self) -> None:
        to_micro(self.price_usd)
        if not self.content_key:
            raise ValueError("a wanted take needs a content key")
        if self.take < 1:
            raise ValueError(f"takes are numbered from 1, not {self.take}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One paid try at a take: one row.

    `number` counts the attempts at one content key from 1. `run_id` is the run whose budget holds the money.
    `charged` is set once the attempt is over, and on success. `posts` is how often the request left. `driver`
    is the holder of a lease that drives it now, or the last that did. Times are UTC.
    """

    task_uuid: str
    number: int
    provider: str
    account: str
    run_id: str
    storyboard: str
    shot: str
    take: int
    model: str
    content_key: str
    state: State
    request: Mapping[str, Any]
    reserved_usd: Decimal
    cost_usd: Decimal | None
    charged: Charged | None
    posts: int
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    error_code: str | None
    created_at: datetime
    updated_at: datetime
    submitted_at: datetime | None = None
    accepted_at: datetime | None = None
    finished_at: datetime | None = None
    stored_at: datetime | None = None
    driver: str | None = None

    @property
    def is_live(self) -> bool:
        """Whether it holds its content key."""
        return self.state in LIVE

    @property
    def totals(self) -> Totals:
        """What it holds of its run's money."""
        cost = None if self.cost_usd is None else nearest_micro(self.cost_usd)
        return Totals.of(weigh(self.state, self.charged, to_micro(self.reserved_usd), cost))


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a storyboard.

    `budget_usd` is what it may hold and spend, `shot_budget_usd` what each of its shots may; `None` where nothing
    limits them. `deployment` is its tag of that name. Times are UTC.
    """

    run_id: str
    provider: str
    account: str
    storyboard: str
    budget_usd: Decimal | None
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    shot_budget_usd: Decimal | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    deployment: str | None = None


@dataclass(frozen=True, slots=True)
class RememberedPlan:
    """The latest plan of one storyboard that a run was made from. `plan` is as it was given; `written_at` is UTC."""

    provider: str
    storyboard: str
    file: str
    run_id: str
    plan: Mapping[str, Any]
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """A run's money in USD: held for what is under way, settled, and of which nobody knows what became."""

    reserved_usd: Decimal
    spent_usd: Decimal
    unknown_usd: Decimal

    @classmethod
    def of(cls, weight: Weight) -> Totals:
        """The same money in USD."""
        return cls(from_micro(weight.reserved), from_micro(weight.spent), from_micro(weight.unknown))

    @property
    def held_usd(self) -> Decimal:
        """All three together: what counts against the budget."""
        return from_micro(sum(map(to_micro, (self.reserved_usd, self.spent_usd, self.unknown_usd))))


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How a budget stands: of one run (`scope` is `run`), or a standing one that runs share (`standing`).

    What is reserved, spent and unknown was reserved within the period, that is from `since` until just before
    `until` (UTC; `None` for forever). `timezone` is where the period begins.
    """

    scope: Literal["run", "standing"]
    name: str
    period: Period
    timezone: str
    since: datetime | None
    until: datetime | None
    limit_usd: Decimal
    reserved_usd: Decimal
    spent_usd: Decimal
    unknown_usd: Decimal

    @property
    def held_usd(self) -> Decimal:
        """What counts against the limit."""
        return Totals(self.reserved_usd, self.spent_usd, self.unknown_usd).held_usd

    @property
    def room_usd(self) -> Decimal:
        """What can still be reserved."""
        return from_micro(max(0, to_micro(self.limit_usd) - to_micro(self.held_usd)))

    @property
    def overrun_usd(self) -> Decimal:
        """By how much the limit is passed: by costs above their prices, or because it was lowered."""
        return from_micro(max(0, to_micro(self.held_usd) - to_micro(self.limit_usd)))

    @property
    def since_there(self) -> datetime | None:
        """`since` as the clocks of `timezone` show it."""
        return None if self.since is None else self.since.astimezone(zone(self.timezone))

    @property
    def until_there(self) -> datetime | None:
        """`until` as the clocks of `timezone` show it."""
        return None if self.until is None else self.until.astimezone(zone(self.timezone))

    def as_dict(self) -> dict[str, str | None]:
        """The state as JSON-ready fields: decimal strings, and times with their offset in `timezone`."""
        times = {"since": self.since_there, "until": self.until_there}
        sums = ("limit_usd", "reserved_usd", "spent_usd", "unknown_usd", "held_usd", "room_usd", "overrun_usd")
        return {
            "scope": self.scope,
            "name": self.name,
            "period": str(self.period),
            "timezone": self.timezone,
            **{name: None if time is None else time.isoformat() for name, time in times.items()},
            **{name: str(getattr(self, name)) for name in sums},
        }


class Answer(StrEnum):
    """What became of a question whether a sum may be spent."""

    APPROVED = "approved"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Approval:
    """One answer: to `sum_usd` for the plan of `fingerprint`, by `who`, asked `how` (terminal, --yes, prefect).

    `limit_usd` is the new limit that came with it, if one did. `at` is UTC.
    """

    run_id: str
    provider: str
    fingerprint: str
    sum_usd: Decimal
    limit_usd: Decimal | None
    answer: Answer
    who: str
    how: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reuse:
    """A clip that a run had for nothing, and what it would have cost.

    Raises:
        ValueError: the price is no amount of money, or finer than a micro-dollar.
    """

    content_key: str
    shot: str
    take: int
    model: str
    price_usd: Decimal

    def __post_init__(self) -> None:
        to_micro(self.price_usd)


@dataclass(frozen=True, slots=True)
class Sums:
    """What a group of attempts holds and has cost in USD, and what was saved by reusing clips instead.

    `group` has the value of each name that was grouped by. `attempts` and `reused` are numbers.
    """

    group: Mapping[str, str]
    attempts: int
    spent_usd: Decimal
    reserved_usd: Decimal
    unknown_usd: Decimal
    reused: int
    saved_usd: Decimal

    @property
    def held_usd(self) -> Decimal:
        """Spent, reserved and unknown together."""
        return Totals(self.reserved_usd, self.spent_usd, self.unknown_usd).held_usd
