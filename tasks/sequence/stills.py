"""The stills beside a film, taken from its parts: so they can be made while the film is being joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.sequence.poster import Thumb, poster, sheet, thumbnail, thumbnail_width
from tasks.sequence.scenes import Scene
from tasks.sequence.timeline import FilmLayout

__all__ = ["Stills", "make_stills"]


@dataclass(frozen=True, slots=True)
class Stills:
    """A film's poster and its contact sheet, as JPEG."""

    poster: Path
    contact: Path


def make_stills(scenes: Sequence[Scene], layout: FilmLayout, folder: Path) -> Stills:
    """Take the middle of the first shot for a poster, and of every shot its first full picture. Blocks.

    Raises:
        MediaError: A part cannot be read, or a picture cannot be written.
    """
    made = Stills(folder / "poster.jpg", folder / "contact.jpg")
    first = scenes[0]
    poster(first.conformed.picture, first.cut.body // 2, made.poster)
    width = thumbnail_width(len(scenes), layout.width, layout.height)
    sheet([_thumb(scene, layout, width) for scene in scenes], made.contact)
    return made


def _thumb(scene: Scene, layout: FilmLayout, width: int) -> Thumb:
    cut = scene.cut
    frame = min(cut.fade_in, cut.body - 1)  # what fades in begins black
    at_s = (scene.begin + cut.lead + frame) / layout.rate
    return Thumb(thumbnail(scene.conformed.picture, width, frame), cut.shot, at_s)
