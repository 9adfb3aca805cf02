"""The stills beside a film. A shot's is taken as soon as there is its part, so that little is left to do at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from PIL.Image import Image

from tasks.plan.model import Plan
from tasks.sequence.conform import Conformed
from tasks.sequence.cuts import layout_of
from tasks.sequence.poster import Thumb, poster, sheet, thumbnail, thumbnail_width
from tasks.sequence.scenes import Scene
from tasks.sequence.timeline import Cut, FilmLayout

__all__ = ["Stills", "make_stills", "still_of"]


@dataclass(frozen=True, slots=True)
class Stills:
    """A film's poster and its contact sheet, as JPEG."""

    poster: Path
    contact: Path


def still_of(plan: Plan, cut: Cut, conformed: Conformed) -> Image:
    """A shot's or card's first full picture, as small as the contact sheet of this film has it. Blocks.

    Raises:
        MediaError: The part cannot be read.
    """
    layout = layout_of(plan)
    width = thumbnail_width(len(plan.scenes), layout.width, layout.height)
    return thumbnail(conformed.picture, width, _first_full(cut))


def make_stills(
    plan: Plan, scenes: Sequence[Scene], stills: Mapping[str, Image], layout: FilmLayout, folder: Path
) -> Stills:
    """Take the middle of the first shot for a poster, and put the stills that there are on a sheet. Blocks.

    Args:
        plan: Says which of its scenes are shots.
        scenes: The film.
        stills: What `still_of` gave, by shot.
        layout: The film's.
        folder: Takes both files.

    Raises:
        MediaError: A part cannot be read, or a picture cannot be written.
    """
    made = Stills(folder / "poster.jpg", folder / "contact.jpg")
    first = scenes[[scene.id for scene in plan.scenes].index(plan.shots[0].id)]
    poster(first.conformed.picture, first.cut.body // 2, made.poster)
    there = [scene for scene in scenes if scene.cut.shot in stills]
    sheet([Thumb(stills[scene.cut.shot], scene.cut.shot, _at_s(scene, layout)) for scene in there], made.contact)
    return made


def _first_full(cut: Cut) -> int:
    """The frame of a part at which it is not black any more, if it fades in."""
    return min(cut.fade_in, cut.body - 1)


def _at_s(scene: Scene, layout: FilmLayout) -> Fraction:
    return (scene.begin + scene.cut.lead + _first_full(scene.cut)) / layout.rate
