"""The clip store: every clip that was ever paid for, under its content key, on any fsspec storage.

clips/ab/abcdef….mp4     the provider's file, byte for byte
clips/ab/abcdef….json    what is known of it; written last, so a clip with a record is whole
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tasks.media.frames import DecodedFacts
from tasks.runware.download import Download
from tasks.storage import Location, locate

__all__ = ["Clip", "ClipStore", "Origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a clip comes from and what it cost."""

    provider: str
    model: str
    task_uuid: str
    video_uuid: str
    cost_usd: Decimal
    seed: int | None
    nsfw: bool


@dataclass(frozen=True, slots=True)
class Clip:
    """A whole clip on this machine. `frames`, `rate` and the size are as decoded, not as promised."""

    key: str
    path: Path
    sha256: str
    size_bytes: int
    frames: int
    width: int
    height: int
    rate: Fraction
    has_sound: bool
    origin: Origin


class ClipStore:
    """The clips at `root`; `cache` is a local folder for copies of those that lie elsewhere."""

    def __init__(self, root: str, cache: Path) -> None:
        self.root = locate(root)
        self._cache = cache

    async def find(self, key: str) -> Clip | None:
        """The clip of this key, if it is whole: of the recorded length and sha256.

        A file that is not what its record says is moved aside, for inspection, and counts as absent.

        Raises:
            StorageUnreachable: The storage does not answer.
        """
        return await asyncio.to_thread(self._find, key)

    async def has(self, keys: set[str]) -> set[str]:
        """Which of `keys` have a clip of the recorded length; for a plan, without reading the clips."""

        def look() -> set[str]:
            return {key for key in keys if (record := self._record(key)) and self._length_fits(key, record)}

        return await asyncio.to_thread(look)

    async def put(self, key: str, download: Download, facts: DecodedFacts, origin: Origin) -> Clip:
        """Keep a clip that was downloaded and decoded whole.

        Raises:
            StorageUnreachable: It cannot be written; the clip stays the provider's.
        """
        return await asyncio.to_thread(self._put, key, download, facts, origin)

    async def set_aside(self, key: str, file: Path) -> str:
        """Keep a damaged file of this key for inspection and say where."""
        place = self._place(key, f".damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}{file.suffix}")
        await asyncio.to_thread(place.put, file)
        return place.shown

    def _place(self, key: str, suffix: str) -> Location:
        return self.root.child(f"clips/{key[:2]}/{key}{suffix}")

    def _record(self, key: str) -> dict[str, Any] | None:
        content = self._place(key, ".json").read_bytes()
        if content is None:
            return None
        try:
            record = json.loads(content)
        except ValueError:
            return None
        return record if isinstance(record, dict) and record.get("key") == key else None

    def _length_fits(self, key: str, record: dict[str, Any]) -> bool:
        expected: int = record["size_bytes"]
        return self._place(key, record["suffix"]).size() == expected

    def _find(self, key: str) -> Clip | None:
        record = self._record(key)
        if record is None:
            return None
        place = self._place(key, record["suffix"])
        if place.size() is None:
            return None
        path = place.local or self._copy(place, key, record)
        if path.stat().st_size == record["size_bytes"] and _sha256(path) == record["sha256"]:
            return _clip(record, path)
        place.rename(f"{key}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}{record['suffix']}")
        return None

    def _copy(self, place: Location, key: str, record: dict[str, Any]) -> Path:
        path = self._cache / "clips" / f"{key}{record['suffix']}"
        if not path.is_file() or path.stat().st_size != record["size_bytes"] or _sha256(path) != record["sha256"]:
            place.fetch(path)
        return path

    def _put(self, key: str, download: Download, facts: DecodedFacts, origin: Origin) -> Clip:
        suffix = download.path.suffix
        record = {
            "key": key,
            "suffix": suffix,
            "sha256": download.sha256,
            "size_bytes": download.size_bytes,
            "frames": facts.frames,
            "width": facts.width,
            "height": facts.height,
            "rate": str(facts.rate),
            "has_sound": facts.has_sound,
            "provider": origin.provider,
            "model": origin.model,
            "task_uuid": origin.task_uuid,
            "video_uuid": origin.video_uuid,
            "cost_usd": str(origin.cost_usd),
            "seed": origin.seed,
            "nsfw": origin.nsfw,
            "stored_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        place = self._place(key, suffix)
        place.put(download.path)
        path = place.local
        if path is None:
            path = self._cache / "clips" / f"{key}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            download.path.replace(path)
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as text:
            json.dump(record, text, indent=1)
            text.flush()
            self._place(key, ".json").put(Path(text.name))
        return _clip(record, path)


def _clip(record: dict[str, Any], path: Path) -> Clip:
    return Clip(
        key=record["key"],
        path=path,
        sha256=record["sha256"],
        size_bytes=record["size_bytes"],
        frames=record["frames"],
        width=record["width"],
        height=record["height"],
        rate=Fraction(record["rate"]),
        has_sound=record["has_sound"],
        origin=Origin(
            provider=record["provider"],
            model=record["model"],
            task_uuid=record["task_uuid"],
            video_uuid=record["video_uuid"],
            cost_usd=Decimal(record["cost_usd"]),
            seed=record["seed"],
            nsfw=record["nsfw"],
        ),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
