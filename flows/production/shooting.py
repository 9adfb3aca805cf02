"""The shots of a plan: every one starts as soon as what it needs exists, and nothing waits for more.

One coroutine a shot waits for the shots that it takes frames of, has its takes made, and conforms the selected one
while others are still being generated. A shot that fails stops only the shots that need it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise

from flows.outcome import Made
from flows.page import page_of_run
from flows.production.cards import drawn_card
from flows.production.studio import Studio
from tasks.clips.gate import Reserved, lacks_money
from tasks.clips.taken import Taken
from tasks.clips.task import bring, generate
from tasks.errors import MediaError, NeedFailed, ShotchainError
from tasks.handed import Handed
from tasks.media.thread import finish_in_thread
from tasks.plan.model import Plan, PlannedCard, PlannedScene, PlannedShot, PlannedTake
from tasks.progress import Event, Stage
from tasks.sequence.assemble import prepare_seam
from tasks.sequence.shots import Drawn
from tasks.sequence.stills import still_of
from tasks.sequence.task import blend_shots, conform_shot

__all__ = ["make_shots"]


async def make_shots(
    studio: Studio,
    plan: Plan,
    reserved: Handed[Reserved],
    *,
    at_hand: Mapping[str, Handed[Taken]] | None = None,
    is_conforming: bool = True,
    so_far: Made | None = None,
    conformed: Callable[[Made], None] = lambda _: None,
) -> Made:
    """Have all takes of a plan made.

    Args:
        studio: What the run works with.
        plan: What is to be made.
        reserved: What the gate held.
        at_hand: Selected takes of shots that the plan's shots need and that are not among them.
        is_conforming: Whether the selected takes are brought to the film's layout too.
        so_far: What was made of the plan before, to go on with; it is what is given back.
        conformed: Told of what there is, whenever a shot was brought to the film's layout.

    Returns:
        What there is, and what failed.
    """
    made = so_far or Made(plan, is_conforming)
    if page := page_of_run():
        page.follow(made)
    loop = asyncio.get_running_loop()
    selected: dict[str, asyncio.Future[Handed[Taken]]] = {shot.id: loop.create_future() for shot in plan.shots}
    for shot_id, taken in (at_hand or {}).items():
        selected[shot_id] = loop.create_future()
        selected[shot_id].set_result(taken)
    for shot in plan.shots:
        if (shot.id, shot.select) in made.taken:
            selected[shot.id].set_result(made.taken[shot.id, shot.select])
    drawn: dict[str, asyncio.Future[Handed[Drawn]]] = {card.id: loop.create_future() for card in plan.cards}

    needed = {need for shot in plan.shots for need in shot.depends_on}

    def is_read(shot: PlannedShot, take: PlannedTake) -> bool:
        """Whether anybody here needs the bytes of a clip; of all others the store's record is enough."""
        if take.number != shot.select:
            return is_conforming and studio.settings.finish.timeline
        return is_conforming or shot.id in needed

    async def one_take(shot: PlannedShot, take: PlannedTake, upstream: dict[str, Handed[Taken]]) -> None:
        if (shot.id, take.number) in made.taken:
            return
        taken = await generate(studio.generator, Handed(shot), Handed(take), reserved, upstream)
        if is_read(shot, take) and not taken.value.is_here:
            taken = await bring(studio.generator, taken, Handed(shot), Handed(take), upstream)
        made.taken[shot.id, take.number] = taken
        if take.number == shot.select:
            selected[shot.id].set_result(taken)

    async def one_shot(shot: PlannedShot) -> None:
        upstream = {}
        for need in shot.depends_on:
            try:
                upstream[need] = await asyncio.shield(selected[need])
            except ShotchainError as error:
                raise NeedFailed(f"not begun, since it takes a frame of '{need}'", shot=shot.id) from error
        takes = [asyncio.ensure_future(one_take(shot, take, upstream)) for take in shot.takes]
        part = asyncio.ensure_future(one_part(shot, takes[shot.select - 1]))
        # One take that fails does not stop the others: they may be paid for already. That money ran out is what stops
        # the run, so it is told before what became of another take.
        await _settled([*takes, part], first=lacks_money)

    def progress(shot: PlannedShot) -> Callable[[int], None]:
        def tell(frames: int) -> None:
            studio.observe(Event(Stage.CONFORMING, shot.id, message=f"{frames} of {shot.frames} frames"))

        return tell

    async def one_part(shot: PlannedShot, selected_take: asyncio.Future[None]) -> None:
        await asyncio.wait([selected_take])
        taken = made.taken.get((shot.id, shot.select))
        if taken is not None and is_conforming and shot.id not in made.parts:
            made.parts[shot.id] = await conform_shot(
                Handed(plan),
                Handed(shot),
                taken,
                Handed(studio.settings.finish),
                studio.conformed,
                on_frames=progress(shot),
            )
            with suppress(MediaError):  # the contact sheet goes without it, and the film is not held up
                cut, part = made.cut(shot), made.parts[shot.id].value
                made.stills[shot.id] = await finish_in_thread(still_of, plan, cut, part)
            studio.observe(Event(Stage.CONFORMED, shot.id))
            conformed(made)

    async def one_card(card: PlannedCard) -> None:
        """A card, while the provider is at work. What fails here fails when the film is joined, and is told then."""
        if not is_conforming:
            return
        try:
            drawn[card.id].set_result(await drawn_card(studio, made, card))
        except Exception as error:
            drawn[card.id].set_exception(ShotchainError(f"the {card.id} could not be drawn: {error}"))
            drawn[card.id].exception()  # nobody may be waiting for it
            if not isinstance(error, ShotchainError):
                raise

    def there(scene: PlannedScene) -> asyncio.Future[Handed[Taken]] | asyncio.Future[Handed[Drawn]]:
        return drawn[scene.id] if isinstance(scene, PlannedCard) else selected[scene.id]

    async def one_blend(before: PlannedScene, shot: PlannedScene) -> None:
        """The frames in which two scenes dissolve, as soon as there are both.

        What fails here is tried once more when the film is joined, and told then.
        """
        if not shot.overlap or not is_conforming or shot.id in made.blends:
            return
        try:
            takes: list[Handed[Taken] | Handed[Drawn]] = [await asyncio.shield(there(it)) for it in (before, shot)]
            earlier, later = made.cut(before), made.cut(shot)
        except ShotchainError:
            return  # the shot that is missing, or too short, says why
        with suppress(ShotchainError):
            made.blends[shot.id] = await blend_shots(
                Handed(plan),
                Handed(shot),
                Handed(earlier),
                Handed(later),
                takes,
                Handed(studio.settings.finish),
                studio.conformed,
            )

    async def one_seam(scene: PlannedScene, behind: PlannedScene | None) -> None:
        """What copying a clip takes, as soon as there is the one behind it."""
        if not is_conforming or studio.settings.finish.seam == "conform":
            return
        try:
            for it in (plan.shots[0], scene, *([behind] if behind else [])):
                await asyncio.shield(there(it))
            cuts = made.cut(scene), made.cut(behind) if behind else None, made.cut(plan.shots[0])
        except ShotchainError:
            return  # the shot that is missing, or too short, says why
        await prepare_seam(plan, *cuts, studio.settings.finish, studio.conformed)

    async def guarded(shot: PlannedShot) -> None:
        try:
            await one_shot(shot)
        except ShotchainError as error:
            made.failures[shot.id] = error
            stage = Stage.SKIPPED if isinstance(error, NeedFailed) else Stage.FAILED
            studio.observe(Event(stage, shot.id, message=error.message))
            tell_dependents(shot, error)
            if isinstance(error, NeedFailed):
                await studio.generator.forgo(shot)
        except Exception as error:
            # A bug of ours ends the run; nobody may wait for this shot for ever.
            tell_dependents(shot, ShotchainError(f"'{shot.id}' could not be made: {error}", shot=shot.id))
            raise

    def tell_dependents(shot: PlannedShot, error: ShotchainError) -> None:
        if not selected[shot.id].done():
            selected[shot.id].set_exception(error)
            selected[shot.id].exception()  # nobody may be waiting for it

    behind = [*plan.scenes[1:], None]
    work = [guarded(shot) for shot in plan.shots]
    work += [one_card(card) for card in plan.cards]
    work += [one_blend(before, scene) for before, scene in pairwise(plan.scenes)]
    work += [one_seam(scene, after) for scene, after in zip(plan.scenes, behind, strict=True)]
    await _settled([asyncio.ensure_future(it) for it in work])
    return made


async def _settled(
    tasks: Sequence[asyncio.Future[None]], first: Callable[[BaseException], bool] = lambda _: False
) -> None:
    """Wait for all to end, then raise an error of those there were, rather one that is to be told `first`.

    All are ended if this is cancelled.
    """
    if not tasks:
        return
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    for task in sorted(tasks, key=lambda task: not ((error := task.exception()) is not None and first(error))):
        task.result()
