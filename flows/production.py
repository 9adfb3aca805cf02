"""From a plan to a published film: every shot starts as soon as what it needs exists, and nothing waits for more.

One coroutine a shot waits for the shots that it takes frames of, has its takes made, and conforms the selected one
while others are still being generated. A shot that fails stops only the shots that need it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flows.studio import Studio
from tasks.clips.gate import Reserved
from tasks.clips.generate import Taken
from tasks.clips.task import generate, reserve
from tasks.errors import Incomplete, NeedFailed, ShotchainError
from tasks.handed import Handed
from tasks.ledger import Attempt
from tasks.plan.model import Plan, PlannedShot, PlannedTake, number, usd
from tasks.progress import Event, Stage
from tasks.publish.manifest import Timings, build_manifest
from tasks.publish.targets import Targets
from tasks.publish.task import publish_film
from tasks.sequence.conform import Conformed
from tasks.sequence.cuts import cut_of, differences
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
    made.raise_failures(plan)
    parts = [made.parts[shot.id] for shot in plan.shots]
    studio.observe(Event(Stage.JOINING))
    film = studio.scratch / "film.mp4"
    checked = await join_film(Handed(plan), parts, film)
    facts = checked.value
    warnings = list(plan.warnings)
    for shot in plan.shots:
        warnings += differences(plan, shot, made.selected(shot).value.clip)
    attempts = await asyncio.to_thread(_attempts, studio, plan)
    manifest = build_manifest(
        run_id=studio.run_id,
        plan=plan,
        takes=made.in_order(plan),
        cuts={shot.id: cut_of(plan, shot, made.selected(shot).value.clip) for shot in plan.shots},
        attempts=attempts,
        film=facts,
        film_name=targets.film.name,
        timings=_timings(studio, attempts),
        warnings=list(dict.fromkeys(warnings)),
    )
    studio.observe(Event(Stage.PUBLISHING))
    await publish_film(checked, film, Handed(manifest), Handed(targets), studio.scratch)
    studio.observe(Event(Stage.DONE))
    return {
        "provider": plan.provider,
        "output": targets.film.shown,
        "manifest": targets.manifest.shown,
        **made.summary(plan),
        "frames": facts.frames,
        "duration_s": number(facts.duration_s),
        "warnings": manifest["warnings"],
    }


@dataclass
class _Made:
    """What was made so far, and what failed."""

    taken: dict[tuple[str, int], Handed[Taken]] = field(default_factory=dict)
    parts: dict[str, Handed[Conformed]] = field(default_factory=dict)
    failures: dict[str, ShotchainError] = field(default_factory=dict)

    def selected(self, shot: PlannedShot) -> Handed[Taken]:
        return self.taken[shot.id, shot.select]

    def in_order(self, plan: Plan) -> list[Taken]:
        return [self.taken[shot.id, take.number].value for shot in plan.shots for take in shot.takes]

    def summary(self, plan: Plan) -> dict[str, Any]:
        return {
            "shots": len(plan.shots),
            "generated": sum(not taken.value.reused for taken in self.taken.values()),
            "reused": sum(taken.value.reused for taken in self.taken.values()),
            "failed": len(self.failures),
            "cost_usd": usd(sum((taken.value.paid_usd for taken in self.taken.values()), Decimal(0))),
        }

    def raise_failures(self, plan: Plan) -> None:
        if not self.failures:
            return
        failures = [self.failures[shot.id] for shot in plan.shots if shot.id in self.failures]
        # What stops the whole run, such as a refused key, says more than a count of shots.
        for failure in failures:
            if failure.exit_code != Incomplete.exit_code:
                raise failure
        whole = len(plan.shots) - len(failures)
        raise Incomplete(
            f"{whole} of {len(plan.shots)} shots are made and kept; the film is not",
            advice="Change what is named below and run the same command again: what is made costs nothing more.",
            failures=failures,
            summary=self.summary(plan),
        )


async def _make_shots(studio: Studio, plan: Plan, reserved: Handed[Reserved]) -> _Made:
    made = _Made()
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
        try:
            await takes[shot.select - 1]
            taken = made.taken[shot.id, shot.select]
            made.parts[shot.id] = await conform_shot(Handed(plan), Handed(shot), taken, studio.conformed)
            studio.observe(Event(Stage.CONFORMED, shot.id))
            await _all(takes)
        finally:
            for task in takes:
                task.cancel()
            await asyncio.gather(*takes, return_exceptions=True)

    async def guarded(shot: PlannedShot) -> None:
        try:
            await one_shot(shot)
        except ShotchainError as error:
            made.failures[shot.id] = error
            stage = Stage.SKIPPED if isinstance(error, NeedFailed) else Stage.FAILED
            studio.observe(Event(stage, shot.id, message=error.message))
            if not selected[shot.id].done():
                selected[shot.id].set_exception(error)
                selected[shot.id].exception()  # nobody may be waiting for it

    await _all([asyncio.ensure_future(guarded(shot)) for shot in plan.shots])
    return made


async def _all(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Wait for all; if one fails, or this is cancelled, end the others before passing it on."""
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


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
