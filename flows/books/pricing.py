"""Prices a plan with all that is known here: what the store has, what the ledger has learnt, what budgets leave."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flows.books.history import learnt_times, ledger_if_there
from tasks.clips.store import ClipStore
from tasks.errors import SettingsError
from tasks.ledger import read_budgets
from tasks.plan.build import build_plan
from tasks.plan.catalog import input_formats
from tasks.plan.estimate import Estimate, estimate
from tasks.plan.model import Plan, usd
from tasks.plan.savings import Savings, find_savings
from tasks.settings import Settings
from tasks.storyboard.inputs import InputFacts, inspect_inputs
from tasks.storyboard.model import Storyboard
from tasks.storyboard.read import read_storyboard

__all__ = ["Priced", "Room", "parse_clip_seconds", "price", "price_storyboard"]

_MOST_S = 86_400


@dataclass(frozen=True, slots=True)
class Room:
    """What one budget leaves for a run, in dollars."""

    budget: str
    room_usd: Decimal


@dataclass(frozen=True, slots=True)
class Priced:
    """A plan and its price, and what each budget leaves. `savings` is None where the plan fits into all of them."""

    plan: Plan
    reused: frozenset[str]
    estimate: Estimate
    rooms: tuple[Room, ...]
    savings: Savings | None

    @property
    def tightest(self) -> Room | None:
        """The budget that leaves least."""
        return min(self.rooms, key=lambda room: room.room_usd, default=None)

    def as_dict(self) -> dict[str, Any]:
        """The plan and its price, JSON-ready: dollars as decimal strings, seconds as numbers."""
        return {
            **self.plan.as_dict(),
            "to_pay_usd": usd(self.estimate.to_pay_usd),
            "estimate": self.estimate.as_dict(),
            "budgets": [{"name": room.budget, "room_usd": usd(room.room_usd)} for room in self.rooms],
            "savings": None if self.savings is None else self.savings.as_dict(),
        }


def parse_clip_seconds(text: str | None, name: str) -> Decimal | None:
    """Seconds that a clip is said to take; None and '' mean that nothing is said.

    Raises:
        SettingsError: No number of seconds.
    """
    if text is None or not text.strip():
        return None
    # Only digits and a point: what else `Decimal` reads (`1e999`, `NaN`) is no number that a person means here.
    plain = text.strip()
    if not plain.replace(".", "", 1).isdecimal() or not plain.isascii() or not 0 < Decimal(plain) <= _MOST_S:
        raise SettingsError(f"{name} '{text}' is not a number of seconds", advice=f"Accepted: above 0, to {_MOST_S}.")
    return Decimal(plain)


async def price_storyboard(
    storyboard: str,
    settings: Settings,
    *,
    budget_usd: Decimal | None = None,
    tags: Mapping[str, str] | None = None,
    clip_s: Decimal | None = None,
) -> Priced:
    """Read, plan and price a storyboard; see `price`.

    Raises:
        StoryboardError: The storyboard has mistakes.
    """
    board = read_storyboard(storyboard)
    facts = await inspect_inputs(board, settings.cache, formats=input_formats())
    plan = build_plan(board, facts, settings.identity)
    return await price(plan, board, facts, settings, budget_usd=budget_usd, tags=tags, clip_s=clip_s)


async def price(
    plan: Plan,
    storyboard: Storyboard,
    facts: Mapping[str, InputFacts],
    settings: Settings,
    *,
    budget_usd: Decimal | None = None,
    tags: Mapping[str, str] | None = None,
    clip_s: Decimal | None = None,
) -> Priced:
    """Price a plan. Sends nothing, and makes neither a store nor a ledger where there is none.

    Args:
        plan: What would be made.
        storyboard: What it was made from, for what would make it cheaper.
        facts: What was found out about its inputs.
        settings: Whose store, ledger and standing budgets; how many clips at once; how many retries.
        budget_usd: What this one film may cost.
        tags: Those of the run, which decide what standing budgets it draws on.
        clip_s: Seconds that a clip is said to take, for where the ledger has seen none of the model.

    Raises:
        SettingsError: The ledger or the store cannot be used.
        StorageUnreachable: One of them does not answer.
    """
    reused = frozenset(await ClipStore(settings.work, settings.cache).has(plan.content_keys))
    times = await asyncio.to_thread(learnt_times, settings, plan.model, clip_s)
    told = estimate(plan, reused, retries=settings.retries, times=times, max_in_flight=settings.max_in_flight)
    rooms = await asyncio.to_thread(_rooms, settings, budget_usd, {**storyboard.tags, **(tags or {})})
    savings = None
    if rooms:
        room_usd = min(room.room_usd for room in rooms)
        savings = await asyncio.to_thread(find_savings, storyboard, facts, plan.provider, reused, room_usd)
    return Priced(plan, reused, told, rooms, savings)


def _rooms(settings: Settings, budget_usd: Decimal | None, tags: Mapping[str, str]) -> tuple[Room, ...]:
    """What each budget leaves that a run of these tags would draw on."""
    rooms = [] if budget_usd is None else [Room("the budget", budget_usd)]
    standing = [budget for budget in read_budgets(settings.budgets) if budget.matches(tags)]
    with ledger_if_there(settings.ledger) as ledger:
        if ledger is None:
            rooms += [Room(f"the budget '{budget.name}'", budget.limit_usd) for budget in standing]
        elif standing:
            states = ledger.budget_states(settings.identity, budgets=standing)
            rooms += [Room(f"the budget '{state.name}'", state.room_usd) for state in states]
    return tuple(rooms)
