"""Shows what has changed since a storyboard was rendered, and which takes there are to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasks.plan.diff import PlanDiff, TakeDiff
from tasks.plan.model import usd

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["print_choices", "print_diff", "print_takes"]

_NUMBERS = {"take", "cost", "price"}


def print_diff(console: Console, told: PlanDiff, *, is_short: bool = False) -> None:
    """A line a take: reused or generated, why, for how much; then the sum. If short, only what is generated."""
    from rich.text import Text

    from flows.tables import plain_table, print_table

    shown = told.generated if is_short else told.takes
    if shown:
        table = plain_table(("shot", "take", "what", "why", "cost"), right=_NUMBERS)
        for take in shown:
            style = "" if take.is_generated else "dim"
            cost = f"${usd(take.cost_usd)}"
            table.add_row(
                Text(take.shot, style), Text(str(take.number), style), _what(take), Text(take.why), Text(cost, style)
            )
        print_table(console, table)
    for shot in () if is_short else told.removed:
        console.print(Text(f"'{shot}' is no longer in the storyboard; its clips stay in the store", "dim"))
    if not told.compared:
        console.print("no earlier render of this storyboard is remembered", style="dim", highlight=False)
    reused = len(told.takes) - len(told.generated)
    if not told.generated:
        console.print(f"nothing to generate: all {reused} takes are there; to pay: $0.00", highlight=False)
        return
    takes = "take" if len(told.generated) == 1 else "takes"
    console.print(
        f"{len(told.generated)} {takes} to generate, {reused} reused; to pay: ${usd(told.to_pay_usd)}", highlight=False
    )


def print_takes(console: Console, shots: Sequence[Mapping[str, Any]]) -> None:
    """A line a take of each shot: whether it is selected, what there is of it, its price, where its clip lies."""
    from rich.text import Text

    from flows.tables import plain_table, print_table

    table = plain_table(("shot", "take", "selected", "state", "price", "clip"), right=_NUMBERS)
    for shot in shots:
        for take in shot["takes"]:
            table.add_row(
                Text(shot["id"]),
                str(take["number"]),
                "yes" if take["selected"] else "",
                Text(take["state"], "green" if take["made"] else "yellow"),
                f"${take['price_usd']}",
                Text(take["clip"] or ""),
            )
    print_table(console, table)


def print_choices(console: Console, chosen: Mapping[str, Any], told: PlanDiff) -> None:
    """Which takes are selected now, whose frames change by it, and what the next render costs."""
    for choice in chosen["choices"]:
        was = f", instead of take {choice['was']}" if choice["was"] != choice["take"] else ", as before"
        console.print(f"'{choice['shot']}': take {choice['take']} is selected{was}", markup=False, highlight=False)
        if not choice["made"]:
            console.print("    it is not made yet", style="yellow", highlight=False)
    if chosen["stale"]:
        names = ", ".join(f"'{shot}'" for shot in chosen["stale"])
        console.print(f"what takes a frame or the clip of it is made anew: {names}", markup=False, highlight=False)
    print_diff(console, told, is_short=True)


def _what(take: TakeDiff) -> Any:
    from rich.text import Text

    return Text("generated", "yellow") if take.is_generated else Text("reused", "cyan")
