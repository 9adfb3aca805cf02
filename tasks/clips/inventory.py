"""What lies in a clip store, told apart by names and records, without reading a clip."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tasks.clips.record import ClipRecord
from tasks.storage import Location, StoredFile

__all__ = ["INCOMING", "Inventory", "Loose", "StoredClip", "take_inventory"]

INCOMING = "incoming"
"""The folder into which the provider puts what it delivers, each file under the taskUUID of its attempt."""

# Of remote stores every record is a round trip, so many are read at once.
_READERS = 16
_NAME = re.compile(r"(?P<key>[0-9a-f]{16,128})(?P<aside>\.damaged-\w+)?(?P<suffix>\.\w+)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEFTOVER = re.compile(r"\.[0-9a-f]{32}(\.\w+)?\.part")


@dataclass(frozen=True, slots=True)
class StoredClip:
    """A clip with a record that can be read; `file` is None where its file is not there."""

    record: ClipRecord
    file: StoredFile | None

    @property
    def key(self) -> str:
        """Its content key."""
        return self.record.key


@dataclass(frozen=True, slots=True)
class Loose:
    """A file that counts as no clip.

    `key` is the content key in its name, empty where it names none. `since` is when it was written, or for what is
    kept aside when it was moved there (UTC); None where that cannot be told.
    """

    key: str
    file: StoredFile
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """A store's files, each by its name below `clips/`. Files whose names say nothing to us are not in it.

    `clips` have a record, `unreadable` are records that tell nothing, `strays` are clips' files without a record
    (one that is being stored looks so too) and what a broken write left, `aside` is what was damaged and kept for
    inspection, `incoming` is what the provider put there and nobody has taken in, by the taskUUID of its attempt.
    """

    clips: tuple[StoredClip, ...]
    unreadable: tuple[Loose, ...]
    strays: tuple[Loose, ...]
    aside: tuple[Loose, ...]
    incoming: Mapping[str, StoredFile] = field(default_factory=dict)


def take_inventory(folder: Location) -> Inventory:
    """Look through `folder`, a store's `clips/`. Blocks.

    Raises:
        StorageUnreachable: The storage does not answer.
    """
    records: dict[str, StoredFile] = {}
    files: defaultdict[str, list[StoredFile]] = defaultdict(list)
    strays, aside, incoming = list[Loose](), list[Loose](), dict[str, StoredFile]()
    for file in folder.files():
        above, _, name = file.name.rpartition("/")
        named = _NAME.fullmatch(name)
        if named is None or above != named["key"][:2]:
            if above == INCOMING and _UUID.fullmatch(name):
                incoming[name] = file
            elif _LEFTOVER.fullmatch(name):
                strays.append(Loose("", file, file.changed_at))
        elif named["aside"]:
            aside.append(Loose(named["key"], file, _moment(named["aside"]) or file.changed_at))
        elif named["suffix"] == ".json":
            records[named["key"]] = file
        else:
            files[named["key"]].append(file)
    clips, unreadable = list[StoredClip](), list[Loose]()
    with ThreadPoolExecutor(_READERS) as pool:
        contents = pool.map(lambda file: folder.child(file.name).read_bytes(), records.values())
        for (key, file), content in zip(records.items(), contents, strict=True):
            record = None if content is None else ClipRecord.read(key, content)
            if record is not None:
                own = next((item for item in files[key] if item.name.endswith(f"{key}{record.suffix}")), None)
                files[key] = [item for item in files[key] if item is not own]
                clips.append(StoredClip(record, own))
            elif content is not None:  # else it went away meanwhile
                unreadable.append(Loose(key, file, file.changed_at))
    strays += [Loose(key, file, file.changed_at) for key, loose in files.items() for file in loose]
    return Inventory(tuple(clips), tuple(unreadable), tuple(strays), tuple(aside), incoming)


def _moment(aside: str) -> datetime | None:
    # A file keeps its own time when it is moved, so the name tells.
    with suppress(ValueError):
        return datetime.strptime(aside.removeprefix(".damaged-"), "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    return None
