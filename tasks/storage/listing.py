"""Tells which files a folder holds, on a disk or elsewhere: their names, bytes and times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["StoredFile", "files_elsewhere", "files_on_disk"]

# What file systems call the time at which a file was last written.
_CHANGED = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a folder holds: its path in the folder with slashes, its bytes, when it was last written (UTC).

    `changed_at` is None where the storage does not tell.
    """

    name: str
    size_bytes: int
    changed_at: datetime | None


def files_on_disk(folder: Path, enters: Callable[[str], bool] | None) -> list[StoredFile]:
    """Every file in a folder of this machine and below, by name; none where there is no such folder.

    Args:
        folder: The folder.
        enters: Whether to look into a folder below, given its path in this one with slashes; without it, into all.

    Raises:
        OSError: A folder cannot be looked into.
    """
    return sorted(_walked(folder, enters), key=lambda file: file.name)


def files_elsewhere(fs: Any, path: str, enters: Callable[[str], bool] | None) -> list[StoredFile]:
    """The same for a folder of an fsspec file system, which raises errors of its own."""
    fs.invalidate_cache()
    top = f"{path.rstrip('/')}/"
    try:
        found = fs.find(path, detail=True) if enters is None else dict(_listed(fs, path, top, enters))
    except FileNotFoundError:
        return []
    return [
        StoredFile(name.removeprefix(top), int(info.get("size") or 0), _changed_at(info))
        for name, info in sorted(found.items())
        if name.startswith(top)
    ]


def _listed(fs: Any, path: str, top: str, enters: Callable[[str], bool]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What `fs.find` tells, folder by folder, of those alone that `enters` lets in."""
    for info in fs.ls(path, detail=True):
        name = str(info["name"]).rstrip("/")
        if not name.startswith(top) or name == path.rstrip("/"):
            continue  # object stores may list a folder's own marker in it
        if info.get("type") != "directory":
            yield name, info
        elif enters(name.removeprefix(top)):
            with suppress(FileNotFoundError):  # gone while we looked
                yield from _listed(fs, name, top, enters)


def _walked(folder: Path, enters: Callable[[str], bool] | None) -> Iterator[StoredFile]:
    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise error

    for above, below, names in os.walk(folder, onerror=refuse):
        if enters is not None:
            below[:] = [name for name in below if enters(Path(above, name).relative_to(folder).as_posix())]
        for name in names:
            path = Path(above, name)
            with suppress(FileNotFoundError):  # gone while we looked
                facts = path.stat()
                changed_at = datetime.fromtimestamp(facts.st_mtime, UTC)
                yield StoredFile(path.relative_to(folder).as_posix(), facts.st_size, changed_at)


def _changed_at(info: dict[str, Any]) -> datetime | None:
    for name in _CHANGED:
        told = info.get(name)
        if isinstance(told, datetime):
            return told if told.tzinfo else told.replace(tzinfo=UTC)
        if isinstance(told, int | float):
            return datetime.fromtimestamp(told, UTC)
        if isinstance(told, str):
            with suppress(ValueError):
                moment = datetime.fromisoformat(told)
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
