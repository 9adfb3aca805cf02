"""One shot's or card's share of the film: its part, and the dissolve into it, with its caption where that is wanted."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tasks.errors import BadInput
from tasks.media.files import mark_used
from tasks.plan.model import Plan, PlannedCard, PlannedScene, PlannedShot
from tasks.sequence.blend import Blended, blend
from tasks.sequence.burn import check_caption, draw_caption
from tasks.sequence.cards import check_card, make_card
from tasks.sequence.conform import Conformed, conform
from tasks.sequence.cuts import card_cut, layout_of, slate_cut
from tasks.sequence.parts import Progress
from tasks.sequence.slate import make_slate
from tasks.sequence.timeline import Cut, FilmLayout
from tasks.settings import Finish
from tasks.storyboard.model import TransitionKind

__all__ = ["Drawn", "card_of", "check_finish", "dissolve_of", "part_of", "slate_of"]


# Raise it when the same caption begins to be drawn otherwise.
_DRAWN: Final = 2


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is drawn here, a card or the slate of a missing shot: a clip, and the part that was conformed of it."""

    clip: Path
    part: Conformed


def check_finish(plan: Plan, finish: Finish, *, placeholder: bool = False) -> None:
    """See, before anything is paid, whether a film can be finished as it is to be.

    Raises:
        BadInput: Clips are to be copied, and the storyboard wants what copying cannot do. Or captions are to be burned
            in, or there are cards, and the font lacks a letter or cannot be read, or words are too long.
    """
    if finish.seam == "lossless":
        _check_lossless(plan, placeholder=placeholder)
    for card in plan.cards:
        check_card(card, layout_of(plan), _font(finish), file=plan.file)
    if not finish.burn_captions:
        return
    for shot in plan.shots:
        if shot.caption:
            check_caption(shot.caption, layout_of(plan), _font(finish), shot=shot.id)


def _check_lossless(plan: Plan, *, placeholder: bool) -> None:
    against = [
        f"{f'the {scene.id}' if scene in plan.cards else f'shot {scene.id!r}'} begins with a {scene.transition.kind}"
        for scene in plan.scenes
        if scene.transition
    ]
    if plan.ending:
        against.append(f"the film ends with a {plan.ending.kind}")
    if plan.rate != plan.clip_rate:
        against.append(f"the film has {float(plan.rate):g} frames a second and its clips {float(plan.clip_rate):g}")
    if placeholder:
        against.append("a slate in place of a missing shot is no clip")
    if against:
        more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
        raise BadInput(
            f"this film cannot be joined without encoding its clips again: {against[0]}{more}",
            file=plan.file,
            advice="Use --seam auto or conform. Nothing was spent.",
        )


async def part_of(
    plan: Plan, shot: PlannedShot, cut: Cut, finish: Finish, folder: Path, on_frames: Progress | None = None
) -> Conformed:
    """Conform what the film shows of a shot; see `conform`.

    Raises:
        MediaError: See there.
    """
    layout = layout_of(plan)
    overlay = await _overlay(shot, layout, finish, folder)
    return await conform(cut, layout, folder, overlay=overlay, on_frames=on_frames)


async def dissolve_of(
    plan: Plan, shot: PlannedScene, earlier: Cut, later: Cut, finish: Finish, folder: Path
) -> Blended:
    """The frames in which the film goes over to `shot`, under its caption; see `blend`.

    Raises:
        MediaError: See there.
    """
    layout = layout_of(plan)
    overlay = await _overlay(shot, layout, finish, folder)
    kind = shot.transition.kind if shot.transition else TransitionKind.DISSOLVE
    return await blend(earlier, later, layout, folder, kind=kind, overlay=overlay)


async def card_of(plan: Plan, card: PlannedCard, picture: Path | None, finish: Finish, folder: Path) -> Drawn:
    """A card, of whose picture `picture` has the bytes; see `make_card`.

    Raises:
        MediaError: See there.
    """
    layout = layout_of(plan)
    clip = await make_card(card, layout, folder, picture, _font(finish))
    return Drawn(clip, await conform(card_cut(plan, card, clip), layout, folder))


async def slate_of(plan: Plan, shot: PlannedShot, words: str, folder: Path) -> Drawn:
    """A slate that says why a shot is missing; see `make_slate`.

    Raises:
        MediaError: It could not be encoded.
    """
    layout = layout_of(plan)
    clip = await make_slate(shot.id, words, shot.frames, layout, folder)
    return Drawn(clip, await conform(slate_cut(plan, shot, clip), layout, folder))


async def _overlay(shot: PlannedScene, layout: FilmLayout, finish: Finish, folder: Path) -> Path | None:
    """The picture of a shot's caption, made once for the same words; None where none is burned in."""
    if not finish.burn_captions or not shot.caption:
        return None
    font = _font(finish)
    facts = (_DRAWN, shot.caption, layout.width, layout.height, str(font), font.stat().st_mtime_ns if font else 0)
    picture = folder / f"caption-{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}.png"
    if picture.is_file():
        mark_used(picture)
    else:
        await asyncio.to_thread(draw_caption, shot.caption, layout, picture, font)
    return picture


def _font(finish: Finish) -> Path | None:
    return None if finish.caption_font is None else Path(finish.caption_font)
