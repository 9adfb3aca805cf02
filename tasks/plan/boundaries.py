"""Decides what each shot really starts and ends on, and which neighbours share a frame.

However the storyboard writes it, what comes out is one form: a first and a last frame a shot, the boundary by its
right name, and `seam` where the film must show a shared frame once. Whether a shot may have these frames beside its
other inputs is decided in `modes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tasks.errors import Problem
from tasks.storyboard.model import Boundary, ClipOf, FrameOf, MediaFile, Picture, Shot, Storyboard

__all__ = ["Joined", "join_shots"]


@dataclass(frozen=True, slots=True)
class Joined:
    """A shot after its boundaries were worked out.

    `first_from` and `last_from` say in the user's words what brought the frame: a key of the shot, or a boundary.
    """

    shot: Shot
    boundary: Boundary
    first: Picture | None
    last: Picture | None
    first_from: str = "'first_frame'"
    last_from: str = "'last_frame'"
    seam: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """The shots that must be made first: those that it takes a frame or the clip of."""
        shot = self.shot
        sources = (self.first, self.last, *shot.reference_images, *shot.reference_videos, shot.video)
        return tuple(dict.fromkeys(item.shot for item in sources if isinstance(item, FrameOf | ClipOf)))


def join_shots(storyboard: Storyboard, content: Callable[[MediaFile], str], problems: list[Problem]) -> list[Joined]:
    """Work out every boundary; mistakes are appended to `problems`.

    Args:
        storyboard: The storyboard as read.
        content: Names what a file holds (its sha256, or its URI where that is not known), so that the same still
            under two names is still one still.
        problems: Takes the mistakes found.
    """
    joined = [Joined(shot, shot.boundary, shot.first_frame, shot.last_frame) for shot in storyboard.shots]
    for index, current in enumerate(joined):
        if current.boundary is Boundary.CUT:
            continue
        if index == 0:
            problems.append(
                storyboard.problem(
                    current.shot,
                    "boundary",
                    f"the first shot cannot '{current.boundary}': there is no shot before it",
                    "cut",
                )
            )
        elif current.boundary is Boundary.CONTINUE:
            joined[index] = _continue(storyboard, joined[index - 1], current, problems)
        else:
            joined[index - 1], joined[index] = _match(storyboard, joined[index - 1], current, content, problems)
    return [_name_seam(joined[index - 1] if index else None, item, content) for index, item in enumerate(joined)]


def _continue(storyboard: Storyboard, previous: Joined, current: Joined, problems: list[Problem]) -> Joined:
    shot, chained = current.shot, FrameOf(previous.shot.id, "last")
    if shot.first_frame not in {None, chained}:
        problems.append(
            storyboard.problem(
                shot,
                "first_frame",
                f"'boundary: continue' and 'first_frame' exclude each other: the shot starts on the last frame of "
                f"'{previous.shot.id}'",
                "'boundary: continue' without 'first_frame', or 'boundary: cut' with it",
            )
        )
    return replace(current, first=chained, first_from="'boundary: continue'")


def _match(
    storyboard: Storyboard,
    previous: Joined,
    current: Joined,
    content: Callable[[MediaFile], str],
    problems: list[Problem],
) -> tuple[Joined, Joined]:
    shot, before = current.shot, previous.shot
    still = current.first or previous.last
    sides = f"'last_frame' of '{before.id}' or 'first_frame' of '{shot.id}'"
    if still is None:
        problems.append(
            storyboard.problem(
                shot, "boundary", "'boundary: match' needs the still that both shots share", f"a still as {sides}"
            )
        )
        return previous, current
    ours = next(
        (
            side
            for side in (current.first, previous.last)
            if isinstance(side, FrameOf) and side.shot in _ids(before, shot)
        ),
        None,
    )
    if ours is not None:
        problems.append(
            storyboard.problem(
                shot,
                "first_frame" if ours is current.first else "boundary",
                f"'boundary: match' shares a still that exists before both shots; a frame of '{ours.shot}' does not",
                f"another still, or 'boundary: continue' to start on the last frame of '{before.id}'",
            )
        )
        return previous, current
    if current.first and previous.last and not _same(current.first, previous.last, content):
        problems.append(
            storyboard.problem(
                shot,
                "first_frame",
                f"'boundary: match' shares one still, but 'first_frame' of '{shot.id}' and 'last_frame' of "
                f"'{before.id}' are different ones",
                f"the same still on both sides, or only one of {sides}",
            )
        )
        return previous, current
    return (
        previous if previous.last else replace(previous, last=still, last_from=f"'boundary: match' of '{shot.id}'"),
        current if current.first else replace(current, first=still, first_from="'boundary: match'"),
    )


def _ids(*shots: Shot) -> set[str]:
    return {shot.id for shot in shots}


def _name_seam(previous: Joined | None, current: Joined, content: Callable[[MediaFile], str]) -> Joined:
    if previous is None:
        return current
    if current.first == FrameOf(previous.shot.id, "last"):
        return replace(current, boundary=Boundary.CONTINUE, seam=True)
    shared = previous.last is not None and (
        previous.last == FrameOf(current.shot.id, "first")
        or (current.first is not None and _same(current.first, previous.last, content))
    )
    return replace(current, boundary=Boundary.MATCH, seam=True) if shared else current


def _same(one: Picture, other: Picture, content: Callable[[MediaFile], str]) -> bool:
    if isinstance(one, MediaFile) and isinstance(other, MediaFile):
        return content(one) == content(other)
    return one == other
