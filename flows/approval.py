"""Asks whether a run may spend its sum: a deployed run pauses and shows a form, and each answer is written down."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Collection
from decimal import Decimal
from typing import Literal
from uuid import uuid4

from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import apause_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field, ValidationError

from flows.events import MoneyEvent, tell
from flows.terms import Terms
from tasks.clips.gate import refuse_unpinned
from tasks.clips.store import ClipStore
from tasks.errors import ApprovalNeeded
from tasks.ledger import Answer, BudgetState, Ledger, open_ledger
from tasks.plan.model import Plan, usd
from tasks.settings import Settings, parse_usd

__all__ = ["ApprovalForm", "approve"]

_POLL_S = 2


class ApprovalForm(RunInput):
    """What a person fills in. `answer` has no default, so that resuming a run without an answer is never a yes."""

    answer: Literal["approve", "reject"] = Field(description="Whether the sum may be spent.")
    new_limit_usd: str | None = Field(
        default=None,
        description="What this run may spend in all, in dollars; empty for the sum that is asked for.",
        pattern=r"^(\$?[0-9]{1,9}(\.[0-9]{1,6})?)?$",
    )
    note: str = Field(default="", description="Kept in the ledger with the answer.", max_length=2000)


async def approve(
    settings: Settings, plan: Plan, terms: Terms, *, run_id: str, told: str | None, timeout_s: int
) -> Terms:
    """Have a person approve what the terms do not let pass, where one can be asked: in a deployed run.

    Elsewhere the gate refuses it, since only there it is known what other runs have paid for already. A yes counts for
    all resumptions of the run.

    Args:
        settings: Whose store and ledger.
        plan: What is to be made.
        terms: What may be spent without asking.
        run_id: The run.
        told: How a yes was given before the run began (`terminal`, `--yes`), if one was.
        timeout_s: How many seconds an answer is waited for.

    Returns:
        The terms, with what was approved.

    Raises:
        UnpinnedInput: An input cannot be read, so there is nothing to approve.
        ApprovalNeeded: The answer is no, or there is none; nothing was spent.
        StorageUnreachable: The store or the ledger does not answer.
    """
    reused = await ClipStore(settings.work, settings.cache).has(plan.content_keys)
    to_pay_usd = plan.to_pay_usd(reused)
    if to_pay_usd == 0 or (told is None and (terms.approved_usd is None or to_pay_usd <= terms.approved_usd)):
        return terms
    refuse_unpinned(plan)
    ledger = await asyncio.to_thread(open_ledger, settings.ledger)
    try:
        return await _answered(ledger, plan, terms, reused, to_pay_usd, run_id=run_id, told=told, timeout_s=timeout_s)
    finally:
        ledger.close()


async def _answered(
    ledger: Ledger,
    plan: Plan,
    terms: Terms,
    reused: Collection[str],
    to_pay_usd: Decimal,
    *,
    run_id: str,
    told: str | None,
    timeout_s: int,
) -> Terms:
    async def write_down(answer: Answer, sum_usd: Decimal, how: str, form: ApprovalForm | None = None) -> None:
        await asyncio.to_thread(
            ledger.record_approval,
            run_id,
            provider=plan.provider,
            fingerprint=plan.fingerprint,
            sum_usd=sum_usd,
            answer=answer,
            who=_who(),
            how=how,
            limit_usd=None if form is None else _limit(form),
            note="" if form is None else form.note,
        )

    if told is not None:
        await write_down(Answer.APPROVED, to_pay_usd if terms.approved_usd is None else terms.approved_usd, told)
        return terms
    before = await asyncio.to_thread(ledger.approved_sum, plan.provider, plan.fingerprint, run_id)
    if before is not None and before >= to_pay_usd:
        given = await asyncio.to_thread(ledger.approvals, run_id)
        limits = [it.limit_usd for it in given if it.answer is Answer.APPROVED and it.fingerprint == plan.fingerprint]
        return terms.approved(before, limits[-1])
    if not deployment.id:
        return terms
    states = await asyncio.to_thread(ledger.budget_states, plan.provider, budgets=terms.limits.standing)

    def say(event: MoneyEvent, note: str = "") -> None:
        names = [state.name for state in states]
        tell(
            event,
            run_id=run_id,
            provider=plan.provider,
            budgets=names,
            storyboard=plan.title,
            sum_usd=to_pay_usd,
            note=note or None,
        )

    say(MoneyEvent.REQUESTED)
    try:
        form = await _ask(_description(plan, reused, to_pay_usd, terms, states), timeout_s)
    except FlowPauseTimeout as error:
        await write_down(Answer.TIMED_OUT, to_pay_usd, "prefect")
        say(MoneyEvent.DENIED, "nobody answered in time")
        raise _refused(to_pay_usd, f"was not approved within {timeout_s} s") from error
    if form is None or form.answer != "approve":
        await write_down(Answer.REJECTED, to_pay_usd, "prefect", form)
        say(MoneyEvent.DENIED, form.note if form is not None else "")
        raise _refused(to_pay_usd, "was not approved")
    await write_down(Answer.APPROVED, to_pay_usd, "prefect", form)
    say(MoneyEvent.GIVEN, form.note)
    return terms.approved(to_pay_usd, _limit(form))


async def _ask(description: str, timeout_s: int) -> ApprovalForm | None:
    """The form as it was sent; None where the run was set running past it, which says nothing about the money."""
    form = ApprovalForm.with_initial_data(description=description)
    try:
        # A key of its own: Prefect lets a pause whose key it knows pass at once, without an answer.
        return await apause_flow_run(form, timeout=timeout_s, poll_interval=_POLL_S, key=f"approval-{uuid4().hex}")
    except ValidationError:
        return None


def _refused(sum_usd: Decimal, how: str) -> ApprovalNeeded:
    return ApprovalNeeded(
        f"spending ${usd(sum_usd)} {how}",
        advice="Run it again to be asked again, or raise the sum that needs no approval. Nothing was spent.",
        cost_usd=sum_usd,
    )


def _limit(form: ApprovalForm) -> Decimal | None:
    return parse_usd(form.new_limit_usd, "new_limit_usd")


def _who() -> str:
    """Whoever started the run at a terminal. Who answered a form, Prefect does not tell."""
    if deployment.id:
        return "prefect"
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may run as a user that has no name
        return "unknown"


def _description(
    plan: Plan, reused: Collection[str], to_pay_usd: Decimal, terms: Terms, states: Collection[BudgetState]
) -> str:
    """The question, as Markdown: each shot with its price, the total, and what room the budgets have."""
    free_usd = terms.approved_usd or Decimal(0)
    lines = [
        f"**{_plain(plan.title)}** would spend **${usd(to_pay_usd)}**; up to ${usd(free_usd)} needs no approval.",
        "",
        "| shot | takes | reused | to pay |",
        "|---|---|---|---|",
    ]
    counted = set(reused)
    for shot in plan.shots:
        known = sum(take.content_key in reused for take in shot.takes)
        new = {take.content_key for take in shot.takes} - counted
        counted |= new  # takes of one key are one clip, and paid for once
        lines.append(f"| {_plain(shot.id)} | {len(shot.takes)} | {known} | ${usd(shot.price_usd * len(new))} |")
    limits = [("this run", "forever", terms.limits.run_usd, terms.limits.run_usd)]
    limits += [(_plain(state.name), str(state.period), state.limit_usd, state.room_usd) for state in states]
    rows = [
        f"| {name} | {period} | ${usd(limit)} | ${usd(room)} |"
        for name, period, limit, room in limits
        if limit is not None and room is not None
    ]
    if rows:
        lines += ["", "| budget | period | limit | room |", "|---|---|---|---|", *rows]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text of a user as one cell of a table, whatever is in it."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
