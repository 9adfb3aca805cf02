"""The gate of a run, and what is told of its money: events, and a table of its budgets on the page of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from decimal import Decimal

from flows.money.events import MoneyEvent, tell
from flows.page.words import plain
from flows.page.writer import careful_artifacts
from flows.production.studio import Studio
from tasks.clips.gate import Reserved
from tasks.clips.task import reserve
from tasks.handed import Handed
from tasks.ledger import BudgetState
from tasks.plan.model import Plan, usd

__all__ = ["reserve_plan", "show_budgets"]


async def reserve_plan(
    studio: Studio, planned: Handed[Plan], approved_usd: Decimal | None, *, forgone: Collection[str] = ()
) -> Handed[Reserved]:
    """Open the gate, and tell what it reserved; see `tasks.clips.gate.open_gate`."""
    provider = planned.value.provider
    reserved = await reserve(planned, studio.store, studio.ledger, studio.run_id, approved_usd, forgone)
    states = await _states(studio, provider)
    tell(
        MoneyEvent.RESERVED,
        run_id=studio.run_id,
        provider=provider,
        budgets=[state.name for state in states if state.scope == "standing"],
        storyboard=planned.value.title,
        reserved_usd=reserved.value.held_usd,
    )
    return reserved


async def show_budgets(studio: Studio, plan: Plan) -> None:
    """Leave the run's budgets as a table, and tell of each that holds more than its limit."""
    states = await _states(studio, plan.provider)
    for state in states:
        if state.overrun_usd:
            tell(
                MoneyEvent.OVERRUN,
                run_id=studio.run_id,
                provider=plan.provider,
                budgets=[state.name] if state.scope == "standing" else [],
                limit_usd=state.limit_usd,
                held_usd=state.held_usd,
                overrun_usd=state.overrun_usd,
            )
    if artifacts := careful_artifacts():
        await artifacts.table(
            "shotchain-budgets",
            f"What the budgets of **{plain(plan.title)}** hold after this run",
            [
                {
                    "budget": "this run" if state.scope == "run" else state.name,
                    "period": str(state.period),
                    "limit": f"${usd(state.limit_usd)}",
                    "spent": f"${usd(state.spent_usd)}",
                    "reserved": f"${usd(state.reserved_usd)}",
                    "unknown": f"${usd(state.unknown_usd)}",
                    "room": f"${usd(state.room_usd)}",
                    "overrun": f"${usd(state.overrun_usd)}",
                }
                for state in states
            ],
        )


async def _states(studio: Studio, provider: str) -> Sequence[BudgetState]:
    return await asyncio.to_thread(studio.ledger.budget_states, provider, studio.run_id)
