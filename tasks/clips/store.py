"""The clip store: every clip that was ever paid for, under its content key, on any fsspec storage.

clips/ab/abcdef….mp4     the provider's file, byte for byte
clips/ab/abcdef….json    what is known of it; written last, so a clip with a record is whole
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from tasks.clips.inventory import Inventory, take_inventory
from tasks.clips.record import Clip, ClipRecord, Origin
from tasks.media.files import mark_used
from tasks.media.frames import DecodedFacts
from tasks.runware.download import Download
from tasks.storage import Location, locate

__all__ = ["Clip", "ClipStore", "Origin"]


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

    async def find(self, key: str) -> Clip | None:
        """The clip of this key, if it is whole: of the recorded length and sha256.

        A file that is not what its record says is moved aside, for inspection, and counts as absent.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        return await asyncio.to_thread(self._find, key)

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
        record = self.record(key)
        return record is not None and self._place(key, record.suffix).size() == record.size_bytes

    def _find(self, key: str) -> Clip | None:
        # Looked at twice before it is called damaged: another run may be storing it anew, or a copy of it came badly.
        for is_last in (False, True):
            record = self.record(key)
            if record is None:
                return None
            place = self._place(key, record.suffix)
            if place.size() is None:
                return None
            path = place.local or self._copy(place, key, record)
            if record.fits(path):
                return record.clip(path)
            if is_last:
                place.rename(self._place(key, f".damaged-{_now()}{record.suffix}").name)
        return None

    def _copy(self, place: Location, key: str, record: ClipRecord) -> Path:
        path = self._cached(key, record.suffix)
        if record.fits(path):
            mark_used(path)
        else:
            place.fetch(path)
        return path

    def _cached(self, key: str, suffix: str) -> Path:
        return self._cache / "clips" / f"{key}{suffix}"

    def _put(self, key: str, download: Download, facts: DecodedFacts, origin: Origin) -> Clip:
        suffix = download.path.suffix
        record = ClipRecord(
            key=key,
            suffix=suffix,
            sha256=download.sha256,
            size_bytes=download.size_bytes,
            frames=facts.frames,
            width=facts.width,
            height=facts.height,
            rate=facts.rate,
            has_sound=facts.has_sound,
            origin=origin,
            stored_at=datetime.now(UTC),
        )
        place = self._place(key, suffix)
        place.put(download.path)
        path = place.local
        if path is None:
            path = self._cached(key, suffix)
            locate(str(path)).put(download.path)
        self.write_record(record)
        return record.clip(path)


def _now() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
