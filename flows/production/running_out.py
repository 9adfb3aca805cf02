"""When money runs out midway: what is in flight is kept, and the run fails with the sum to finish, or asks for it.

Nothing more is submitted from the moment in which a reservation is refused (`tasks.clips.generate`). Once all that was
under way has ended, a run of `on_empty: pause` asks for a raise: on its page if it is deployed, at the terminal that
began it otherwise. After a yes it goes on and makes only what is missing. It may run out again, and ask again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from prefect.exceptions import FlowPauseTimeout
from prefect.runtime import deployment

from flows.money.approval import as_cell, ask_on_page, user
from flows.money.asking import Terminal, terminal
from flows.money.events import MoneyEvent, tell, tell_refused
from flows.money.shortfall import Lack, Shortfall, has_begun, held_usd, short_of
from flows.money.terms import Terms
from flows.outcome import Made
from flows.production.gate import reserve_plan
from flows.production.shooting import make_shots
from flows.production.studio import Studio
from tasks.clips.gate import Reserved, lacks_money
from tasks.clips.taken import Taken
from tasks.clips.writing import in_ledger
from tasks.errors import ApprovalNeeded, OverBudget, SettingsError, ShotchainError, Unreachable
from tasks.handed import Handed
from tasks.ledger import Answer
from tasks.plan.model import Plan, usd
from tasks.progress import Event, Stage
from tasks.redaction import redact
from tasks.settings import OnEmpty, parse_usd

__all__ = ["Refill", "begin_within", "make_within"]

_IDLE_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Refill:
    """Whether a run that has no money left asks for more: what it may spend so far, and how many seconds it waits."""

    on_empty: OnEmpty
    terms: Terms
    timeout_s: int


@dataclass(frozen=True, slots=True)
class _Reply:
    """What somebody said. `limit_usd` is a limit of their own for the budget that was asked about."""

    answer: Answer
    who: str
    how: str
    limit_usd: Decimal | None = None
    note: str = ""


async def begin_within(studio: Studio, planned: Handed[Plan], approved_usd: Decimal | None) -> Handed[Reserved]:
    """Open the gate; a run that was started again passes it without money, and runs out then and there.

    So it keeps what it has, waits for what is under way, and asks, as it would have without having been stopped.

    Raises:
        ApprovalNeeded: See `tasks.clips.gate.open_gate`.
        OverBudget: See there.
    """
    try:
        return await reserve_plan(studio, planned, approved_usd)
    except (OverBudget, ApprovalNeeded) as error:
        if not lacks_money(error) or not await in_ledger(has_begun, studio.ledger, studio.run_id):
            if isinstance(error, OverBudget):
                tell_refused(error, run_id=studio.run_id, provider=planned.value.provider)
            raise
        studio.generator.stop(error)
    return Handed(Reserved(studio.run_id, frozenset(await studio.store.has(planned.value.content_keys)), ()))


async def make_within(
    studio: Studio,
    plan: Plan,
    reserved: Handed[Reserved],
    refill: Refill | None = None,
    *,
    at_hand: Mapping[str, Handed[Taken]] | None = None,
    is_conforming: bool = True,
    conformed: Callable[[Made], None] = lambda _: None,
) -> Made:
    """Have all takes of a plan made, as `make_shots` does; where money runs out, ask for more of it.

    Args:
        studio: What the run works with.
        plan: What is to be made.
        reserved: What the gate held.
        refill: Whether, and how, it asks; by default it does not.
        at_hand: See `make_shots`.
        is_conforming: See `make_shots`.
        conformed: See `make_shots`.

    Returns:
        What there is, and what failed; with the `shortfall`, where money ran out and there was no more.
    """
    made: Made | None = None
    rounds = 0
    while True:
        before = 0 if made is None else len(made.taken)
        made = await make_shots(
            studio, plan, reserved, at_hand=at_hand, is_conforming=is_conforming, so_far=made, conformed=conformed
        )
        for error in made.failures.values():
            if isinstance(error, OverBudget) and error.scope == "shot":
                tell_refused(error, run_id=studio.run_id, provider=plan.provider)
        refused = made.ran_out
        if refused is None:
            return made
        tell_refused(refused, run_id=studio.run_id, provider=plan.provider)
        try:
            more = await _more(studio, made, refused, refill)
        except Exception as error:
            if made.shortfall is None:
                raise  # nothing can be told
            # That it could not be asked, or not be raised, takes nothing of what there is.
            studio.observe(Event(Stage.NOTE, message=f"nobody could be asked for more money: {redact(str(error))}"))
            return made
        if more is None:
            return made
        reserved, was_asked, refill = more[0], more[1] is not refill, more[1]
        rounds = 0 if was_asked or len(made.taken) > before else rounds + 1
        if rounds == _IDLE_ROUNDS:
            return made  # what ran out has room, and runs out all the same: whatever that is, money does not mend it
        studio.generator.go_on(refill.terms.ask_above_usd)
        made.failures.clear()
        made.shortfall = None


async def _more(
    studio: Studio, made: Made, refused: ShotchainError, refill: Refill | None
) -> tuple[Handed[Reserved], Refill] | None:
    """Ask until there is room for what is missing; what was reserved then, or None after a no."""
    plan, failed = made.plan, [shot.id for shot in made.plan.shots if shot.id in made.failures]
    again = made.unpaid()
    # While the provider cannot be reached, or refuses the key, money mends nothing.
    is_asking = not any(isinstance(error, Unreachable) for error in made.failures.values())
    idle = 0
    while True:
        made.shortfall = await _short(studio, plan, refused, failed)
        if not again or not is_asking or refill is None or refill.on_empty != "pause" or idle == _IDLE_ROUNDS:
            return None
        wanted = await _short(studio, plan, refused, again)
        idle = 0 if wanted.lacks else idle + 1
        if wanted.lacks:
            terms = await _raised(studio, plan, wanted, refill)
            if terms is None:
                return None
            refill = Refill(refill.on_empty, terms, refill.timeout_s)
        try:
            part, hopeless = Handed(plan.part(again)), studio.generator.setbacks.hopeless
            return await reserve_plan(studio, part, None, forgone=hopeless), refill
        except OverBudget as error:
            tell_refused(error, run_id=studio.run_id, provider=plan.provider)
            if lacks_money(error):
                refused = error  # another run was faster, or the new limit is not enough
            else:
                again = [shot for shot in again if shot != error.shot]  # its own limit is for nobody to raise here


async def _short(studio: Studio, plan: Plan, refused: ShotchainError, shots: Sequence[str]) -> Shortfall:
    # A dead run's money is free, and what failed for another reason is not bought with any.
    await in_ledger(studio.ledger.release_lapsed)
    setbacks = studio.generator.setbacks
    reused = {*await studio.store.has(plan.content_keys), *setbacks.hopeless}
    return await asyncio.to_thread(
        short_of, refused, plan, shots, reused, studio.ledger, studio.run_id, setbacks.lost - setbacks.hopeless
    )


async def _raised(studio: Studio, plan: Plan, short: Shortfall, refill: Refill) -> Terms | None:
    """Ask for a raise, write down the answer, and raise what lacks room; the terms then, or None after a no."""
    place = terminal()
    if not deployment.id and place is None:
        return None  # nobody can be asked
    total_usd = short.finish_usd + await in_ledger(held_usd, studio.ledger, studio.run_id)

    def say(event: MoneyEvent, note: str = "") -> None:
        tell(
            event,
            run_id=studio.run_id,
            provider=plan.provider,
            budgets=[lack.state.name for lack in short.lacks if lack.state.scope == "standing"],
            storyboard=plan.title,
            sum_usd=short.finish_usd,
            note=note or None,
        )

    say(MoneyEvent.REQUESTED)
    if deployment.id or place is None:
        reply = await _on_page(plan, short, refill.timeout_s)
    else:
        reply = await _at_terminal(place, short, refill.timeout_s)
    asked = short.lacks[0]
    if reply.answer is Answer.APPROVED and reply.limit_usd is not None and reply.limit_usd <= asked.state.limit_usd:
        reply = replace(reply, answer=Answer.REJECTED, note=f"{_no_raise(asked, reply.limit_usd)} {reply.note}".strip())
    new_usd = {lack.state.name: lack.to_usd for lack in short.lacks}
    if reply.limit_usd is not None:
        new_usd[asked.state.name] = reply.limit_usd
    own_usd = next((new_usd[lack.state.name] for lack in short.lacks if lack.state.scope == "run"), None)
    is_yes = reply.answer is Answer.APPROVED
    standing = [lack for lack in short.lacks if lack.state.scope == "standing"]
    raises = ", ".join(f"{lack.name} to ${usd(new_usd[lack.state.name])}" for lack in standing)
    await in_ledger(
        studio.ledger.record_approval,
        studio.run_id,
        provider=plan.provider,
        fingerprint=plan.fingerprint,
        sum_usd=total_usd if own_usd is None or not is_yes else min(total_usd, own_usd),
        answer=reply.answer,
        who=reply.who,
        how=reply.how,
        limit_usd=own_usd if is_yes else None,
        note=f"Raises {raises}. {reply.note}".strip() if is_yes and raises else reply.note,
    )
    if not is_yes:
        say(MoneyEvent.DENIED, reply.note or ("nobody answered in time" if reply.answer is Answer.TIMED_OUT else ""))
        return None
    say(MoneyEvent.GIVEN, reply.note)
    terms = refill.terms
    # Meanwhile others may have raised a standing budget, or its period may have ended: that is not undone.
    still = (await _short(studio, plan, short.refused, short.shots)).lacks
    for name in [lack.state.name for lack in still if lack.state.scope == "standing"]:
        if name in new_usd:
            await in_ledger(studio.ledger.raise_budget, plan.provider, name, new_usd[name], may_lower=False)
    if own_usd is not None:
        terms = terms.raised(own_usd)
        # Nothing is said anew of the standing budgets: others may have had a later word on those.
        await in_ledger(studio.ledger.set_run_budget, studio.run_id, terms.run_usd)
    return terms


async def _on_page(plan: Plan, short: Shortfall, timeout_s: int) -> _Reply:
    try:
        form = await ask_on_page(_description(plan, short), timeout_s)
    except FlowPauseTimeout:
        return _Reply(Answer.TIMED_OUT, "prefect", "prefect")
    if form is None:
        return _Reply(Answer.REJECTED, "prefect", "prefect")
    answer = Answer.APPROVED if form.answer == "approve" else Answer.REJECTED
    return _Reply(answer, form.who, "prefect", form.limit_usd, form.note)


async def _at_terminal(place: Terminal, short: Shortfall, timeout_s: int) -> _Reply:
    raises = ", ".join(f"{lack.name} from ${usd(lack.state.limit_usd)} to ${usd(lack.to_usd)}" for lack in short.lacks)
    which = f"[y/N, or another limit of {short.lacks[0].name}]"
    question = f"{short.refused.message}; {short.says}.\nRaise {raises}? {which} "
    deadline, who = time.monotonic() + timeout_s, user()
    said = ""
    while True:
        line = await place.ask(f"{said}{question}", max(0.0, deadline - time.monotonic()))
        if line is None:
            return _Reply(Answer.TIMED_OUT, who, "terminal")
        if line.lower() in {"y", "yes"}:
            return _Reply(Answer.APPROVED, who, "terminal")
        try:
            limit_usd = parse_usd(line, "the limit")
        except SettingsError:
            limit_usd = None
        if limit_usd is None:
            return _Reply(Answer.REJECTED, who, "terminal")
        if limit_usd > short.lacks[0].state.limit_usd:
            return _Reply(Answer.APPROVED, who, "terminal", limit_usd)
        said = f"{_no_raise(short.lacks[0], limit_usd)}\n"


def _no_raise(asked: Lack, limit_usd: Decimal) -> str:
    return f"${usd(limit_usd)} is no raise: {asked.name} is ${usd(asked.state.limit_usd)} already."


def _description(plan: Plan, short: Shortfall) -> str:
    """The question, as Markdown: what is missing, the sum to finish, and which budgets would be raised to what."""
    shots = ", ".join(as_cell(shot) for shot in short.shots)
    return "\n".join(
        [
            f"**{as_cell(plan.title)}** has run out of money: {as_cell(short.refused.message)}.",
            "",
            f"What was under way is kept. To finish, **${usd(short.finish_usd)}** more would be spent, for: {shots}.",
            "",
            "| budget | period | limit | held | approving raises it to |",
            "|---|---|---|---|---|",
            *(
                f"| {as_cell(lack.name)} | {lack.state.period} | ${usd(lack.state.limit_usd)} | "
                f"${usd(lack.state.held_usd)} | ${usd(lack.to_usd)} |"
                for lack in short.lacks
            ),
            "",
            f"A new limit that you give is that of {as_cell(short.lacks[0].name)}.",
        ]
    )
