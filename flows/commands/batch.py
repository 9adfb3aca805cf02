"""`shotchain batch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.commands.flags import FinishFlags, Json, RunFlags
from flows.commands.output import console, print_json
from tasks.errors import BadInput, Incomplete, PrefectUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.settings import Settings

__all__ = ["batch"]

_DEFAULTS = RunFlags()
_FINISH = FinishFlags()


def batch(
    storyboards: Annotated[str, Parameter(help="A folder of storyboards, or a pattern such as 'boards/**/*.yaml'.")],
    /,
    *,
    output: Annotated[
        str, Parameter(name=["--output", "-o"], help="The folder of the films; any fsspec URL. A film a storyboard.")
    ],
    flags: RunFlags = _DEFAULTS,
    finish: FinishFlags = _FINISH,
    placeholder: Annotated[
        bool, Parameter(negative="", help="Make films even where shots are missing, with slates in their places.")
    ] = False,
    force: Annotated[bool, Parameter(negative="", help="Render also what is published and unchanged.")] = False,
    at_once: Annotated[int, Parameter(help="So many renders at a time.")] = 2,
    json: Json = False,
) -> None:
    """Render each storyboard of a folder whose film is not there or has changed. --budget is for all of them.

    One that fails stops no other. The exit code is the worst: 1, then 6, 3, 4, 5, 2.
    """
    settings = flags.settings(finish)
    if not 1 <= at_once <= 100:
        raise BadInput(f"--at-once {at_once} is out of range", advice="Accepted: 1 to 100.")
    from flows.batches.boards import find_boards
    from tasks.deliver.choice import check_signable, chosen_presets

    find_boards(storyboards, output)  # what is wrong with either is said before a server is started
    check_signable(chosen_presets(settings.finish), settings.signing)
    parameters = {
        "storyboards": storyboards,
        "output": output,
        "placeholder": placeholder,
        "force": force,
        "at_once": at_once,
        "run_on": "here",
        **flags.parameters(),
        **finish.parameters(),
    }
    try:
        told = _run(settings, parameters)
    except Incomplete as error:
        if not json and error.summary:
            _print(error.summary)
        raise
    if json:
        print_json(told)
    else:
        _print(told)


def _run(settings: Settings, parameters: dict[str, Any]) -> dict[str, Any]:
    import httpx

    from flows.commands.running import begun
    from flows.commands.stoppable import Stopped, run_stoppable
    from tasks.clips.store import ClipStore
    from tasks.ledger import open_ledger

    ClipStore(settings.work, settings.cache).check()
    open_ledger(settings.ledger).close()
    with begun(settings.cache):
        from flows.batch import batch as batch_flow
        from tasks.progress import watch

        async def run() -> dict[str, Any]:
            watch(_teller())
            told: dict[str, Any] = await batch_flow(**parameters)
            return told

        try:
            return run_stoppable(run)
        except Stopped as stopped:
            stopped.left = "`shotchain ledger` lists what is still at the provider."
            raise
        except httpx.TransportError as error:
            raise PrefectUnreachable(
                f"the Prefect server went away during the batch: {error}",
                advice="What is paid is kept. Run the same command again.",
            ) from error


def _teller() -> Callable[[Any], None]:
    """Says on stderr what became of each storyboard, as soon as it is known."""
    from tasks.progress import Stage

    told = console(stderr=True)

    def tell(event: Any) -> None:
        if event.stage is Stage.NOTE:
            told.print(event.message, markup=False, highlight=False, soft_wrap=True)

    return tell


def _print(told: dict[str, Any]) -> None:
    from rich.text import Text

    from flows.tables import plain_table, print_table

    table = plain_table(("storyboard", "outcome", "frames", "cost"), right={"frames", "cost"})
    table.add_column("output")
    for row in told["storyboards"]:
        frames = "–" if row["frames"] is None else str(row["frames"])
        table.add_row(Text(row["name"]), row["outcome"], frames, f"${row['cost_usd']}", Text(row["output"] or "–"))
    shown = console()
    print_table(shown, table)
    limit = "" if told["budget_usd"] is None else f" of ${told['budget_usd']}"
    shown.print(f"${told['cost_usd']}{limit} in all", highlight=False)
