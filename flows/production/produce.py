"""From a plan to a published film: the gate, the shots, and what is published of them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from flows.production.ahead import SoundAhead
from flows.production.gate import show_budgets
from flows.production.memory import remember
from flows.production.publishing import publish
from flows.production.running_out import Refill, begin_within, make_within
from flows.production.studio import Studio
from tasks.clips.record import ClipRecord
from tasks.clips.taken import Taken
from tasks.deliver.presets import Preset
from tasks.errors import BadInput
from tasks.handed import Handed
from tasks.plan.model import Plan, usd
from tasks.publish.targets import Targets
from tasks.sequence.sound.soundtrack import Laid
from tasks.sequence.task import lay_sounds

__all__ = ["produce", "produce_takes"]


async def produce(
    studio: Studio,
    planned: Handed[Plan],
    targets: Targets,
    approved_usd: Decimal | None = None,
    *,
    placeholder: bool = False,
    refill: Refill | None = None,
    presets: Sequence[Preset] = (),
) -> dict[str, Any]:
    """Make and publish the film.

    Args:
        studio: What the run works with.
        planned: What is to be made.
        targets: Where it goes.
        approved_usd: What may be spent without asking; None for all of the budget.
        placeholder: Whether a film is made even where shots are missing, with slates in their places.
        refill: Whether more money is asked for when it runs out midway; by default it is not.
        presets: What else is made of the film.

    Returns:
        The outcome in numbers: `output`, `manifest`, `shots`, `generated`, `reused`, `failed`, `cost_usd`, `frames`,
        `duration_s`, `deliverables` (where each is, by its preset).

    Raises:
        ApprovalNeeded: More would be spent than is approved; nothing was submitted.
        OverBudget: The budget has no room; nothing was submitted.
        Incomplete: Some shots or deliverables failed, or money ran out midway; what there is is kept, and the manifest
            that is published says so.
        ShotchainError: The run as a whole could not go on.
    """
    plan = planned.value
    # First, since it costs nothing: sound that cannot be decoded is told before anything is paid.
    local = studio.sounds(plan)
    laid = await lay_sounds(planned, local, studio.scratch / "sounds") if local else Handed(dict[str, Laid]())
    reserved = await begin_within(studio, planned, approved_usd)
    await remember(studio, plan, reserved.value)
    async with SoundAhead(plan, laid.value, studio.scratch / "sound", studio.conformed, studio.observe) as sound:
        made = await make_within(studio, plan, reserved, refill, conformed=sound.conformed)
        await show_budgets(studio, plan)
        totals = await asyncio.to_thread(studio.ledger.totals, studio.run_id)
        published = await publish(studio, made, targets, totals, laid, sound, placeholder=placeholder, presets=presets)
    if made.failures or made.undelivered:
        raise made.incomplete(totals, published)
    return {**made.summary(totals), **published}


async def produce_takes(
    studio: Studio,
    planned: Handed[Plan],
    only: Collection[str],
    approved_usd: Decimal | None = None,
    *,
    refill: Refill | None = None,
) -> dict[str, Any]:
    """Make the takes of some shots, and no film.

    Returns:
        The outcome in numbers, and `takes`: what there is of each.

    Raises:
        BadInput: There is no such shot, or one of them takes a frame of a shot that is neither made nor among them.
        ShotchainError: See `produce`.
    """
    plan = planned.value
    part = _part(plan, only)
    at_hand = await _at_hand(studio, plan, part)
    reserved = await begin_within(studio, Handed(part), approved_usd)
    await remember(studio, plan, reserved.value, only)
    made = await make_within(studio, part, reserved, refill, at_hand=at_hand, is_conforming=False)
    await show_budgets(studio, part)
    totals = await asyncio.to_thread(studio.ledger.totals, studio.run_id)
    if made.failures:
        raise made.incomplete(totals, {})
    return {**made.summary(totals), "takes": [_told(taken, plan, studio) for taken in made.takes()]}


def _part(plan: Plan, only: Collection[str]) -> Plan:
    if not only:
        raise BadInput("no shot is named", file=plan.file, advice="Name the shots whose takes are to be made.")
    unknown = sorted(set(only) - {shot.id for shot in plan.shots})
    if unknown:
        raise BadInput(
            f"there is no shot {', '.join(repr(shot) for shot in unknown)}",
            file=plan.file,
            advice=f"Accepted: {', '.join(shot.id for shot in plan.shots)}.",
        )
    return plan.part(only)


async def _at_hand(studio: Studio, plan: Plan, part: Plan) -> dict[str, Handed[Taken]]:
    """The selected takes, from the store, of shots that a part of a plan needs and does not make."""
    needed = {need for shot in part.shots for need in shot.depends_on} - {shot.id for shot in part.shots}
    found = {}
    for need in sorted(needed):
        shot = plan.shot(need)
        clip = await studio.store.find(shot.selected.content_key)
        if clip is None:
            raise BadInput(
                f"'{need}' is not made yet, and a frame of it is needed",
                shot=need,
                file=plan.file,
                advice="Make it first, or render the whole film. Nothing was spent.",
            )
        found[need] = Handed(Taken(need, shot.select, clip, reused=True, paid_usd=Decimal(0)))
    return found


def _told(taken: Taken, plan: Plan, studio: Studio) -> dict[str, Any]:
    kept, facts = taken.kept, taken.kept.facts
    return {
        "shot": taken.shot,
        "number": taken.take,
        "selected": plan.shot(taken.shot).select == taken.take,
        "content_key": kept.key,
        "clip": studio.store.file(kept.file_name).shown if isinstance(kept, ClipRecord) else str(kept.path),
        "frames": None if facts is None else facts.frames,
        "reused": taken.reused,
        "paid_usd": usd(taken.paid_usd),
    }
