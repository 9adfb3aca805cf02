"""From a plan to a published film: the gate, the shots, the film, its manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flows.outcome import Made
from flows.page import page_of_run
from flows.production.gate import show_budgets
from flows.production.memory import remember
from flows.production.running_out import Refill, begin_within, make_within
from flows.production.studio import Studio
from tasks.clips.generate import Taken
from tasks.errors import BadInput, ShotchainError
from tasks.handed import Handed
from tasks.ledger import Attempt, Totals
from tasks.plan.model import Plan, number, usd
from tasks.progress import Event, Stage
from tasks.publish.manifest import Timings, build_manifest
from tasks.publish.targets import Targets
from tasks.publish.task import publish_film
from tasks.sequence.cuts import cut_of
from tasks.sequence.task import join_film, slate_shot
from tasks.sequence.verify import FilmFacts

__all__ = ["produce", "produce_takes"]


async def produce(
    studio: Studio,
    planned: Handed[Plan],
    targets: Targets,
    approved_usd: Decimal | None = None,
    *,
    placeholder: bool = False,
    refill: Refill | None = None,
) -> dict[str, Any]:
    """Make and publish the film.

    Args:
        studio: What the run works with.
        planned: What is to be made.
        targets: Where it goes.
        approved_usd: What may be spent without asking; None for all of the budget.
        placeholder: Whether a film is made even where shots are missing, with slates in their places.
        refill: Whether more money is asked for when it runs out midway; by default it is not.

    Returns:
        The outcome in numbers: `output`, `manifest`, `shots`, `generated`, `reused`, `failed`, `cost_usd`, `frames`,
        `duration_s`.

    Raises:
        ApprovalNeeded: More would be spent than is approved; nothing was submitted.
        OverBudget: The budget has no room; nothing was submitted.
        Incomplete: Some shots failed, or money ran out midway; what there is is kept, and the manifest that is
            published says so.
        ShotchainError: The run as a whole could not go on.
    """
    plan = planned.value
    reserved = await begin_within(studio, planned, approved_usd)
    await remember(studio, plan, reserved.value)
    made = await make_within(studio, plan, reserved, refill)
    await show_budgets(studio, plan)
    totals = await asyncio.to_thread(studio.ledger.totals, studio.run_id)
    if made.failures:
        raise made.incomplete(totals, await _publish_incomplete(studio, made, targets, totals, placeholder=placeholder))
    return {**made.summary(totals), **await _publish(studio, made, targets, totals)}


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
    return {**made.summary(totals), "takes": [_told(taken, plan) for taken in made.takes()]}


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


def _told(taken: Taken, plan: Plan) -> dict[str, Any]:
    return {
        "shot": taken.shot,
        "number": taken.take,
        "selected": plan.shot(taken.shot).select == taken.take,
        "content_key": taken.clip.key,
        "clip": str(taken.clip.path),
        "frames": taken.clip.frames,
        "reused": taken.reused,
        "paid_usd": usd(taken.paid_usd),
    }


async def _publish_incomplete(
    studio: Studio, made: Made, targets: Targets, totals: Totals, *, placeholder: bool
) -> dict[str, Any]:
    """Publish what can be told of a film that lacks shots; what fails here is one failure more."""
    is_film = placeholder or not made.missing()
    try:
        for shot in made.missing() if is_film else ():
            words = made.failures[shot.id].message
            made.slates[shot.id] = await slate_shot(Handed(made.plan), Handed(shot), words, studio.scratch / "slates")
        return await _publish(studio, made, targets, totals, is_film=is_film)
    except ShotchainError as error:
        made.failures[""] = error
    try:
        # Without the film, the manifest still says what there is.
        return await _publish(studio, made, targets, totals, is_film=False) if is_film else {"manifest": None}
    except ShotchainError:
        return {"manifest": None}  # the failure before it says why


async def _publish(
    studio: Studio, made: Made, targets: Targets, totals: Totals, *, is_film: bool = True
) -> dict[str, Any]:
    """Join and publish the film with its manifest, or the manifest alone; says what was published where."""
    plan = made.plan
    film = studio.scratch / "film.mp4"
    checked: Handed[FilmFacts] | None = None
    if is_film:
        studio.observe(Event(Stage.JOINING))
        parts = {**made.parts, **made.slates}
        checked = await join_film(Handed(plan), [parts[shot.id] for shot in plan.shots], film)
    attempts = await asyncio.to_thread(_attempts, studio, plan)
    warnings = made.warnings()
    manifest = build_manifest(
        run_id=studio.run_id,
        plan=plan,
        takes=made.takes(),
        totals=totals,
        cuts={shot.id: cut_of(plan, shot, made.selected(shot).clip) for shot in made.whole()},
        attempts=attempts,
        film=None if checked is None else checked.value,
        film_name=targets.film.name,
        timings=_timings(studio, attempts),
        warnings=warnings,
        failures={shot: error for shot, error in made.failures.items() if shot},
        to_finish=None if made.shortfall is None else made.shortfall.as_dict(),
    )
    studio.observe(Event(Stage.PUBLISHING))
    await publish_film(checked, film, Handed(manifest), Handed(targets), studio.scratch)
    if page := page_of_run():
        page.published(manifest, targets)
    studio.observe(Event(Stage.DONE))
    told = {"provider": plan.provider, "manifest": targets.manifest.shown, "warnings": manifest["warnings"]}
    if checked is None:
        return {**told, "output": None}
    facts = checked.value
    return {
        **told,
        "output": targets.film.shown,
        "frames": facts.frames,
        "duration_s": number(facts.duration_s),
    }


def _attempts(studio: Studio, plan: Plan) -> list[Attempt]:
    found = []
    for shot in plan.shots:
        for take in shot.takes:
            found += studio.ledger.attempts(provider=plan.provider, content_key=take.content_key)
    return found


def _timings(studio: Studio, attempts: Sequence[Attempt]) -> Timings:
    own = [attempt for attempt in attempts if attempt.run_id == studio.run_id]
    return Timings(
        started_at=studio.started_at,
        joined_at=datetime.now(UTC),
        first_submitted_at=min((item.submitted_at for item in own if item.submitted_at), default=None),
        last_stored_at=max((item.stored_at for item in own if item.stored_at), default=None),
    )
