"""Decides what each shot really starts and ends on, and which neighbours share a frame.

However the storyboard writes it, what comes out is one form: a first and a last frame a shot, the boundary by its
right name, and `seam` where the film must show a shared frame once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tasks.errors import Problem
from tasks.storyboard.model import Boundary, FrameOf, MediaFile, Picture, Shot, Storyboard

__all__ = ["Joined", "join_shots"]


@dataclass(frozen=True, slots=True)
class Joined:
    """A shot after its boundaries were worked out."""

    shot: Shot
    boundary: Boundary
    first: Picture | None
    last: Picture | None
    seam: bool = False


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
                    f"the first shot has nothing before it to {current.boundary}",
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
    for key in _others(shot, "first_frame", "reference_images", "reference_videos", "video"):
        if key == "first_frame" and shot.first_frame == chained:
            continue
        problems.append(
            storyboard.problem(
                shot,
                key,
                f"'boundary: continue' and '{key}' exclude each other: the shot starts on the last frame of "
                f"'{previous.shot.id}'",
                f"'boundary: continue' without '{key}', or 'boundary: cut' with it",
            )
        )
    return replace(current, first=chained)


def _match(
    storyboard: Storyboard,
    previous: Joined,
    current: Joined,
    content: Callable[[MediaFile], str],
    problems: list[Problem],
) -> tuple[Joined, Joined]:
    shot, before = current.shot, previous.shot
    still = current.first or previous.last
    both = f"'last_frame' of '{before.id}' or 'first_frame' of '{shot.id}'"
    if still is None:
        problems.append(
            storyboard.problem(
                shot, "boundary", "'boundary: match' needs the still that both shots share", f"a still as {both}"
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
                f"the same still on both sides, or only one of {both}",
            )
        )
    if isinstance(still, FrameOf) and still.shot in {before.id, shot.id}:
        problems.append(
            storyboard.problem(
                shot,
                "first_frame" if current.first else "boundary",
                f"'boundary: match' shares a still that exists before both shots; a frame of '{still.shot}' does not",
                f"'boundary: continue', to start on the last frame of '{before.id}'",
            )
        )
        return previous, current
    for side in (before, shot):
        problems.extend(
            storyboard.problem(
                side,
                key,
                f"'{key}' and the frame shared by 'boundary: match' exclude each other",
                f"'match' between shots without '{key}', or 'boundary: cut'",
            )
            for key in _others(side, "reference_images", "reference_videos", "video")
        )
    return replace(previous, last=still), replace(current, first=still)


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


def _others(shot: Shot, *keys: str) -> Iterable[str]:
    return (key for key in keys if getattr(shot, key))
