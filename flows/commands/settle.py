"""`shotchain settle`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter

from flows.commands.flags import Json, LedgerUrl, Work, parse_sum
from flows.commands.output import console, print_json
from tasks.errors import BadInput
from tasks.settings import resolve_settings

__all__ = ["settle"]


def settle(
    task_uuid: Annotated[str, Parameter(help="The attempt, as `shotchain ledger` lists it.")],
    /,
    *,
    charged: Annotated[bool, Parameter(negative="--not-charged", help="Whether the provider took money for it.")],
    cost: Annotated[str | None, Parameter(help="Dollars that it took, if not the price that is held.")] = None,
    work: Work = None,
    ledger: LedgerUrl = None,
    json: Json = False,
) -> None:
    """Say what became of an attempt whose outcome nobody could tell, so that its money is no longer held.

    If it was charged, the next run, or `shotchain recover`, asks the provider for its clip before anything is bought.
    """
    from flows.commands.accounts import attempt_as_dict, print_attempts
    from tasks.clips.store import ClipStore
    from tasks.ledger import LIVE, State, open_ledger
    from tasks.presigned import can_sign
    from tasks.problems import Charged

    settings = resolve_settings(work=work, ledger=ledger, needs_key=False)
    cost_usd = parse_sum(cost, "--cost")
    with open_ledger(settings.ledger, create=False) as opened:
        attempt = opened.attempt(task_uuid)
        if attempt is None:
            raise BadInput(f"the ledger knows no attempt {task_uuid}", advice="`shotchain ledger` lists them.")
        incoming = ClipStore(settings.work, settings.cache).incoming(task_uuid)
        or_by = " or by `shotchain recover`" if attempt.state in LIVE else ""
        if not charged and can_sign(incoming) and incoming.size():
            raise BadInput(
                f"the clip of this attempt was made: the provider has put it into {incoming.shown}",
                advice=f"Have it taken in, by the next run that wants it{or_by}. Nothing was changed.",
                task_uuid=task_uuid,
            )
        answer = Charged.YES if charged else Charged.NO
        overdue_after = timedelta(seconds=settings.deadline_s)
        settled = opened.settle(task_uuid, charged=answer, cost_usd=cost_usd, overdue_after=overdue_after)
        if settled is None and attempt.state is State.ACCEPTED:
            raise BadInput(
                "the provider is at work on this attempt, and may still make its clip",
                advice=f"It can be settled {settings.deadline_s:.0f} s after it was accepted. Nothing was changed.",
                task_uuid=task_uuid,
            )
        if settled is None:
            raise BadInput(
                f"nothing about this attempt is unknown: it is {attempt.state}",
                advice="Only what nobody could tell can be settled. Nothing was changed.",
                task_uuid=task_uuid,
            )
    if json:
        print_json(attempt_as_dict(settled))
    else:
        print_attempts(console(), [settled])
