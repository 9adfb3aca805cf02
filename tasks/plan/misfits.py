"""Decides what is said of clips and inputs that may not fit, so that the plan can warn before anything is paid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from tasks.plan.boundaries import Joined
from tasks.plan.catalog import ModelSpec
from tasks.plan.modes import decide_mode
from tasks.storyboard.inputs import InputFacts
from tasks.storyboard.model import ClipOf, Fit, FrameOf, MediaFile, Storyboard

__all__ = ["misfits"]

_TOLERANCE = Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Width and height in pixels of a picture or a video outside the film, and the shot that brings it in.

    `fit` is how the shots that follow it fill the film.
    """

    width: int
    height: int
    shot: str
    fit: Fit


_SPARE: Final = {
    Fit.FIT: "what does not fill the film's {width}x{height} gets bars",
    Fit.FILL: "what stands over the film's {width}x{height} is cut off",
    Fit.BLUR: "what does not fill the film's {width}x{height} is filled with the clip itself, blurred",
}


def misfits(
    storyboard: Storyboard,
    in_order: Iterable[Joined],
    spec: ModelSpec,
    film_rate: Fraction,
    facts: Callable[[MediaFile], InputFacts | None],
) -> Iterator[str]:
    """Warnings about clips of another rate or shape than the film's, and about inputs that may be too many.

    Args:
        storyboard: The film.
        in_order: Its shots, each after those that it takes frames or clips of.
        spec: The model.
        film_rate: Frames a second of the film.
        facts: What is known of a file.
    """
    if film_rate != spec.frames.rate:
        what = "repeated" if film_rate > spec.frames.rate else "left out"
        yield (
            f"the film has {float(film_rate):g} frames a second and its clips {float(spec.frames.rate):g}: "
            f"some frames are {what}"
        )
    in_order = list(in_order)
    for item in in_order:
        mode, count = decide_mode(item), len(item.shot.reference_images)
        doubted_above = spec.modes[mode].images_doubted_above
        if doubted_above is not None and count > doubted_above:
            yield (
                f"shot '{item.shot.id}': the page of {spec.name} allows {count} reference images beside videos, but "
                f"the upstream model speaks of {doubted_above}: the provider may refuse them"
            )
    film = Fraction(storyboard.width, storyboard.height)
    for shape, shots in _shapes(in_order, spec, facts).items():
        if abs(Fraction(shape.width, shape.height) / film - 1) > _TOLERANCE:
            first, *others = shots
            # One that fills the film otherwise than the shot that brings the shape in is told for itself.
            whose = "its input" if first == shape.shot else f"the input of '{shape.shot}'"
            named = ", ".join(f"'{shot}'" for shot in others)
            also = "" if not others else f", as {'does' if len(others) == 1 else 'do'} {named} after it"
            yield (
                f"shot '{first}': its clip follows the shape of {whose} ({shape.width}x{shape.height}){also}; "
                f"{_SPARE[shape.fit].format(width=storyboard.width, height=storyboard.height)}"
            )


def _shapes(
    in_order: Iterable[Joined], spec: ModelSpec, facts: Callable[[MediaFile], InputFacts | None]
) -> dict[_Shape, list[str]]:
    """Shapes that come from outside, and the shots that have them; a chain hands its shape on."""
    shapes: dict[str, _Shape] = {}
    shots: dict[_Shape, list[str]] = {}
    for item in in_order:
        if spec.modes[decide_mode(item)].sends_size:
            continue
        shape: _Shape | None = None
        match item.first or item.shot.video:
            case FrameOf(shot) | ClipOf(shot):
                shape = shapes.get(shot)
            case MediaFile() as media if (fact := facts(media)) and fact.width and fact.height:
                shape = _Shape(fact.width, fact.height, item.shot.id, item.shot.fit)
            case _:
                pass  # nothing is known of it
        if shape is not None:
            shape = replace(shape, fit=item.shot.fit)
            shapes[item.shot.id] = shape
            shots.setdefault(shape, []).append(item.shot.id)
    return shots
