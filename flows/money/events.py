"""What automations can react to: events of a run's money, told to Prefect.

    shotchain.budget.reserved      the gate has reserved what the run is to make, or after a raise what is missing
    shotchain.budget.refused       a budget had no room, before anything was sent or midway
    shotchain.budget.overrun       a budget holds more than its limit, since clips cost more than their price
    shotchain.approval.requested   a person is asked for an approval, or for a raise
    shotchain.approval.given       and said yes, now or before
    shotchain.approval.denied      and said no, or nothing
    shotchain.recovery.unclear     a recovery found what a person has to look at, or could not do its work

The resource of each is the flow run; the budgets concerned are related to it, in the role `budget`. Sums in the
payload are decimal strings. An event that cannot be told is logged and stops nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import quote

from prefect.context import FlowRunContext
from prefect.events import emit_event

from tasks.errors import OverBudget, ShotchainError
from tasks.plan.model import usd
from tasks.redaction import redact

__all__ = ["ABOUT", "UNCLEAR", "Emit", "MoneyEvent", "tell", "tell_refused", "tell_unclear"]

_log = logging.getLogger("shotchain.events")

Emit: TypeAlias = Callable[..., object]

UNCLEAR = "shotchain.recovery.unclear"
ABOUT = "shotchain.about"
"""The label that says what an `UNCLEAR` is about: the same as long as the same things are unclear."""

# Prefect relates the tags of a deployment to what its runs tell, but not those of the run itself.
_OURS = {"prefect.resource.id": "prefect.tag.shotchain", "prefect.resource.role": "tag"}


class MoneyEvent(StrEnum):
    """What can have happened."""

    RESERVED = "shotchain.budget.reserved"
    REFUSED = "shotchain.budget.refused"
    OVERRUN = "shotchain.budget.overrun"
    REQUESTED = "shotchain.approval.requested"
    GIVEN = "shotchain.approval.given"
    DENIED = "shotchain.approval.denied"


def tell(
    event: MoneyEvent,
    *,
    run_id: str,
    provider: str,
    budgets: Iterable[str] = (),
    emit: Emit | None = None,
    **payload: Decimal | str | None,
) -> None:
    """Tell Prefect what happened to a run's money.

    Args:
        event: What.
        run_id: The flow run.
        provider: Whose dollars.
        budgets: Names of the standing budgets concerned.
        emit: Takes the event; by default Prefect, if this is a flow run of it.
        payload: Sums and words; `None` is left out.
    """
    related = [
        {
            "prefect.resource.id": f"shotchain.budget.{quote(provider, safe='')}.{quote(name, safe='')}",
            "prefect.resource.role": "budget",
            "prefect.resource.name": name,
        }
        for name in budgets
    ]
    _emit(str(event), run_id, {"shotchain.provider": provider}, related, {"provider": provider, **_told(payload)}, emit)


def tell_refused(error: ShotchainError, *, run_id: str, provider: str, emit: Emit | None = None) -> None:
    """Tell that a reservation was refused; the payload has the sums, and whose limit it was.

    Args:
        error: Why.
        run_id: The flow run.
        provider: Whose dollars.
        emit: See `tell`.
    """
    if isinstance(error, OverBudget):
        facts: dict[str, Decimal | str | None] = {
            "scope": error.scope,
            "shot": error.shot,
            "needed_usd": error.needed_usd,
            "held_usd": error.held_usd,
            "limit_usd": error.limit_usd,
        }
        budgets = [error.budget] if error.budget else []
    else:
        facts, budgets = {"scope": "approval", "needed_usd": error.cost_usd}, []
    tell(MoneyEvent.REFUSED, run_id=run_id, provider=provider, budgets=budgets, emit=emit, **facts)


def tell_unclear(
    about: Iterable[str],
    *,
    run_id: str,
    provider: str,
    emit: Emit | None = None,
    **payload: Decimal | str | None,
) -> None:
    """Tell that a recovery needs a person.

    Args:
        about: What is unclear, in words that stay the same for as long as it is, whatever their order.
        run_id: The flow run.
        provider: Whose dollars.
        emit: See `tell`.
        payload: What people should read: sums and words; `None` is left out.
    """
    same = hashlib.sha256(json.dumps([provider, *sorted(set(about))]).encode()).hexdigest()[:16]
    labels = {"shotchain.provider": provider, ABOUT: same}
    _emit(UNCLEAR, run_id, labels, [_OURS], {"provider": provider, **_told(payload)}, emit)


def _emit(
    event: str,
    run_id: str,
    labels: Mapping[str, str],
    related: list[dict[str, str]],
    payload: dict[str, str],
    emit: Emit | None,
) -> None:
    if emit is None:
        if FlowRunContext.get() is None:
            return  # nobody is there to be told, and Prefect would start a server for that
        emit = emit_event
    try:
        emit(
            event=event,
            resource={"prefect.resource.id": f"prefect.flow-run.{run_id}", **labels},
            related=related,
            payload=payload,
        )
    except Exception as error:  # noqa: BLE001  # whoever watches the money must not be able to stop the work
        _log.warning("the event %s could not be told: %s", event, redact(str(error)))


def _told(payload: Mapping[str, Decimal | str | None]) -> dict[str, str]:
    return {
        name: usd(value) if isinstance(value, Decimal) else str(redact(value))
        for name, value in payload.items()
        if value is not None
    }
