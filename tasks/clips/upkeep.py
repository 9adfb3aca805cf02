"""Whether every clip of the store is what its record says, read from its first byte to its last."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from tasks.clips.inventory import Loose, StoredClip
from tasks.clips.record import ClipRecord
from tasks.clips.store import ClipStore
from tasks.errors import MediaError, StorageUnreachable
from tasks.ledger import PAID, Attempt
from tasks.media.files import sha256_of
from tasks.media.frames import decode_whole
from tasks.together import together

__all__ = ["Finding", "Flaw", "Verified", "attempts_by_key", "verify"]

# Each may hold a clip on its way here and a processor; more would only fill the disk sooner.
_AT_ONCE = 2


class Flaw(StrEnum):
    """What is wrong with what lies in the store; the last three are no flaw of a clip that counts."""

    MISSING = "missing"  # a record without its file
    LENGTH = "length"  # not as many bytes as recorded
    CONTENT = "content"  # other bytes than recorded
    UNDECODABLE = "undecodable"
    FRAMES = "frames"  # it decodes, to another number of frames than recorded
    UNREADABLE = "unreadable record"
    INCOMING = "not taken in"  # the provider put it there; a run or a recovery takes it in, or gc deletes it
    STRAY = "no record"  # counts as absent; or it is being stored now
    ASIDE = "kept aside"  # was damaged, and moved out of the way

    @property
    def is_damage(self) -> bool:
        """Whether a clip that was paid for is not whole."""
        return self not in {Flaw.INCOMING, Flaw.STRAY, Flaw.ASIDE}


@dataclass(frozen=True, slots=True)
class Finding:
    """One file that is not as it should be.

    `path` is where it lies. `cost_usd` is what the clip cost, `storyboard`, `shot` and `take` for what it was first
    made, each None where neither record nor ledger knows. `aside` is where it was moved to, if it was.
    """

    flaw: Flaw
    key: str
    path: str
    message: str
    provider: str | None = None
    storyboard: str | None = None
    shot: str | None = None
    take: int | None = None
    task_uuid: str | None = None
    cost_usd: Decimal | None = None
    aside: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: dollars as a decimal string."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {**fields, "flaw": str(self.flaw), "cost_usd": None if self.cost_usd is None else str(self.cost_usd)}


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of looking: how many clips have a record, their bytes by their records, and what was found."""

    clips: int
    size_bytes: int
    findings: tuple[Finding, ...]

    @property
    def damaged(self) -> tuple[Finding, ...]:
        """The findings that mean that a clip is not whole."""
        return tuple(finding for finding in self.findings if finding.flaw.is_damage)


def attempts_by_key(attempts: list[Attempt]) -> dict[str, Attempt]:
    """For each content key the attempt that paid for its clip last, else the last one."""
    found: dict[str, Attempt] = {}
    for attempt in attempts:
        known = found.get(attempt.content_key)
        if known is None or attempt.state in PAID or known.state not in PAID:
            found[attempt.content_key] = attempt
    return found


async def verify(
    store: ClipStore,
    known: Mapping[str, Attempt],
    scratch: Path,
    *,
    quick: bool = False,
    set_aside: bool = False,
    tell: Callable[[int, int], None] | None = None,
    by_task: Mapping[str, Attempt] | None = None,
) -> Verified:
    """Look at every clip, two at a time. A clip that lies elsewhere is fetched, looked at and deleted here again.

    Args:
        store: The clip store.
        known: What the ledger knows of content keys; see `attempts_by_key`.
        scratch: Local folder for clips on their way.
        quick: Whether length and sha256 are enough, without decoding.
        set_aside: Whether to move what is damaged out of the way, record and file, so that the next render fetches
            the clip from the provider again. Without it nothing is changed.
        tell: Is told after each clip how many are done, and of how many.
        by_task: All attempts by taskUUID, to know whose it is what was delivered; without it, those of `known`.

    Raises:
        StorageUnreachable: The store does not answer, or there is no room in `scratch`.
    """
    inventory = await asyncio.to_thread(store.inventory)
    places = asyncio.Semaphore(_AT_ONCE)
    done = 0

    async def one(clip: StoredClip) -> Finding | None:
        nonlocal done
        async with places:
            found = await asyncio.to_thread(_inspect, store, clip.key, scratch, quick=quick, set_aside=set_aside)
        done += 1
        if tell is not None:
            tell(done, len(inventory.clips))
        return found

    looked = await together(one(clip) for clip in inventory.clips)
    findings = [finding for finding in looked if finding is not None]
    for loose in inventory.unreadable:
        found = await asyncio.to_thread(_unreadable, store, loose, set_aside=set_aside)
        findings.append(found)
    for flaw, loosened, message in (
        (Flaw.STRAY, inventory.strays, "a file without a record counts as no clip"),
        (Flaw.ASIDE, inventory.aside, "was damaged, and is kept for inspection"),
    ):
        findings += [Finding(flaw, item.key, store.file(item.file.name).shown, message) for item in loosened]
    tasks = {attempt.task_uuid: attempt for attempt in known.values()} if by_task is None else by_task
    for uuid_of_task, file in inventory.incoming.items():
        its = tasks.get(uuid_of_task)
        key, message = "" if its is None else its.content_key, "was delivered, and nobody has taken it in"
        place = store.file(file.name).shown
        findings.append(Finding(Flaw.INCOMING, key, place, message, task_uuid=uuid_of_task))
    return Verified(
        clips=len(inventory.clips),
        size_bytes=sum(clip.record.size_bytes for clip in inventory.clips),
        findings=tuple(
            _with_attempt(finding, tasks.get(finding.task_uuid or "") or known.get(finding.key)) for finding in findings
        ),
    )


