"""`shotchain store`: look after the clips that were paid for, and after what is kept beside them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from flows.commands.flags import Json, LedgerUrl, Work
from flows.commands.output import console, print_json
from tasks.errors import BadInput, Incomplete
from tasks.local_path import local_path
from tasks.settings import Settings, resolve_settings
from tasks.storage import locate

if TYPE_CHECKING:
    from tasks.clips.caches import CacheUse
    from tasks.clips.discard import Discarded, Item, Rules
    from tasks.clips.upkeep import Finding, Verified
    from tasks.ledger import Attempt, Ledger

__all__ = ["store"]

store = App(name="store", help="Check the clips that were paid for, and delete what nobody needs.")


@store.command
def verify(
    *,
    work: Work = None,
    ledger: LedgerUrl = None,
    quick: Annotated[bool, Parameter(negative="", help="Compare length and sha256 only, decode nothing.")] = False,
    set_aside: Annotated[bool, Parameter(negative="", help="Move what is damaged out of the way.")] = False,
    json: Json = False,
) -> None:
    """Read every clip of the store to its end and say which are not whole. Spends nothing."""
    from tasks.clips.scratch import scratch_folder
    from tasks.clips.store import ClipStore
    from tasks.clips.upkeep import attempts_by_key
    from tasks.clips.upkeep import verify as verify_clips

    settings = resolve_settings(work=work, ledger=ledger, needs_key=False)
    if work is not None:
        _check_there(work)
    clips, attempts = ClipStore(settings.work, settings.cache), _known(settings, ledger_is_named=ledger is not None)
    known, by_task = attempts_by_key(attempts), {attempt.task_uuid: attempt for attempt in attempts}
    options = {"quick": quick, "set_aside": set_aside}
    with scratch_folder(settings.cache) as scratch, _counting("verifying") as tell:
        found = asyncio.run(verify_clips(clips, known, scratch, **options, tell=tell, by_task=by_task))
    summary = _verified(found, quick=quick)
    if not json:
        _print_findings(found, clips.root.child("clips").shown)
    if found.damaged:
        done = "They are out of the way now." if set_aside else "With --set-aside they are moved out of the way now."
        raise Incomplete(
            f"{len(found.damaged)} of {found.clips} clips in the store are not whole",
            advice="The next render that needs one fetches it from the provider again, at no cost, if it is still "
            f"there; nothing is paid again by itself. {done}",
            failures=(),
            summary=summary,
        )
    if json:
        print_json(summary)


@store.command
def gc(
    *,
    work: Work = None,
    ledger: LedgerUrl = None,
    older_than: Annotated[float, Parameter(help="Days after which a clip may go that no remembered plan names.")] = 30,
    unselected: Annotated[
        bool, Parameter(negative="", help="Also takes that a remembered plan has and does not select.")
    ] = False,
    foreign: Annotated[
        bool, Parameter(negative="", help="Also old clips of which this ledger knows nothing: another one may.")
    ] = False,
    forget: Annotated[str | None, Parameter(help="First forget the plan of the storyboard with this title.")] = None,
    cache: Annotated[
        bool, Parameter(negative="", help="The local caches instead of the clip store: all that is not in use.")
    ] = False,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="Delete; else it is only shown.")] = False,
    json: Json = False,
) -> None:
    """Show what nobody needs, and what making it again would cost; delete it with --yes.

    What an attempt holds that is not over, and the selected take of any remembered plan, is always kept.
    """
    from tasks.clips.discard import Rules
    from tasks.ledger import open_ledger

    settings = resolve_settings(work=work, ledger=ledger, needs_key=False)
    if not 0 <= older_than <= 36_500:
        raise BadInput(f"--older-than {older_than:g} is out of range", advice="Accepted: 0 to 36500 days.")
    if cache:
        if unselected or foreign or forget is not None:
            raise BadInput("--cache is about copies, not about takes", advice="Give it alone, with or without --yes.")
        _collect_caches(settings, yes=yes, json=json)
        return
    rules = Rules(timedelta(days=older_than), unselected, foreign)
    with open_ledger(settings.ledger, create=False) as opened:
        plans = _plans_to_forget(opened, forget)
        if forget is not None and yes:
            opened.forget_plans(forget)
        items, gone = asyncio.run(_collect(settings, opened, rules, forgetting=None if yes else forget, yes=yes))
    if json:
        print_json(_collected(items, gone, forgotten=plans))
    else:
        _print_collected(items, gone)


def _check_there(work: str) -> None:
    """See that a folder is there which somebody names; a mistyped one must not pass for a store that is whole.

    Raises:
        BadInput: It is not.
    """
    place = locate(work)
    if place.local is not None and not place.is_folder():
        raise BadInput(
            f"there is no clip store at {place.shown}",
            advice="Name another with --work or SHOTCHAIN_WORK. The first run makes one.",
        )


def _known(settings: Settings, *, ledger_is_named: bool) -> list[Attempt]:
    from tasks.ledger import open_ledger

    is_file = "://" not in settings.ledger
    if is_file and not ledger_is_named and not local_path(settings.ledger).exists():
        return []  # a store can be looked at without one; only for which shots its clips were made is not known then
    with open_ledger(settings.ledger, create=False) as opened:
        return opened.attempts()


def _plans_to_forget(ledger: Ledger, title: str | None) -> int:
    """How many plans that are.

    Raises:
        BadInput: No plan has this title, or a run is being made from one.
    """
    if title is None:
        return 0
    plans = ledger.remembered_plans()
    mine = [plan for plan in plans if plan.storyboard == title]
    if not mine:
        titles = ", ".join(sorted({f"'{plan.storyboard}'" for plan in plans})) or "none"
        raise BadInput(f"no plan of a storyboard '{title}' is remembered", advice=f"Remembered: {titles}.")
    if any(ledger.is_alive(plan.run_id) for plan in mine):
        raise BadInput(f"'{title}' is being rendered now", advice="Wait for its end. Nothing was deleted.")
    return len(mine)


async def _collect(
    settings: Settings, ledger: Ledger, rules: Rules, *, forgetting: str | None, yes: bool
) -> tuple[list[Item], Discarded | None]:
    from tasks.clips.discard import discard, judge, read_claims
    from tasks.clips.store import ClipStore
    from tasks.clips.upkeep import attempts_by_key
    from tasks.clips.writing import in_ledger

    clips = ClipStore(settings.work, settings.cache)
    claims = await in_ledger(read_claims, ledger, forgetting=forgetting)
    attempts = await in_ledger(ledger.attempts)
    known, by_task = attempts_by_key(attempts), {attempt.task_uuid: attempt for attempt in attempts}
    items = judge(await asyncio.to_thread(clips.inventory), claims, known, rules, datetime.now(UTC), by_task)
    return items, await discard(clips, ledger, items, rules) if yes else None


def _collect_caches(settings: Settings, *, yes: bool, json: bool) -> None:
    from tasks.clips.caches import bound_caches, cache_uses
    from tasks.clips.scratch import sweep_scratch

    uses = cache_uses(settings.cache)
    dropped = None
    if yes:
        sweep_scratch(settings.cache)
        dropped = bound_caches(settings.cache, 0)
    if not json:
        _print_caches(uses, dropped)
        return
    caches = [{name: getattr(use, name) for name in use.__slots__} for use in uses]
    size = sum(use.idle_bytes for use in uses) if dropped is None else dropped
    print_json({"deleted": yes, "caches": caches, "size_bytes": size})


# -- what people and programs are told ---------------------------------------------------------------------------------


def _verified(found: Verified, *, quick: bool) -> dict[str, Any]:
    return {
        "clips": found.clips,
        "size_bytes": found.size_bytes,
        "damaged": len(found.damaged),
        "quick": quick,
        "findings": [finding.as_dict() for finding in found.findings],
    }


def _print_findings(found: Verified, where: str) -> None:
    out = console()
    if found.findings:
        names = ("what", "storyboard", "shot", "take", "price", "file", "")
        _print_table(out, names, map(_finding_row, found.findings))
        out.print(f"in {where}", markup=False, highlight=False, soft_wrap=True)
    if not found.damaged:
        whole = f"{found.clips} {'clip' if found.clips == 1 else 'clips'}, {_bytes(found.size_bytes)}: all whole"
        told = whole if found.clips else f"there is no clip in {where}"
        out.print(told, markup=False, highlight=False, soft_wrap=True)


def _finding_row(finding: Finding) -> tuple[str, ...]:
    price = "" if finding.cost_usd is None else _usd(finding.cost_usd)
    words = f"{finding.message}; moved aside" if finding.aside else finding.message
    take = str(finding.take or "")
    file = finding.path.rpartition("/")[2]
    return (str(finding.flaw), finding.storyboard or "", finding.shot or "", take, price, file, words)


def _collected(items: Sequence[Item], gone: Discarded | None, *, forgotten: int) -> dict[str, Any]:
    chosen = _chosen(items, gone)
    return {
        "deleted": gone is not None,
        "items": [item.as_dict() for item in chosen],
        "size_bytes": sum(item.size_bytes for item in chosen),
        "cost_usd": {provider: _usd(amount).removeprefix("$") for provider, amount in _costs(chosen).items()},
        "kept": _kept(items),
        "spared": [] if gone is None else [item.key for item in gone.spared],
        "forgotten": forgotten,
    }


def _print_collected(items: Sequence[Item], gone: Discarded | None) -> None:
    out, chosen = console(), _chosen(items, gone)
    if chosen:
        names = ("why", "storyboard", "shot", "take", "stored (UTC)", "size", "price", "file")
        _print_table(out, names, map(_item_row, chosen))
    kept = ", ".join(f"{number} {why}" for why, number in _kept(items).items()) or "nothing"
    lines = [f"kept: {kept}"]
    if gone is not None and gone.spared:
        lines.append(f"spared, since a run has come to count on them: {len(gone.spared)}")
    if chosen:
        size = _bytes(sum(item.size_bytes for item in chosen))
        costs = " and ".join(f"{_usd(amount)} at {provider}" for provider, amount in _costs(chosen).items())
        again = f"; to make its clips again: {costs}" if costs else ""
        lines.append(f"{'goes' if gone is None else 'deleted'}: {len(chosen)}, {size}{again}")
    lines.append("Nothing was deleted. Delete it with --yes." if gone is None and chosen else "")
    for line in filter(None, lines):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _item_row(item: Item) -> tuple[str, ...]:
    made = item.attempt
    return (
        str(item.why),
        "" if made is None else made.storyboard,
        "" if made is None else made.shot,
        "" if made is None else str(made.take),
        "" if item.since is None else f"{item.since:%Y-%m-%d %H:%M}",
        _bytes(item.size_bytes),
        _usd(item.cost_usd) if item.cost_usd else "",
        item.names[0] if item.names else f"{item.key}.json",
    )


def _print_caches(uses: Sequence[CacheUse], dropped: int | None) -> None:
    out = console()
    rows = [(use.name, str(use.files), _bytes(use.size_bytes), _bytes(use.idle_bytes)) for use in uses]
    _print_table(out, ("cache", "files", "size", "not in use"), rows)
    idle = sum(use.idle_bytes for use in uses)
    line = "all of it is in use"
    if dropped is not None:
        line = f"deleted: {_bytes(dropped)}"
    elif idle:
        line = f"goes: {_bytes(idle)}; it can be made again at no cost. Delete it with --yes."
    out.print(line, markup=False, highlight=False)


def _print_table(out: Any, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.text import Text

    from flows.tables import plain_table, print_table

    table = plain_table(names, right={"take", "price", "size", "files", "not in use"})
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    print_table(out, table)


def _chosen(items: Sequence[Item], gone: Discarded | None) -> list[Item]:
    return [item for item in items if item.goes] if gone is None else list(gone.gone)


def _kept(items: Sequence[Item]) -> dict[str, int]:
    return dict(sorted(Counter(str(item.why) for item in items if not item.goes).items()))


def _costs(items: Sequence[Item]) -> dict[str, Decimal]:
    costs: dict[str, Decimal] = {}
    for item in items:
        if item.cost_usd:
            provider = item.provider or "an unknown provider"
            costs[provider] = costs.get(provider, Decimal(0)) + item.cost_usd
    return costs


@contextmanager
def _counting(what: str) -> Iterator[Any]:
    """Count up on a terminal while the block lasts; gives the function to tell, or None."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield None
        return
    with out.status(f"{what} …") as status:
        yield lambda done, of: status.update(f"{what}: {done} of {of}")


def _usd(amount: Decimal) -> str:
    from tasks.plan.model import usd

    return f"${usd(amount)}"


def _bytes(size: int) -> str:
    for limit, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= limit:
            return f"{size / limit:.1f} {unit}"
    return f"{size} B"
