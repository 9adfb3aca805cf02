"""Decides which stored files may go, and lets them go, so that no plan and no payment loses a clip that it counts on.

Kept is, whatever is asked for: what an attempt that is not over holds, and the selected take of any remembered plan.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from tasks.clips.inventory import Inventory, Loose
from tasks.clips.record import ClipRecord
from tasks.clips.store import ClipStore
from tasks.clips.writing import in_ledger
from tasks.errors import BadInput, Charged
from tasks.ledger import LIVE, Attempt, RememberedPlan, State
from tasks.ledger.ledger import Ledger
from tasks.ledger.states import OVER
from tasks.storage import StoredFile

__all__ = ["Claims", "Discarded", "Item", "Rules", "Why", "claims_of", "discard", "judge", "read_claims"]

# Between a clip's file and its record, which is written last, lies less than this.
_BEING_STORED = timedelta(hours=1)
_AT_ONCE = 16


class Why(StrEnum):
    """What decides about a stored file."""

    UNFINISHED = "unfinished"  # an attempt at this key is not over: always kept
    SELECTED = "selected"  # the selected take of a remembered plan: always kept
    UNSELECTED = "unselected"  # another take of a remembered plan
    FOREIGN = "foreign"  # this ledger knows nothing of it, so another may
    RECENT = "recent"  # in no remembered plan, and not old enough
    UNNAMED = "unnamed"  # in no remembered plan, and old enough
    STRAY = "stray"  # without a record, so it counts as no clip
    ASIDE = "aside"  # was damaged and kept for inspection
    INCOMING = "incoming"  # put there by the provider for an attempt that needs it no more


@dataclass(frozen=True, slots=True)
class Rules:
    """What may go beside what always may: other takes, clips that another ledger may count on, and from what age."""

    older_than: timedelta = timedelta(days=30)
    unselected: bool = False
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Claims:
    """The content keys that somebody counts on: of attempts that are not over, and of remembered plans.

    `tasks` are the taskUUIDs of attempts that are not over: what is delivered for them is still to be taken in.
    """

    unfinished: frozenset[str] = frozenset()
    selected: frozenset[str] = frozenset()
    unselected: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()

    def on(self, key: str) -> Why | None:
        """Who counts on this key; None where nobody does."""
        if key in self.unfinished:
            return Why.UNFINISHED
        if key in self.selected:
            return Why.SELECTED
        return Why.UNSELECTED if key in self.unselected else None


@dataclass(frozen=True, slots=True)
class Item:
    """One clip, or one file that is none, and whether it goes.

    `names` are its files below `clips/`, in the order in which they go; a clip's record, which goes before them, is in
    `record`. Of what was delivered and not taken in, `task_uuid` is the attempt's. `cost_usd` is what its clip cost, so
    what making it again would cost. `since` is when it was stored.
    """

    key: str
    why: Why
    goes: bool
    names: tuple[str, ...]
    size_bytes: int
    since: datetime | None
    record: ClipRecord | None = None
    attempt: Attempt | None = None
    task_uuid: str | None = None

    @property
    def cost_usd(self) -> Decimal:
        """Zero for what is no clip: nothing is lost with it."""
        return Decimal(0) if self.record is None else self.record.origin.cost_usd

    @property
    def provider(self) -> str | None:
        """Whose clip it is, if anybody knows."""
        if self.record is not None:
            return self.record.origin.provider
        return None if self.attempt is None else self.attempt.provider

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: dollars as a decimal string."""
        return {
            "key": self.key,
            "why": str(self.why),
            "files": list(self.names),
            "size_bytes": self.size_bytes,
            "cost_usd": str(self.cost_usd),
            "provider": self.provider,
            "storyboard": None if self.attempt is None else self.attempt.storyboard,
            "shot": None if self.attempt is None else self.attempt.shot,
            "take": None if self.attempt is None else self.attempt.take,
            "stored_at": None if self.since is None else self.since.isoformat(timespec="seconds"),
        }


@dataclass(frozen=True, slots=True)
class Discarded:
    """What went, and what was spared since somebody had come to count on it."""

    gone: tuple[Item, ...]
    spared: tuple[Item, ...]


