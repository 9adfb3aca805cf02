"""A film that was made, laid out for editors: its own arithmetic, frame for frame. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tasks.clips.taken import Taken
from tasks.plan.model import Plan, PlannedCard, PlannedShot, usd
from tasks.publish.editing.edit import Edit, Lane, Piece, Source, legible, one_line
from tasks.publish.editing.media import Media, is_slate
from tasks.publish.editing.sounds import lost_of_music, sound_lanes
from tasks.sequence.scenes import Scene, captions_of, total_frames
from tasks.sequence.sound.soundtrack import Laid

__all__ = ["edit_of"]


def edit_of(
    plan: Plan,
    scenes: Sequence[Scene],
    takes: Iterable[Taken],
    laid: Mapping[str, Laid],
    media: Media,
) -> Edit:
    """Lay a film out for editors. The film's own arithmetic: as long, and with the same frames of the same clips.

    Args:
        plan: The film.
        scenes: Its shots, in their places.
        takes: The takes that there are.
        laid: Music and narration, by URI: of them, how long they are.
        media: How the files are named.
    """
    made = {(taken.shot, taken.take): taken for taken in takes}
    pictures = tuple(_pictures(plan, scenes, made, media))
    frames = total_frames(scenes)
    sounds = tuple(sound_lanes(plan, scenes, pictures, laid, media, frames))
    return Edit(
        title=one_line(plan.title),
        width=plan.width,
        height=plan.height,
        rate=plan.rate,
        frames=frames,
        pictures=Lane("Pictures", "picture", pictures),
        sounds=sounds,
        captions=tuple(captions_of(plan, scenes)),
        losses=(*_lost_of_crossings(pictures), *lost_of_music(plan, sounds, frames)),
        facts={
            "provider": plan.provider,
            "model": plan.model,
            "width": plan.width,
            "height": plan.height,
            "fps": str(plan.rate),
            "frames": frames,
            "loudness_lufs": None if plan.loudness_lufs is None else str(plan.loudness_lufs),
        },
    )


def _pictures(
    plan: Plan, scenes: Sequence[Scene], made: Mapping[tuple[str, int], Taken], media: Media
) -> Iterator[Piece]:
    for planned, scene in zip(plan.scenes, scenes, strict=True):
        if isinstance(planned, PlannedCard):
            yield _card(plan, planned, scene, media)
        else:
            yield _picture(plan, planned, scene, made, media)


def _crossing(shot: PlannedShot | PlannedCard) -> str | None:
    """How the film goes over to a shot, where editors have no name for that."""
    return str(shot.transition.kind) if shot.transition and shot.transition.kind.is_named else None


def _lost_of_crossings(pictures: Sequence[Piece]) -> Iterator[str]:
    for piece in pictures:
        if piece.crossing:
            yield f"the {piece.crossing} into '{piece.shot}' is a dissolve; its name stands in timeline.otio"


def _picture(plan: Plan, shot: PlannedShot, scene: Scene, made: Mapping[tuple[str, int], Taken], media: Media) -> Piece:
    cut = scene.cut
    takes = {
        f"take-{take.number}": _take(made[shot.id, take.number], media.takes[shot.id, take.number])
        for take in shot.takes
        if (shot.id, take.number) in made
    }
    selected = f"take-{shot.select}"
    is_missing = is_slate(shot, scene, made)
    if is_missing:
        selected = "slate"
        takes[selected] = _drawn(plan, media.slates[shot.id], cut.stop, {"slate": True})
    source = takes[selected]
    return Piece(
        source=source,
        begin=scene.begin,
        frames=cut.frames,
        start_s=cut.start / source.rate,
        lead=cut.lead,
        tail=cut.tail,
        fade_in=cut.fade_in,
        fade_out=cut.fade_out,
        crossing=_crossing(shot),
        shot=shot.id,
        takes=takes,
        take=selected,
        fit=str(shot.fit),
        note=legible(shot.prompt),
        facts={
            "shot": shot.id,
            "slate": is_missing,
            "prompt": shot.prompt,
            "caption": shot.caption,
            "mode": str(shot.mode),
            "boundary": str(shot.boundary),
            "seam": shot.seam,
            "fit": str(shot.fit),
            "select": shot.select,
            "begin_frame": scene.begin,
            "frames": cut.frames,
            "first_clip_frame": cut.start,
            "last_clip_frame": cut.stop - 1,
            "transition": None if shot.transition is None else str(shot.transition.kind),
            "overlap_frames": cut.lead,
            "fade_in_frames": cut.fade_in,
            "fade_out_frames": cut.fade_out,
        },
    )


def _drawn(plan: Plan, name: str, frames: int, facts: Mapping[str, object]) -> Source:
    """A slate or a card: drawn as the film is, and silent."""
    return Source(
        name=name,
        frames=frames,
        rate=plan.rate,
        has_picture=True,
        has_sound=False,
        width=plan.width,
        height=plan.height,
        facts=facts,
    )


def _card(plan: Plan, card: PlannedCard, scene: Scene, media: Media) -> Piece:
    cut = scene.cut
    facts = {"card": card.id, "text": list(card.text)}
    source = _drawn(plan, media.cards[card.id], cut.stop, facts)
    return Piece(
        source=source,
        begin=scene.begin,
        frames=cut.frames,
        lead=cut.lead,
        tail=cut.tail,
        fade_in=cut.fade_in,
        fade_out=cut.fade_out,
        crossing=_crossing(card),
        shot=card.id,
        takes={"card": source},
        take="card",
        note=legible(" / ".join(card.text)),
        facts={
            **facts,
            "begin_frame": scene.begin,
            "frames": cut.frames,
            "transition": None if card.transition is None else str(card.transition.kind),
            "overlap_frames": cut.lead,
            "fade_in_frames": cut.fade_in,
            "fade_out_frames": cut.fade_out,
        },
    )


def _take(taken: Taken, name: str) -> Source:
    clip = taken.clip
    return Source(
        name=name,
        frames=clip.frames,
        rate=clip.rate,
        has_picture=True,
        has_sound=clip.has_sound,
        width=clip.width,
        height=clip.height,
        facts={
            "take": taken.take,
            "content_key": clip.key,
            "sha256": clip.sha256,
            "taskUUID": clip.origin.task_uuid,
            "videoUUID": clip.origin.video_uuid,
            "cost_usd": usd(clip.origin.cost_usd),
            "seed": None if clip.origin.seed is None else str(clip.origin.seed),
            "nsfw": clip.origin.nsfw,
        },
    )
