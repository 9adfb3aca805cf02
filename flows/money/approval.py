"""Asks whether a run may spend its sum: a deployed run pauses and shows a form, and each answer is written down.

What is asked about, and approved, is what the run and its resumptions spend in all: what is spent already is in it.
"""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from prefect.exceptions import FlowPauseTimeout
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field, ValidationError, field_validator

from flows.money.events import MoneyEvent, tell, tell_refused
from flows.money.pausing import pause_for
from flows.money.shortfall import advise_savings, has_begun, held_usd, refuse_without_room
from flows.money.terms import Terms
from tasks.clips.gate import refuse_unpinned, still_to_buy_usd
from tasks.clips.store import ClipStore
from tasks.errors import ApprovalNeeded, OverBudget
from tasks.ledger import Answer, BudgetState, Ledger, State, open_ledger
from tasks.plan.model import Plan, usd
from tasks.settings import Settings, parse_usd
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import Storyboard

__all__ = ["ApprovalForm", "approve", "as_cell", "ask_on_page", "user"]


class ApprovalForm(RunInput):
    """What a person fills in. `answer` has no default, so that resuming a run without an answer is never a yes."""

    answer: Literal["approve", "reject"] = Field(description="Whether the sum may be spent.")
    # No `str | None`: Prefect's form would show that as a choice of two boxes.
    new_limit_usd: str = Field(
        default="",
        description="Another limit, in dollars: of the run in all, or of the budget that ran out. Empty: as asked for.",
        pattern=r"^(\$?[0-9]{1,9}(\.[0-9]{1,6})?)?$",
    )
    note: str = Field(default="", description="Kept in the ledger with the answer.", max_length=2000)
    name: str = Field(default="", description="Who you are; Prefect does not tell.", max_length=200)

    @field_validator("new_limit_usd", mode="before")
    @classmethod
    def _nothing_is_empty(cls, value: object) -> object:
        return "" if value is None else value

    @property
    def limit_usd(self) -> Decimal | None:
        """The other limit, if there is one."""
        return parse_usd(self.new_limit_usd, "new_limit_usd")

    @property
    def who(self) -> str:
        """Whoever answered, as they say."""
        return " ".join(self.name.split()) or "prefect"


async def approve(
    settings: Settings,
    plan: Plan,
    terms: Terms,
    *,
    run_id: str,
    told: str | None,
    timeout_s: int,
    made_of: tuple[Storyboard, Mapping[str, InputFacts]] | None = None,
) -> Terms:
    """Have a person approve what the terms do not let pass, where one can be asked: in a deployed run.

    Elsewhere the gate refuses it. A yes counts for all resumptions of the run.

    Args:
        settings: Whose store and ledger.
        plan: What is to be made.
        terms: What may be spent without asking.
        run_id: The run.
        told: How a yes was given before the run began (`terminal`, `--yes`), if one was.
        timeout_s: How many seconds an answer is waited for.
        made_of: The whole plan's storyboard and its inputs, for what would make it cheaper.

    Returns:
        The terms, with what was approved, now or before.

    Raises:
        UnpinnedInput: An input cannot be read, so there is nothing to approve.
        OverBudget: A budget has no room for it, whoever approves; nobody was asked.
        ApprovalNeeded: The answer is no, or there is none; nothing was spent.
        StorageUnreachable: The store or the ledger does not answer.
    """
    reused = await ClipStore(settings.work, settings.cache).has(plan.content_keys)
    if plan.to_pay_usd(reused) == 0:
        return terms
    ledger = await asyncio.to_thread(open_ledger, settings.ledger)
    try:
        question = _Question(ledger, plan, reused, run_id, timeout_s)
        return await question.put(terms, told, made_of)
    finally:
        ledger.close()


