"""From a plan to a published film: every shot starts as soon as what it needs exists, and nothing waits for more.

One coroutine a shot waits for the shots that it takes frames of, has its takes made, and conforms the selected one
while others are still being generated. A shot that fails stops only the shots that need it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flows.outcome import Made
from flows.studio import Studio
from tasks.clips.gate import Reserved
from tasks.clips.generate import Taken
from tasks.clips.task import generate, reserve
from tasks.errors import NeedFailed, ShotchainError
from tasks.handed import Handed
from tasks.ledger import Attempt
from tasks.plan.model import Plan, PlannedShot, PlannedTake, number
from tasks.progress import Event, Stage
from tasks.publish.manifest import Timings, build_manifest
from tasks.publish.targets import Targets
from tasks.publish.task import publish_film
from tasks.sequence.cuts import cut_of
from tasks.sequence.task import conform_shot, join_film

__all__ = ["produce"]


async def produce(
    studio: Studio, planned: Handed[Plan], targets: Targets, approved_usd: Decimal | None = None
) -> dict[str, Any]:
    """Make and publish the film. `approved_usd` is what may be spent without asking; None for all of the budget.

    Returns:
        The outcome in numbers: `output`, `manifest`, `shots`, `generated`, `reused`, `failed`, `cost_usd`, `frames`,
        `duration_s`.

    Raises:
        ApprovalNeeded: More would be spent than is approved.
        OverBudget: The budget has no room; before anything was submitted, or midway for a retry.
        Incomplete: Some shots failed; the others are kept.
        ShotchainError: The run as a whole could not go on.
    """
    plan = planned.value
    reserved = await reserve(planned, studio.store, studio.ledger, studio.run_id, approved_usd)
    made = await _make_shots(studio, plan, reserved)
    totals = await asyncio.to_thread(studio.ledger.totals, studio.run_id)
    made.raise_failures(totals)
    parts = [made.parts[shot.id] for shot in plan.shots]
    studio.observe(Event(Stage.JOINING))
    film = studio.scratch / "film.mp4"
    checked = await join_film(Handed(plan), parts, film)
    facts = checked.value
    attempts = await asyncio.to_thread(_attempts, studio, plan)
    manifest = build_manifest(
        run_id=studio.run_id,
        plan=plan,
        takes=made.in_order(),
        totals=totals,
        cuts={shot.id: cut_of(plan, shot, made.selected(shot).clip) for shot in plan.shots},
        attempts=attempts,
        film=facts,
        film_name=targets.film.name,
        timings=_timings(studio, attempts),
        warnings=made.warnings(),
    )
    studio.observe(Event(Stage.PUBLISHING))
    await publish_film(checked, film, Handed(manifest), Handed(targets), studio.scratch)
    studio.observe(Event(Stage.DONE))
    return {
        "provider": plan.provider,
        "output": targets.film.shown,
        "manifest": targets.manifest.shown,
        **made.summary(totals),
        "frames": facts.frames,
        "duration_s": number(facts.duration_s),
        "warnings": manifest["warnings"],
    }


async def _make_shots(studio: Studio, plan: Plan, reserved: Handed[Reserved]) -> Made:
    made = Made(plan)
    loop = asyncio.get_running_loop()
    selected: dict[str, asyncio.Future[Handed[Taken]]] = {shot.id: loop.create_future() for shot in plan.shots}

    async def one_take(shot: PlannedShot, take: PlannedTake, upstream: dict[str, Handed[Taken]]) -> None:
        taken = await generate(studio.generator, Handed(shot), Handed(take), reserved, upstream)
        made.taken[shot.id, take.number] = taken
        if take.number == shot.select:
            selected[shot.id].set_result(taken)

    async def one_shot(shot: PlannedShot) -> None:
        upstream = {}
        for need in shot.depends_on:
            try:
                upstream[need] = await asyncio.shield(selected[need])
            except ShotchainError as error:
                raise NeedFailed(f"not begun, since it takes a frame of '{need}'", shot=shot.id) from error
        takes = [asyncio.ensure_future(one_take(shot, take, upstream)) for take in shot.takes]
        conformed = asyncio.ensure_future(one_part(shot, takes[shot.select - 1]))
        # One take that fails does not stop the others: they may be paid for already.
        await _settled([*takes, conformed])

    async def one_part(shot: PlannedShot, selected_take: asyncio.Future[None]) -> None:
        await asyncio.wait([selected_take])
        taken = made.taken.get((shot.id, shot.select))
        if taken is not None:
            made.parts[shot.id] = await conform_shot(Handed(plan), Handed(shot), taken, studio.conformed)
            studio.observe(Event(Stage.CONFORMED, shot.id))

    async def guarded(shot: PlannedShot) -> None:
        try:
            await one_shot(shot)
        except ShotchainError as error:
            made.failures[shot.id] = error
            stage = Stage.SKIPPED if isinstance(error, NeedFailed) else Stage.FAILED
            studio.observe(Event(stage, shot.id, message=error.message))
            tell_dependents(shot, error)
        except Exception as error:
            # A bug of ours ends the run; nobody may wait for this shot for ever.
            tell_dependents(shot, ShotchainError(f"'{shot.id}' could not be made: {error}", shot=shot.id))
            raise

    def tell_dependents(shot: PlannedShot, error: ShotchainError) -> None:
        if not selected[shot.id].done():
            selected[shot.id].set_exception(error)
            selected[shot.id].exception()  # nobody may be waiting for it

    await _settled([asyncio.ensure_future(guarded(shot)) for shot in plan.shots])
    return made


async def _settled(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Wait for all to end, then raise the first error there was; end them all if this is cancelled."""
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    for task in tasks:
        task.result()


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