def read_claims(ledger: Ledger, *, forgetting: str | None = None) -> Claims:
    """What the ledger says that somebody counts on, now; as if the plans of storyboard `forgetting` were forgotten.

    Raises:
        BadInput: A remembered plan is of a form that is not known here.
        StorageUnreachable: The ledger does not answer.
    """
    plans = [plan for plan in ledger.remembered_plans() if plan.storyboard != forgetting]
    live = ledger.attempts(states=LIVE)
    tasks = frozenset(attempt.task_uuid for attempt in live)
    return replace(claims_of(plans, {attempt.content_key for attempt in live}), tasks=tasks)


def claims_of(plans: Sequence[RememberedPlan], unfinished: set[str]) -> Claims:
    """The claims of remembered plans, and of attempts that are not over.

    Raises:
        BadInput: A plan is of a form that is not known here.
    """
    selected, others = set[str](), set[str]()
    for plan in plans:
        try:
            for shot in plan.plan["shots"]:
                for take in shot["takes"]:
                    (selected if take["number"] == shot["select"] else others).add(str(take["content_key"]))
        except (LookupError, TypeError) as error:
            # Taken for one that names nothing, it would let its clips go.
            raise BadInput(
                f"what the ledger remembers of '{plan.storyboard}' cannot be read, so its clips are not known",
                advice="Nothing was deleted. Use the shotchain that rendered it, or forget it with --forget.",
            ) from error
    return Claims(frozenset(unfinished), frozenset(selected), frozenset(others - selected))


def judge(
    inventory: Inventory,
    claims: Claims,
    known: Mapping[str, Attempt],
    rules: Rules,
    now: datetime,
    by_task: Mapping[str, Attempt] = MappingProxyType({}),
) -> list[Item]:
    """Decide about everything that lies in a store.

    Args:
        inventory: What lies there.
        claims: Who counts on what.
        known: The attempts of this ledger by content key.
        rules: What may go.
        now: The present moment.
        by_task: The attempts of this ledger by taskUUID.
    """
    items = []
    for clip in inventory.clips:
        size = len(clip.record.text()) + (0 if clip.file is None else clip.file.size_bytes)
        stored_at = clip.record.stored_at
        why, goes = _verdict(clip.key, claims, known, rules, old=now - stored_at > rules.older_than)
        names = () if clip.file is None else (clip.file.name,)
        items.append(Item(clip.key, why, goes, names, size, stored_at, clip.record, known.get(clip.key)))
    # A record that cannot be read may be that of a newer shotchain: it and its files are judged like a clip.
    unread = {loose.key for loose in inventory.unreadable}
    for key, files in _by_key([*inventory.unreadable, *(loose for loose in inventory.strays if loose.key in unread)]):
        since = _latest(files)
        old = since is not None and now - since > rules.older_than
        why, goes = _verdict(key, claims, known, rules, old=old)
        items.append(_of_loose(key, why, files, since, known, goes=goes))
    for key, files in _by_key([loose for loose in inventory.strays if loose.key not in unread]):
        since = _latest(files)
        claim = claims.on(key)
        settled = since is not None and now - since > _BEING_STORED
        goes = settled and (claim is None or (claim is Why.UNSELECTED and rules.unselected))
        items.append(_of_loose(key, claim or Why.STRAY, files, since, known, goes=goes))
    for loose in inventory.aside:
        old = loose.since is not None and now - loose.since > rules.older_than
        items.append(_of_loose(loose.key, Why.ASIDE, [loose], loose.since, known, goes=old))
    whole = {
        clip.key for clip in inventory.clips if clip.file is not None and clip.file.size_bytes == clip.record.size_bytes
    }
    return [
        *items,
        *(_of_incoming(uuid, file, claims, by_task, rules, now, whole) for uuid, file in inventory.incoming.items()),
    ]


async def discard(store: ClipStore, ledger: Ledger, items: Sequence[Item], rules: Rules) -> Discarded:
    """Delete those of `items` that go, record first, after looking once more whether somebody counts on them now.

    Whoever begins to count on a clip writes that into the ledger before he takes it from the store. So a record is
    taken away, the ledger is asked again, and where somebody has come, the record is put back; only then the file
    goes. A crash in between leaves a file without a record, which counts as no clip and goes another time.

    Raises:
        StorageUnreachable: Store or ledger do not answer. What went until then is gone, everything else is whole.
        BadInput: See `read_claims`.
    """
    doomed = [item for item in items if item.goes]
    gone, spared = list[Item](), list[Item]()
    for start in range(0, len(doomed), _AT_ONCE):
        batch = doomed[start : start + _AT_ONCE]
        claims = await in_ledger(read_claims, ledger)
        free = [item for item in batch if _is_free(item, claims, rules)]
        unchanged = await _each(_take_record, store, free)
        taken = [item for item, is_so in zip(free, unchanged, strict=True) if is_so]
        claims = await in_ledger(read_claims, ledger)
        back = [item for item in taken if not _is_free(item, claims, rules)]
        await _each(_put_back, store, back)
        left = [item for item in taken if item not in back]
        await _each(_remove, store, left)
        gone += left
        spared += [item for item in batch if item not in left]
    return Discarded(tuple(gone), tuple(spared))


