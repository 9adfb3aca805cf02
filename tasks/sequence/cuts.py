"""Decides which frames of a clip the film shows: the plan's answer, held against what was really decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tasks.clips.inputs import frame_index
from tasks.clips.store import Clip
from tasks.plan.lengths import film_frames
from tasks.plan.model import LAST, Plan, PlannedCard, PlannedScene, PlannedShot
from tasks.sequence.timeline import Cut, FilmLayout
from tasks.storyboard.model import Fit

__all__ = ["card_cut", "cut_of", "differences", "layout_of", "planned_cut", "slate_cut"]

_FITTED: Final = {Fit.FIT: "with bars", Fit.FILL: "by cutting off what stands over", Fit.BLUR: "over a blurred ground"}


def layout_of(plan: Plan) -> FilmLayout:
    """The film's size and rate."""
    return FilmLayout(plan.width, plan.height, plan.rate)


def cut_of(plan: Plan, shot: PlannedShot, clip: Clip) -> Cut:
    """The frames of `clip` that the film shows for `shot`.

    A frame shared with the shot before is shown once: the later clip's first frame goes. A clip that came with
    other frames than expected is cut by what it has.

    Raises:
        MediaError: The clip came with far too few frames for the transitions before and after it.
    """
    last = frame_index(LAST if shot.last_kept is None else shot.last_kept, plan.clip_rate, clip)
    start = min(1 if shot.seam else 0, last)
    frames = film_frames(last + 1 - start, clip.rate, plan.rate)
    return _cut(plan, shot, clip.path, clip.sha256, start, last + 1, frames)


def slate_cut(plan: Plan, shot: PlannedShot, slate: Path) -> Cut:
    """All frames of the slate that the film shows in place of `shot`."""
    slate_id = f"slate/{slate.name}"
    return _cut(plan, shot, slate, slate_id, 0, shot.frames, shot.frames)


def card_cut(plan: Plan, card: PlannedCard, clip: Path) -> Cut:
    """All frames of a card, which was drawn as `clip`."""
    return _cut(plan, card, clip, f"card/{clip.name}", 0, card.frames, card.frames)


def planned_cut(plan: Plan, scene: PlannedScene) -> Cut:
    """What the film will show of a shot or card, as long as that is not there."""
    return _cut(plan, scene, Path(), "", 0, scene.frames, scene.frames)


def _cut(plan: Plan, scene: PlannedScene, clip: Path, clip_id: str, start: int, stop: int, frames: int) -> Cut:
    before, after = scene.transition, plan.out_of(scene.id)
    return Cut(
        shot=scene.id,
        clip=clip,
        clip_id=clip_id,
        start=start,
        stop=stop,
        frames=frames,
        lead=before.overlap if before else 0,
        tail=after.overlap if after else 0,
        fade_in=before.begins if before else 0,
        fade_out=after.ends if after else 0,
        fit=scene.fit,
    )


def differences(plan: Plan, shot: PlannedShot, clip: Clip) -> list[str]:
    """In words, where a clip is not what the plan expected. None of it is damage."""
    found = []
    if clip.frames != shot.clip_frames:
        found.append(f"shot '{shot.id}': its clip has {clip.frames} frames, not {shot.clip_frames}")
    if clip.rate != plan.clip_rate:
        found.append(
            f"shot '{shot.id}': its clip has {float(clip.rate):g} frames a second, not {float(plan.clip_rate):g}"
        )
    if clip.width * plan.height != clip.height * plan.width:
        found.append(
            f"shot '{shot.id}': its clip is {clip.width}x{clip.height}; it is brought to "
            f"{plan.width}x{plan.height} {_FITTED[shot.fit]}"
        )
    return found
