"""Looks at the storyboards of a batch before any is rendered: unchanged, broken, or how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flows.batches.boards import Board, clashes
from flows.books.history import learnt_times
from tasks.clips.gate import refuse_unpinned
from tasks.clips.store import ClipStore
from tasks.deliver.presets import Preset
from tasks.errors import StoryboardError
from tasks.plan.build import build_plan
from tasks.plan.catalog import input_formats
from tasks.plan.estimate import estimate
from tasks.plan.model import Plan
from tasks.plan.timing import ClipTimes
from tasks.problems import Problem
from tasks.publish.ownership import check_ours
from tasks.publish.published import is_published
from tasks.sequence.shots import check_finish
from tasks.settings import DEFAULT_FINISH, Finish, Settings
from tasks.storyboard.inputs import inspect_inputs
from tasks.storyboard.read import read_storyboard
from tasks.together import together

__all__ = ["Surveyed", "survey"]

_AT_ONCE = 4
# Seconds a clip, for where none was made yet: storyboards are told apart by how many clips follow one another.
_GUESS_S = Decimal(60)


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A storyboard of a batch, looked at.

    `error` is why it cannot be rendered, else `plan` what there is to make; `manifest` that of its film, where this is
    published and unchanged; `finish` how its clips are to become a film, `presets` what else is made of it; `wall_s`
    how many seconds a render is estimated to take at the provider.
    """

    board: Board
    error: Exception | None = None
    plan: Plan | None = None
    manifest: Mapping[str, Any] | None = None
    finish: Finish = DEFAULT_FINISH
    presets: Sequence[Preset] = ()
    wall_s: Decimal = Decimal(0)


async def survey(
    boards: list[Board], settings: Settings, presets: Sequence[Preset] = (), *, force: bool
) -> list[Surveyed]:
    """Look at all of them; the longest to render come first. Nothing is sent or written.

    Args:
        boards: What was found.
        settings: Whose store, ledger and provider.
        presets: What else is made of each film.
        force: Whether also what is published and unchanged is rendered.
    """
    places = asyncio.Semaphore(_AT_ONCE)
    known: dict[str, ClipTimes] = {}
    clashing = await asyncio.to_thread(clashes, boards, presets)

    async def one(board: Board) -> Surveyed:
        async with places:
            if board.name in clashing:
                problem = Problem(clashing[board.name], file=board.source, accepted="another name for the storyboard")
                return Surveyed(board, StoryboardError([problem]))
            try:
                return await _look(board, settings, presets, known, force=force)
            except Exception as error:  # noqa: BLE001 -- whatever one storyboard meets, the others are looked at
                return Surveyed(board, error)

    found = await together(one(board) for board in boards)
    return sorted(found, key=lambda item: (-item.wall_s, item.board.name))


async def _look(
    board: Board, settings: Settings, presets: Sequence[Preset], known: dict[str, ClipTimes], *, force: bool
) -> Surveyed:
    if board.twin is not None:
        message = f"its film would have the name of that of '{board.twin}'"
        raise StoryboardError([Problem(message, file=board.source, accepted="a name that no other storyboard has")])
    storyboard = await asyncio.to_thread(read_storyboard, board.source)
    facts = await inspect_inputs(storyboard, settings.cache, formats=input_formats())
    plan = build_plan(storyboard, facts, settings.identity)
    refuse_unpinned(plan)
    finish = settings.finish
    check_finish(plan, finish)
    await asyncio.to_thread(board.targets.check, presets)
    await asyncio.to_thread(check_ours, board.targets, presets)
    signed = settings.signing.is_wanted
    looked_at = board.targets, plan, finish, presets
    manifest = None if force else await asyncio.to_thread(is_published, *looked_at, signed=signed)
    if manifest is not None:
        return Surveyed(board, plan=plan, manifest=manifest, finish=finish, presets=presets)
    return Surveyed(board, plan=plan, finish=finish, presets=presets, wall_s=await _wall_s(plan, settings, known))


async def _wall_s(plan: Plan, settings: Settings, known: dict[str, ClipTimes]) -> Decimal:
    reused = await ClipStore(settings.work, settings.cache).has(plan.content_keys)
    if plan.model not in known:
        known[plan.model] = await asyncio.to_thread(learnt_times, settings, plan.model, _GUESS_S)
    told = estimate(plan, reused, times=known[plan.model], max_in_flight=settings.max_in_flight)
    return Decimal(0) if told.schedule is None else told.schedule.wall_s
