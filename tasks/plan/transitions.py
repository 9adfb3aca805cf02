"""Decides how the film goes over from shot to shot: which frames two shots share, which go into black and out of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from typing import Any, Final

from tasks.errors import Problem
from tasks.rounding import round_half_up
from tasks.storyboard.model import Card, Shot, Storyboard, Transition, TransitionKind

__all__ = ["PlannedTransition", "check_room", "plan_ending", "plan_transitions"]

_RESERVE: Final = 2


@dataclass(frozen=True, slots=True)
class PlannedTransition:
    """A transition into a shot, counted in frames of the film.

    A dissolve, or one of xfade's, shows the last `overlap` frames of the shot before and the first `overlap` of this
    one at once, so the film is shorter by so many. A fade overlaps nothing: the last `ends` frames of the shot before
    go into black, the first `begins` of this one come out of it.
    """

    kind: TransitionKind
    frames: int
    overlap: int = 0
    ends: int = 0
    begins: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {
            "kind": str(self.kind),
            "frames": self.frames,
            "overlap_frames": self.overlap,
            "fade_out_frames": self.ends,
            "fade_in_frames": self.begins,
        }


def plan_transitions(
    storyboard: Storyboard, seams: Collection[str], rate: Fraction
) -> tuple[dict[str, PlannedTransition | None], list[Problem]]:
    """Work out the transition into every shot and card, by its id; `None` for a cut.

    A default is left out where there can be no transition; one that a shot itself asks for there is a mistake.

    Args:
        storyboard: The film.
        seams: The shots that share a frame with the one before.
        rate: Frames a second of the film.

    Returns:
        Transitions and mistakes.
    """
    planned: dict[str, PlannedTransition | None] = {}
    problems: list[Problem] = []
    before: Shot | Card | None = None
    for scene in storyboard.scenes:
        wanted, is_first = scene.transition, before is None
        refusal = None if wanted is None else _refusal(storyboard, scene, wanted, is_first=is_first, seams=seams)
        if wanted is not None and refusal and not wanted.is_default:
            problems.append(storyboard.problem(scene, "transition", *refusal))
        planned[scene.id] = None if wanted is None or refusal else _counted(wanted, rate, is_first=is_first)
        before = scene
    return planned, problems


def plan_ending(storyboard: Storyboard, rate: Fraction) -> PlannedTransition | None:
    """The fade at the film's end, in frames of the film: the last of them is black. `None` where it just ends."""
    wanted = storyboard.ending
    if wanted is None:
        return None
    frames = _frames(wanted, rate)
    return PlannedTransition(wanted.kind, frames, ends=frames)


def _refusal(
    storyboard: Storyboard, scene: Shot | Card, wanted: Transition, *, is_first: bool, seams: Collection[str]
) -> tuple[str, str] | None:
    """What is wrong with a transition here, and what would be accepted."""
    if scene.id in seams:
        return (
            f"a shot that shares a frame with the one before goes on from it, and cannot {_begin(wanted.kind)}",
            "cut, or 'boundary: cut' without the shared frame",
        )
    if is_first and wanted.kind.overlaps and isinstance(scene, Card):
        instead = f"cut, fade; how the film goes on from the card is for the 'transition' of '{storyboard.shots[0].id}'"
        return f"the title card cannot {_begin(wanted.kind)}: there is nothing before it", instead
    if is_first and wanted.kind.overlaps:
        return f"the first shot cannot {_begin(wanted.kind)}: there is no shot before it", "cut, fade"
    return None


def _begin(kind: TransitionKind) -> str:
    return f"begin with {kind}" if kind.is_named else str(kind)


def _counted(wanted: Transition, rate: Fraction, *, is_first: bool) -> PlannedTransition:
    frames = _frames(wanted, rate)
    if wanted.kind.overlaps:
        return PlannedTransition(wanted.kind, frames, overlap=frames)
    ends = 0 if is_first else frames // 2
    return PlannedTransition(wanted.kind, frames, ends=ends, begins=frames - ends)


def _frames(wanted: Transition, rate: Fraction) -> int:
    return max(1, round_half_up(Fraction(wanted.duration_s) * rate))


def check_room(
    storyboard: Storyboard,
    frames: Mapping[str, int],
    transitions: Mapping[str, PlannedTransition | None],
    ending: PlannedTransition | None,
    rate: Fraction,
) -> list[Problem]:
    """The mistake of every shot or card too short for its transitions: one of its frames at least has to be in none.

    Two more are kept in reserve, since clips may come a frame or two shorter than the model declares.

    Args:
        storyboard: The film.
        frames: Of each shot and card, how many of the film's frames it is expected to have.
        transitions: Into each.
        ending: How the film ends.
        rate: Frames a second of the film.
    """
    problems = []
    for scene, following in zip_longest(storyboard.scenes, storyboard.scenes[1:]):
        before, behind = transitions[scene.id], transitions[following.id] if following else ending
        count, is_card = frames[scene.id], isinstance(scene, Card)
        reserve = 0 if is_card else _RESERVE
        begins = before.overlap + before.begins if before else 0
        ends = behind.overlap + behind.ends if behind else 0
        if begins + ends == 0 or begins + ends + reserve < count:
            continue
        most_s = float(max(0, count - 1 - reserve) / rate)
        message = f"the transitions of '{scene.id}' take {begins + ends} frames, and it has {count}"
        accepted = (
            f"transitions of '{scene.id}' that together take at most {most_s:.2f} s of it, or a longer "
            f"{'card' if is_card else 'shot'}"
        )
        # It is told where it can be put right: at this one's own transition, if that alone is too long.
        if not ends or begins + reserve >= count:
            problems.append(storyboard.problem(scene, "transition", message, accepted))
        elif following is not None:
            problems.append(storyboard.problem(following, "transition", message, accepted))
        else:
            line = storyboard.lines.get("ending")
            problems.append(Problem(message, file=storyboard.file, line=line, key="ending", accepted=accepted))
    return problems
