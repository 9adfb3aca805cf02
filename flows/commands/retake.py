"""`shotchain retake`."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.commands.flags import Json, OnEmpty, RunFlags, StoryboardFile
from flows.commands.output import console, print_json

if TYPE_CHECKING:
    from flows.commands.prepare import Prepared
    from tasks.storyboard.edit import Edit

__all__ = ["retake"]

_DEFAULTS = RunFlags()


def retake(
    storyboard: StoryboardFile,
    /,
    *shots: Annotated[str, Parameter(help="The shots of which one more take is wanted.")],
    select: Annotated[bool, Parameter(negative="", help="Select the new take, once it is made.")] = False,
    flags: RunFlags = _DEFAULTS,
    on_empty: OnEmpty = None,
    json: Json = False,
) -> None:
    """Make one more take of some shots, and nothing else: no other shot, no film.

    The storyboard's own `takes` is raised by one for each. A take that is wanted already, and not made, is made first.
    """
    from flows.commands.prepare import Prepared, approve, prepare
    from tasks.storyboard.edit import check_rewritable, edited, rewrite
    from tasks.storyboard.read import load_text

    settings = flags.settings()
    text = load_text(storyboard)
    before = asyncio.run(prepare(storyboard, settings, text=text))
    only = list(dict.fromkeys(shots))
    edits = _raised(before, only)
    wishes = [*edits, *(_selections(before, only, edits) if select else [])]
    if wishes:
        check_rewritable(storyboard, wishes)
    new_text = edited(text, storyboard, edits)
    after = asyncio.run(prepare(storyboard, settings, text=new_text))
    _check_needs(after, only)
    part = after.plan.part(only)
    wanted = Prepared(part, after.reused, part.to_pay_usd(after.reused), after.settings, after.tags)
    _say_price(wanted)
    approved = approve(wanted, flags)
    if approved:
        approved["approved_plan"] = after.plan.fingerprint
    rewrite(storyboard, text, new_text, edits)

    from flows.commands.running import run_render

    parameters = {
        "storyboard": storyboard,
        "output": f"{Path(storyboard.rsplit('/', 1)[-1]).stem}.mp4",
        "only": only,
        "on_empty": on_empty,
        **flags.parameters(),
        **approved,
    }
    outcome = run_render(settings, wanted, parameters)
    last = {shot.id: len(shot.takes) for shot in part.shots}
    _finish(storyboard, flags, outcome, last, select=select, json=json)


def _raised(before: Prepared, only: Sequence[str]) -> list[Edit]:
    """What the storyboard is to say: one more take of each shot whose last one is made.

    Raises:
        BadInput: No shot is named, or one that there is not, or one that has as many takes as there can be.
    """
    from flows.commands.choosing import planned_shot
    from tasks.errors import BadInput
    from tasks.storyboard.edit import Edit
    from tasks.storyboard.values import MAX_TAKES

    if not only:
        ids = ", ".join(shot.id for shot in before.plan.shots)
        raise BadInput("no shot is named", advice=f"Accepted: one or more of {ids}.")
    edits = []
    for name in only:
        shot = planned_shot(before.plan, name)
        if shot.takes[-1].content_key not in before.reused:
            continue
        if len(shot.takes) >= MAX_TAKES:
            raise BadInput(
                f"there are {MAX_TAKES} takes of it already, and more cannot be",
                shot=name,
                file=before.plan.file,
                advice="Choose one of them with `shotchain takes`, or say something else in its prompt.",
            )
        edits.append(Edit(name, "takes", len(shot.takes) + 1))
    return edits


def _selections(before: Prepared, only: Sequence[str], edits: Sequence[Edit]) -> list[Edit]:
    """What the storyboard is to say once the takes are made: the last one of each shot is selected."""
    from tasks.storyboard.edit import Edit

    last = {name: len(before.plan.shot(name).takes) for name in only} | {edit.shot: edit.value for edit in edits}
    return [Edit(name, "select", number) for name, number in last.items()]


def _check_needs(after: Prepared, only: Sequence[str]) -> None:
    """See whether what the shots need of others is there.

    Raises:
        BadInput: It is not, so that the take would wait for what nobody makes.
    """
    from tasks.errors import BadInput

    plan = after.plan
    for name in only:
        for need in plan.shot(name).depends_on:
            if need not in only and plan.shot(need).selected.content_key not in after.reused:
                raise BadInput(
                    f"it takes a frame or the clip of '{need}', of which the selected take is not made",
                    shot=name,
                    file=plan.file,
                    advice=f"Name '{need}' too, or render the film first. Nothing was spent or written.",
                )


def _say_price(wanted: Prepared) -> None:
    from tasks.plan.model import usd

    for shot in wanted.plan.shots:
        for take in shot.takes:
            if take.content_key not in wanted.reused:
                words = f"{shot.id} · take {take.number}: ${usd(shot.price_usd)}"
                console(stderr=True).print(words, markup=False, highlight=False)


def _finish(
    storyboard: str, flags: RunFlags, outcome: dict[str, Any], last: dict[str, int], *, select: bool, json: bool
) -> None:
    from flows.commands.choosing import choose, clip_place
    from flows.commands.take_tables import print_choices
    from tasks.clips.store import ClipStore

    settings = flags.settings()
    store = ClipStore(settings.work, settings.cache)
    for take in outcome["takes"]:
        take["clip"] = clip_place(store, take["content_key"]) or take["clip"]
    chosen = asyncio.run(choose(storyboard, settings, last)) if select else None
    if json:
        print_json({**outcome, **({} if chosen is None else chosen.as_dict())})
        return
    told = console()
    for take in outcome["takes"]:
        if take["reused"] and take["number"] != last[take["shot"]]:
            continue
        told.print(
            f"{take['shot']} · take {take['number']}: {take['clip']}", markup=False, highlight=False, soft_wrap=True
        )
        if chosen is None:
            command = _command(storyboard, flags, take["shot"], take["number"])
            told.print(f"    select it: {command}", markup=False, highlight=False, soft_wrap=True)
    paid = "of play money" if settings.identity == "emulator" else "paid"
    told.print(f"${outcome['cost_usd']} {paid}", highlight=False)
    if chosen is not None:
        print_choices(told, chosen.as_dict(), chosen.diff)


def _command(storyboard: str, flags: RunFlags, shot: str, number: int) -> str:
    """The command that selects a take, as one would type it."""
    words = ["shotchain", "takes", storyboard, shot, str(number)]
    given = {"--provider": flags.provider, "--base-url": flags.base_url, "--work": flags.work, "--ledger": flags.ledger}
    for flag, value in given.items():
        if value is not None and value != getattr(_DEFAULTS, flag.removeprefix("--").replace("-", "_")):
            words += [flag, value]
    return shlex.join(words)