def _inspect(store: ClipStore, key: str, scratch: Path, *, quick: bool, set_aside: bool) -> Finding | None:
    # Looked at twice before it is called damaged: it may be being stored anew, or a copy of it came badly.
    if _flaw(store, key, scratch, quick=quick) is None:
        return None
    found = _flaw(store, key, scratch, quick=quick)
    if found is None:
        return None
    record, flaw, message = found
    return Finding(
        flaw,
        key,
        store.file(record.file_name).shown,
        message,
        provider=record.origin.provider,
        task_uuid=record.origin.task_uuid,
        cost_usd=record.origin.cost_usd,
        aside=store.retire(record).shown if set_aside else None,
    )


def _flaw(store: ClipStore, key: str, scratch: Path, *, quick: bool) -> tuple[ClipRecord, Flaw, str] | None:
    """The clip's record and what is wrong with it; None where nothing is, or where there is no record any more."""
    record = store.record(key)
    if record is None:
        return None
    place = store.file(record.file_name)
    size = place.size()
    if size is None:
        return record, Flaw.MISSING, "its file is not there"
    if size != record.size_bytes:
        return record, Flaw.LENGTH, f"it has {size} bytes, not {record.size_bytes}"
    if record.facts is None and quick:
        return None  # its length is all that is known of it
    if place.local is not None:
        found = _flaw_of_file(place.local, record, quick=quick)
    else:
        copy = scratch / f"{uuid.uuid4().hex}{record.suffix}"
        try:
            place.fetch(copy)
            found = _flaw_of_file(copy, record, quick=quick)
        finally:
            copy.unlink(missing_ok=True)
    return None if found is None else (record, *found)


def _flaw_of_file(path: Path, record: ClipRecord, *, quick: bool) -> tuple[Flaw, str] | None:
    try:
        known = record.facts
        if known is not None and sha256_of(path) != known.sha256:
            return Flaw.CONTENT, "its bytes are not those that were stored"
        if quick:
            return None
        facts = decode_whole(path)
    except MediaError as error:
        return Flaw.UNDECODABLE, error.message
    except OSError as error:
        raise StorageUnreachable(f"{path} cannot be read: {error.strerror or error}") from error
    if known is not None and facts.frames != known.frames:
        return Flaw.FRAMES, f"it has {facts.frames} frames, not {known.frames}"
    return None


def _unreadable(store: ClipStore, loose: Loose, *, set_aside: bool) -> Finding:
    place = store.file(loose.file.name)
    aside = store.retire_record(loose.key).shown if set_aside else None
    return Finding(Flaw.UNREADABLE, loose.key, place.shown, "the record of this clip says nothing", aside=aside)


def _with_attempt(finding: Finding, attempt: Attempt | None) -> Finding:
    """What the ledger adds to what the clip's own record says."""
    if attempt is None:
        return finding
    names = ("provider", "storyboard", "shot", "take", "task_uuid", "cost_usd")
    told = {name: getattr(attempt, name) for name in names if getattr(finding, name) is None}
    return replace(finding, **told)
