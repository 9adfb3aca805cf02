"""The clip store: every clip that was ever paid for, under its content key, on any fsspec storage.

clips/ab/abcdef….mp4     the provider's file, byte for byte
clips/ab/abcdef….json    what is known of it; written last, so a clip with a record is whole
clips/incoming/UUID      what the provider itself put here for the attempt of that taskUUID; see `deliver`

A clip that was delivered has a record that knows its length alone, until somebody reads it for the first time.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from tasks.clips.inventory import INCOMING, Inventory, take_inventory
from tasks.clips.record import Clip, ClipFacts, ClipRecord, Kept, Origin
from tasks.errors import ClipDamaged, StorageUnreachable
from tasks.media.files import mark_used, sha256_of
from tasks.media.frames import DecodedFacts, decode_whole
from tasks.runware.download import Download
from tasks.storage import Location, locate

__all__ = ["Clip", "ClipStore", "Kept", "Origin", "Stills", "no_stills"]

Stills: TypeAlias = Callable[[str], Mapping[int, Path]]
"""Frames to be taken while a clip is decoded, given the clip's sha256: frame index -> PNG file."""


def no_stills(_: str) -> Mapping[int, Path]:
    """None."""
    return {}


class ClipStore:
    """The clips at `root`; `cache` is a local folder for copies of those that lie elsewhere."""

    def __init__(self, root: str, cache: Path) -> None:
        self.root = locate(root)
        self._cache = cache

    def check(self) -> None:
        """See, before anything is paid, whether clips could be kept. Blocks; writes nothing.

        Raises:
            SettingsError: The place is no place for clips.
            StorageUnreachable: It cannot be written, or does not answer.
        """
        self.root.child("clips/clip").check_writable()
        locate(str(self._cache / "clips" / "clip")).check_writable()

    async def find(self, key: str, stills: Stills = no_stills) -> Clip | None:
        """The clip of this key, on this machine, if it is whole: of the recorded length and sha256.

        One that was delivered and never looked at is decoded to its end, and what it is goes into its record. A file
        that is not what its record says, or that cannot be decoded, is moved aside, for inspection, and counts as
        absent.

        Args:
            key: The content key.
            stills: Frames to take of a clip that is looked at for the first time.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        return await asyncio.to_thread(self._find, key, stills)

    async def keeps(self, key: str) -> Kept | None:
        """The clip of this key, if it is in the store, without moving it: one that lies elsewhere by its record.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        if self.root.local is not None:
            return await self.find(key)
        return await asyncio.to_thread(self._in_place, key)

    async def has(self, keys: set[str]) -> set[str]:
        """Which of `keys` have a clip of the recorded length; for a plan, without reading the clips."""
        # Of remote stores every question is a round trip, so they are asked at once.
        in_order = sorted(keys)
        there = await asyncio.gather(*(asyncio.to_thread(self._is_there, key) for key in in_order))
        return {key for key, found in zip(in_order, there, strict=True) if found}

    async def put(self, key: str, download: Download, facts: DecodedFacts, origin: Origin) -> Clip:
        """Keep a clip that was downloaded and decoded whole.

        Raises:
            StorageUnreachable: It cannot be written; the clip stays the provider's.
        """
        return await asyncio.to_thread(self._put, key, download, facts, origin)

    async def deliver(self, task_uuid: str, key: str, suffix: str, origin: Origin) -> ClipRecord | None:
        """Keep what the provider put here for an attempt, unread; None where it has put nothing.

        The storage itself copies it to its place. What was put stays until `drop_incoming`, so that a crash at any
        moment leaves the clip, and leaves it to be found.

        Raises:
            StorageUnreachable: The storage does not answer, or refuses.
        """
        return await asyncio.to_thread(self._deliver, task_uuid, key, suffix, origin)

    async def received(self, task_uuid: str) -> bool:
        """Whether something lies here that the provider put for an attempt, which proves that it made the clip.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        return bool(await asyncio.to_thread(self.incoming(task_uuid).size))

    async def drop_incoming(self, task_uuid: str) -> None:
        """Delete what the provider put here for an attempt.

        Raises:
            StorageUnreachable: It cannot be deleted.
        """
        await asyncio.to_thread(self.incoming(task_uuid).remove)

    @property
    def incoming_folder(self) -> Location:
        """Where the provider may put clips."""
        return self.file(INCOMING)

    def incoming(self, task_uuid: str) -> Location:
        """Where the provider may put the clip of an attempt; nobody else's clip ever comes there."""
        return self.file(f"{INCOMING}/{task_uuid}")

    async def set_aside(self, key: str, file: Path) -> str:
        """Keep a damaged file of this key for inspection and say where."""
        place = self._place(key, f".damaged-{_now()}{file.suffix}")
        await asyncio.to_thread(place.put, file)
        return place.shown

    def inventory(self) -> Inventory:
        """Everything that lies in the store, by its records; no clip is read. Blocks.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        return take_inventory(self.root.child("clips"))

    def file(self, name: str) -> Location:
        """A file of the store by the name that the inventory gives it."""
        return self.root.child(f"clips/{name}")

    def record(self, key: str) -> ClipRecord | None:
        """What is recorded of this key; None without a record that can be read. Blocks.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        content = self._place(key, ".json").read_bytes()
        return None if content is None else ClipRecord.read(key, content)

    def remembered(self, key: str) -> ClipRecord | None:
        """What was last recorded of this key, also where it was moved aside as damaged since. Blocks.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        record = self.record(key)
        if record is not None:
            return record
        folder = self.root.child(f"clips/{key[:2]}")
        aside = [file.name for file in folder.files() if file.name.startswith(f"{key}.damaged-")]
        for name in sorted((name for name in aside if name.endswith(".json")), reverse=True):
            content = folder.child(name).read_bytes()
            if content is not None and (record := ClipRecord.read(key, content)) is not None:
                return record
        return None

    def write_record(self, record: ClipRecord) -> None:
        """Say that the file of this record, which is there already, is a whole clip. Blocks.

        Raises:
            StorageUnreachable: It cannot be written.
        """
        self._place(record.key, ".json").put_bytes(record.text().encode())

    def remove_record(self, key: str) -> None:
        """Delete the record of this key; the key has no clip then, whatever files there are. Blocks.

        Raises:
            StorageUnreachable: It cannot be deleted.
        """
        self._place(key, ".json").remove()

    def retire(self, record: ClipRecord) -> Location:
        """Keep what this record describes aside, for inspection; the key has no clip then. Blocks.

        Returns:
            Where the clip's file lies now, if there was one.

        Raises:
            StorageUnreachable: It cannot be renamed.
        """
        # The record goes first, so that nothing between the two steps takes the file for a clip.
        aside = self.retire_record(record.key)
        file = aside.beside(aside.name.removesuffix(".json") + record.suffix)
        self._place(record.key, record.suffix).rename(file.name)
        return file

    def retire_record(self, key: str) -> Location:
        """Keep the record of this key aside, for inspection; the key has no clip then. Blocks.

        Returns:
            Where it lies now.

        Raises:
            StorageUnreachable: It cannot be renamed.
        """
        aside = self._place(key, f".damaged-{_now()}.json")
        self._place(key, ".json").rename(aside.name)
        return aside

    def drop_copy(self, record: ClipRecord) -> None:
        """Delete the local copy of a clip that lies elsewhere, if there is one. Blocks."""
        locate(str(self._cached(record.key, record.suffix))).remove()

    def _place(self, key: str, suffix: str) -> Location:
        return self.root.child(f"clips/{key[:2]}/{key}{suffix}")

    def _is_there(self, key: str) -> bool:
        return self._in_place(key) is not None

    def _in_place(self, key: str) -> ClipRecord | None:
        record = self.record(key)
        is_there = record is not None and self._place(key, record.suffix).size() == record.size_bytes
        return record if is_there else None

    def _find(self, key: str, stills: Stills) -> Clip | None:
        # Looked at twice before it is called damaged: another run may be storing it anew, or a copy of it came badly.
        for is_last in (False, True):
            record = self.record(key)
            if record is None:
                return None
            place = self._place(key, record.suffix)
            if place.size() is None:
                return None
            path = place.local or self._copy(place, key, record)
            if record.fits(path) and (looked_at := self._looked_at(record, path, stills)) is not None:
                return looked_at.clip(path)
            if is_last:
                place.rename(self._place(key, f".damaged-{_now()}{record.suffix}").name)
        return None

    def _looked_at(self, record: ClipRecord, path: Path, stills: Stills) -> ClipRecord | None:
        """The record with what is in the clip; None where that cannot be decoded."""
        if record.facts is not None:
            return record
        sha256 = sha256_of(path)
        try:
            decoded = decode_whole(path, stills(sha256))
        except ClipDamaged:
            return None
        known = replace(record, facts=_facts(sha256, decoded))
        self.write_record(known)
        return known

    def _copy(self, place: Location, key: str, record: ClipRecord) -> Path:
        path = self._cached(key, record.suffix)
        # Of one that nobody has looked at, a copy may be any that is as long.
        if record.facts is not None and record.fits(path):
            mark_used(path)
        else:
            place.fetch(path)
        return path

    def _cached(self, key: str, suffix: str) -> Path:
        return self._cache / "clips" / f"{key}{suffix}"

    def _put(self, key: str, download: Download, facts: DecodedFacts, origin: Origin) -> Clip:
        suffix = download.path.suffix
        facts_of_it = _facts(download.sha256, facts)
        record = ClipRecord(key, suffix, download.size_bytes, origin, datetime.now(UTC), facts_of_it)
        place = self._place(key, suffix)
        place.put(download.path)
        path = place.local
        if path is None:
            path = self._cached(key, suffix)
            locate(str(path)).put(download.path)
        self.write_record(record)
        return record.clip(path)

    def _deliver(self, task_uuid: str, key: str, suffix: str, origin: Origin) -> ClipRecord | None:
        incoming, place = self.incoming(task_uuid), self._place(key, suffix)
        if not incoming.size():
            return None
        if not self._copied(incoming, place):
            return self._in_place(key)  # somebody else took it in, or away, between the two
        size_bytes = place.size()  # of what was copied: the provider may put it again at any time
        if not size_bytes:
            return None
        record = ClipRecord(key, suffix, size_bytes, origin, datetime.now(UTC), facts=None)
        self.write_record(record)
        return record

    def _copied(self, incoming: Location, place: Location) -> bool:
        """Have the storage copy what was delivered to its place; says whether it was there.

        Some give and take, and do not copy: for want of a right to an object's tags, say. Then it is carried.
        """
        try:
            return incoming.copy_to(place)
        except StorageUnreachable as refused:
            carried = self._cache / "clips" / f".{uuid.uuid4().hex}.part"
            try:
                incoming.fetch(carried)
                place.put(carried)
            except StorageUnreachable:
                raise refused from None
            finally:
                carried.unlink(missing_ok=True)
            return True


def _facts(sha256: str, decoded: DecodedFacts) -> ClipFacts:
    return ClipFacts(sha256, decoded.frames, decoded.width, decoded.height, decoded.rate, decoded.has_sound)


def _now() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
