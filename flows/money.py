"""What is shown of a run's money on the run's page: events, and a table of the budgets that it draws on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from decimal import Decimal

from prefect.artifacts import acreate_table_artifact

from flows.events import MoneyEvent, tell
from flows.studio import Studio
from tasks.clips.gate import Reserved
from tasks.clips.task import reserve
from tasks.errors import OverBudget
from tasks.handed import Handed
from tasks.ledger import BudgetState
from tasks.plan.model import Plan, usd
from tasks.redaction import redact

__all__ = ["reserve_plan", "show_budgets"]

_log = logging.getLogger("shotchain.money")


async def reserve_plan(studio: Studio, planned: Handed[Plan], approved_usd: Decimal | None) -> Handed[Reserved]:
    """Open the gate, and tell what came of it; see `tasks.clips.gate.open_gate`."""
    provider = planned.value.provider
    try:
        reserved = await reserve(planned, studio.store, studio.ledger, studio.run_id, approved_usd)
    except OverBudget as error:
        tell(
            MoneyEvent.REFUSED,
            run_id=studio.run_id,
            provider=provider,
            budgets=[error.budget] if error.budget else [],
            scope=error.scope,
            needed_usd=error.needed_usd,
            held_usd=error.held_usd,
            limit_usd=error.limit_usd,
        )
        raise
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
    if not states:
        return
    try:
        await acreate_table_artifact(
            key="shotchain-budgets",
            description=f"What the budgets of **{plan.title}** hold after this run",
            table=[
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
    except Exception as error:  # noqa: BLE001  # a table that cannot be shown must not fail a film
        _log.warning("the table of budgets could not be shown: %s", redact(str(error)))


async def _states(studio: Studio, provider: str) -> Sequence[BudgetState]:
    return await asyncio.to_thread(studio.ledger.budget_states, provider, studio.run_id)
