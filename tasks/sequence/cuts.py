"""Decides which frames of a clip the film shows: the plan's answer, held against what was really decoded."""

from __future__ import annotations

from tasks.clips.inputs import frame_index
from tasks.clips.store import Clip
from tasks.plan.lengths import film_frames
from tasks.plan.model import LAST, Plan, PlannedShot
from tasks.sequence.timeline import Cut, FilmLayout

__all__ = ["cut_of", "differences", "layout_of"]


def layout_of(plan: Plan) -> FilmLayout:
    """The film's size and rate."""
    return FilmLayout(plan.width, plan.height, plan.rate)


def cut_of(plan: Plan, shot: PlannedShot, clip: Clip) -> Cut:
    """The frames of `clip` that the film shows for `shot`.

    A frame shared with the shot before is shown once: the later clip's first frame goes. A clip that came with
    other frames than expected is cut by what it has.
    """
    last = frame_index(LAST if shot.last_kept is None else shot.last_kept, plan.clip_rate, clip)
    start = min(1 if shot.seam else 0, last)
    return Cut(
        shot=shot.id,
        clip=clip.path,
        clip_id=clip.sha256,
        start=start,
        stop=last + 1,
        frames=film_frames(last + 1 - start, clip.rate, plan.rate),
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
            f"shot '{shot.id}': its clip is {clip.width}x{clip.height}; it is fitted into "
            f"{plan.width}x{plan.height} with bars"
        )
    return found
