"""What was made, to a published film: slates, sound, the join, the stills, the manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from flows.outcome import Made
from flows.page import page_of_run
from flows.production.ahead import SoundAhead
from flows.production.cards import drawn_card
from flows.production.delivering import Deliverable, deliver_all, told_of_file
from flows.production.studio import Studio
from tasks.deliver.presets import Preset
from tasks.errors import MediaError, ShotchainError
from tasks.handed import Handed
from tasks.ledger import Attempt, Totals
from tasks.media.thread import finish_in_thread
from tasks.plan.model import Plan, number
from tasks.progress import Event, Stage
from tasks.provenance.credit import Provenance
from tasks.provenance.task import credit_film
from tasks.publish.editing.beside import NOTHING, ForEditors, for_editors
from tasks.publish.manifest import Timings, build_manifest
from tasks.publish.sidecars import Sidecar
from tasks.publish.targets import SidecarKind, Targets
from tasks.publish.task import publish_film
from tasks.sequence.captions import srt, vtt
from tasks.sequence.cuts import layout_of
from tasks.sequence.scenes import captions_of
from tasks.sequence.sound.soundtrack import Laid, Soundtrack
from tasks.sequence.stills import Stills, still_of
from tasks.sequence.task import blend_shots, join_film, make_sound, slate_shot, take_stills
from tasks.sequence.timeline import Cut
from tasks.sequence.verify import FilmFacts

__all__ = ["publish"]


@dataclass(frozen=True)
class _Joined:
    """A film that was joined and found right, and the files that go beside it."""

    facts: Handed[FilmFacts]
    provenance: Handed[Provenance]
    sidecars: Sequence[Sidecar]
    editing: ForEditors
    delivered: Sequence[Deliverable] = ()

    def captions(self) -> Path | None:
        """The film's captions as WebVTT, if it has any."""
        return next((sidecar.path for sidecar in self.sidecars if sidecar.kind is SidecarKind.VTT), None)


async def publish(
    studio: Studio,
    made: Made,
    targets: Targets,
    totals: Totals,
    laid: Handed[dict[str, Laid]],
    sound: SoundAhead,
    *,
    placeholder: bool,
    presets: Sequence[Preset] = (),
) -> dict[str, Any]:
    """Join and publish a film; says what was published where.

    Where shots are missing there is a film only with slates. What keeps it from being made is one failure more, under
    no shot's name; then the manifest alone says what there is.

    Raises:
        StorageUnreachable: Every shot is made, and the place of the film cannot be written.
    """
    joined: _Joined | None = None
    if placeholder or not made.missing():
        try:
            for card in made.plan.cards:
                await drawn_card(studio, made, card)
            await _fill_with_slates(studio, made)
            joined = await _join(studio, made, targets, laid, sound)
        except OSError as error:
            made.failures[""] = told_of_file(error)
        except ShotchainError as error:
            made.failures[""] = error
    if joined is not None:
        delivered = await deliver_all(studio, made, joined.facts, joined.captions(), presets)
        joined = replace(joined, delivered=delivered)
        try:
            return await _publish(studio, made, targets, totals, joined)
        except ShotchainError as error:
            if not made.failures:
                raise
            made.failures[""] = error
    try:
        # Without the film, the manifest still says what there is.
        return await _publish(studio, made, targets, totals, None)
    except ShotchainError as error:
        made.failures.setdefault("", error)
        return {"manifest": None}


async def _fill_with_slates(studio: Studio, made: Made) -> None:
    """Put a slate in the place of every shot that is missing, and make the dissolves that it is part of."""
    plan, finish = Handed(made.plan), Handed(studio.settings.finish)
    folder, missing = studio.scratch / "slates", {shot.id for shot in made.missing()}
    for before, shot in pairwise(made.plan.scenes):
        if {before.id, shot.id} & missing:
            made.blends.pop(shot.id, None)  # a clip that came and could not be conformed is in no dissolve either
    for shot in made.missing():
        words = made.failures[shot.id].message
        slate = (await slate_shot(plan, Handed(shot), words, folder)).value
        made.slates[shot.id] = slate.clip
        made.parts[shot.id] = Handed(slate.part)
        made.stills[shot.id] = await finish_in_thread(still_of, made.plan, made.cut(shot), slate.part)
    for before, shot in pairwise(made.plan.scenes):
        if shot.overlap and shot.id not in made.blends:
            cuts = Handed(made.cut(before)), Handed(made.cut(shot))
            made.blends[shot.id] = await blend_shots(plan, Handed(shot), *cuts, [], finish, folder)


