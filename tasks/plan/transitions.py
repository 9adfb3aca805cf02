"""Decides how the film goes over from shot to shot: which frames two shots share, which go into black and out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from tasks.errors import Problem
from tasks.rounding import round_half_up
from tasks.storyboard.model import Shot, Storyboard, Transition, TransitionKind

__all__ = ["PlannedTransition", "check_room", "plan_transitions"]

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
    storyboard: Storyboard, seams: Sequence[bool], rate: Fraction
) -> tuple[list[PlannedTransition | None], list[Problem]]:
    """Work out the transition into every shot; `None` for a cut.

    A default is left out where there can be no transition; one that a shot itself asks for there is a mistake.

    Args:
        storyboard: The film.
        seams: Of each shot, whether it shares a frame with the one before.
        rate: Frames a second of the film.

    Returns:
        Transitions and mistakes.
    """
    planned: list[PlannedTransition | None] = []
    problems: list[Problem] = []
    for index, (shot, seam) in enumerate(zip(storyboard.shots, seams, strict=True)):
        wanted = shot.transition
        if wanted is None:
            planned.append(None)
            continue
        refusal = _refusal(wanted, is_first=index == 0, seam=seam)
        if refusal and not wanted.is_default:
            problems.append(storyboard.problem(shot, "transition", *refusal))
        planned.append(None if refusal else _counted(wanted, rate, is_first=index == 0))
    return planned, problems


def _refusal(wanted: Transition, *, is_first: bool, seam: bool) -> tuple[str, str] | None:
    """What is wrong with a transition here, and what would be accepted."""
    if seam:
        return (
            f"a shot that shares a frame with the one before goes on from it, and cannot {_begin(wanted.kind)}",
            "cut, or 'boundary: cut' without the shared frame",
        )
    if is_first and wanted.kind.overlaps:
        return f"the first shot cannot {_begin(wanted.kind)}: there is no shot before it", "cut, fade"
    return None


def _begin(kind: TransitionKind) -> str:
    return f"begin with {kind}" if kind.is_named else str(kind)


def _counted(wanted: Transition, rate: Fraction, *, is_first: bool) -> PlannedTransition:
    frames = max(1, round_half_up(Fraction(wanted.duration_s) * rate))
    if wanted.kind.overlaps:
        return PlannedTransition(wanted.kind, frames, overlap=frames)
    ends = 0 if is_first else frames // 2
    return PlannedTransition(wanted.kind, frames, ends=ends, begins=frames - ends)


def check_room(
    storyboard: Storyboard, frames: Sequence[int], transitions: Sequence[PlannedTransition | None], rate: Fraction
) -> list[Problem]:
    """The mistake of every shot too short for its transitions: at least one of its frames has to be in none.

    Two more are kept in reserve, since clips may come a frame or two shorter than the model declares.

    Args:
        storyboard: The film.
        frames: Of each shot, how many of the film's frames it is expected to have.
        transitions: Into each shot.
        rate: Frames a second of the film.
    """
    problems = []
    for index, shot in enumerate(storyboard.shots):
        before = transitions[index]
        behind = transitions[index + 1] if index + 1 < len(transitions) else None
        begins = before.overlap + before.begins if before else 0
        ends = behind.overlap + behind.ends if behind else 0
        if begins + ends == 0 or begins + ends + _RESERVE < frames[index]:
            continue
        # It is told where it can be put right: at this shot's own transition, if that alone is too long.
        told: Shot = shot if behind is None or begins + _RESERVE >= frames[index] else storyboard.shots[index + 1]
        most_s = float(max(0, frames[index] - 1 - _RESERVE) / rate)
        problems.append(
            storyboard.problem(
                told,
                "transition",
                f"the transitions of '{shot.id}' take {begins + ends} frames, and it has {frames[index]}",
                f"transitions of '{shot.id}' that together take at most {most_s:.2f} s of it, or a longer shot",
            )
        )
    return problems
