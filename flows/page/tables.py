"""The tables and texts of a run's page. Pure: a plan, or what came of it, in; rows and Markdown out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from flows.outcome import Made
from flows.page.words import plain
from flows.page.writer import Rows
from tasks.errors import Charged, NeedFailed, ShotchainError
from tasks.plan.lengths import seconds_of
from tasks.plan.model import Plan, PlannedCard, PlannedShot, number, usd
from tasks.redaction import redact

__all__ = ["bill_of", "graph_of", "plan_of", "progress_of", "shots_of"]

# What Mermaid draws at most, by its own defaults: characters of text, and arrows.
_MOST_CHARS, _MOST_ARROWS = 50_000, 500


def plan_of(plan: Plan, reused: Collection[str]) -> tuple[str, Rows]:
    """What will be made of each shot, and for what price: a description and rows.

    Args:
        plan: What is to be made.
        reused: Content keys of the clips that are in the store.
    """
    counted = set(reused)
    rows: list[dict[str, str | int]] = []
    for shot in plan.scenes:
        if isinstance(shot, PlannedCard):
            rows.append(_card_row(shot, plan.rate))
            continue
        known = sum(take.content_key in reused for take in shot.takes)
        new = {take.content_key for take in shot.takes} - counted
        counted |= new  # takes of one key are one clip, and paid for once
        price = [f"{known} reused" if len(shot.takes) > 1 else "reused"] if known else []
        price += [f"${usd(shot.price_usd * len(new))}"] if new else []
        rows.append(
            {
                "shot": shot.id,
                "mode": shot.mode.replace("_", " "),
                "boundary": str(shot.boundary),
                "waits for": ", ".join(shot.depends_on) or "–",
                "seconds": str(shot.duration_s),
                "generated": str(shot.generate_s),
                "frames": shot.frames,
                "takes": len(shot.takes),
                "price": ", ".join(price) or "shared",
            }
        )
    said = (
        f"**{plain(plan.title)}**: {_count(len(plan.shots), 'shot')}, {plan.frames} frames, "
        f"{number(plan.duration_s)} s, at most ${usd(plan.to_pay_usd(reused))}"
    )
    return said, rows


def _card_row(card: PlannedCard, rate: Fraction) -> dict[str, str | int]:
    return {
        "shot": card.id,
        "mode": "card",
        "boundary": "cut",
        "waits for": "–",
        "seconds": str(number(seconds_of(card.frames, rate))),
        "generated": "–",
        "frames": card.frames,
        "takes": 0,
        "price": "free",
    }


def graph_of(plan: Plan, drawing: str) -> str:
    """The graph as Markdown. `drawing` is Mermaid; what it would refuse to draw is said instead."""
    arrows = sum(len(shot.depends_on) for shot in plan.shots)
    if len(drawing) > _MOST_CHARS or arrows > _MOST_ARROWS:
        return f"{len(plan.shots)} shots are too many to draw. The table `shotchain-plan` says which waits for which.\n"
    return f"```mermaid\n{drawing}```\n"


def progress_of(plan: Plan, made: Made | None, step: str) -> tuple[str, float]:
    """How far a run is: in words, and in percent of its shots. `step` is what is done with the film as a whole."""
    whole = 0 if made is None else len(made.whole())
    failed = 0 if made is None else sum(shot.id in made.failures for shot in made.missing())
    said = f"**{plain(plan.title)}**: {whole} of {_count(len(plan.shots), 'shot')} done"
    if failed:
        said += f", {failed} failed or not begun"
    return said + (f"; {step}" if step else ""), round(100 * whole / max(1, len(plan.shots)), 1)


def shots_of(made: Made) -> tuple[str, Rows]:
    """What became of each shot: a description and rows. Of a run that was stopped too."""
    plan = made.plan
    paid: dict[str, Decimal] = {shot.id: Decimal(0) for shot in plan.shots}
    for taken in made.takes():
        paid[taken.shot] += taken.paid_usd
    whole = {shot.id for shot in made.whole()}
    rows: list[dict[str, str | int]] = []
    for shot in plan.shots:
        error = made.failures.get(shot.id)
        rows.append(
            {
                "shot": shot.id,
                "became": _became(made, shot, error, is_whole=shot.id in whole),
                "take": f"{shot.select} of {len(shot.takes)}",
                "paid": f"${usd(paid[shot.id])}{_in_doubt(error)}",
                "what to change": "–" if error is None else _advice(error),
            }
        )
    lacking = "" if len(whole) == len(plan.shots) else f" {len(plan.shots) - len(whole)} not."
    said = (
        f"**{plain(plan.title)}**: {len(whole)} of {_count(len(plan.shots), 'shot')} made, for "
        f"${usd(sum(paid.values(), Decimal(0)))}.{lacking}"
    )
    return said, rows


def bill_of(manifest: Mapping[str, Any], place: str) -> tuple[str, Rows]:
    """What each take cost: a description and rows. `manifest` is what is published, at `place`."""
    film, delivered = manifest["film"], [deliverable["file"] for deliverable in manifest["deliverables"]]
    said = (
        f"**{plain(str(manifest['title']))}**: paid ${manifest['cost_usd']} for "
        f"{'no film' if film is None else str(film['frames']) + ' frames'}, published to {plain(place)}"
        + (f", with {plain(', '.join(delivered))} beside it" if delivered else "")
    )
    rows: list[dict[str, str | int]] = [
        {
            "shot": shot["id"],
            "take": take["number"],
            "reused": "yes" if take["reused"] else "no",
            "paid": f"${take['paid_usd']}",
            "taskUUID": str(take["taskUUID"]),
            "attempts": len(take["attempts"]),
        }
        for shot in manifest["shots"]
        for take in shot["takes"]
        if take["made"]
    ]
    return said, rows


def _became(made: Made, shot: PlannedShot, error: ShotchainError | None, *, is_whole: bool) -> str:
    if is_whole:
        return "reused" if made.selected(shot).reused else "generated"
    if error is None:
        return "not finished"
    return "skipped" if isinstance(error, NeedFailed) else "failed"


def _in_doubt(error: ShotchainError | None) -> str:
    if error is None or error.charged is Charged.NO:
        return ""
    if error.charged is Charged.UNKNOWN:
        return ", and more may have been charged"
    return ", and more was charged" if error.cost_usd is None else f", and ${usd(error.cost_usd)} was charged"


def _advice(error: ShotchainError) -> str:
    return " ".join(str(redact(f"{error.message}. {error.advice or ''}")).split())


def _count(number_of: int, what: str) -> str:
    return f"{number_of} {what}{'' if number_of == 1 else 's'}"
