"""`shotchain render`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter

from flows.commands.flags import FinishFlags, Json, OnEmpty, Output, RunFlags, StoryboardFile
from flows.commands.output import console, print_json

__all__ = ["render"]

_DEFAULTS = RunFlags()
_FINISH = FinishFlags()


def render(
    storyboard: StoryboardFile,
    /,
    *,
    output: Output = None,
    flags: RunFlags = _DEFAULTS,
    finish: FinishFlags = _FINISH,
    placeholder: Annotated[
        bool, Parameter(negative="", help="Make a film even where shots are missing, with slates in their places.")
    ] = False,
    on_empty: OnEmpty = None,
    json: Json = False,
) -> None:
    """Render a storyboard to a film. Run again after whatever happened: what is paid is not paid again."""
    from flows.commands.prepare import approve, prepare
    from tasks.deliver.choice import check_signable, chosen_presets
    from tasks.publish.ownership import check_apart, check_ours
    from tasks.publish.targets import targets_of
    from tasks.storyboard.read import name_of

    settings = flags.settings(finish)
    output = output if output is not None else f"{name_of(storyboard).replace('/', '-')}.mp4"
    presets = chosen_presets(settings.finish)
    targets = targets_of(output)
    targets.check(presets)
    check_ours(targets, presets)
    if settings.signing.is_wanted:
        from tasks.provenance.credentials import check_signing

        check_signing(settings.signing)
    check_signable(presets, settings.signing)
    prepared = asyncio.run(prepare(storyboard, settings))
    check_apart(targets, presets, prepared.inputs)
    approved = approve(prepared, flags)
    from flows.commands.running import run_render

    parameters = {
        "storyboard": storyboard,
        "output": output,
        "placeholder": placeholder,
        "on_empty": on_empty,
        **flags.parameters(),
        **finish.parameters(),
        **approved,
    }
    outcome = run_render(settings, prepared, parameters)
    if json:
        print_json(outcome)
        return
    from flows.display import print_outcome

    print_outcome(console(), outcome)
    if (why := outcome["unsigned_because"]) is not None:
        console(stderr=True).print(f"not signed: {why}", style="dim", markup=False, highlight=False, soft_wrap=True)
