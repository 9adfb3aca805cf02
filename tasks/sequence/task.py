"""Conforming, blending, sound and joining, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL.Image import Image
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.clips.taken import Taken
from tasks.handed import Handed
from tasks.media.thread import finish_in_thread
from tasks.plan.model import Plan, PlannedCard, PlannedScene, PlannedShot
from tasks.sequence.assemble import assemble
from tasks.sequence.blend import Blended
from tasks.sequence.conform import Conformed
from tasks.sequence.cuts import cut_of, layout_of
from tasks.sequence.parts import Progress
from tasks.sequence.scenes import scenes_of
from tasks.sequence.shots import Drawn, card_of, dissolve_of, part_of, slate_of
from tasks.sequence.sound.soundtrack import Laid, Mixdown, Shown, Soundtrack, lay_files
from tasks.sequence.stills import Stills, make_stills
from tasks.sequence.timeline import Cut
from tasks.sequence.verify import FilmFacts
from tasks.settings import Finish

__all__ = [
    "blend_shots",
    "conform_shot",
    "draw_card",
    "join_film",
    "lay_sounds",
    "make_sound",
    "slate_shot",
    "take_stills",
]

Parts = Sequence[Handed[Conformed]]


@task(name="conform", task_run_name="{shot.value.id} · conform", cache_policy=NO_CACHE)
async def conform_shot(
    plan: Handed[Plan],
    shot: Handed[PlannedShot],
    taken: Handed[Taken],
    finish: Handed[Finish],
    folder: Path,
    on_frames: Progress | None = None,
) -> Handed[Conformed]:
    """See `part_of`."""
    cut = cut_of(plan.value, shot.value, taken.value.clip)
    return Handed(await part_of(plan.value, shot.value, cut, finish.value, folder, on_frames))


@task(name="dissolve", task_run_name="{shot.value.id} · dissolve", cache_policy=NO_CACHE)
async def blend_shots(
    plan: Handed[Plan],
    shot: Handed[PlannedScene],
    earlier: Handed[Cut],
    later: Handed[Cut],
    takes: Sequence[Handed[Taken] | Handed[Drawn]],  # noqa: ARG001 -- what the graph of a run draws its edges from
    finish: Handed[Finish],
    folder: Path,
) -> Handed[Blended]:
    """See `dissolve_of`."""
    return Handed(await dissolve_of(plan.value, shot.value, earlier.value, later.value, finish.value, folder))


@task(name="card", task_run_name="{card.value.id}", cache_policy=NO_CACHE)
async def draw_card(
    plan: Handed[Plan], card: Handed[PlannedCard], picture: Path | None, finish: Handed[Finish], folder: Path
) -> Handed[Drawn]:
    """See `card_of`."""
    return Handed(await card_of(plan.value, card.value, picture, finish.value, folder))


@task(name="slate", task_run_name="{shot.value.id} · slate", cache_policy=NO_CACHE)
async def slate_shot(plan: Handed[Plan], shot: Handed[PlannedShot], words: str, folder: Path) -> Handed[Drawn]:
    """See `slate_of`."""
    return Handed(await slate_of(plan.value, shot.value, words, folder))


@task(name="lay sounds", task_run_name="lay sounds", cache_policy=NO_CACHE)
async def lay_sounds(plan: Handed[Plan], local: Mapping[str, Path], folder: Path) -> Handed[dict[str, Laid]]:
    """See `lay_files`."""
    return Handed(await lay_files(plan.value, local, folder))


@task(name="sound", task_run_name="sound", cache_policy=NO_CACHE)
async def make_sound(
    mixdown: Handed[Mixdown],
    cuts: Handed[Sequence[Cut]],
    parts: Parts,
    laid: Handed[dict[str, Laid]],  # noqa: ARG001 -- what the graph of a run draws its edges from
) -> Handed[Soundtrack | None]:
    """See `Mixdown.finish`."""
    shown = [Shown(cut, part.value.sound) for cut, part in zip(cuts.value, parts, strict=True)]
    return Handed(await mixdown.value.finish(shown))


@task(name="stills", task_run_name="stills", cache_policy=NO_CACHE)
async def take_stills(
    plan: Handed[Plan], cuts: Handed[Sequence[Cut]], parts: Parts, stills: Handed[Mapping[str, Image]], folder: Path
) -> Handed[Stills]:
    """See `make_stills`."""
    scenes = scenes_of(zip(cuts.value, (part.value for part in parts), strict=True))
    return Handed(await finish_in_thread(make_stills, plan.value, scenes, stills.value, layout_of(plan.value), folder))


@task(name="join", task_run_name="join", cache_policy=NO_CACHE)
async def join_film(
    plan: Handed[Plan],
    cuts: Handed[Sequence[Cut]],
    parts: Parts,
    blends: Mapping[str, Handed[Blended]],
    soundtrack: Handed[Soundtrack | None],
    finish: Handed[Finish],
    folder: Path,
    output: Path,
) -> Handed[FilmFacts]:
    """See `assemble`."""
    scenes = scenes_of(zip(cuts.value, (part.value for part in parts), strict=True))
    dissolves = {shot: blended.value for shot, blended in blends.items()}
    return Handed(await assemble(plan.value, scenes, dissolves, soundtrack.value, finish.value, folder, output))