class _Question:
    """Whether one run may spend what one plan still costs."""

    def __init__(self, ledger: Ledger, plan: Plan, reused: Collection[str], run_id: str, timeout_s: int) -> None:
        self._ledger = ledger
        self._plan = plan
        self._reused = reused
        self._run_id = run_id
        self._timeout_s = timeout_s

    async def put(
        self, terms: Terms, told: str | None, made_of: tuple[Storyboard, Mapping[str, InputFacts]] | None
    ) -> Terms:
        """See `approve`."""
        plan, run_id = self._plan, self._run_id
        new_usd = await asyncio.to_thread(still_to_buy_usd, plan, self._reused, self._ledger, run_id)
        spent_usd = await asyncio.to_thread(held_usd, self._ledger, run_id)
        total_usd = spent_usd + new_usd
        terms = await asyncio.to_thread(self._as_granted, terms)
        if new_usd == 0 or (told is None and (terms.approved_usd is None or total_usd <= terms.approved_usd)):
            return terms
        refuse_unpinned(plan)
        if told is not None:
            sum_usd = total_usd if terms.approved_usd is None else terms.approved_usd
            await self._write_down(Answer.APPROVED, sum_usd, user(), told)
            self._say(MoneyEvent.GIVEN, sum_usd)
            return terms
        if not deployment.id:
            return terms
        states = await asyncio.to_thread(self._states, terms)
        try:
            refuse_without_room(states, new_usd, run_id=run_id, run_usd=terms.limits.run_usd, held_usd=spent_usd)
        except OverBudget as error:
            if await asyncio.to_thread(has_begun, self._ledger, run_id):
                return terms  # the gate refuses it too, and then it is told or asked what finishes the run
            if made_of is not None:
                await asyncio.to_thread(advise_savings, error, plan, *made_of, self._reused)
            tell_refused(error, run_id=run_id, provider=plan.provider)
            raise
        return await self._ask(terms, states, spent_usd, new_usd)

    def _states(self, terms: Terms) -> list[BudgetState]:
        """The standing budgets, less what dead runs had reserved, and this one itself before it was started again."""
        self._ledger.release_lapsed()
        unsent = self._ledger.attempts(run_id=self._run_id, states={State.RESERVED})
        own_usd = sum((attempt.reserved_usd for attempt in unsent), Decimal(0))
        states = self._ledger.budget_states(self._plan.provider, budgets=terms.limits.standing)
        return [replace(state, reserved_usd=max(Decimal(0), state.reserved_usd - own_usd)) for state in states]

    def _as_granted(self, terms: Terms) -> Terms:
        """The terms with what was granted to this run before it was started again."""
        given = self._ledger.approvals(self._run_id)
        yes = [it for it in given if it.answer is Answer.APPROVED and it.fingerprint == self._plan.fingerprint]
        limits_usd = [it.limit_usd for it in yes if it.limit_usd is not None]
        granted_usd = self._ledger.approved_sum(self._plan.provider, self._plan.fingerprint, self._run_id)
        if granted_usd is None:
            return terms
        if limits_usd:
            # By the latest word; a sum that was approved after it is within what that person could see.
            limit_usd = max(limits_usd[-1], granted_usd)
            return terms.raised(limit_usd) if terms.approved_usd is None else terms.approved(limit_usd, limit_usd)
        return terms if terms.approved_usd is None else terms.approved(max(granted_usd, terms.approved_usd))

    async def _ask(self, terms: Terms, states: Collection[BudgetState], spent_usd: Decimal, new_usd: Decimal) -> Terms:
        total_usd, names = spent_usd + new_usd, [state.name for state in states]
        self._say(MoneyEvent.REQUESTED, new_usd, names)
        description = _description(self._plan, self._reused, new_usd, spent_usd, terms, states)
        try:
            form = await ask_on_page(description, self._timeout_s)
        except FlowPauseTimeout as error:
            await self._write_down(Answer.TIMED_OUT, total_usd, "prefect", "prefect")
            self._say(MoneyEvent.DENIED, new_usd, names, "nobody answered in time")
            raise _refused(new_usd, f"was not approved within {self._timeout_s} s") from error
        who = "prefect" if form is None else form.who
        if form is None or form.answer != "approve":
            await self._write_down(Answer.REJECTED, total_usd, who, "prefect", form)
            self._say(MoneyEvent.DENIED, new_usd, names, form.note if form is not None else "")
            raise _refused(new_usd, "was not approved")
        granted_usd = total_usd if form.limit_usd is None else min(total_usd, form.limit_usd)
        await self._write_down(Answer.APPROVED, granted_usd, who, "prefect", form)
        self._say(MoneyEvent.GIVEN, new_usd, names, form.note)
        return terms.approved(total_usd, form.limit_usd)

    def _say(self, event: MoneyEvent, sum_usd: Decimal, budgets: Collection[str] = (), note: str = "") -> None:
        tell(
            event,
            run_id=self._run_id,
            provider=self._plan.provider,
            budgets=budgets,
            storyboard=self._plan.title,
            sum_usd=sum_usd,
            note=note or None,
        )

    async def _write_down(
        self, answer: Answer, sum_usd: Decimal, who: str, how: str, form: ApprovalForm | None = None
    ) -> None:
        await asyncio.to_thread(
            self._ledger.record_approval,
            self._run_id,
            provider=self._plan.provider,
            fingerprint=self._plan.fingerprint,
            sum_usd=sum_usd,
            answer=answer,
            who=who,
            how=how,
            limit_usd=None if form is None else form.limit_usd,
            note="" if form is None else form.note,
        )