async def _join(
    studio: Studio, made: Made, targets: Targets, laid: Handed[dict[str, Laid]], ahead: SoundAhead
) -> _Joined:
    """Make the film, and at the same time the stills beside it."""
    studio.observe(Event(Stage.JOINING))
    plan = Handed(made.plan)
    cuts: Handed[Sequence[Cut]] = Handed([made.cut(scene) for scene in made.plan.scenes])
    parts = [made.parts[scene.id] for scene in made.plan.scenes]
    taking = asyncio.ensure_future(take_stills(plan, cuts, parts, Handed(made.stills), studio.scratch))
    try:
        sound: Handed[Soundtrack | None] = Handed(None)
        if laid.value or any(part.value.sound for part in parts):
            sound = await make_sound(Handed(await ahead.end()), cuts, parts, laid)
        finish = Handed(studio.settings.finish)
        facts = await join_film(plan, cuts, parts, made.blends, sound, finish, studio.conformed, studio.film)
        stills = await _there(taking, studio)
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    captions = captions_of(made.plan, made.scenes())
    sidecars = []
    if stills is not None:
        sidecars += [Sidecar(SidecarKind.POSTER, stills.poster), Sidecar(SidecarKind.CONTACT, stills.contact)]
    for kind, write in ((SidecarKind.SRT, srt), (SidecarKind.VTT, vtt)) if captions else ():
        path = studio.scratch / f"captions.{kind}"
        path.write_text(write(captions, layout_of(made.plan).rate), encoding="utf-8", newline="\n")
        sidecars.append(Sidecar(kind, path))
    editing = NOTHING
    if studio.settings.finish.timeline:
        given = made.plan, made.scenes(), made.takes(), laid.value, studio.sounds(made.plan), targets
        editing = await finish_in_thread(for_editors, *given, studio.scratch / "timelines")
    # Last, when all else is in the film: whatever is put into it afterwards would break its signature.
    clips = {shot.id: made.selected(shot).clip for shot in made.whole()}
    signing = Handed(studio.settings.signing)
    provenance = await credit_film(plan, Handed(clips), list(made.slates), finish, signing, facts, studio.film)
    return _Joined(facts, provenance, [*sidecars, *editing.sidecars], editing)


async def _there(taking: asyncio.Future[Handed[Stills]], studio: Studio) -> Stills | None:
    """The stills; a film that is joined and right is not held up by a poster that cannot be made."""
    try:
        return (await taking).value
    except MediaError as error:
        studio.observe(Event(Stage.NOTE, message=f"the film has no poster and no contact sheet: {error.message}"))
        return None


async def _publish(
    studio: Studio, made: Made, targets: Targets, totals: Totals, joined: _Joined | None
) -> dict[str, Any]:
    """Publish a film with what goes beside it, or the manifest alone; says what was published where."""
    try:
        return await _published(studio, made, targets, totals, joined)
    except OSError as error:
        raise told_of_file(error) from error


async def _published(
    studio: Studio, made: Made, targets: Targets, totals: Totals, joined: _Joined | None
) -> dict[str, Any]:
    plan = made.plan
    attempts = await asyncio.to_thread(_attempts, studio, plan)
    warnings = made.warnings()
    if joined is not None and (reasons := joined.facts.value.not_lossless):
        warnings.append(f"clips were encoded again, since they cannot be copied: {'; '.join(reasons)}")
    if joined is not None and (loudness := joined.facts.value.loudness) and loudness.is_silent:
        warnings.append("nothing can be heard in the film: the sound of its clips, or its music, is silence")
    if joined is not None and (reason := joined.provenance.value.failed):
        warnings.append(f"the film is not signed: {reason}")
    sidecars = [] if joined is None else list(joined.sidecars)
    delivered = [] if joined is None else joined.delivered
    warnings += [f"'{it.preset.name}' is not signed: {why}" for it in delivered if (why := it.provenance.value.failed)]
    warnings += [error.message for error in made.undelivered.values()]
    editing = NOTHING if joined is None else joined.editing
    warnings += editing.warnings
    manifest = build_manifest(
        run_id=studio.run_id,
        plan=plan,
        takes=made.takes(),
        totals=totals,
        cuts={shot.id: made.cut(shot) for shot in made.whole()},
        cards={} if joined is None else {card.id: made.cut(card) for card in plan.cards},
        begins={} if joined is None else {scene.cut.shot: scene.begin for scene in made.scenes()},
        attempts=attempts,
        film=None if joined is None else joined.facts.value,
        film_name=targets.film.name,
        provenance=None if joined is None else joined.provenance.value,
        sidecars=await asyncio.to_thread(lambda: [it.facts(targets) for it in sidecars]),
        deliverables=await asyncio.to_thread(lambda: [it.facts(targets) for it in delivered]),
        media=await asyncio.to_thread(editing.media_facts),
        finish=studio.settings.finish,
        timings=_timings(studio, attempts),
        warnings=warnings,
        failures={shot: error for shot, error in made.failures.items() if shot},
        to_finish=None if made.shortfall is None else made.shortfall.as_dict(),
    )
    if joined is not None:
        studio.observe(Event(Stage.PUBLISHING))
    checked = None if joined is None else joined.provenance
    beside = [*sidecars, *(it.sidecar for it in delivered)]
    made_of = [it.provenance for it in delivered]
    given = Handed[Mapping[str, Any]](manifest), Handed(targets), studio.scratch, beside, editing.media, made_of
    published = (await publish_film(checked, studio.film, *given)).value
    for preset, error in published.undelivered.items():
        made.undelivered[preset] = error
        studio.observe(Event(Stage.NOTE, message=error.message))
    if page := page_of_run():
        page.published(published.manifest, targets)
    if joined is not None:
        studio.observe(Event(Stage.DONE))
    told = {"provider": plan.provider, "manifest": targets.manifest.shown, "warnings": published.manifest["warnings"]}
    if joined is None:
        return {**told, "output": None}
    facts, provenance = joined.facts.value, joined.provenance.value
    there = [it for it in delivered if it.preset.name not in published.undelivered]
    return {
        **told,
        "output": targets.film.shown,
        "frames": facts.frames,
        "duration_s": number(facts.duration_s),
        "signed": provenance.signed,
        "unsigned_because": provenance.why,
        "deliverables": {it.preset.name: targets.sidecar(it.sidecar.kind).shown for it in there},
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
