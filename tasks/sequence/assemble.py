"""Parts to a checked film: how they are joined, and with what beside their pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tasks.errors import FilmWrong, MediaError, ShotchainError
from tasks.plan.model import Plan
from tasks.sequence.blend import Blended
from tasks.sequence.cuts import layout_of
from tasks.sequence.film import Film, make_film
from tasks.sequence.join import Stretch
from tasks.sequence.lossless.fitted import fitted
from tasks.sequence.lossless.joined import join_lossless
from tasks.sequence.lossless.pieces import prepare
from tasks.sequence.lossless.preflight import why_not_lossless
from tasks.sequence.scenes import Scene, captions_of, chapters_of, pictures_of
from tasks.sequence.sound.soundtrack import Soundtrack
from tasks.sequence.timeline import Cut, FilmLayout
from tasks.sequence.verify import FilmFacts
from tasks.settings import Finish

__all__ = ["assemble", "prepare_seam"]

_REASONS_TOLD = 3


async def assemble(
    plan: Plan,
    scenes: Sequence[Scene],
    blends: Mapping[str, Blended],
    soundtrack: Soundtrack | None,
    finish: Finish,
    folder: Path,
    output: Path,
) -> FilmFacts:
    """Join a film from its shots.

    Args:
        plan: What it was to be.
        scenes: Its shots, each in its place.
        blends: The dissolve into a shot, by its id.
        soundtrack: Its sound, if any.
        finish: How clips are joined.
        folder: Takes what is kept for the next time.
        output: The film, which appears whole or not at all.

    Raises:
        MediaError: The shots could not be joined, or not without encoding them again where that was asked for.
        FilmWrong: What came out is not what was planned.
    """
    layout, cuts = layout_of(plan), [scene.cut for scene in scenes]
    film = Film(
        pictures=pictures_of(scenes, blends),
        soundtrack=soundtrack,
        captions=captions_of(plan, scenes),
        chapters=chapters_of(scenes),
        tags={"title": plan.title},
    )
    cuts, reasons = await _why_not_lossless(plan, cuts, layout, finish, folder)
    if reasons == []:
        try:
            facts = await _copied(film, cuts, layout, folder, output)
            # A card is drawn: what is copied of it was coded here.
            return replace(facts, copied_frames=facts.copied_frames - sum(card.frames for card in plan.cards))
        except (MediaError, FilmWrong) as error:
            if finish.seam == "lossless":
                raise
            reasons = [error.message]
    facts = await make_film(film, layout, output)
    return replace(facts, not_lossless=tuple(reasons or ()))


async def prepare_seam(plan: Plan, cut: Cut, later: Cut | None, first: Cut, finish: Finish, folder: Path) -> None:
    """Make what copying `cut` takes as soon as its clip and the one behind are there; nothing where it is not copied.

    What fails here fails when the film is joined, too, and is told then.

    Args:
        plan: What the film is to be.
        cut: A shot or a card.
        later: The one behind it; None at the end of the film.
        first: The film's first shot, which cards are coded to go with.
        finish: How clips are joined.
        folder: Takes what is kept.
    """
    layout = layout_of(plan)
    with suppress(ShotchainError):
        if finish.seam == "conform" or _in_transition(cut, later):
            return
        cuts = await _fitted(plan, [cut] if later is None else [cut, later], first, layout, folder)
        if not await asyncio.to_thread(why_not_lossless, cuts, layout, from_start=False):
            await prepare(cuts[0], None if later is None else cuts[1], layout, folder)


def _in_transition(*cuts: Cut | None) -> bool:
    """Whether something is done to pictures of these, so that they cannot be copied."""
    return any(cut.lead or cut.tail or cut.fade_in or cut.fade_out for cut in cuts if cut is not None)


async def _copied(film: Film, cuts: Sequence[Cut], layout: FilmLayout, folder: Path, output: Path) -> FilmFacts:
    """A film of the clips as they are, but for the frames before each seam."""
    pictures = output.with_name(f"{output.stem}.pictures.mp4")
    try:
        joined = await join_lossless(cuts, layout, pictures, folder)
        film = replace(film, pictures=[Stretch(pictures, joined.frames)], is_one=True)
        facts = await make_film(film, layout, output)
    finally:
        pictures.unlink(missing_ok=True)
    return replace(facts, seam="lossless", copied_frames=joined.copied)


async def _fitted(plan: Plan, cuts: Sequence[Cut], first: Cut, layout: FilmLayout, folder: Path) -> list[Cut]:
    """The same cuts, of cards as clips that go with the others.

    Raises:
        MediaError: There can be no such clip.
    """
    cards = {card.id for card in plan.cards}
    return [await fitted(cut, first, layout, folder) if cut.shot in cards else cut for cut in cuts]


async def _why_not_lossless(
    plan: Plan, cuts: list[Cut], layout: FilmLayout, finish: Finish, folder: Path
) -> tuple[list[Cut], list[str] | None]:
    """What is copied, and why clips have to be encoded again; nothing if they need not be, None where nobody asks.

    Raises:
        MediaError: They have to be, and were not to be.
    """
    if finish.seam == "conform":
        return cuts, None
    if finish.burn_captions:
        return cuts, ["captions are burned into the pictures"]
    cards = {card.id for card in plan.cards}
    shots = [cut for cut in cuts if cut.shot not in cards]
    reasons = await asyncio.to_thread(why_not_lossless, shots, layout)
    if cards and not reasons:
        try:
            cuts = await _fitted(plan, cuts, shots[0], layout, folder)
            reasons = await asyncio.to_thread(why_not_lossless, cuts, layout)
        except MediaError as error:
            reasons = [error.message]
    if reasons and finish.seam == "lossless":
        more = f" (and {len(reasons) - _REASONS_TOLD} more)" if len(reasons) > _REASONS_TOLD else ""
        raise MediaError(
            f"these clips cannot be joined without encoding them again: {'; '.join(reasons[:_REASONS_TOLD])}{more}",
            advice="Run again with --seam auto or conform: the clips are kept and cost nothing more.",
        )
    return cuts, reasons
