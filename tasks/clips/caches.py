"""The local caches, which hold nothing that cannot be made again, and how they are kept from growing for ever."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.clips.scratch import living_since
from tasks.storage import StoredFile, locate

__all__ = ["CACHES", "CacheUse", "bound_caches", "cache_uses", "droppable"]

CACHES = ("clips", "conformed", "frames", "inputs")
"""The folders: copies of clips that lie elsewhere, what films are joined from, decoded frames, fetched inputs."""

_IN_USE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CacheUse:
    """One of the caches: all that is in it, and what of that is not in use."""

    name: str
    files: int
    size_bytes: int
    idle_files: int
    idle_bytes: int


def cache_uses(cache: Path, *, now: datetime | None = None) -> list[CacheUse]:
    """What the caches hold. Blocks.

    Args:
        cache: The folder that they are in.
        now: The present moment.

    Raises:
        StorageUnreachable: They cannot be read.
    """
    limit = _used_before(cache, now)
    uses = []
    for name in CACHES:
        files = locate(str(cache / name)).files()
        idle = [file for file in files if _is_idle(file, limit)]
        sizes = [sum(file.size_bytes for file in some) for some in (files, idle)]
        uses.append(CacheUse(name, len(files), sizes[0], len(idle), sizes[1]))
    return uses


def bound_caches(cache: Path, limit_bytes: int, *, now: datetime | None = None) -> int:
    """Drop what was used longest ago until no more than `limit_bytes` are left in all, and what broken writes left.

    What was used within a day, or since the oldest run that is still going on began, is in use and stays, whatever
    the sum. Blocks.

    Args:
        cache: The folder that they are in.
        limit_bytes: What may stay.
        now: The present moment.

    Returns:
        The bytes that were dropped.

    Raises:
        StorageUnreachable: The caches cannot be read.
    """
    limit = _used_before(cache, now)
    files = [
        StoredFile(f"{name}/{file.name}", file.size_bytes, file.changed_at)
        for name in CACHES
        for file in locate(str(cache / name)).files()
    ]
    dropped = 0
    for file in droppable(files, limit_bytes, limit):
        path = cache / file.name
        with suppress(OSError):  # gone already, or not ours to delete
            # It may have been used since we looked.
            if path.stat().st_mtime < limit.timestamp():
                path.unlink()
                dropped += file.size_bytes
    return dropped


def droppable(files: Sequence[StoredFile], limit_bytes: int, used_before: datetime) -> list[StoredFile]:
    """Which files are dropped: what broken writes left, then the least recently used, until `limit_bytes` are left.

    Only what was last used before `used_before` is.
    """
    idle = sorted(
        (file for file in files if _is_idle(file, used_before)),
        key=lambda file: (file.changed_at or used_before, file.name),
    )
    chosen = [file for file in idle if _is_leftover(file)]
    total = sum(file.size_bytes for file in files) - sum(file.size_bytes for file in chosen)
    for file in idle:
        if total <= limit_bytes:
            break
        if not _is_leftover(file):
            chosen.append(file)
            total -= file.size_bytes
    return chosen


def _used_before(cache: Path, now: datetime | None) -> datetime:
    at_most = (now or datetime.now(UTC)) - _IN_USE
    since = living_since(cache)
    return at_most if since is None else min(at_most, since)


def _is_idle(file: StoredFile, used_before: datetime) -> bool:
    return file.changed_at is not None and file.changed_at < used_before


def _is_leftover(file: StoredFile) -> bool:
    # Files appear under their names when they are whole; until then they have hidden ones.
    return file.name.rpartition("/")[2].startswith(".")