def _verdict(key: str, claims: Claims, known: Mapping[str, Attempt], rules: Rules, *, old: bool) -> tuple[Why, bool]:
    claim = claims.on(key)
    if claim is not None:
        return claim, claim is Why.UNSELECTED and rules.unselected
    if not old:
        return Why.RECENT, False
    if key not in known:
        return Why.FOREIGN, rules.foreign
    return Why.UNNAMED, True


def _of_incoming(
    task_uuid: str,
    file: StoredFile,
    claims: Claims,
    by_task: Mapping[str, Attempt],
    rules: Rules,
    now: datetime,
    whole: set[str],
) -> Item:
    """What was delivered: an attempt that is over has its clip by another way, or none, and needs it no more.

    `whole` are the keys whose clip lies in its place. Where one was stored and is there no more, this is what is left.
    """
    attempt, since = by_task.get(task_uuid), file.changed_at
    if attempt is not None and attempt.state in OVER and attempt.charged is not Charged.NO:
        # It failed, and may have been charged: this may be all that there is for the money.
        return Item(
            attempt.content_key,
            Why.UNFINISHED,
            False,
            (file.name,),
            file.size_bytes,
            since,
            attempt=attempt,
            task_uuid=task_uuid,
        )
    why, least = (Why.FOREIGN, rules.older_than) if attempt is None else (Why.INCOMING, _BEING_STORED)
    if attempt is not None and attempt.state is State.STORED and attempt.content_key not in whole:
        least = max(least, rules.older_than)
    goes = since is not None and now - since > least and (attempt is not None or rules.foreign)
    if task_uuid in claims.tasks:
        why, goes = Why.UNFINISHED, False
    key = "" if attempt is None else attempt.content_key
    return Item(key, why, goes, (file.name,), file.size_bytes, since, attempt=attempt, task_uuid=task_uuid)


def _is_free(item: Item, claims: Claims, rules: Rules) -> bool:
    if item.why is Why.ASIDE:
        return True
    if item.task_uuid is not None:
        return item.task_uuid not in claims.tasks
    claim = claims.on(item.key)
    return claim is None or (claim is Why.UNSELECTED and rules.unselected)


async def _each(work: Any, store: ClipStore, items: Sequence[Item]) -> list[Any]:
    return await asyncio.gather(*(asyncio.to_thread(work, store, item) for item in items))


def _take_record(store: ClipStore, item: Item) -> bool:
    """Take the record away; no where the clip is another one by now, or where a stray file has become one."""
    if item.why is Why.ASIDE or item.task_uuid is not None or not item.key:
        return True
    if store.record(item.key) != item.record:
        return False
    if item.record is not None:
        store.remove_record(item.key)
    return True


def _put_back(store: ClipStore, item: Item) -> None:
    if item.record is not None:
        store.write_record(item.record)


def _remove(store: ClipStore, item: Item) -> None:
    for name in item.names:
        store.file(name).remove()
    if item.record is not None:
        store.drop_copy(item.record)


def _by_key(loose: Sequence[Loose]) -> Iterator[tuple[str, list[Loose]]]:
    found: defaultdict[str, list[Loose]] = defaultdict(list)
    for item in loose:
        # What a broken write left belongs to nothing, so each is one of its own.
        found[item.key or item.file.name].append(item)
    for files in found.values():
        yield files[0].key, files


def _latest(files: Sequence[Loose]) -> datetime | None:
    moments = [loose.since for loose in files if loose.since is not None]
    return max(moments) if len(moments) == len(files) else None


def _of_loose(
    key: str, why: Why, files: Sequence[Loose], since: datetime | None, known: Mapping[str, Attempt], *, goes: bool
) -> Item:
    return Item(
        key=key,
        why=why,
        goes=goes,
        names=tuple(loose.file.name for loose in files),
        size_bytes=sum(loose.file.size_bytes for loose in files),
        since=since,
        attempt=known.get(key),
    )