async def ask_on_page(description: str, timeout_s: int) -> ApprovalForm | None:
    """Pause the flow run and show the form; None where the run was set running past it, which is no yes.

    Args:
        description: What is asked, as Markdown.
        timeout_s: How many seconds an answer is waited for.

    Raises:
        FlowPauseTimeout: Nobody answered, or Prefect's server was away for so long.
    """
    form = ApprovalForm.with_initial_data(description=description)
    try:
        return await pause_for(form, timeout_s)
    except ValidationError:
        return None


def user() -> str:
    """Whoever started this process; nobody in particular where a worker did."""
    if deployment.id:
        return "prefect"
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may run as a user that has no name
        return "unknown"


def _refused(sum_usd: Decimal, how: str) -> ApprovalNeeded:
    return ApprovalNeeded(
        f"spending ${usd(sum_usd)} {how}",
        advice="Run it again to be asked again, or raise the sum that needs no approval. Nothing was spent.",
        cost_usd=sum_usd,
    )


def _description(
    plan: Plan,
    reused: Collection[str],
    new_usd: Decimal,
    spent_usd: Decimal,
    terms: Terms,
    states: Collection[BudgetState],
) -> str:
    """The question, as Markdown: each shot with its price, the total, and what room the budgets have."""
    free_usd = terms.approved_usd or Decimal(0)
    before = f", beside ${usd(spent_usd)} that it holds or has spent" if spent_usd else ""
    lines = [
        f"**{as_cell(plan.title)}** would spend **${usd(new_usd)}**{before}; up to ${usd(free_usd)} needs no approval.",
        "",
        "| shot | takes | reused | to pay |",
        "|---|---|---|---|",
    ]
    counted = set(reused)
    for shot in plan.shots:
        known = sum(take.content_key in reused for take in shot.takes)
        new = {take.content_key for take in shot.takes} - counted
        counted |= new  # takes of one key are one clip, and paid for once
        lines.append(f"| {as_cell(shot.id)} | {len(shot.takes)} | {known} | ${usd(shot.price_usd * len(new))} |")
    own_usd = terms.limits.run_usd
    limits = [("this run", "forever", own_usd, None if own_usd is None else own_usd - spent_usd)]
    limits += [(as_cell(state.name), str(state.period), state.limit_usd, state.room_usd) for state in states]
    rows = [
        f"| {name} | {period} | ${usd(limit)} | ${usd(room)} |"
        for name, period, limit, room in limits
        if limit is not None and room is not None
    ]
    if rows:
        lines += ["", "| budget | period | limit | room |", "|---|---|---|---|", *rows]
    return "\n".join(lines)


def as_cell(text: str) -> str:
    """Text of a user as one cell of a table, whatever is in it."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
