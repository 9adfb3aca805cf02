"""`shotchain takes`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.commands.flags import BaseUrl, Json, LedgerUrl, Provider, StoryboardFile, Work
from flows.commands.output import console, print_json
from tasks.settings import resolve_settings

if TYPE_CHECKING:
    from flows.books.past import Past
    from flows.commands.prepare import Prepared
    from tasks.clips.store import ClipStore

__all__ = ["takes"]


def takes(
    storyboard: StoryboardFile,
    shot: Annotated[str | None, Parameter(help="Only the takes of this shot.")] = None,
    number: Annotated[int | None, Parameter(help="Select this take of it, in the storyboard.")] = None,
    /,
    *,
    provider: Provider = "runware",
    base_url: BaseUrl = None,
    work: Work = None,
    ledger: LedgerUrl = None,
    json: Json = False,
) -> None:
    """List the takes of each shot, or select one. Sends nothing, spends nothing."""
    from flows.books.past import past_of
    from flows.commands.choosing import choose, planned_shot
    from flows.commands.prepare import prepare
    from flows.commands.take_tables import print_choices, print_takes
    from tasks.clips.store import ClipStore
    from tasks.plan.model import usd

    settings = resolve_settings(provider=provider, base_url=base_url, work=work, ledger=ledger, needs_key=False)
    if shot is not None and number is not None:
        chosen = asyncio.run(choose(storyboard, settings, {shot: number}))
        if json:
            print_json(chosen.as_dict())
        else:
            print_choices(console(), chosen.as_dict(), chosen.diff)
        return
    prepared = asyncio.run(prepare(storyboard, settings))
    if shot is not None:
        planned_shot(prepared.plan, shot)
    past = past_of(prepared.plan, settings.ledger)
    told = _told(prepared, past, ClipStore(settings.work, settings.cache))
    shots = [item for item in told if shot in {None, item["id"]}]
    if json:
        plan = prepared.plan
        head = {"title": plan.title, "storyboard": plan.file, "provider": plan.provider}
        print_json({**head, "shots": shots, "to_pay_usd": usd(prepared.to_pay_usd)})
    else:
        print_takes(console(), shots)


def _told(prepared: Prepared, past: Past, store: ClipStore) -> list[dict[str, Any]]:
    from flows.commands.choosing import clip_place
    from tasks.plan.model import usd

    def one(key: str) -> dict[str, Any]:
        made = key in prepared.reused
        tries = past.attempts.get(key, ())
        state = "stored" if made else str(tries[-1].state) if tries else "not made"
        if not made and state == "stored":
            state = "gone"
        return {"made": made, "state": state, "clip": clip_place(store, key) if made else None}

    return [
        {
            "id": shot.id,
            "select": shot.select,
            "takes": [
                {
                    "number": take.number,
                    "selected": take.number == shot.select,
                    **one(take.content_key),
                    "price_usd": usd(shot.price_usd),
                    "content_key": take.content_key,
                }
                for take in shot.takes
            ],
        }
        for shot in prepared.plan.shots
    ]
